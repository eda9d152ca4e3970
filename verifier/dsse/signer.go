package dsse

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// Signer signs messages with a key that may be out of reach: in a file, a
// PKCS#11 token or a KMS.
type Signer interface {
	Public() PublicKey
	// Sign gives a signature that Public().Verify accepts.
	Sign(message []byte) ([]byte, error)
}

// NewSigner makes a Signer of an Ed25519 or ECDSA P-256 key of the standard
// library's kind, as libraries for PKCS#11 and KMS offer it too.
func NewSigner(key crypto.Signer) (Signer, error) {
	if key == nil {
		return nil, errors.New("signer: no key")
	}
	public, err := NewPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("signer: %w", err)
	}
	return &keySigner{key, public}, nil
}

type keySigner struct {
	key    crypto.Signer
	public PublicKey
}

// Public implements Signer.
func (s *keySigner) Public() PublicKey { return s.public }

// Sign implements Signer. Ed25519 signs the message itself, ECDSA its SHA-256.
func (s *keySigner) Sign(message []byte) ([]byte, error) {
	opts := crypto.Hash(0)
	if s.public.Algorithm() == AlgorithmECDSAP256 {
		digest := sha256.Sum256(message)
		message, opts = digest[:], crypto.SHA256
	}
	sig, err := s.key.Sign(rand.Reader, message, opts)
	if err != nil {
		return nil, fmt.Errorf("signing with key %s: %w", s.public.ID(), err)
	}
	return sig, nil
}
