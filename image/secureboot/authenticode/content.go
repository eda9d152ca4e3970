package authenticode

import (
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"unicode/utf16"

	"safebox/measure/pe"
	"safebox/measure/pkcs7"
	"safebox/measure/tpm/authority"
)

// indirectData is SpcIndirectDataContent (Authenticode 1.0, section
// "SpcIndirectDataContent").
type indirectData struct {
	Data   attributeTypeAndValue
	Digest digestInfo
}

// attributeTypeAndValue is SpcAttributeTypeAndOptionalValue of that section.
type attributeTypeAndValue struct {
	Type  asn1.ObjectIdentifier
	Value imageData
}

// digestInfo is DigestInfo of that section.
type digestInfo struct {
	Algorithm pkix.AlgorithmIdentifier
	Digest    []byte
}

// imageData is SpcPeImageData (Authenticode 1.0, section "SpcPeImageData"). File
// is SpcLink, of which "file" is the third choice, SpcString, of which "unicode"
// is the first.
type imageData struct {
	Flags asn1.BitString
	File  asn1.RawValue
}

// obsolete is the text that the section wants for the name of the file.
const obsolete = "<<<Obsolete>>>"

// imageDataType is SPC_PE_IMAGE_DATAOBJ.
func imageDataType() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 15}
}

// message is the PKCS #7 message about an image, without signer and signature.
func message(f *pe.File) (*pkcs7.SignedData, error) {
	file, err := fileName()
	if err != nil {
		return nil, err
	}
	content, err := asn1.Marshal(indirectData{
		Data: attributeTypeAndValue{Type: imageDataType(), Value: imageData{Flags: asn1.BitString{}, File: file}},
		Digest: digestInfo{
			Algorithm: pkix.AlgorithmIdentifier{Algorithm: pkcs7.SHA256(), Parameters: asn1.NullRawValue},
			Digest:    f.Authenticode(sha256.New()),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("writing what is signed: %w", err)
	}
	var element asn1.RawValue
	if err := pkcs7.Unmarshal(content, &element); err != nil {
		return nil, fmt.Errorf("writing what is signed: %w", err)
	}
	attributes, err := pkcs7.Attributes(authority.IndirectDataType(), element.Bytes)
	if err != nil {
		return nil, err
	}
	return &pkcs7.SignedData{ContentType: authority.IndirectDataType(), Content: content, Attributes: attributes}, nil
}

// fileName is [0] EXPLICIT SpcLink, in it [2] EXPLICIT SpcString, in it [0]
// IMPLICIT BMPString.
func fileName() (asn1.RawValue, error) {
	var name []byte
	for _, unit := range utf16.Encode([]rune(obsolete)) {
		name = append(name, byte(unit>>8), byte(unit))
	}
	value := asn1.RawValue{Class: asn1.ClassContextSpecific, Bytes: name}
	for _, tag := range []int{2, 0} {
		inner, err := asn1.Marshal(value)
		if err != nil {
			return asn1.RawValue{}, fmt.Errorf("writing what is signed: %w", err)
		}
		value = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: inner}
	}
	return value, nil
}
