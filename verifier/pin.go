package verifier

import (
	"fmt"

	"safebox/verifier/canon"
	"safebox/verifier/tpm"
)

// PinType is the value of Pin.Type.
const PinType = "safebox/ak-pin/v1"

// MaxPin bounds a pin file, in bytes.
const MaxPin = 4 << 10

// Pin is an attestation key that was once shown to live in a TPM
// (docs/format-enrollment.md). Later evidence needs no activation.
type Pin struct {
	Type          string         `json:"type"`
	AK            []byte         `json:"ak"`             // TPMT_PUBLIC
	EKCertificate canon.Octets32 `json:"ek_certificate"` // SHA-256 of its DER
	Root          canon.Octets32 `json:"root"`           // SHA-256 of the root certificate's DER
	ResetCount    int64          `json:"reset_count"`    // of the TPM then: it never goes back
}

// Encode gives the canonical bytes.
func (p *Pin) Encode() ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("encoding pin: %w", err)
	}
	return canon.Marshal(p)
}

// DecodePin parses a pin file strictly.
func DecodePin(b []byte) (*Pin, error) {
	if len(b) > MaxPin {
		return nil, fmt.Errorf("decoding pin: got %d bytes, want at most %d", len(b), MaxPin)
	}
	var p Pin
	if err := canon.Unmarshal(b, &p); err != nil {
		return nil, fmt.Errorf("decoding pin: %w", err)
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("decoding pin: %w", err)
	}
	return &p, nil
}

func (p *Pin) check() error {
	if p.Type != PinType {
		return fmt.Errorf("type: got %.100q, want %q", p.Type, PinType)
	}
	if p.ResetCount < 0 || p.ResetCount > 1<<32-1 {
		return fmt.Errorf("reset_count: got %d, want 32 bits", p.ResetCount)
	}
	ak, err := tpm.DecodePublic(p.AK)
	if err != nil {
		return fmt.Errorf("ak: %w", err)
	}
	return tpm.CheckAK(ak)
}

// newPin is the pin of the key that was just activated.
func (v *verification) newPin() ([]byte, error) {
	pin := &Pin{
		Type:          PinType,
		AK:            v.evidence.VTPM.AK,
		EKCertificate: v.secret.Enroll.EKCertificate,
		Root:          v.secret.Enroll.Root,
		ResetCount:    int64(v.quotes[0].attest.ResetCount),
	}
	return pin.Encode()
}
