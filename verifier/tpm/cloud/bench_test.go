package cloud

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"testing"

	"safebox/measure/benchtest"
)

// BenchmarkGoogle compares a whole verification of Google's evidence, with its
// log of 24 kB, with what none can do without: the signatures of both quotes
// that count and of the certificates, and one hash of the log's bytes for each
// of their banks.
func BenchmarkGoogle(b *testing.B) {
	in := input(b, read(b, "go-tpm-tools/attestations/gce-cos-85-nonce9009.pb"))
	e, err := Decode(in.Evidence)
	if err != nil {
		b.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(e.Google.AKCertificate)
	if err != nil {
		b.Fatal(err)
	}
	issuer := in.Endorsements.Issuers(leaf)[0]
	root := in.Endorsements.Issuers(issuer)[0]
	key, ok := e.Key.(*rsa.PublicKey)
	if !ok {
		b.Fatalf("key: %T", e.Key)
	}
	benchtest.Ratio(b, "x-of-signatures-and-log-hashes", func() {
		if !verify(b, in).OK {
			b.Fatal("refused")
		}
	}, func() {
		for _, q := range e.Quotes {
			sum := sha256.Sum256(q.Attest)
			if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], q.Signature.RSA); err != nil {
				b.Fatal(err)
			}
		}
		for _, pair := range [][2]*x509.Certificate{{leaf, issuer}, {issuer, root}} {
			if err := pair[0].CheckSignatureFrom(pair[1]); err != nil {
				b.Fatal(err)
			}
		}
		sha256.Sum256(e.EventLog)
		sha512.Sum384(e.EventLog)
	})
}
