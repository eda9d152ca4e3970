package challenge

import "fmt"

// EnrollmentType is the value of Enrollment.Type.
const EnrollmentType = "safebox/enrollment/v1"

// Limits of an enrollment file.
const (
	MaxEnrollment  = 64 << 10 // bytes
	MaxIssuers     = 4
	MaxCertificate = 8 << 10 // bytes of DER
)

// Enrollment is how a machine introduces its TPM (specs/protocol.md, section
// 6): safebox-host writes it, the owner makes a challenge from it. Nothing in
// it is believed before the chain of EKCertificate and the activation are
// checked.
type Enrollment struct {
	Type          string   `json:"type"`
	AK            []byte   `json:"ak"`             // TPMT_PUBLIC
	EK            string   `json:"ek"`             // RSA2048 or ECC384
	EKPublic      []byte   `json:"ek_public"`      // TPMT_PUBLIC
	EKCertificate []byte   `json:"ek_certificate"` // DER
	Issuers       [][]byte `json:"issuers"`        // DER, the certificate's issuer first; may be empty
}

// Encode gives the canonical bytes.
func (e *Enrollment) Encode() ([]byte, error) {
	whole := *e
	if whole.Issuers == nil {
		whole.Issuers = [][]byte{} // an empty list, never null
	}
	b, err := encode(whole, whole.check(), MaxEnrollment)
	if err != nil {
		return nil, fmt.Errorf("encoding enrollment: %w", err)
	}
	return b, nil
}

// DecodeEnrollment parses an enrollment file strictly.
func DecodeEnrollment(b []byte) (*Enrollment, error) {
	var e Enrollment
	if err := decode(b, &e, MaxEnrollment); err != nil {
		return nil, fmt.Errorf("decoding enrollment: %w", err)
	}
	if err := e.check(); err != nil {
		return nil, fmt.Errorf("decoding enrollment: %w", err)
	}
	return &e, nil
}

func (e *Enrollment) check() error {
	if e.Type != EnrollmentType {
		return fmt.Errorf("type: got %.100q, want %q", e.Type, EnrollmentType)
	}
	if err := checkLength("ak", e.AK, MaxPublic); err != nil {
		return err
	}
	if err := checkEK(e.EK); err != nil {
		return err
	}
	if err := checkLength("ek_public", e.EKPublic, MaxPublic); err != nil {
		return err
	}
	if err := checkLength("ek_certificate", e.EKCertificate, MaxCertificate); err != nil {
		return err
	}
	if e.Issuers == nil || len(e.Issuers) > MaxIssuers {
		return fmt.Errorf("issuers: got %d, want a list of at most %d", len(e.Issuers), MaxIssuers)
	}
	for i, der := range e.Issuers {
		if err := checkLength(fmt.Sprintf("issuer %d", i), der, MaxCertificate); err != nil {
			return err
		}
	}
	return nil
}
