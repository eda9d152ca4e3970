package verifier

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/sha512"
	"math/big"
	"testing"

	"safebox/measure/benchtest"
	"safebox/measure/eventlog"
	"safebox/verifier/evidence"
	"safebox/verifier/tpm"
)

// BenchmarkVerify compares a whole verification with what none can do
// without: the signatures of the two quotes, one hash of each event and bank
// for the replay and one for its data, and one of each file that the verdict
// names.
func BenchmarkVerify(b *testing.B) {
	in := captured(b)
	e, err := evidence.Decode(in.Evidence)
	if err != nil {
		b.Fatal(err)
	}
	log, err := eventlog.Decode(e.VTPM.EventLog)
	if err != nil {
		b.Fatal(err)
	}
	ak, err := tpm.DecodePublic(e.VTPM.AK)
	if err != nil {
		b.Fatal(err)
	}
	key, err := ak.ECDSA()
	if err != nil {
		b.Fatal(err)
	}
	pair := make([]byte, 2*sha512.Size384)
	benchtest.Ratio(b, "x-of-signature-and-hash-bound", func() {
		if !Verify(in).Verdict.OK {
			b.Fatal("refused")
		}
	}, func() {
		for _, q := range e.VTPM.Quotes {
			s, err := tpm.DecodeSignature(q.Signature)
			if err != nil {
				b.Fatal(err)
			}
			sum := sha256.Sum256(q.Attest)
			if !ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(s.R), new(big.Int).SetBytes(s.S)) {
				b.Fatal("signature")
			}
		}
		for i := range log.Events {
			sha256.Sum256(pair[:2*sha256.Size])
			sha512.Sum384(pair)
			sha256.Sum256(log.Events[i].Data)
			sha512.Sum384(log.Events[i].Data)
		}
		for _, file := range [][]byte{in.Evidence, in.Bundle, in.Policy, in.Challenge} {
			sha256.Sum256(file)
		}
	})
}
