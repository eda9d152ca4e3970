// Package authenticode signs PE images for Secure Boot, with the key at hand or
// in another place: ToBeSigned gives the bytes that are signed there, Attach
// puts the signature into the image.
//
// It implements:
//   - Microsoft, Windows Authenticode Portable Executable Signature Format,
//     version 1.0 (2008-03-21), with SHA-256;
//   - UEFI Specification 2.10, section 32.2.4 (WIN_CERTIFICATE) and 32.2.3
//     (image digests);
//   - PKCS #7 (RFC 2315), as package pkcs7 writes it.
//
// The signed image depends on nothing but the image, the certificate and the
// signature, which RSA by PKCS #1 v1.5 makes the same each time: there is no
// signing time in it.
package authenticode

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	"safebox/measure/pe"
	"safebox/measure/pkcs7"
	"safebox/measure/tpm/authority"
)

// ToBeSigned gives the bytes over which the signature of an image is made, by
// RSA with SHA-256. They hold the image's digest and say nothing of the signer.
func ToBeSigned(image []byte) ([]byte, error) {
	f, err := unsigned(image)
	if err != nil {
		return nil, err
	}
	s, err := message(f)
	if err != nil {
		return nil, err
	}
	return s.Attributes, nil
}

// Sign signs an image with a key that is at hand.
func Sign(image []byte, key crypto.Signer, cert *x509.Certificate) ([]byte, error) {
	tbs, err := ToBeSigned(image)
	if err != nil {
		return nil, err
	}
	signature, err := pkcs7.Sign(tbs, key, cert)
	if err != nil {
		return nil, fmt.Errorf("signing image: %w", err)
	}
	return Attach(image, signature, cert)
}

// Attach puts a signature over ToBeSigned into an image. A signature that
// firmware would not accept from the holder of the certificate is an error.
func Attach(image, signature []byte, cert *x509.Certificate) ([]byte, error) {
	f, err := unsigned(image)
	if err != nil {
		return nil, err
	}
	if err := pkcs7.CheckSigner(cert); err != nil {
		return nil, fmt.Errorf("attaching signature: %w", err)
	}
	s, err := message(f)
	if err != nil {
		return nil, err
	}
	s.Signer, s.Signature = cert, signature
	der, err := s.Encode()
	if err != nil {
		return nil, fmt.Errorf("attaching signature: %w", err)
	}
	signed, err := appendTable(f, image, der)
	if err != nil {
		return nil, fmt.Errorf("attaching signature: %w", err)
	}
	if err := check(signed, f, cert); err != nil {
		return nil, fmt.Errorf("attaching signature: %w", err)
	}
	return signed, nil
}

// check reads the signed image as firmware does.
func check(signed []byte, before *pe.File, cert *x509.Certificate) error {
	f, err := pe.Decode(signed)
	if err != nil {
		return err
	}
	digest := [32]byte(f.Authenticode(sha256.New()))
	if want := [32]byte(before.Authenticode(sha256.New())); digest != want {
		return fmt.Errorf("the digest moved: got %x, want %x", digest, want)
	}
	signer, err := authority.OpenSignature(signed[f.Certificates.Offset:], digest)
	if err != nil {
		return err
	}
	if !bytes.Equal(signer.Raw, cert.Raw) {
		return errors.New("it names another signer")
	}
	return nil
}

// Detach takes an image and its signature apart: the image as it was before
// Attach, byte for byte, and the attribute certificate table. What other tools
// change when they sign, padding and CheckSum, stays.
func Detach(signed []byte) (image, table []byte, err error) {
	f, err := pe.Decode(signed)
	if err != nil {
		return nil, nil, fmt.Errorf("detaching signature: %w", err)
	}
	if f.Certificates.Size == 0 {
		return nil, nil, errors.New("detaching signature: the image is not signed")
	}
	directory, _ := f.SecurityDirectory() // it has one, for it has a table
	table = bytes.Clone(signed[f.Certificates.Offset:])
	image = bytes.Clone(signed[:f.Certificates.Offset])
	clear(image[directory : directory+directorySize])
	return image, table, nil
}

// unsigned reads an image that can take a signature.
func unsigned(image []byte) (*pe.File, error) {
	f, err := pe.Decode(image)
	if err != nil {
		return nil, fmt.Errorf("signing image: %w", err)
	}
	if f.Certificates.Size != 0 {
		return nil, errors.New("signing image: it is signed already: detach that signature first: two on one image were not seen to boot")
	}
	return f, nil
}
