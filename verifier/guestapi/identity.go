package guestapi

import (
	"fmt"

	"safebox/verifier/canon"
	"safebox/verifier/challenge"
)

// IdentityType is the value of Identity.Type.
const IdentityType = "safebox/identity/v1"

// MaxIdentity bounds an encoded identity, in bytes.
const MaxIdentity = 64 << 10

// Identity is what the guest says of its TPM: the material of an enrollment
// file (challenge.Enrollment), believed by nobody as it is.
type Identity struct {
	Type string `json:"type"`
	AK   []byte `json:"ak"`  // TPMT_PUBLIC
	EKs  []EK   `json:"eks"` // each kind at most once, sorted by kind; may be empty
}

// EK is one endorsement key.
type EK struct {
	Kind        string `json:"kind"`        // challenge.RSA2048, challenge.ECC384
	Public      []byte `json:"public"`      // TPMT_PUBLIC
	Certificate []byte `json:"certificate"` // DER, from the TPM's NV memory
}

// Encode gives the canonical bytes.
func (id *Identity) Encode() ([]byte, error) {
	whole := *id
	if whole.EKs == nil {
		whole.EKs = []EK{} // an empty list, never null
	}
	if err := whole.check(); err != nil {
		return nil, fmt.Errorf("encoding identity: %w", err)
	}
	b, err := canon.Marshal(whole)
	if err != nil {
		return nil, fmt.Errorf("encoding identity: %w", err)
	}
	return b, nil
}

// DecodeIdentity parses an identity strictly.
func DecodeIdentity(b []byte) (*Identity, error) {
	if len(b) > MaxIdentity {
		return nil, fmt.Errorf("decoding identity: %d bytes, want at most %d", len(b), MaxIdentity)
	}
	var id Identity
	if err := canon.Unmarshal(b, &id); err != nil {
		return nil, fmt.Errorf("decoding identity: %w", err)
	}
	if err := id.check(); err != nil {
		return nil, fmt.Errorf("decoding identity: %w", err)
	}
	return &id, nil
}

func (id *Identity) check() error {
	if id.Type != IdentityType {
		return fmt.Errorf("type: got %.100q, want %q", id.Type, IdentityType)
	}
	if n := len(id.AK); n == 0 || n > challenge.MaxPublic {
		return fmt.Errorf("ak: got %d bytes, want 1 to %d", n, challenge.MaxPublic)
	}
	if id.EKs == nil {
		return fmt.Errorf("eks: got null, want a list")
	}
	for i, k := range id.EKs {
		switch {
		case k.Kind != challenge.RSA2048 && k.Kind != challenge.ECC384:
			return fmt.Errorf("ek %d: kind: got %.100q, want %q or %q", i, k.Kind, challenge.RSA2048, challenge.ECC384)
		case i > 0 && id.EKs[i-1].Kind >= k.Kind:
			return fmt.Errorf("ek %d: kind: got %s after %s, want each kind once, sorted", i, k.Kind, id.EKs[i-1].Kind)
		case len(k.Public) == 0 || len(k.Public) > challenge.MaxPublic:
			return fmt.Errorf("ek %d: public: got %d bytes, want 1 to %d", i, len(k.Public), challenge.MaxPublic)
		case len(k.Certificate) == 0 || len(k.Certificate) > challenge.MaxCertificate:
			return fmt.Errorf("ek %d: certificate: got %d bytes, want 1 to %d", i, len(k.Certificate), challenge.MaxCertificate)
		}
	}
	return nil
}
