package pkcs7

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
)

// Attributes gives the authenticated attributes of a message about content:
// its type and its SHA-256, which RFC 2315, section 9.2 demands, and no others.
// The result is what the signer signs.
func Attributes(kind asn1.ObjectIdentifier, content []byte) ([]byte, error) {
	sum := sha256.Sum256(content)
	var list []byte
	// DER sorts a SET OF (X.690, section 11.6). The type is the shorter of the
	// two, so its length, the first byte that differs, puts it first.
	for _, a := range []struct {
		oid   asn1.ObjectIdentifier
		value any
	}{{contentType(), kind}, {messageDigest(), sum[:]}} {
		value, err := marshal(a.value)
		if err != nil {
			return nil, err
		}
		der, err := marshal(attribute{Type: a.oid, Values: asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: value}})
		if err != nil {
			return nil, err
		}
		list = append(list, der...)
	}
	return marshal(asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: list})
}

// EncodeBare writes a SignedData without a ContentInfo around it. The algorithms
// are SHA-256 and RSA; the signature is not looked at.
func (s *SignedData) EncodeBare() ([]byte, error) {
	signer, err := s.signer()
	if err != nil {
		return nil, err
	}
	sd := signedData{
		Version:          messageVersion,
		DigestAlgorithms: []pkix.AlgorithmIdentifier{signer.DigestAlgorithm},
		Content:          contentInfo{Type: s.ContentType},
		Certificates:     tagged(s.Signer.Raw),
		Signers:          []signerInfo{signer},
	}
	if s.Content != nil {
		sd.Content.Content = tagged(s.Content)
	}
	return marshal(sd)
}

// Encode writes the message.
func (s *SignedData) Encode() ([]byte, error) {
	bare, err := s.EncodeBare()
	if err != nil {
		return nil, err
	}
	return marshal(contentInfo{Type: signedDataType(), Content: tagged(bare)})
}

func (s *SignedData) signer() (signerInfo, error) {
	info := signerInfo{
		Version:         messageVersion,
		Issuer:          issuerAndSerial{Name: asn1.RawValue{FullBytes: s.Signer.RawIssuer}, Serial: s.Signer.SerialNumber},
		DigestAlgorithm: parameterless(SHA256()),
		Algorithm:       parameterless(rsaEncryption()),
		Signature:       s.Signature,
	}
	if s.Attributes == nil {
		return info, nil
	}
	if s.Attributes[0] != tagSet {
		return signerInfo{}, errors.New("writing PKCS #7 message: authenticated attributes: not a set")
	}
	der := bytes.Clone(s.Attributes)
	der[0] = tagAuthenticated
	info.Authenticated = asn1.RawValue{FullBytes: der}
	return info, nil
}

// tagged puts the tag [0] around content, or in place of an implicit one.
func tagged(content []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: content}
}

// parameterless is an algorithm with the parameter NULL (RFC 5754, section 2;
// RFC 3279, section 2.3.1).
func parameterless(id asn1.ObjectIdentifier) pkix.AlgorithmIdentifier {
	return pkix.AlgorithmIdentifier{Algorithm: id, Parameters: asn1.NullRawValue}
}

func marshal(v any) ([]byte, error) {
	der, err := asn1.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("writing PKCS #7 message: %w", err)
	}
	return der, nil
}
