// Package tpm checks what a TPM 2.0 says about a machine: its quote, the key
// that signed it, the event log that explains the registers, and the chain by
// which the key is known to live in a TPM.
//
// It implements, on the standard library alone, what the verifier needs of
// the TCG's documents:
//
//   - TPM 2.0 Library, Family 2.0, Revision 01.59, Part 2 (structures) and
//     Part 1, sections 11.4.10 (KDF), 24 (credential protection) and annexes
//     B.10 and C.6.4 (secret sharing with an RSA and an ECC key);
//   - PC Client Platform Firmware Profile (PFP), Family 2.0, Level 00, Version
//     1.06 Revision 52, sections 3.3.4 (use of PCRs) and 10.4 (events);
//   - EK Credential Profile for TPM Family 2.0, Level 0, Version 2.5 Revision 2,
//     section 3 (certificate) and annex B (templates).
//
// The packages below read what cloud machines hand out: azure and gce their
// files, cloud checks both.
//
// Structures come from an untrusted machine. Every size is checked, trailing
// bytes and algorithms outside the short lists here are errors.
package tpm

// Algorithm is a TPM_ALG_ID (Part 2, 6.3).
type Algorithm uint16

// The algorithms that structures here may name.
const (
	AlgRSA    Algorithm = 0x0001
	AlgSHA1   Algorithm = 0x0004 // named where a bank is passed over, used nowhere
	AlgAES    Algorithm = 0x0006
	AlgSHA256 Algorithm = 0x000b
	AlgSHA384 Algorithm = 0x000c
	AlgSHA512 Algorithm = 0x000d
	AlgNull   Algorithm = 0x0010
	AlgRSASSA Algorithm = 0x0014
	AlgECDSA  Algorithm = 0x0018
	AlgECC    Algorithm = 0x0023
	AlgCFB    Algorithm = 0x0043
)

// Curve is a TPM_ECC_CURVE (Part 2, 6.4).
type Curve uint16

// The curves of attestation and endorsement keys.
const (
	CurveP256 Curve = 0x0003
	CurveP384 Curve = 0x0004
)

// Attributes is a TPMA_OBJECT (Part 2, 8.3).
type Attributes uint32

// The attributes, each one bit.
const (
	FixedTPM            Attributes = 1 << 1
	FixedParent         Attributes = 1 << 4
	SensitiveDataOrigin Attributes = 1 << 5
	UserWithAuth        Attributes = 1 << 6
	AdminWithPolicy     Attributes = 1 << 7
	NoDA                Attributes = 1 << 10
	Restricted          Attributes = 1 << 16
	Decrypt             Attributes = 1 << 17
	Sign                Attributes = 1 << 18
)

// maxDigest is the size of the largest digest of a TPM (Part 2,
// TPMU_HA).
const maxDigest = 64
