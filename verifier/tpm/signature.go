package tpm

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"fmt"
	"math/big"
)

// maxSignature bounds a TPMT_SIGNATURE of ECDSA with P-256.
const maxSignature = 2 + 2 + 2*(2+32)

// Signature is a TPMT_SIGNATURE (Part 2, 11.3.4) of ECDSA with SHA-256
// (TPMS_SIGNATURE_ECDSA):
//
//	sigAlg      u16    TPM_ALG_ECDSA
//	hash        u16    TPM_ALG_SHA256
//	signatureR  TPM2B  without leading zeros or with them, at most 32 bytes
//	signatureS  TPM2B  the same
type Signature struct {
	R, S []byte
}

// DecodeSignature parses a TPMT_SIGNATURE. Every byte must belong to it.
func DecodeSignature(b []byte) (*Signature, error) {
	if len(b) > maxSignature {
		return nil, fmt.Errorf("parsing TPMT_SIGNATURE: length: got %d, want at most %d", len(b), maxSignature)
	}
	r := &reader{b: b}
	r.want(uint16(AlgECDSA), "algorithm")
	r.want(uint16(AlgSHA256), "hash")
	s := &Signature{R: r.sized(32, "r"), S: r.sized(32, "s")}
	if r.err == nil && (len(s.R) == 0 || len(s.S) == 0) {
		r.refuse("r and s: got %d and %d bytes, want 1 to 32 each", len(s.R), len(s.S))
	}
	if err := r.done(); err != nil {
		return nil, fmt.Errorf("parsing TPMT_SIGNATURE: %w", err)
	}
	return s, nil
}

// Verify checks the signature over the bytes of message.
func (s *Signature) Verify(key *ecdsa.PublicKey, message []byte) bool {
	sum := sha256.Sum256(message)
	return ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(s.R), new(big.Int).SetBytes(s.S))
}
