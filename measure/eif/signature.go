package eif

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// maxSignature is the largest signature section (EIF specification,
// "EifSectionSignature": SIGNATURE_MAX_SIZE).
const maxSignature = 32768

// Signature is what the image is signed with. Nothing of it may be trusted
// before Verify. There is no chain: PCR8 names the one certificate.
type Signature struct {
	Certificate *x509.Certificate
	Algorithm   Algorithm
	PCR0        [48]byte // the value that is signed
	Value       []byte   // r and s, big-endian, each as long as the curve's order

	message message
}

// registerSignature is one element of the section: Vec<PcrSignature> of AWS's
// src/defs/mod.rs.
type registerSignature struct {
	Certificate octets `cbor:"signing_certificate"` // text, PEM
	Signature   octets `cbor:"signature"`           // a COSE_Sign1
}

// octets are bytes as serde writes a Vec<u8>: an array of integers.
type octets []byte

// UnmarshalCBOR refuses byte strings, which AWS's loader does not take.
func (o *octets) UnmarshalCBOR(b []byte) error {
	const array = 4 // RFC 8949, section 3.1: major type
	if len(b) == 0 || b[0]>>5 != array {
		return fmt.Errorf("got %#.1x, want an array of integers", b[:min(len(b), 1)])
	}
	mode, err := strict()
	if err != nil {
		return err
	}
	return mode.Unmarshal(b, (*[]byte)(o))
}

// strict is a decoder for which there is one way to read its input.
func strict() (cbor.DecMode, error) {
	simple, err := noSimpleValues()
	if err != nil {
		return nil, err
	}
	return cbor.DecOptions{
		SimpleValues:      simple,
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
		MaxNestedLevels:   4, // array, map, array: the library's least is 4
		MaxArrayElements:  maxSignature,
		MaxMapPairs:       16, // two are used: the library's least is 16
	}.DecMode()
}

// noSimpleValues refuses null, undefined and all others of major type 7 (RFC
// 8949, section 3.3): the library would take each for a number, where serde
// sees an error.
func noSimpleValues() (*cbor.SimpleValueRegistry, error) {
	var list []func(*cbor.SimpleValueRegistry) error
	for v := range 256 {
		if v < 24 || v >= 32 { // the others are not simple values
			list = append(list, cbor.WithRejectedSimpleValue(cbor.SimpleValue(v)))
		}
	}
	return cbor.NewSimpleValueRegistryFromDefaults(list...)
}

// decodeSignature takes apart the section: an array with one map (EIF
// specification, "EifSectionSignature").
func decodeSignature(b []byte) (*Signature, error) {
	mode, err := strict()
	if err != nil {
		return nil, err
	}
	var list []registerSignature
	if err := mode.Unmarshal(b, &list); err != nil {
		return nil, err
	}
	// The format has room for more, but nothing verifies them.
	if len(list) != 1 {
		return nil, fmt.Errorf("number of signatures: got %d, want 1, that of PCR0", len(list))
	}
	s := &Signature{}
	if s.Certificate, err = ParseCertificate(list[0].Certificate); err != nil {
		return nil, fmt.Errorf("signing_certificate: %w", err)
	}
	if s.message, err = decodeMessage(mode, list[0].Signature); err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	s.Algorithm, s.Value = s.message.algorithm, s.message.signature
	if s.PCR0, err = decodePayload(mode, s.message.payload); err != nil {
		return nil, fmt.Errorf("signature: payload: %w", err)
	}
	return s, nil
}

// ParseCertificate reads the PEM text of one certificate, with nothing but
// space around it. AWS's loader takes the first that it finds; text in which two
// readers could find different ones is refused.
func ParseCertificate(text []byte) (*x509.Certificate, error) {
	const begin = "-----BEGIN "
	if got := bytes.Count(text, []byte(begin)); got > 1 {
		return nil, fmt.Errorf("parsing certificate: got %d PEM blocks, want one: PCR8 holds the first only", got)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || !bytes.HasPrefix(bytes.TrimSpace(text), []byte(begin)) {
		return nil, errors.New("parsing certificate: want PEM of type CERTIFICATE and nothing before it")
	}
	if rest = bytes.TrimSpace(rest); len(rest) != 0 || len(block.Headers) != 0 {
		return nil, fmt.Errorf("parsing certificate: got %d headers in and %d bytes behind the PEM block, want neither", len(block.Headers), len(rest))
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parsing certificate: %w", err)
	}
	return c, nil
}

// payload is what is signed: PcrInfo of AWS's src/defs/mod.rs.
type payload struct {
	Index *int64 `cbor:"register_index"`
	Value octets `cbor:"register_value"`
}

func decodePayload(mode cbor.DecMode, b []byte) (value [48]byte, err error) {
	var p payload
	if err := mode.Unmarshal(b, &p); err != nil {
		return value, err
	}
	if p.Index == nil {
		return value, errors.New("register_index: missing, want 0")
	}
	if *p.Index != 0 {
		return value, fmt.Errorf("register_index: got %d, want 0", *p.Index)
	}
	if len(p.Value) != len(value) {
		return value, fmt.Errorf("register_value: got %d bytes, want %d", len(p.Value), len(value))
	}
	return [48]byte(p.Value), nil
}

// Verify checks that the certificate's key signed this value of PCR0, which
// must have been computed from the image.
func (s *Signature) Verify(pcr0 [48]byte) error {
	if s.PCR0 != pcr0 {
		return fmt.Errorf("verifying EIF signature: signed PCR0: got %x, want %x as the image gives", s.PCR0, pcr0)
	}
	if err := s.message.verify(s.Certificate.PublicKey); err != nil {
		return fmt.Errorf("verifying EIF signature: %w", err)
	}
	return nil
}

// CheckValidity checks the certificate's dates: the hypervisor does not start
// an image whose certificate is out of them.
func (s *Signature) CheckValidity(at time.Time) error {
	c := s.Certificate
	if at.Before(c.NotBefore) || at.After(c.NotAfter) {
		return fmt.Errorf("checking EIF signing certificate: time: got %s, want %s to %s",
			at.UTC().Format(time.RFC3339), c.NotBefore.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}
