package nitro

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"

	"safebox/verifier/chain"
)

// Roots are the roots that are trusted, byte for byte. The zero value trusts
// none.
type Roots struct{ certificates []*x509.Certificate }

// maxRoots bounds them: AWS has a root for each partition.
const maxRoots = 8

// NewRoots makes roots of certificates in DER: those of another partition
// (China, GovCloud) whose fingerprint the caller has compared with AWS's, or
// of a test.
func NewRoots(der ...[]byte) (Roots, error) {
	if len(der) == 0 || len(der) > maxRoots {
		return Roots{}, fmt.Errorf("reading roots: got %d, want 1 to %d", len(der), maxRoots)
	}
	var r Roots
	for i, b := range der {
		c, err := chain.ParseCertificate(b)
		if err != nil {
			return Roots{}, fmt.Errorf("reading root %d: %w", i, err)
		}
		r.certificates = append(r.certificates, c)
	}
	return r, nil
}

// PinnedRoots is the root of AWS's public partition, "AWS Nitro Enclaves Root
// G1": CN=aws.nitro-enclaves, 2019-10-28 to 2049-10-28, SHA-256 of the DER
// 641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b (Nitro
// Enclaves User Guide, "Verifying the root of trust", whose own hash is of
// the file AWS_NitroEnclaves_Root-G1.zip).
func PinnedRoots() Roots {
	der, err := base64.StdEncoding.DecodeString(rootG1)
	if err != nil {
		panic("nitro: root G1: " + err.Error())
	}
	r, err := NewRoots(der)
	if err != nil {
		panic("nitro: root G1: " + err.Error())
	}
	return r
}

// find gives the root that has these bytes.
func (r Roots) find(der []byte) (*x509.Certificate, error) {
	if len(r.certificates) == 0 {
		return nil, errors.New("no root is trusted: the caller gave none")
	}
	for _, c := range r.certificates {
		if bytes.Equal(c.Raw, der) {
			return c, nil
		}
	}
	return nil, fmt.Errorf("certificate 0 of cabundle: not the pinned root %q", r.certificates[0].Subject.CommonName)
}

// rootG1 is the certificate, DER in base64.
const rootG1 = "" +
	"MIICETCCAZagAwIBAgIRAPkxdWgbkK/hHUbMtOTn+FYwCgYIKoZIzj0EAwMwSTELMAkGA1UEBhMCVVMxDzANBgNVBAoMBkFt" +
	"YXpvbjEMMAoGA1UECwwDQVdTMRswGQYDVQQDDBJhd3Mubml0cm8tZW5jbGF2ZXMwHhcNMTkxMDI4MTMyODA1WhcNNDkxMDI4" +
	"MTQyODA1WjBJMQswCQYDVQQGEwJVUzEPMA0GA1UECgwGQW1hem9uMQwwCgYDVQQLDANBV1MxGzAZBgNVBAMMEmF3cy5uaXRy" +
	"by1lbmNsYXZlczB2MBAGByqGSM49AgEGBSuBBAAiA2IABPwCVOumCMHzaHDimtqQvkY4MpJzbolL//Zy2YlES1BR5TSksfbb" +
	"48C8WBoyt7F2Bw7eEtaaP+ohG2bnUs990d0JX28TcPQXCEPZ3BABIeTPYwEoCWZEh8l5YoQwTcU/9KNCMEAwDwYDVR0TAQH/" +
	"BAUwAwEB/zAdBgNVHQ4EFgQUkCW1DdkFR+eWw5b6cp3PmanfS5YwDgYDVR0PAQH/BAQDAgGGMAoGCCqGSM49BAMDA2kAMGYC" +
	"MQCjfy+Rocm9Xue4YnwWmNJVA44fA0P5W2OpYow9OYCVRaEevL8uO1XYru5xtMPWrfMCMQCi85sWBbJwKKXdS6BptQFuZbT7" +
	"3o/gBh1qUxl/nNr12UO8Yfwr6wPLb+6NIwLz3/Y="
