package nitro_test

import (
	"crypto/ecdsa"
	"crypto/sha512"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"safebox/verifier/chain"
	"safebox/verifier/check"
	"safebox/verifier/nitro"
	"safebox/verifier/nitro/nitrotest"
	"safebox/verifier/policy/nitropolicy"
)

// BenchmarkVerify: a whole verification of a real document, from bytes to a
// verdict, and its ratio to the bare signature operations in it: five by ECDSA
// on P-384, four of the chain and one of the document.
func BenchmarkVerify(b *testing.B) {
	document := read(b, documents, "dstack_attest_nitro_attestation.cbor")
	p := nitrotest.Policy(b, nitropolicy.Enclave, "test")
	in := nitro.Input{Document: document, Rules: chain.Rules{At: time.UnixMilli(1766678659346)}, Policy: &p, Roots: nitro.PinnedRoots()}
	bare := bareOperations(b, document)
	var whole, signatures time.Duration
	for b.Loop() {
		start := time.Now()
		log := check.New()
		nitro.Verify(in, log)
		if !log.Verdict(nitro.Definitions(nitro.Enclave)).OK {
			b.Fatal("refused")
		}
		middle := time.Now()
		bare()
		whole, signatures = whole+middle.Sub(start), signatures+time.Since(middle)
	}
	b.ReportMetric(float64(whole.Microseconds())/float64(b.N), "µs/verification")
	b.ReportMetric(float64(signatures.Microseconds())/float64(b.N), "µs/5-signatures")
	b.ReportMetric(whole.Seconds()/signatures.Seconds(), "ratio")
}

// bareOperations are the five, with keys and digests ready.
func bareOperations(b *testing.B, document []byte) func() {
	b.Helper()
	doc, err := nitro.Decode(document)
	if err != nil {
		b.Fatal(err)
	}
	type operation struct {
		key    *ecdsa.PublicKey
		digest [48]byte
		der    []byte
	}
	var list []operation
	var issuer *ecdsa.PublicKey
	for i, der := range append(doc.CABundle, doc.Certificate) {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			b.Fatal(err)
		}
		if i > 0 {
			list = append(list, operation{issuer, sha512.Sum384(c.RawTBSCertificate), c.Signature})
		}
		issuer, _ = c.PublicKey.(*ecdsa.PublicKey)
	}
	const tail = 98 // 58 60 and 96 bytes
	payload, signature := document[10:len(document)-tail], document[len(document)-96:]
	digest := sha512.Sum384(nitrotest.SigStructure([]byte{0xa1, 0x01, 0x38, 0x22}, payload))
	r, s := new(big.Int).SetBytes(signature[:48]), new(big.Int).SetBytes(signature[48:])
	return func() {
		for _, o := range list {
			if !ecdsa.VerifyASN1(o.key, o.digest[:], o.der) {
				b.Fatal("a certificate's signature")
			}
		}
		if !ecdsa.Verify(issuer, digest[:], r, s) {
			b.Fatal("the document's signature")
		}
	}
}
