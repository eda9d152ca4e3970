// Package tpmpolicy is the table [vtpm.quote] of a policy: what raw evidence of
// a cloud machine's TPM must prove. Our own evidence has the table [vtpm].
//
// It implements docs/format-policy.md, section [vtpm.quote], for the checks of
// specs/verify.md, section 4.
package tpmpolicy

import "safebox/verifier/policy/table"

// Words of the table.
const (
	Any        = table.Any
	None       = "none"
	Transcript = "transcript"
	Release    = "release"
	Required   = "required"
	Appliance  = "appliance"
	On         = "on"
	Off        = "off"
)

// Grounds to trust an attestation key (specs/verify.md, TPM-K1).
const (
	Hardware    = "hardware"    // a report of SEV-SNP or TDX binds it
	Certificate = "certificate" // a certificate under a root that the policy names
	Pinned      = "pinned"      // the policy names it
)

// Uses that the certificate of an attestation key may state.
const (
	UsageAIK       = "aik"       // extended key usage tcg-kp-AIKCertificate
	UsageSignature = "signature" // key usage digitalSignature and nothing else, as Google issues them
)

// Policy is the table. The zero value refuses everything.
type Policy struct {
	AttestationKeys  []string   // Hardware, Certificate, Pinned
	Pins             [][32]byte // SHA-256 of attestation keys' public areas
	Roots            []Root
	CertificateUsage string // UsageAIK or UsageSignature

	AnyCRL        bool // no revocation list is needed for the certificate's chain
	AnyInstance   bool
	Instances     []Instance
	AnyProduction bool

	Transcript   bool     // extra data is what the caller expects
	AnyExtraData bool     // extra data is not empty
	ExtraData    [][]byte // extra data is one of these

	Banks []string // "sha256", "sha384": each must be quoted
	PCRs  []int    // exactly these registers are quoted, ascending

	AnyClock    bool
	AnyResets   bool
	Resets      int64 // least reset count
	AnyRestarts bool
	Restarts    int64 // most restarts since the last reset

	AnyEventLog bool   // there may be no event log
	Explained   []int  // registers that the log must explain, among PCRs
	Events      string // Appliance or Any
	AnyDigests  bool   // events' data need not be what was hashed
	SecureBoot  string // On, Off or Any

	AnyVariables bool
	Variables    []Variable

	ReleaseRegisters bool
	AnyRegisters     bool
	Registers        []Register
}

// Root is a certificate that chains of attestation keys may end in.
type Root struct {
	Subject string   // for people
	SHA256  [32]byte // of the certificate in DER
}

// Instance is a machine of Google Compute Engine; a text Any and a negative
// number stand for all.
type Instance struct {
	Project       string
	ProjectNumber int64
	Zone          string
	Name          string
	ID            int64
}

// Variable lists the values that a UEFI variable of Secure Boot may have.
type Variable struct {
	Name   string     // "PK", "KEK", "db", "dbx"
	Values [][32]byte // SHA-256 of the value
}

// Register lists the values that a register may have, in the first of Banks.
type Register struct {
	Index  int
	Values [][]byte
}

// Accepts reports whether the policy takes a ground to trust an attestation
// key.
func (p *Policy) Accepts(ground string) bool {
	for _, g := range p.AttestationKeys {
		if g == ground {
			return true
		}
	}
	return false
}
