package tlog_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"testing"

	"filippo.io/mldsa"

	"safebox/verifier/tlog"
)

// released is a proof as a release carries it: a log's signature, cosignatures
// of two Ed25519 witnesses and one ML-DSA-44 witness, and 15 hashes, which a
// log of up to 32,768 entries needs.
func released(t testing.TB) (p *tlog.Policy, proof, entry []byte) {
	t.Helper()
	log := logSigner(t, origin, 1)
	w := []*tlog.Cosigner{
		cosigner(t, "witness-1.example", tlog.CosignatureEd25519, 2),
		cosigner(t, "witness-2.example", tlog.CosignatureEd25519, 3),
		cosigner(t, "witness-3.example", tlog.CosignatureMLDSA44, 4),
	}
	p = policy(t, "log "+log.Key().String(), "witness a "+w[0].Key().String(), "witness b "+w[1].Key().String(),
		"witness c "+w[2].Key().String(), "group g all a b c", "quorum g")
	all := leaves(1 << 15)
	note := signed(t, log, &tlog.Checkpoint{Origin: origin, Size: int64(len(all)), Root: tlog.RootHash(all)})
	for _, s := range w {
		note = cosigned(t, note, s, now)
	}
	const index = 12345
	proof = (&tlog.Proof{Index: index, Hashes: tlog.Inclusion(all, index), Checkpoint: note}).Encode()
	return p, proof, []byte{index & 0xff, index >> 8}
}

// verify is what a relying party does with a proof.
func verify(p *tlog.Policy, file, entry []byte) error {
	proof, err := tlog.DecodeProof(file)
	if err != nil {
		return err
	}
	opened, err := p.Open(proof.Checkpoint)
	if err != nil {
		return err
	}
	if at, ok := p.Quorum(opened.Cosignatures); !ok || at != now {
		return fmt.Errorf("quorum: got %d, %v", at, ok)
	}
	return proof.Check(entry, &opened.Checkpoint)
}

// TestProofSize: a proof with a post-quantum cosignature is at most 5 KB
// (issue 7).
func TestProofSize(t *testing.T) {
	p, proof, entry := released(t)
	if len(proof) > 5000 {
		t.Errorf("proof: got %d bytes, want at most 5000", len(proof))
	}
	if err := verify(p, proof, entry); err != nil {
		t.Error(err)
	}
	if err := verify(p, proof, []byte("another entry")); err == nil {
		t.Error("another entry: no error")
	}
}

// BenchmarkProof compares verifying a proof with its four signatures alone.
func BenchmarkProof(b *testing.B) {
	p, proof, entry := released(b)
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			if err := verify(p, proof, entry); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(proof)), "bytes")
	})
	b.Run("bound", func(b *testing.B) {
		seed := make([]byte, 32)
		secret := ed25519.NewKeyFromSeed(seed)
		pq, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed)
		if err != nil {
			b.Fatal(err)
		}
		message := make([]byte, 150)
		sig := ed25519.Sign(secret, message)
		pqSig, err := pq.Sign(nil, message, nil)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			for range 3 {
				if !ed25519.Verify(secret.Public().(ed25519.PublicKey), message, sig) {
					b.Fatal("does not verify")
				}
			}
			if err := mldsa.Verify(pq.PublicKey(), message, pqSig, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRoot1000 compares the root of 1,000 entries of 4 KiB with SHA-256
// of as many bytes.
func BenchmarkRoot1000(b *testing.B) {
	const size = 4096
	entries := make([][]byte, 1000)
	for i := range entries {
		entries[i] = make([]byte, size)
		entries[i][0], entries[i][1] = byte(i), byte(i>>8)
	}
	b.Run("root", func(b *testing.B) {
		b.SetBytes(1000 * size)
		for b.Loop() {
			hashes := make([][32]byte, len(entries))
			for i, e := range entries {
				hashes[i] = tlog.LeafHash(e)
			}
			tlog.RootHash(hashes)
		}
	})
	b.Run("bound", func(b *testing.B) {
		all := bytes.Join(entries, nil)
		b.SetBytes(1000 * size)
		for b.Loop() {
			sha256.Sum256(all)
		}
	})
}

func BenchmarkCosign(b *testing.B) {
	for _, a := range []tlog.Algorithm{tlog.CosignatureEd25519, tlog.CosignatureMLDSA44} {
		s := cosigner(b, "witness.example", a, 1)
		c := &tlog.Checkpoint{Origin: origin, Size: 1000, Root: [32]byte{1}}
		b.Run(a.String(), func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Cosign(c, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParsePolicy(b *testing.B) {
	text, _ := example(b)
	for b.Loop() {
		if _, err := tlog.ParsePolicy([]byte(text)); err != nil {
			b.Fatal(err)
		}
	}
}
