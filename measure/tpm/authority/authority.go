// Package authority finds the entry of the Secure Boot database db by which
// firmware lets an image run, and which it then measures into PCR 7.
//
// It implements, as far as it was seen in real boots of edk2's OVMF 2025.02
// (../testdata/boots):
//   - UEFI Specification 2.10, section 32.4.1 (EFI_SIGNATURE_LIST) and 32.5.3
//     (image authorization);
//   - Microsoft, Windows Authenticode Portable Executable Signature Format,
//     version 1.0 (2008-03-21);
//   - PKCS #7 (RFC 2315) with RSA and SHA-256 (package pkcs7).
//
// Firmware takes the first certificate of db, in the order of db, that the
// signature leads to; an unsigned image is let through by its digest.
package authority

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	"safebox/measure/pe"
	"safebox/measure/pkcs7"
)

// Find returns the entry of db by which firmware lets the image run. An image
// that it would refuse to run is an error, and so is a case that was not seen.
func Find(image *pe.File, certificates, db, dbx []byte) (*Entry, error) {
	allowed, err := DecodeDatabase(db)
	if err != nil {
		return nil, fmt.Errorf("db: %w", err)
	}
	forbidden, err := DecodeDatabase(dbx)
	if err != nil {
		return nil, fmt.Errorf("dbx: %w", err)
	}
	if err := checkKinds(allowed); err != nil {
		return nil, fmt.Errorf("db: %w", err)
	}
	if err := checkKinds(forbidden); err != nil {
		return nil, fmt.Errorf("dbx: %w", err)
	}
	digest := [32]byte(image.Authenticode(sha256.New()))
	if lookup(forbidden, SHA256, digest[:]) != nil {
		return nil, fmt.Errorf("dbx: forbids the image %x", digest)
	}
	if len(certificates) == 0 {
		if e := lookup(allowed, SHA256, digest[:]); e != nil {
			return e, nil
		}
		return nil, fmt.Errorf("unsigned image %x: not in db: firmware would not run it", digest)
	}
	signer, err := OpenSignature(certificates, digest)
	if err != nil {
		return nil, fmt.Errorf("reading signature: %w", err)
	}
	e, err := findSigner(allowed, forbidden, signer)
	if err == nil && e == nil && lookup(allowed, SHA256, digest[:]) != nil {
		return nil, fmt.Errorf("db: allows the signed image %x by its digest and not by its signer: that was not seen", digest)
	}
	if err == nil && e == nil {
		return nil, fmt.Errorf("signer %q: neither it nor its issuer %q is in db: firmware would not run the image", signer.Subject, signer.Issuer)
	}
	return e, err
}

// checkKinds refuses entries that Find does not understand: one of dbx may
// forbid what an entry of db allows, such as the hash of a certificate.
func checkKinds(list []Entry) error {
	for i := range list {
		if list[i].Kind == Other {
			return fmt.Errorf("entry %d: signature type %x was not seen: want certificates and SHA-256 digests", i, list[i].Type)
		}
	}
	return nil
}

// lookup finds the entry with that content.
func lookup(list []Entry, kind Kind, data []byte) *Entry {
	for i := range list {
		if list[i].Kind == kind && bytes.Equal(list[i].Data(), data) {
			return &list[i]
		}
	}
	return nil
}

// findSigner finds the first certificate of db that is the signer's or its
// issuer's, nil if there is none. Times are not looked at: firmware does not.
func findSigner(allowed, forbidden []Entry, signer *x509.Certificate) (*Entry, error) {
	leads, err := leadsTo(forbidden, signer)
	if err != nil {
		return nil, fmt.Errorf("dbx: %w", err)
	}
	if leads != nil {
		return nil, fmt.Errorf("dbx: forbids the signer %q", signer.Subject)
	}
	e, err := leadsTo(allowed, signer)
	if err != nil {
		return nil, fmt.Errorf("db: %w", err)
	}
	return e, nil
}

func leadsTo(list []Entry, signer *x509.Certificate) (*Entry, error) {
	for i := range list {
		if list[i].Kind != X509 {
			continue
		}
		if bytes.Equal(list[i].Data(), signer.Raw) {
			return &list[i], nil
		}
		cert, err := pkcs7.ParseCertificate(list[i].Data())
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
		if !bytes.Equal(cert.RawSubject, signer.RawIssuer) {
			continue
		}
		var notCA x509.ConstraintViolationError
		err = signer.CheckSignatureFrom(cert)
		if errors.As(err, &notCA) {
			return nil, fmt.Errorf("entry %d: %q is the signer's issuer by name but not a certificate authority: that was not seen", i, cert.Subject)
		}
		if err == nil {
			return &list[i], nil
		}
	}
	return nil, nil
}
