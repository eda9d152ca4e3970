package pkcs7

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
)

// Decode reads a message: a ContentInfo of type signed data.
func Decode(der []byte) (*SignedData, error) {
	var outer contentInfo
	rest, err := asn1.Unmarshal(der, &outer)
	if err != nil {
		return nil, fmt.Errorf("PKCS #7 message: %w", err)
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("PKCS #7 message: %d bytes follow it", len(rest))
	}
	if !outer.Type.Equal(signedDataType()) {
		return nil, fmt.Errorf("PKCS #7 message: type: got %v, want %v (signed data)", outer.Type, signedDataType())
	}
	return DecodeBare(outer.Content.Bytes)
}

// DecodeBare reads a SignedData without the ContentInfo around it.
func DecodeBare(der []byte) (*SignedData, error) {
	var sd signedData
	if err := Unmarshal(der, &sd); err != nil {
		return nil, fmt.Errorf("signed data: %w", err)
	}
	if len(sd.Signers) != 1 {
		return nil, fmt.Errorf("signed data: got %d signers, want 1", len(sd.Signers))
	}
	signer := &sd.Signers[0]
	s := &SignedData{
		ContentType:        sd.Content.Type,
		Signature:          signer.Signature,
		DigestAlgorithm:    signer.DigestAlgorithm.Algorithm,
		SignatureAlgorithm: signer.Algorithm.Algorithm,
	}
	if len(sd.Content.Content.FullBytes) != 0 {
		s.Content = sd.Content.Content.Bytes
	}
	if len(signer.Authenticated.FullBytes) != 0 {
		// They are signed with the tag of a SET instead of their own (RFC
		// 2315, section 9.3).
		s.Attributes = bytes.Clone(signer.Authenticated.FullBytes)
		s.Attributes[0] = tagSet
	}
	if err := s.decodeCertificate(&sd); err != nil {
		return nil, err
	}
	return s, nil
}

// decodeCertificate reads the signer's certificate. With more than one in the
// message, firmware builds chains, which was not seen.
func (s *SignedData) decodeCertificate(sd *signedData) error {
	cert, err := ParseCertificate(sd.Certificates.Bytes)
	if err != nil {
		return fmt.Errorf("certificates of the signature: want exactly one: %w", err)
	}
	want := sd.Signers[0].Issuer
	if !bytes.Equal(cert.RawIssuer, want.Name.FullBytes) || cert.SerialNumber.Cmp(want.Serial) != 0 {
		return errors.New("certificates of the signature: the one there is not the signer's")
	}
	s.Signer = cert
	return nil
}

// Unmarshal is asn1.Unmarshal that wants every byte used.
func Unmarshal(der []byte, into any) error {
	rest, err := asn1.Unmarshal(der, into)
	if err == nil && len(rest) != 0 {
		err = fmt.Errorf("%d bytes follow", len(rest))
	}
	return err
}
