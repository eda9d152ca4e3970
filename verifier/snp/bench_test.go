package snp_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha512"
	"crypto/x509"
	"math/big"
	"slices"
	"testing"

	"safebox/measure/benchtest"
	"safebox/verifier/check"
	"safebox/verifier/snp"
	"safebox/verifier/snp/snptest"
)

// bare does the signature operations that no verification can do without, and
// nothing else.
type bare struct {
	rsa        []rsaOperation
	key        *ecdsa.PublicKey
	sum        [48]byte
	r, s       *big.Int
	rsaOptions *rsa.PSSOptions
}

type rsaOperation struct {
	key       *rsa.PublicKey
	sum       [48]byte
	signature []byte
}

func newBare(b *testing.B, e *snptest.Evidence) *bare {
	b.Helper()
	public := func(c *x509.Certificate) *rsa.PublicKey {
		key, ok := c.PublicKey.(*rsa.PublicKey)
		if !ok {
			b.Fatal("no RSA key")
		}
		return key
	}
	key, ok := e.Leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		b.Fatal("no ECDSA key")
	}
	number := func(at int) *big.Int {
		n := slices.Clone(e.Report[at : at+48])
		slices.Reverse(n)
		return new(big.Int).SetBytes(n)
	}
	return &bare{
		rsa: []rsaOperation{
			{public(e.Root), sha512.Sum384(e.Intermediate.RawTBSCertificate), e.Intermediate.Signature},
			{public(e.Intermediate), sha512.Sum384(e.Leaf.RawTBSCertificate), e.Leaf.Signature},
			{public(e.Root), sha512.Sum384(e.CRL.RawTBSRevocationList), e.CRL.Signature},
		},
		key: key, sum: sha512.Sum384(e.Report[:0x2a0]), r: number(0x2a0), s: number(0x2e8),
		rsaOptions: &rsa.PSSOptions{SaltLength: 48, Hash: crypto.SHA384},
	}
}

func (o *bare) certificates(b *testing.B) {
	for _, op := range o.rsa {
		if err := rsa.VerifyPSS(op.key, crypto.SHA384, op.sum[:], op.signature, o.rsaOptions); err != nil {
			b.Fatal(err)
		}
	}
}

func (o *bare) report(b *testing.B) {
	if !ecdsa.Verify(o.key, o.sum[:], o.r, o.s) {
		b.Fatal("signature")
	}
}

func benchInput(b *testing.B) (*snptest.Evidence, snp.Input) {
	b.Helper()
	e, in := synthetic(b, snp.Turin, snptest.Turin(), "cloud")
	return e, in
}

func run(b *testing.B, in snp.Input) {
	log := check.New()
	snp.Verify(in, log)
	if !log.Verdict(snp.Definitions()).OK {
		b.Fatal("refused")
	}
}

// BenchmarkVerify is a whole verification with revocation list, compared with
// its three RSA-4096 and one P-384 signatures. At most 1.3 times.
func BenchmarkVerify(b *testing.B) {
	e, in := benchInput(b)
	o := newBare(b, e)
	benchtest.Ratio(b, "x-of-signatures", func() { run(b, in) }, func() {
		o.certificates(b)
		o.report(b)
	})
}

// BenchmarkVerifyCached is one with a chain that was verified before, compared
// with one P-384 signature. At most 1.2 times.
func BenchmarkVerifyCached(b *testing.B) {
	e, in := benchInput(b)
	o := newBare(b, e)
	var err error
	if in.Chain, err = snp.OpenChain(in); err != nil {
		b.Fatal(err)
	}
	benchtest.Ratio(b, "x-of-signature", func() { run(b, in) }, func() { o.report(b) })
}

// BenchmarkDecode is reading a report.
func BenchmarkDecode(b *testing.B) {
	e, _ := benchInput(b)
	b.SetBytes(snp.Size)
	for b.Loop() {
		if _, err := snp.Decode(e.Report); err != nil {
			b.Fatal(err)
		}
	}
}
