// Package tdxtest is for tests: it is Intel, a machine and a guest in one. It
// makes quotes of TDX guests, of every form, and the certificates, revocation
// lists and TCB documents that go with them, so that they pass under the profile
// strict; and the same with exactly one thing wrong. Its keys are made anew in
// every test and are worth nothing.
//
// The layout is Intel's: Intel SGX PCK Certificate and Certificate Revocation
// List Profile Specification, revision 1.5; PCS API, version 4; Intel TDX DCAP
// Quoting Library API, revision 0.9, appendix A.
package tdxtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"safebox/verifier/tdx/pcs/pcstest"
)

// At is the time at which the evidence is verified.
func At() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) }

// Times of documents: TCB info, QE identity and PCK CRL live for 30 days, the
// root's list for a year.
func issued() time.Time     { return At().AddDate(0, 0, -2) }
func nextUpdate() time.Time { return issued().AddDate(0, 0, 30) }

// Keys are those that the certificates and the quote carry.
type Keys struct {
	Root, Intermediate, TCB, PCK, Attestation *ecdsa.PrivateKey
}

// newKey makes a key on a curve.
func newKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// NewKey makes a key on P-256.
func NewKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	return newKey(t, elliptic.P256())
}

func newKeys(t testing.TB) Keys {
	t.Helper()
	return Keys{NewKey(t), NewKey(t), NewKey(t), NewKey(t), NewKey(t)}
}

// Templates are what the certificates and lists say.
type Templates struct {
	Root, Intermediate, TCB, PCK *x509.Certificate
	RootCRL, PCKCRL              *x509.RevocationList
}

func subject(name string) pkix.Name {
	return pkix.Name{
		CommonName: name, Organization: []string{"Intel Corporation"}, OrganizationalUnit: []string{"TEST ONLY"},
		Locality: []string{"Santa Clara"}, Province: []string{"CA"}, Country: []string{"US"},
	}
}

func newTemplates() Templates {
	authority := func(serial int64, name string, until time.Time, below int) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: subject(name),
			NotBefore: time.Date(2018, 5, 21, 10, 50, 10, 0, time.UTC), NotAfter: until,
			IsCA: true, BasicConstraintsValid: true, MaxPathLen: below, MaxPathLenZero: below == 0,
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}
	}
	leaf := func(serial int64, name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: subject(name),
			NotBefore: time.Date(2025, 2, 6, 23, 25, 51, 0, time.UTC), NotAfter: time.Date(2032, 2, 6, 23, 25, 51, 0, time.UTC),
			BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment,
		}
	}
	return Templates{
		Root:         authority(1, "Intel SGX Root CA", time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC), 1),
		Intermediate: authority(2, "Intel SGX PCK Platform CA", time.Date(2033, 5, 21, 10, 50, 10, 0, time.UTC), 0),
		TCB:          leaf(3, "Intel SGX TCB Signing"),
		PCK:          leaf(4, "Intel SGX PCK Certificate"),
		RootCRL:      &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: At().AddDate(0, -6, 0), NextUpdate: At().AddDate(0, 6, 0)},
		PCKCRL:       &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: issued(), NextUpdate: nextUpdate()},
	}
}

// issue makes a certificate. The parent's name and key identifier go into it,
// and it is signed by a key that need not be the parent's.
func issue(t testing.TB, template, parent *x509.Certificate, public *ecdsa.PublicKey, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	issuer := *parent
	issuer.PublicKey = &by.PublicKey // crypto/x509 compares it with the signing key
	der, err := x509.CreateCertificate(rand.Reader, template, &issuer, public, by)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, der)
}

func parse(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// list makes a revocation list, signed by a key that need not be the issuer's.
func list(t testing.TB, template *x509.RevocationList, issuer *x509.Certificate, by *ecdsa.PrivateKey) *x509.RevocationList {
	t.Helper()
	signer := *issuer
	signer.PublicKey = &by.PublicKey
	signer.KeyUsage |= x509.KeyUsageCRLSign // crypto/x509 makes none without these two
	signer.SubjectKeyId = []byte("key ID of a test")
	der, err := x509.CreateRevocationList(rand.Reader, template, &signer, by)
	if err != nil {
		t.Fatal(err)
	}
	crl, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	return crl
}

// revoke puts a serial number on a list.
func revoke(template *x509.RevocationList, serial *big.Int) {
	template.RevokedCertificateEntries = append(template.RevokedCertificateEntries,
		x509.RevocationListEntry{SerialNumber: serial, RevocationTime: template.ThisUpdate, ReasonCode: 1})
}

func newExtension() *pcstest.PCKExtension {
	e := pcstest.NewPCKExtension()
	e.Dynamic, e.CachedKeys, e.SMT = true, true, true // as on every platform of the vectors
	return e
}

// blocks gives the content of the blocks of a PEM text.
func blocks(text []byte) [][]byte {
	var all [][]byte
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return all
		}
		all, text = append(all, block.Bytes), rest
	}
}
