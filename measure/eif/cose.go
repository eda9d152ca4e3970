package eif

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	_ "crypto/sha256" // ES256
	_ "crypto/sha512" // ES384, ES512
	"errors"
	"fmt"
	"math/big"

	"github.com/fxamacker/cbor/v2"
)

// Algorithm is a COSE algorithm identifier (RFC 9053, table 1).
type Algorithm int64

// The algorithms that sign images.
const (
	ES256 Algorithm = -7
	ES384 Algorithm = -35
	ES512 Algorithm = -36
)

// String returns the name.
func (a Algorithm) String() string {
	switch a {
	case ES256:
		return "ES256"
	case ES384:
		return "ES384"
	case ES512:
		return "ES512"
	}
	return fmt.Sprintf("algorithm %d", int64(a))
}

// AlgorithmFor gives the algorithm that AWS's tools choose for a key on curve.
func AlgorithmFor(curve elliptic.Curve) (Algorithm, error) {
	switch curve {
	case elliptic.P256():
		return ES256, nil
	case elliptic.P384():
		return ES384, nil
	case elliptic.P521():
		return ES512, nil
	}
	name := "none"
	if curve != nil {
		name = curve.Params().Name
	}
	return 0, fmt.Errorf("curve: got %s, want P-256, P-384 or P-521", name)
}

// Parts are the hash and the curve of an algorithm. RFC 9053, section 2.1,
// leaves the curve open; AWS's tools choose the algorithm by the key's curve.
func (a Algorithm) Parts() (crypto.Hash, elliptic.Curve, error) {
	switch a {
	case ES256:
		return crypto.SHA256, elliptic.P256(), nil
	case ES384:
		return crypto.SHA384, elliptic.P384(), nil
	case ES512:
		return crypto.SHA512, elliptic.P521(), nil
	}
	return 0, nil, fmt.Errorf("algorithm: got %d, want %d, %d or %d", int64(a), ES256, ES384, ES512)
}

// message is a COSE_Sign1 (RFC 9052, section 4.2).
type message struct {
	algorithm Algorithm
	protected []byte // as received: it is signed
	payload   []byte // as received: it is signed
	signature []byte // r and s, each as long as the curve's order
}

// decodeMessage takes apart an untagged COSE_Sign1. The algorithm is its only
// header.
func decodeMessage(mode cbor.DecMode, b []byte) (message, error) {
	var raw struct {
		_           struct{} `cbor:",toarray"`
		Protected   cbor.ByteString
		Unprotected cbor.RawMessage
		Payload     cbor.ByteString
		Signature   cbor.ByteString
	}
	if err := mode.Unmarshal(b, &raw); err != nil {
		return message{}, err
	}
	if emptyMap := []byte{0xa0}; !bytes.Equal(raw.Unprotected, emptyMap) {
		return message{}, fmt.Errorf("unprotected headers: got %#x, want an empty map", []byte(raw.Unprotected))
	}
	var header struct {
		Algorithm *Algorithm `cbor:"1,keyasint"` // RFC 9052, table 3: alg
	}
	if err := mode.Unmarshal([]byte(raw.Protected), &header); err != nil {
		return message{}, fmt.Errorf("protected headers: %w", err)
	}
	if header.Algorithm == nil {
		return message{}, errors.New("protected headers: alg: missing")
	}
	if _, _, err := header.Algorithm.Parts(); err != nil {
		return message{}, fmt.Errorf("protected headers: %w", err)
	}
	return message{
		algorithm: *header.Algorithm,
		protected: []byte(raw.Protected),
		payload:   []byte(raw.Payload),
		signature: []byte(raw.Signature),
	}, nil
}

// verify checks the signature under a certificate's key.
func (m *message) verify(key crypto.PublicKey) error {
	hash, curve, err := m.algorithm.Parts()
	if err != nil {
		return err
	}
	public, ok := key.(*ecdsa.PublicKey)
	if !ok || public.Curve != curve {
		return fmt.Errorf("key of the certificate: got %s, want ECDSA on %s for %v", describe(key), curve.Params().Name, m.algorithm)
	}
	width := (curve.Params().BitSize + 7) / 8
	if len(m.signature) != 2*width {
		return fmt.Errorf("length of the signature: got %d, want %d for %v", len(m.signature), 2*width, m.algorithm)
	}
	signed, err := m.signed()
	if err != nil {
		return err
	}
	h := hash.New()
	h.Write(signed)
	r, s := new(big.Int).SetBytes(m.signature[:width]), new(big.Int).SetBytes(m.signature[width:])
	if !ecdsa.Verify(public, h.Sum(nil), r, s) {
		return errors.New("the certificate's key did not make the signature")
	}
	return nil
}

// signed is the Sig_structure (RFC 9052, section 4.4), with nothing of an
// application's own.
func (m *message) signed() ([]byte, error) {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		return nil, err
	}
	return mode.Marshal([]any{"Signature1", m.protected, []byte{}, m.payload})
}

func describe(key crypto.PublicKey) string {
	if public, ok := key.(*ecdsa.PublicKey); ok {
		return "ECDSA on " + public.Params().Name
	}
	return fmt.Sprintf("%T", key)
}
