package eif

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"

	reader "safebox/measure/eif"
	"safebox/measure/nitro"
)

// ToBeSigned returns the bytes that a signer elsewhere hashes and signs: the
// COSE Sig_structure with PCR0 of the image, which must not be signed. The hash
// is that of the algorithm: SHA-384 for ES384.
func ToBeSigned(image []byte, a reader.Algorithm) ([]byte, error) {
	pcr0, err := unsignedPCR0(image)
	if err != nil {
		return nil, fmt.Errorf("preparing EIF for its signature: %w", err)
	}
	if _, _, err := a.Parts(); err != nil {
		return nil, fmt.Errorf("preparing EIF for its signature: %w", err)
	}
	return encodeToBeSigned(a, pcr0)
}

// Sign signs the image, which must not be signed, and returns it with the
// signature. The key's curve decides the algorithm; the nonce is that of RFC
// 6979, so equal inputs give equal bytes. The certificate is PEM text of one
// certificate of this key, and the file holds it as it is.
func Sign(image []byte, key *ecdsa.PrivateKey, certificate []byte) ([]byte, error) {
	b, err := sign(image, key, certificate)
	if err != nil {
		return nil, fmt.Errorf("signing EIF: %w", err)
	}
	return b, nil
}

func sign(image []byte, key *ecdsa.PrivateKey, certificate []byte) ([]byte, error) {
	pcr0, err := unsignedPCR0(image)
	if err != nil {
		return nil, err
	}
	a, c, err := checkCertificate(certificate)
	if err != nil {
		return nil, err
	}
	if !key.PublicKey.Equal(c.PublicKey) {
		return nil, fmt.Errorf("certificate of %q: got that of another key, want that of the signing key", c.Subject)
	}
	hash, _, err := a.Parts()
	if err != nil {
		return nil, err
	}
	signed, err := encodeToBeSigned(a, pcr0)
	if err != nil {
		return nil, err
	}
	signature, err := signMessage(key, hash, signed)
	if err != nil {
		return nil, err
	}
	section, err := encodeSection(a, pcr0, signature, certificate)
	if err != nil {
		return nil, err
	}
	return attach(image, pcr0, section)
}

// signMessage gives an ECDSA signature in DER. Without a source of random
// numbers crypto/ecdsa takes the nonce of RFC 6979.
func signMessage(key *ecdsa.PrivateKey, hash crypto.Hash, message []byte) ([]byte, error) {
	h := hash.New()
	h.Write(message)
	return key.Sign(nil, h.Sum(nil), hash)
}

// checkCertificate reads the certificate and gives the algorithm for its key.
// Its dates are the caller's to compare with a clock.
func checkCertificate(text []byte) (reader.Algorithm, *x509.Certificate, error) {
	c, err := reader.ParseCertificate(text)
	if err != nil {
		return 0, nil, err
	}
	key, ok := c.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return 0, nil, fmt.Errorf("certificate of %q: key: got %v, want ECDSA", c.Subject, c.PublicKeyAlgorithm)
	}
	a, err := reader.AlgorithmFor(key.Curve)
	if err != nil {
		return 0, nil, fmt.Errorf("certificate of %q: %w", c.Subject, err)
	}
	if c.NotAfter.Before(c.NotBefore) {
		return 0, nil, fmt.Errorf("certificate of %q: got an end %v before its begin %v, want a time in which it is valid", c.Subject, c.NotAfter.UTC(), c.NotBefore.UTC())
	}
	return a, c, nil
}

// unsignedPCR0 opens an image without a signature and measures it.
func unsignedPCR0(image []byte) (nitro.Digest, error) {
	f, err := open(image)
	if err != nil {
		return nitro.Digest{}, err
	}
	if f.Signature != nil {
		return nitro.Digest{}, errors.New("got a signed image, want one whose signature was detached")
	}
	p, err := nitro.Predict(nitro.Input{Image: f})
	if err != nil {
		return nitro.Digest{}, err
	}
	return p.PCRs[0].Value, nil
}
