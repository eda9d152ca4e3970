package pkcs7_test

import (
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"testing"

	"safebox/image/secureboot/keytest"
)

// small is a certificate whose key has so many bits. Nobody has the key.
func small(t *testing.T, bits uint) keytest.Pair {
	t.Helper()
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return keytest.Pair{Certificate: &x509.Certificate{PublicKey: &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}}}
}
