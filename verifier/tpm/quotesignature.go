package tpm

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha256" // crypto.SHA256
	_ "crypto/sha512" // crypto.SHA384, crypto.SHA512
	"errors"
	"fmt"
	"math/big"
)

// minRSABits is the least size of an RSA attestation key.
const minRSABits = 2048

// exponent is that of every RSA attestation key: a TPM's default (Part 2,
// 12.2.3.5).
const exponent = 65537

// maxQuoteSignature bounds a TPMT_SIGNATURE of RSASSA with RSA-4096.
const maxQuoteSignature = 2 + 2 + 2 + maxModulus

// QuoteSignature is the signature of a quote by an attestation key of any kind
// that cloud machines have: a TPMT_SIGNATURE (Part 2, 11.3.4) of RSASSA or of
// ECDSA with SHA-256, SHA-384 or SHA-512.
//
//	sigAlg  u16    TPM_ALG_RSASSA or TPM_ALG_ECDSA
//	hash    u16
//	sig     TPM2B  of RSASSA (TPMS_SIGNATURE_RSA): as long as the modulus
//	r, s    TPM2B  of ECDSA (TPMS_SIGNATURE_ECDSA): 1 to 48 bytes each
type QuoteSignature struct {
	Scheme Algorithm
	Hash   Algorithm
	RSA    []byte // of RSASSA, else nil
	R, S   []byte // of ECDSA, else nil
}

// DecodeQuoteSignature parses a TPMT_SIGNATURE. Every byte must belong to it.
func DecodeQuoteSignature(b []byte) (*QuoteSignature, error) {
	if len(b) > maxQuoteSignature {
		return nil, fmt.Errorf("parsing TPMT_SIGNATURE: length: got %d, want at most %d", len(b), maxQuoteSignature)
	}
	r := &reader{b: b}
	s := &QuoteSignature{Scheme: Algorithm(r.u16("algorithm")), Hash: Algorithm(r.u16("hash"))}
	if r.err == nil && s.Hash.Hash() == 0 {
		r.refuse("hash: got %#04x, want SHA-256, SHA-384 or SHA-512", uint16(s.Hash))
	}
	switch s.Scheme {
	case AlgRSASSA:
		s.RSA = r.sized(maxModulus, "signature")
		if r.err == nil && len(s.RSA) < minRSABits/8 {
			r.refuse("signature: got %d bytes, want %d to %d", len(s.RSA), minRSABits/8, maxModulus)
		}
	case AlgECDSA:
		s.R, s.S = r.sized(48, "r"), r.sized(48, "s")
		if r.err == nil && (len(s.R) == 0 || len(s.S) == 0) {
			r.refuse("r and s: got %d and %d bytes, want 1 to 48 each", len(s.R), len(s.S))
		}
	default:
		r.refuse("algorithm: got %#04x, want RSASSA or ECDSA", uint16(s.Scheme))
	}
	if err := r.done(); err != nil {
		return nil, fmt.Errorf("parsing TPMT_SIGNATURE: %w", err)
	}
	return s, nil
}

// PlainRSASSA is a signature that came as the bytes of RSASSA alone, without
// the structure around them, by a scheme that is known from elsewhere.
func PlainRSASSA(hash Algorithm, signature []byte) *QuoteSignature {
	return &QuoteSignature{Scheme: AlgRSASSA, Hash: hash, RSA: signature}
}

// Verify checks the signature over the bytes of message, and that the key is
// of the signature's kind and strong enough.
func (s *QuoteSignature) Verify(key crypto.PublicKey, message []byte) error {
	id := s.Hash.Hash()
	if id == 0 {
		return fmt.Errorf("hash: got %#04x, want SHA-256, SHA-384 or SHA-512", uint16(s.Hash))
	}
	h := id.New()
	h.Write(message)
	digest := h.Sum(nil)
	switch key := key.(type) {
	case *rsa.PublicKey:
		if s.Scheme != AlgRSASSA {
			return fmt.Errorf("scheme: got %#04x, want RSASSA of an RSA key", uint16(s.Scheme))
		}
		if bits := key.N.BitLen(); bits < minRSABits || bits > 8*maxModulus {
			return fmt.Errorf("key: got RSA of %d bits, want %d to %d", bits, minRSABits, 8*maxModulus)
		}
		if key.E != exponent {
			return fmt.Errorf("key: exponent: got %d, want %d", key.E, exponent)
		}
		if err := rsa.VerifyPKCS1v15(key, id, digest, s.RSA); err != nil {
			return errors.New("not of this key over these bytes")
		}
		return nil
	case *ecdsa.PublicKey:
		if s.Scheme != AlgECDSA {
			return fmt.Errorf("scheme: got %#04x, want ECDSA of an ECC key", uint16(s.Scheme))
		}
		if bits := key.Params().BitSize; bits < 256 {
			return fmt.Errorf("key: got a curve of %d bits, want at least 256", bits)
		}
		if !ecdsa.Verify(key, digest, new(big.Int).SetBytes(s.R), new(big.Int).SetBytes(s.S)) {
			return errors.New("not of this key over these bytes")
		}
		return nil
	}
	return fmt.Errorf("key: got %T, want RSA or ECDSA", key)
}

// Hash is the hash of a signing scheme, 0 for an algorithm that is none or a
// weak one.
func (a Algorithm) Hash() crypto.Hash {
	switch a {
	case AlgSHA256:
		return crypto.SHA256
	case AlgSHA384:
		return crypto.SHA384
	case AlgSHA512:
		return crypto.SHA512
	}
	return 0
}
