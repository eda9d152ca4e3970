package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"time"

	"safebox/image/eif"
	"safebox/image/secureboot/authenticode"
	"safebox/measure/pkcs7"

	reader "safebox/measure/eif"
)

// Kinds of file that can be signed.
const (
	kindPE  = "pe"
	kindEIF = "eif"
)

// signable is a format with signatures.
type signable interface {
	kind() string
	// prepare gives the bytes to be signed in another place, and the hash for
	// it. The certificate may be nil.
	prepare(file []byte, cert *certificate) (tbs []byte, hash crypto.Hash, err error)
	sign(file []byte, key crypto.Signer, cert *certificate) ([]byte, error)
	attach(file, signature []byte, cert *certificate) ([]byte, error)
	detach(signed []byte) (file, signature []byte, err error)
	// expired says why the certificate's dates make the file useless now, ""
	// if they don't.
	expired(cert *certificate) string
}

// peImage is a PE image (UEFI Secure Boot).
type peImage struct{}

func (peImage) kind() string { return kindPE }

func (peImage) prepare(file []byte, cert *certificate) ([]byte, crypto.Hash, error) {
	if cert != nil {
		if err := pkcs7.CheckSigner(cert.parsed); err != nil {
			return nil, 0, err
		}
	}
	tbs, err := authenticode.ToBeSigned(file)
	return tbs, crypto.SHA256, err
}

func (peImage) sign(file []byte, key crypto.Signer, cert *certificate) ([]byte, error) {
	return authenticode.Sign(file, key, cert.parsed)
}

func (peImage) attach(file, signature []byte, cert *certificate) ([]byte, error) {
	return authenticode.Attach(file, signature, cert.parsed)
}

func (peImage) detach(signed []byte) (file, signature []byte, err error) {
	return authenticode.Detach(signed)
}

// expired: firmware looks at no dates, for its clock is nobody's.
func (peImage) expired(*certificate) string { return "" }

// enclaveImage is an EIF (Nitro).
type enclaveImage struct{}

func (enclaveImage) kind() string { return kindEIF }

// prepare: the algorithm is signed too, and follows from the certificate's
// curve; without one it is that of P-384.
func (enclaveImage) prepare(file []byte, cert *certificate) ([]byte, crypto.Hash, error) {
	algorithm := reader.ES384
	if cert != nil {
		key, ok := cert.parsed.PublicKey.(*ecdsa.PublicKey)
		if !ok {
			return nil, 0, fmt.Errorf("certificate: key: got %v, want ECDSA", cert.parsed.PublicKeyAlgorithm)
		}
		var err error
		if algorithm, err = reader.AlgorithmFor(key.Curve); err != nil {
			return nil, 0, err
		}
	}
	hash, _, err := algorithm.Parts()
	if err != nil {
		return nil, 0, err
	}
	tbs, err := eif.ToBeSigned(file, algorithm)
	return tbs, hash, err
}

func (enclaveImage) sign(file []byte, key crypto.Signer, cert *certificate) ([]byte, error) {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		return eif.Sign(file, k, cert.text)
	case *rsa.PrivateKey:
		return nil, errors.New("key: got RSA, want ECDSA: an EIF is signed by P-256, P-384 or P-521")
	}
	return nil, fmt.Errorf("key: got %T, want ECDSA", key)
}

func (enclaveImage) attach(file, signature []byte, cert *certificate) ([]byte, error) {
	return eif.Attach(file, signature, cert.text)
}

func (enclaveImage) detach(signed []byte) (file, signature []byte, err error) {
	return eif.Detach(signed)
}

func (enclaveImage) expired(cert *certificate) string {
	if err := (&reader.Signature{Certificate: cert.parsed}).CheckValidity(time.Now()); err != nil {
		return err.Error()
	}
	return ""
}
