// Package pkcs7 reads and writes the signed messages of UEFI Secure Boot: the
// signature of an image and that of a variable's update.
//
// It implements SignedData of PKCS #7 (RFC 2315, sections 7, 9.1 to 9.4) with one
// signer, whose certificate is the only one in the message, with SHA-256 (RFC
// 5754, section 2.2) and RSA by PKCS #1 v1.5 (RFC 8017, section 8.2). Firmware
// understands more; other forms were not seen in boots and are refused.
//
// What is written is DER and depends on nothing but the content, the certificate
// and the signature: it holds no time.
package pkcs7

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
)

// SignedData is a decoded message.
type SignedData struct {
	ContentType asn1.ObjectIdentifier

	// Content is the DER element that the message holds, nil if the message
	// is detached from what it signs.
	Content []byte

	// Signer is the certificate of who signed.
	Signer *x509.Certificate

	// Attributes are the authenticated attributes in the form that is signed,
	// a SET OF; nil if the content itself is signed.
	Attributes []byte

	Signature []byte

	// The signer's algorithms.
	DigestAlgorithm    asn1.ObjectIdentifier
	SignatureAlgorithm asn1.ObjectIdentifier
}

const (
	messageVersion   = 1                  // RFC 2315, sections 9.1 and 9.2
	tagSet           = asn1.TagSet | 0x20 // constructed
	tagAuthenticated = 0xa0               // RFC 2315, section 9.2: [0] IMPLICIT
)

// Data is the type of content that is bytes and nothing else (RFC 2315,
// section 14).
func Data() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1} }

// SHA256 names the hash (RFC 5754, section 2.2).
func SHA256() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1} }

// signedDataType is RFC 2315, section 14.
func signedDataType() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
}

// contentType is RFC 2985, section 5.3.1.
func contentType() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3} }

// messageDigest is RFC 2985, section 5.3.2.
func messageDigest() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4} }

// rsaEncryption is RFC 8017, appendix A.1.
func rsaEncryption() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
}

// Verify checks the signature. Content is what is signed: for a message that
// holds it, the content octets of the element without tag and length (RFC 2315,
// section 9.3).
func (s *SignedData) Verify(content []byte) error {
	if !s.DigestAlgorithm.Equal(SHA256()) {
		return fmt.Errorf("signer: digest algorithm: got %v, want %v (SHA-256): others were not seen", s.DigestAlgorithm, SHA256())
	}
	if !s.SignatureAlgorithm.Equal(rsaEncryption()) {
		return fmt.Errorf("signer: signature algorithm: got %v, want %v (RSA): others were not seen", s.SignatureAlgorithm, rsaEncryption())
	}
	signed := content
	if s.Attributes != nil {
		found, err := s.digest()
		if err != nil {
			return fmt.Errorf("signer: authenticated attributes: %w", err)
		}
		if want := sha256.Sum256(content); !bytes.Equal(found, want[:]) {
			return fmt.Errorf("signer: message digest: got %x, want %x", found, want)
		}
		signed = s.Attributes
	}
	if err := s.Signer.CheckSignature(x509.SHA256WithRSA, signed, s.Signature); err != nil {
		return fmt.Errorf("signer: %w", err)
	}
	return nil
}

// digest finds the one attribute of that type.
func (s *SignedData) digest() ([]byte, error) {
	var set asn1.RawValue
	if err := Unmarshal(s.Attributes, &set); err != nil {
		return nil, err
	}
	var found []byte
	for rest := set.Bytes; len(rest) > 0; {
		var a attribute
		var err error
		if rest, err = asn1.Unmarshal(rest, &a); err != nil {
			return nil, err
		}
		if !a.Type.Equal(messageDigest()) {
			continue
		}
		if found != nil {
			return nil, errors.New("message digest: told twice")
		}
		if err := Unmarshal(a.Values.Bytes, &found); err != nil {
			return nil, fmt.Errorf("message digest: %w", err)
		}
	}
	if found == nil {
		return nil, errors.New("message digest: missing")
	}
	return found, nil
}

// maxRSA bounds an RSA key in bits, as OpenSSL does in firmware (rsa.h,
// OPENSSL_RSA_MAX_MODULUS_BITS): the time of a check grows with its square.
const maxRSA = 16384

// ParseCertificate reads a certificate in DER.
func ParseCertificate(der []byte) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if key, ok := cert.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxRSA {
		return nil, fmt.Errorf("x509: RSA key: got %d bits, want at most %d", key.N.BitLen(), maxRSA)
	}
	return cert, nil
}
