package tpm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
)

// googleKey is the TPMT_PUBLIC of a machine of Google's: field 1 of the
// attestation, 280 bytes from byte 3 on (a dump of the file).
func googleKey(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("../testdata/evidence/vtpm/go-tpm-tools/attestations/gce-cos-85-nonce9009.pb")
	if err != nil {
		t.Fatal(err)
	}
	return b[3 : 3+280]
}

// TestGoogleKey compares an RSA attestation key with what go-tpm makes of it.
func TestGoogleKey(t *testing.T) {
	raw := googleKey(t)
	p, err := DecodePublic(raw)
	if err != nil {
		t.Fatal(err)
	}
	want, err := tpm2.Unmarshal[tpm2.TPMTPublic](raw)
	if err != nil {
		t.Fatal(err)
	}
	unique, err := want.Unique.RSA()
	if err != nil {
		t.Fatal(err)
	}
	name, err := tpm2.ObjectName(want)
	if err != nil {
		t.Fatal(err)
	}
	if p.Scheme != AlgRSASSA || p.SchemeHash != AlgSHA256 || !bytes.Equal(p.Modulus, unique.Buffer) || !bytes.Equal(p.Name(), name.Buffer) {
		t.Errorf("got %+v, want %+v", p, want)
	}
	if err := CheckQuotingKey(p); err != nil {
		t.Error(err)
	}
	if err := CheckAK(p); err == nil {
		t.Error("a key of Google's passes for one of our own template")
	}
	if k, err := p.Key(); err != nil || k.(*rsa.PublicKey).N.BitLen() != 2048 {
		t.Errorf("got key %+v, %v", k, err)
	}
}

// TestQuotingKeys: of the keys that swtpm made, those of our template may quote
// and endorsement keys may not; each attribute counts.
func TestQuotingKeys(t *testing.T) {
	for name, raw := range map[string][]byte{"our own": captured(t).AK, "Google's": googleKey(t)} {
		p, err := DecodePublic(raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckQuotingKey(p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, bit := range []Attributes{FixedTPM, FixedParent, SensitiveDataOrigin, Restricted, Sign, Decrypt} {
			bad := *p
			bad.Attributes ^= bit
			if err := CheckQuotingKey(&bad); err == nil {
				t.Errorf("%s with other attribute %#x: accepted", name, bit)
			}
		}
		for what, change := range map[string]func(*Public){
			"no scheme":           func(p *Public) { p.Scheme = AlgNull },
			"symmetric algorithm": func(p *Public) { p.Symmetric = AlgAES },
		} {
			bad := *p
			change(&bad)
			if err := CheckQuotingKey(&bad); err == nil {
				t.Errorf("%s with %s: accepted", name, what)
			}
		}
	}
	for name, raw := range map[string][]byte{RSA2048: enrolled(t).EKPublic, ECC384: unhex(t, ecc384)} {
		p, err := DecodePublic(raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckQuotingKey(p); err == nil {
			t.Errorf("endorsement key %s: accepted", name)
		}
	}
	off := unhex(t, ecc384)
	off[len(off)-1] ^= 1
	p, err := DecodePublic(off)
	if err != nil {
		t.Fatal(err)
	}
	p.Attributes, p.Scheme, p.Symmetric = FixedTPM|FixedParent|SensitiveDataOrigin|Restricted|Sign, AlgECDSA, AlgNull
	if err := CheckQuotingKey(p); err == nil || !strings.Contains(err.Error(), "point") {
		t.Errorf("point off the curve: got %v", err)
	}
}

// TestPublicSizes: RSA keys of three sizes decode and no other; an endorsement
// key must have 2048 bits whatever decodes.
func TestPublicSizes(t *testing.T) {
	ek := enrolled(t).EKPublic
	const bitsAt, modulusAt = 50, 56
	for bits, ok := range map[int]bool{1024: false, 2040: false, 2048: true, 3072: true, 4096: true, 8192: false} {
		b := slices.Concat(ek[:bitsAt], []byte{byte(bits >> 8), byte(bits)}, ek[bitsAt+2:modulusAt], []byte{byte(bits / 8 >> 8), byte(bits / 8)},
			bytes.Repeat([]byte{0xff}, bits/8))
		p, err := DecodePublic(b)
		if (err == nil) != ok {
			t.Errorf("%d bits: got %v", bits, err)
		}
		if err == nil && (CheckEK(RSA2048, p) == nil) != (bits == 2048) {
			t.Errorf("%d bits as an endorsement key: %v", bits, CheckEK(RSA2048, p))
		}
	}
	short := append(bytes.Clone(ek[:modulusAt]), append([]byte{1, 0x80}, bytes.Repeat([]byte{0xff}, 384)...)...)
	if _, err := DecodePublic(short); err == nil {
		t.Error("modulus of 3072 bits in a key of 2048: accepted")
	}
}

// quoteSignature writes a TPMT_SIGNATURE by hand: Part 2, 11.3.4.
func quoteSignature(scheme, hash Algorithm, parts ...[]byte) []byte {
	b := []byte{byte(scheme >> 8), byte(scheme), byte(hash >> 8), byte(hash)}
	for _, p := range parts {
		b = append(b, sized(p)...)
	}
	return b
}

func TestQuoteSignature(t *testing.T) {
	message := []byte("message")
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, hash := range []Algorithm{AlgSHA256, AlgSHA384, AlgSHA512} {
		digest := func(m []byte) []byte {
			h := hash.Hash().New()
			h.Write(m)
			return h.Sum(nil)
		}
		plain, err := rsa.SignPKCS1v15(nil, rsaKey, hash.Hash(), digest(message))
		if err != nil {
			t.Fatal(err)
		}
		pss, err := rsa.SignPSS(rand.Reader, rsaKey, hash.Hash(), digest(message), nil)
		if err != nil {
			t.Fatal(err)
		}
		r, s, err := ecdsa.Sign(rand.Reader, p256, digest(message))
		if err != nil {
			t.Fatal(err)
		}
		wr, ws, err := ecdsa.Sign(rand.Reader, p224, digest(message))
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			b   []byte
			key crypto.PublicKey
			ok  bool
		}{
			"RSASSA":            {quoteSignature(AlgRSASSA, hash, plain), &rsaKey.PublicKey, true},
			"ECDSA":             {quoteSignature(AlgECDSA, hash, r.Bytes(), s.Bytes()), &p256.PublicKey, true},
			"PSS":               {quoteSignature(AlgRSASSA, hash, pss), &rsaKey.PublicKey, false},
			"RSASSA by ECC key": {quoteSignature(AlgRSASSA, hash, plain), &p256.PublicKey, false},
			"ECDSA by RSA key":  {quoteSignature(AlgECDSA, hash, r.Bytes(), s.Bytes()), &rsaKey.PublicKey, false},
			"P-224":             {quoteSignature(AlgECDSA, hash, wr.Bytes(), ws.Bytes()), &p224.PublicKey, false},
			"no key":            {quoteSignature(AlgECDSA, hash, r.Bytes(), s.Bytes()), nil, false},
			"r and s swapped":   {quoteSignature(AlgECDSA, hash, s.Bytes(), r.Bytes()), &p256.PublicKey, false},
		} {
			got, err := DecodeQuoteSignature(c.b)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if err := got.Verify(c.key, message); (err == nil) != c.ok {
				t.Errorf("%s with %#x: got %v", name, hash, err)
			}
			if got.Verify(c.key, message[1:]) == nil {
				t.Errorf("%s: other message accepted", name)
			}
		}
		if err := PlainRSASSA(hash, plain).Verify(&rsaKey.PublicKey, message); err != nil {
			t.Error(err)
		}
	}
	if PlainRSASSA(AlgSHA1, nil).Verify(&rsaKey.PublicKey, message) == nil {
		t.Error("SHA-1: accepted")
	}
	weak := &rsa.PublicKey{N: rsaKey.N, E: 3}
	if err := PlainRSASSA(AlgSHA256, make([]byte, 256)).Verify(weak, message); err == nil || !strings.Contains(err.Error(), "exponent") {
		t.Errorf("key of exponent 3: got %v", err)
	}
}

func TestQuoteSignatureRefuses(t *testing.T) {
	good := quoteSignature(AlgRSASSA, AlgSHA256, make([]byte, 256))
	for name, b := range map[string][]byte{
		"empty":          nil,
		"RSAPSS":         edit(good, 0, 0, 0x16),
		"null":           edit(good, 0, 0, 0x10),
		"SHA-1":          edit(good, 2, 0, 4),
		"RSA-1024":       quoteSignature(AlgRSASSA, AlgSHA256, make([]byte, 128)),
		"RSA-8192":       quoteSignature(AlgRSASSA, AlgSHA256, make([]byte, 1024)),
		"trailing":       append(bytes.Clone(good), 0),
		"cut":            good[:len(good)-1],
		"long r":         quoteSignature(AlgECDSA, AlgSHA256, make([]byte, 49), []byte{1}),
		"empty r":        quoteSignature(AlgECDSA, AlgSHA256, nil, []byte{1}),
		"empty s":        quoteSignature(AlgECDSA, AlgSHA256, []byte{1}, nil),
		"one of r and s": quoteSignature(AlgECDSA, AlgSHA256, []byte{1}),
	} {
		if got, err := DecodeQuoteSignature(b); err == nil {
			t.Errorf("%s: accepted as %+v", name, got)
		}
	}
}

// TestRealAttest reads a quote of Azure's of nine registers, whose fields
// INDEX.md and a dump of the file tell, and compares it with go-tpm.
func TestRealAttest(t *testing.T) {
	const folder = "../testdata/evidence/vtpm/trustee/az-snp-vtpm/"
	raw, err := os.ReadFile(folder + "tpm-quote.msg")
	if err != nil {
		t.Fatal(err)
	}
	a, err := DecodeAttest(raw)
	if err != nil {
		t.Fatal(err)
	}
	want, err := tpm2.Unmarshal[tpm2.TPMSAttest](raw)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a.PCRs, []int{0, 1, 2, 3, 4, 5, 6, 7, 14}) || string(a.ExtraData) != "challenge" || a.ResetCount != 3 || !a.Safe ||
		a.Firmware != want.FirmwareVersion || a.Clock != want.ClockInfo.Clock {
		t.Errorf("got %+v, want %+v", a, want)
	}
	// The signature beside it is as long as that of a key of 2048 bits, and of
	// no key that lies among the vectors.
	if s, err := os.ReadFile(folder + "tpm-quote.sig"); err != nil || len(s) != 256 {
		t.Errorf("signature: got %d bytes, %v", len(s), err)
	}
}

func TestCheckDigestBy(t *testing.T) {
	a := &Attest{PCRDigest: AlgSHA512.Hash().New().Sum(nil)}
	for scheme, ok := range map[Algorithm]bool{AlgSHA512: true, AlgSHA256: false, AlgSHA384: false, AlgSHA1: false, AlgNull: false} {
		if err := a.CheckDigestBy(scheme, nil); (err == nil) != ok {
			t.Errorf("%#x: got %v", scheme, err)
		}
	}
}

// FuzzStructures: each decoder takes a structure whole or not at all, and what
// it took names itself by the bytes.
func FuzzStructures(f *testing.F) {
	v := captured(f)
	for _, b := range [][]byte{v.AK, v.Quotes[0].Attest, v.Quotes[0].Signature, enrolled(f).EKPublic, unhex(f, ecc384), googleKey(f), quoteSignature(AlgRSASSA, AlgSHA256, make([]byte, 256))} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := DecodePublic(b); err == nil {
			if !bytes.Equal(p.Bytes(), b) {
				t.Error("public area: other bytes")
			}
			if _, err := DecodePublic(append(bytes.Clone(b), 0)); err == nil {
				t.Error("public area: trailing byte")
			}
			if k, err := p.Key(); err == nil && k == nil {
				t.Error("no key")
			}
		}
		if a, err := DecodeAttest(b); err == nil && (len(a.PCRs) > 24 || a.Bank.size() == 0) {
			t.Errorf("got %+v", a)
		}
		if s, err := DecodeQuoteSignature(b); err == nil {
			again := quoteSignature(s.Scheme, s.Hash, s.RSA)
			if s.Scheme == AlgECDSA {
				again = quoteSignature(s.Scheme, s.Hash, s.R, s.S)
			}
			if !bytes.Equal(again, b) {
				t.Errorf("signature: got %x", again)
			}
		}
		if s, err := DecodeSignature(b); err == nil {
			if q, err := DecodeQuoteSignature(b); err != nil || !bytes.Equal(q.R, s.R) || !bytes.Equal(q.S, s.S) {
				t.Errorf("signature of ours: got %+v, %v", q, err)
			}
		}
	})
}
