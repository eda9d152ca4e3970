package pcstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"
)

// Signer is a TCB signing certificate with its key.
type Signer struct {
	Certificate *x509.Certificate
	Key         *ecdsa.PrivateKey
}

// SignerTemplate is that of a TCB signing certificate, valid at all times that
// tests use.
func SignerTemplate() *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "Intel SGX TCB Signing", Organization: []string{"TEST ONLY"}},
		NotBefore:             time.Date(2018, 5, 21, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment,
		BasicConstraintsValid: true,
	}
}

// NewSigner makes a signer whose certificate is signed by itself: for tests that
// check no chain.
func NewSigner(t testing.TB) Signer {
	t.Helper()
	return SignerOf(t, SignerTemplate(), elliptic.P256())
}

// SignerOf makes a signer of a template, with a new key of a curve.
func SignerOf(t testing.TB, template *x509.Certificate, curve elliptic.Curve) Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return Signer{Certificate: certificate, Key: key}
}
