package challenge

import (
	"fmt"

	"safebox/verifier/canon"
)

// SecretType is the value of Secret.Type.
const SecretType = "safebox/challenge-secret/v1"

// MaxSecret bounds a secret file, in bytes.
const MaxSecret = 8 << 10

// ValueSize is the length of the value that a TPM is asked to return.
const ValueSize = 32

// Secret is the owner's own memory of a challenge. It stays with the owner:
// whoever knows EnrollSecret.Value can answer in the TPM's place.
type Secret struct {
	Type      string         `json:"type"`
	Challenge canon.Octets32 `json:"challenge"` // SHA-256 of the challenge file
	Issued    int64          `json:"issued"`    // Unix time, seconds
	Enroll    *EnrollSecret  `json:"enroll"`    // nil if the challenge's is
}

// EnrollSecret is what the answer to Enroll is held against, and the keys that
// it then vouches for.
type EnrollSecret struct {
	Value         []byte         `json:"value"`          // what the TPM must return: ValueSize bytes
	AKName        []byte         `json:"ak_name"`        // u16 algorithm || digest
	AK            []byte         `json:"ak"`             // TPMT_PUBLIC
	EKCertificate canon.Octets32 `json:"ek_certificate"` // SHA-256 of the DER
	Root          canon.Octets32 `json:"root"`           // SHA-256 of the root certificate's DER
}

// Encode gives the canonical bytes.
func (s *Secret) Encode() ([]byte, error) {
	b, err := encode(s, s.check(), MaxSecret)
	if err != nil {
		return nil, fmt.Errorf("encoding challenge secret: %w", err)
	}
	return b, nil
}

// DecodeSecret parses a secret file strictly.
func DecodeSecret(b []byte) (*Secret, error) {
	var s Secret
	if err := decode(b, &s, MaxSecret); err != nil {
		return nil, fmt.Errorf("decoding challenge secret: %w", err)
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("decoding challenge secret: %w", err)
	}
	return &s, nil
}

func (s *Secret) check() error {
	switch {
	case s.Type != SecretType:
		return fmt.Errorf("type: got %.100q, want %q", s.Type, SecretType)
	case s.Issued <= 0:
		return fmt.Errorf("issued: got %d, want a time after 1970", s.Issued)
	case s.Enroll != nil:
		if err := s.Enroll.check(); err != nil {
			return fmt.Errorf("enroll: %w", err)
		}
	}
	return nil
}

func (e *EnrollSecret) check() error {
	if len(e.Value) != ValueSize {
		return fmt.Errorf("value: got %d bytes, want %d", len(e.Value), ValueSize)
	}
	if err := checkName(e.AKName); err != nil {
		return err
	}
	return checkLength("ak", e.AK, MaxPublic)
}
