// Package challenge is the owner's question to a guest, what the owner keeps
// of it, and the file by which a machine introduces its TPM: protocol.md,
// sections 1 and 6 (docs/format-challenge.md).
package challenge

import (
	"encoding/binary"
	"fmt"

	"safebox/verifier/canon"
)

// Type is the value of Challenge.Type.
const Type = "safebox/challenge/v1"

// MaxSize bounds a challenge file, in bytes (specs/protocol.md, section 1).
const MaxSize = 4 << 10

// Kinds of endorsement key: templates L-1 (RSA 2048) and H-3 (ECC NIST P-384)
// of the TCG EK Credential Profile for TPM Family 2.0, Level 0, Version 2.5
// Revision 2, annex B.
const (
	RSA2048 = "rsa2048"
	ECC384  = "ecc384"
)

// Hash algorithms that name an object (TPM 2.0 Library, Part 2, table
// TPM_ALG_ID; section "Names").
const (
	algSHA256 = 0x000b
	algSHA384 = 0x000c
)

// Limits, in bytes.
const (
	MaxPublic     = 1024 // TPMT_PUBLIC
	maxCredential = 256  // TPMS_ID_OBJECT: HMAC and encrypted value, 2 to 4 digests
	maxSeed       = 512  // RSA ciphertext, or a point
)

// Challenge is a challenge file.
type Challenge struct {
	Type     string         `json:"type"`
	Nonce    canon.Octets32 `json:"nonce"`    // used once
	Audience canon.Octets32 `json:"audience"` // the owner's raw Ed25519 public key
	Release  canon.Octets32 `json:"release"`  // SHA-256 of release.json
	Expires  int64          `json:"expires"`  // Unix time, seconds
	Enroll   *Enroll        `json:"enroll"`   // nil: the attestation key is known by other means
}

// Enroll asks the TPM to show that it holds the endorsement key and the
// attestation key (specs/protocol.md, section 6): the input of
// TPM2_ActivateCredential.
type Enroll struct {
	EK         string `json:"ek"`         // RSA2048 or ECC384
	AKName     []byte `json:"ak_name"`    // u16 algorithm || digest
	Credential []byte `json:"credential"` // the buffer of TPM2B_ID_OBJECT
	Secret     []byte `json:"secret"`     // the buffer of TPM2B_ENCRYPTED_SECRET
}

// Encode gives the canonical bytes.
func (c *Challenge) Encode() ([]byte, error) {
	b, err := encode(c, c.check(), MaxSize)
	if err != nil {
		return nil, fmt.Errorf("encoding challenge: %w", err)
	}
	return b, nil
}

// Decode parses a challenge strictly. It says nothing about its age: compare
// Expires.
func Decode(b []byte) (*Challenge, error) {
	var c Challenge
	if err := decode(b, &c, MaxSize); err != nil {
		return nil, fmt.Errorf("decoding challenge: %w", err)
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("decoding challenge: %w", err)
	}
	return &c, nil
}

func (c *Challenge) check() error {
	switch {
	case c.Type != Type:
		return fmt.Errorf("type: got %.100q, want %q", c.Type, Type)
	case c.Expires <= 0:
		return fmt.Errorf("expires: got %d, want a time after 1970", c.Expires)
	case c.Enroll != nil:
		if err := c.Enroll.check(); err != nil {
			return fmt.Errorf("enroll: %w", err)
		}
	}
	return nil
}

func (e *Enroll) check() error {
	if err := checkEK(e.EK); err != nil {
		return err
	}
	if err := checkName(e.AKName); err != nil {
		return err
	}
	if err := checkLength("credential", e.Credential, maxCredential); err != nil {
		return err
	}
	return checkLength("secret", e.Secret, maxSeed)
}

func checkEK(kind string) error {
	if kind != RSA2048 && kind != ECC384 {
		return fmt.Errorf("ek: got %.100q, want %q or %q", kind, RSA2048, ECC384)
	}
	return nil
}

// checkName accepts the Name of an object: its algorithm and a digest of that
// size.
func checkName(name []byte) error {
	if len(name) < 2 {
		return fmt.Errorf("ak_name: got %d bytes, want an algorithm and a digest", len(name))
	}
	sizes := map[uint16]int{algSHA256: 32, algSHA384: 48}
	alg := binary.BigEndian.Uint16(name)
	size, ok := sizes[alg]
	if !ok {
		return fmt.Errorf("ak_name: algorithm: got %#04x, want %#04x or %#04x", alg, algSHA256, algSHA384)
	}
	if got := len(name) - 2; got != size {
		return fmt.Errorf("ak_name: digest: got %d bytes, want %d", got, size)
	}
	return nil
}

func checkLength(field string, b []byte, limit int) error {
	if len(b) == 0 || len(b) > limit {
		return fmt.Errorf("%s: got %d bytes, want 1 to %d", field, len(b), limit)
	}
	return nil
}

// encode gives the canonical bytes of v, unless its check failed.
func encode(v any, check error, limit int) ([]byte, error) {
	if check != nil {
		return nil, check
	}
	b, err := canon.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(b) > limit {
		return nil, fmt.Errorf("%d bytes, want at most %d", len(b), limit)
	}
	return b, nil
}

func decode(b []byte, v any, limit int) error {
	if len(b) > limit {
		return fmt.Errorf("%d bytes, want at most %d", len(b), limit)
	}
	return canon.Unmarshal(b, v)
}
