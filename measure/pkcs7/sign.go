package pkcs7

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
)

// Bounds of a signer's RSA key in bits. UEFI 2.10, section 32.2.4 wants 2048 of
// all firmware; 4096 was seen to boot.
const (
	MinRSA       = 2048
	MaxSignerRSA = 4096
)

// Sign signs tbs by RSA (PKCS #1 v1.5) with SHA-256. The signature is the same
// each time.
func Sign(tbs []byte, key crypto.Signer, cert *x509.Certificate) ([]byte, error) {
	if err := CheckSigner(cert); err != nil {
		return nil, err
	}
	public, ok := key.Public().(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("key: got %T, want RSA", key.Public())
	}
	if !public.Equal(cert.PublicKey) {
		return nil, errors.New("key: it is not the one of the certificate")
	}
	sum := sha256.Sum256(tbs)
	return key.Sign(nil, sum[:], crypto.SHA256) // PKCS #1 v1.5 takes no random
}

// CheckSigner refuses a certificate with a key that firmware was not seen to
// take signatures of.
func CheckSigner(cert *x509.Certificate) error {
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("certificate %q: key: got %v, want RSA", cert.Subject, cert.PublicKeyAlgorithm)
	}
	if n := key.N.BitLen(); n < MinRSA || n > MaxSignerRSA {
		return fmt.Errorf("certificate %q: RSA key: got %d bits, want %d to %d", cert.Subject, n, MinRSA, MaxSignerRSA)
	}
	return nil
}
