// Package keytest makes keys and certificates for tests of Secure Boot. They are
// made when a test runs and trusted by nobody.
package keytest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Pair is a key and its certificate.
type Pair struct {
	Key         crypto.Signer
	Certificate *x509.Certificate
}

// New makes a self-signed pair with an RSA key of 2048 bits.
func New(t testing.TB, name string) Pair {
	t.Helper()
	return NewRSA(t, name, 2048)
}

// NewRSA makes a self-signed pair with an RSA key.
func NewRSA(t testing.TB, name string, bits int) Pair {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return NewOf(t, name, key)
}

// NewOf makes a self-signed certificate of a key.
func NewOf(t testing.TB, name string, key crypto.Signer) Pair {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "TEST ONLY " + name},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return Pair{Key: key, Certificate: cert}
}

// Write writes NAME.key and NAME.pem into a folder and returns their paths.
func (p Pair) Write(t testing.TB, dir, name string) (key, cert string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(p.Key)
	if err != nil {
		t.Fatal(err)
	}
	key, cert = filepath.Join(dir, name+".key"), filepath.Join(dir, name+".pem")
	for path, block := range map[string]*pem.Block{
		key: {Type: "PRIVATE KEY", Bytes: der}, cert: {Type: "CERTIFICATE", Bytes: p.Certificate.Raw},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return key, cert
}
