package tdx_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"testing"

	"safebox/measure/benchtest"
	"safebox/verifier/endorse"
	"safebox/verifier/tdx"
	"safebox/verifier/tdx/tdxtest"
)

// operation is one signature that a verification cannot do without.
type operation struct {
	key       *ecdsa.PublicKey
	message   []byte
	signature []byte // ASN.1
}

// operations are those of a quote with its collateral: quote, QE report, PCK
// certificate, intermediate, TCB signing certificate, TCB info, QE identity, PCK
// CRL and root CA CRL. The root is pinned.
func operations(b *testing.B, in tdx.Input) []operation {
	b.Helper()
	q, err := tdx.Decode(in.Quote)
	if err != nil {
		b.Fatal(err)
	}
	var certs []*x509.Certificate
	for rest := q.Data.Chain; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			b.Fatal(err)
		}
		certs = append(certs, c)
	}
	key := func(c *x509.Certificate) *ecdsa.PublicKey { return c.PublicKey.(*ecdsa.PublicKey) }
	attestation, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append([]byte{4}, q.Data.Key[:]...))
	if err != nil {
		b.Fatal(err)
	}
	list := []operation{
		{attestation, q.EncodeSigned(), der(b, q.Data.Signature[:])},
		{key(certs[0]), q.Data.Report.Encode(), der(b, q.Data.QESignature[:])},
		{key(certs[1]), certs[0].RawTBSCertificate, certs[0].Signature},
		{key(certs[2]), certs[1].RawTBSCertificate, certs[1].Signature},
	}
	for _, c := range in.Endorsements.Certificates {
		if c.Subject.CommonName == "Intel SGX TCB Signing" {
			info, identity := in.Endorsements.TCBInfos[0], in.Endorsements.Identities[0]
			list = append(list,
				operation{key(certs[2]), c.RawTBSCertificate, c.Signature},
				operation{key(c), info.Body, der(b, info.Signature)},
				operation{key(c), identity.Body, der(b, identity.Signature)})
			break
		}
	}
	for _, crl := range in.Endorsements.CRLs {
		issuer := certs[1]
		if crl.Issuer.CommonName == certs[2].Subject.CommonName {
			issuer = certs[2]
		}
		list = append(list, operation{key(issuer), crl.RawTBSRevocationList, crl.Signature})
	}
	if len(list) != 9 {
		b.Fatalf("%d signatures, want 9", len(list))
	}
	return list
}

func (o operation) verify(b *testing.B) {
	b.Helper()
	digest := sha256.Sum256(o.message)
	if !ecdsa.VerifyASN1(o.key, digest[:], o.signature) {
		b.Fatal("signature")
	}
}

// BenchmarkVerify compares a whole verification of a real quote with its
// collateral, CRLs and TCB evaluation with its nine signatures: at most 1.3
// times as long.
func BenchmarkVerify(b *testing.B) {
	in := input(b, read(b, "dcap-qvl/tdx_quote"), "2025-07-01", "dcap-qvl/tdx_quote_collateral.json")
	list := operations(b, in)
	benchtest.Ratio(b, "x-of-nine-signatures", func() {
		if !tdxtest.Verdict(in).OK {
			b.Fatal("refused")
		}
	}, func() {
		for _, o := range list {
			o.verify(b)
		}
	})
}

// BenchmarkVerifyFiles is the same from the collateral as it lies on a disk: its
// JSON, PEM and DER are read in every round, which no bound of signatures counts.
func BenchmarkVerifyFiles(b *testing.B) {
	in := input(b, read(b, "dcap-qvl/tdx_quote"), "2025-07-01", "dcap-qvl/tdx_quote_collateral.json")
	list := operations(b, in)
	file := read(b, "dcap-qvl/tdx_quote_collateral.json")
	benchtest.Ratio(b, "x-of-nine-signatures", func() {
		fresh := in
		fresh.Endorsements = new(endorse.Set)
		fresh.Endorsements.Add("collateral", file)
		if !tdxtest.Verdict(fresh).OK {
			b.Fatal("refused")
		}
	}, func() {
		for _, o := range list {
			o.verify(b)
		}
	})
}

func der(b *testing.B, raw []byte) []byte {
	b.Helper()
	out, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])})
	if err != nil {
		b.Fatal(err)
	}
	return out
}
