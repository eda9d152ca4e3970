package keyfile

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"errors"
	"fmt"
	"io"

	"safebox/verifier/canon"
	"safebox/verifier/dsse"
)

// TypeSigner is the type of a signer's secret file. Its public file is one line,
// the key as policies have it.
const TypeSigner = "safebox/signer-key/v1"

// Algorithms of keys, as commands and files name them.
const (
	Ed25519   = dsse.AlgorithmEd25519   // RFC 8032
	ECDSAP256 = dsse.AlgorithmECDSAP256 // FIPS 186-5; curve: SP 800-186, section 3.2.1.3
	MLDSA44   = "ml-dsa-44"             // FIPS 204; witnesses only

	MLKEM768X25519 = "mlkem768-x25519" // draft-ietf-hpke-pq; recipients only
)

// attempts is how often a P-256 key is drawn: 32 octets are above the order of
// the group once in 2^32 (SP 800-186, section 3.2.1.3).
const attempts = 4

// signer is the secret file of one who signs records of releases. Key is the
// Ed25519 seed (RFC 8032, section 5.1.5), or the P-256 private key as a
// big-endian number (SEC 1, version 2.0, section 2.3.7).
type signer struct {
	Type      string         `json:"type"`
	Algorithm string         `json:"algorithm"`
	Key       canon.Octets32 `json:"key"`
}

// NewSigner makes a key of the algorithm, Ed25519 or ECDSAP256, from 32 octets
// of random.
func NewSigner(algorithm string, random io.Reader) (crypto.Signer, error) {
	var octets canon.Octets32
	var err error
	for range attempts {
		if _, err := io.ReadFull(random, octets[:]); err != nil {
			return nil, fmt.Errorf("making a signer key: %w", err)
		}
		var key crypto.Signer
		if key, err = newSigner(algorithm, octets); err == nil {
			return key, nil
		}
	}
	return nil, fmt.Errorf("making a signer key: %w", err)
}

func newSigner(algorithm string, octets canon.Octets32) (crypto.Signer, error) {
	switch algorithm {
	case Ed25519:
		return ed25519.NewKeyFromSeed(octets[:]), nil
	case ECDSAP256:
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), octets[:])
		if err != nil {
			return nil, errors.New("not a private key of P-256: zero, or not below the order of the group")
		}
		return key, nil
	default:
		return nil, fmt.Errorf("algorithm: got %.100q, want %q or %q", algorithm, Ed25519, ECDSAP256)
	}
}

// EncodeSigner gives the secret file of a signer's key.
func EncodeSigner(key crypto.Signer) ([]byte, error) {
	s := signer{Type: TypeSigner}
	switch k := key.(type) {
	case ed25519.PrivateKey:
		if len(k) != ed25519.PrivateKeySize {
			return nil, fmt.Errorf("encoding signer key: got %d bytes, want %d", len(k), ed25519.PrivateKeySize)
		}
		s.Algorithm, s.Key = Ed25519, canon.Octets32(k.Seed())
	case *ecdsa.PrivateKey:
		if k.Curve != elliptic.P256() {
			return nil, fmt.Errorf("encoding signer key: got curve %s, want P-256", k.Curve.Params().Name)
		}
		raw, err := k.Bytes()
		if err != nil {
			return nil, fmt.Errorf("encoding signer key: %w", err)
		}
		s.Algorithm, s.Key = ECDSAP256, canon.Octets32(raw)
	default:
		return nil, fmt.Errorf("encoding signer key: got a %T, want an Ed25519 or a P-256 key", key)
	}
	return canon.Marshal(s)
}

// DecodeSigner reads the secret file of a signer's key.
func DecodeSigner(b []byte) (crypto.Signer, error) {
	var s signer
	if err := decode(b, &s, &s.Type, TypeSigner); err != nil {
		return nil, fmt.Errorf("decoding signer key: %w", err)
	}
	key, err := newSigner(s.Algorithm, s.Key)
	if err != nil {
		return nil, fmt.Errorf("decoding signer key: %w", err)
	}
	return key, nil
}

// EncodeSignerPublic gives the public file of a signer's key.
func EncodeSignerPublic(key dsse.PublicKey) []byte { return []byte(key.String() + "\n") }

// DecodeSignerPublic reads the public file of a signer's key.
func DecodeSignerPublic(b []byte) (dsse.PublicKey, error) {
	if len(b) > MaxSize {
		return dsse.PublicKey{}, fmt.Errorf("decoding signer public key: size: got %d bytes, want at most %d", len(b), MaxSize)
	}
	text, whole := bytes.CutSuffix(b, []byte("\n"))
	if !whole {
		return dsse.PublicKey{}, errors.New("decoding signer public key: want one line with its end")
	}
	key, err := dsse.ParsePublicKey(string(text))
	if err != nil {
		return dsse.PublicKey{}, fmt.Errorf("decoding signer public key: %w", err)
	}
	return key, nil
}
