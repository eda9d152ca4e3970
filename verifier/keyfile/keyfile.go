// Package keyfile is the format of keys on disk (docs/format-keys.md). Each
// has a secret file, which never leaves its owner, and a public file beside it:
//
//   - audience: signs grants; its digest is in a guest's evidence,
//   - recipient: outputs are sealed to it,
//   - signer: signs records of releases, their publisher's and rebuilders'.
//
// A secret file holds the 32 octets from which the key grows: the Ed25519
// seed (RFC 8032, section 5.1.5), the MLKEM768-X25519 decapsulation key
// (draft-ietf-hpke-pq, KEM identifier 0x647a), or the P-256 private key (SEC
// 1, version 2.0, section 2.3.7). That a file may be encrypted is the business
// of who keeps it. The keys of logs and witnesses are in package notekey.
package keyfile

import (
	"crypto/ed25519"
	"crypto/hpke"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"safebox/verifier/canon"
)

// The values of a key file's type.
const (
	TypeAudience        = "safebox/audience-key/v1"
	TypeAudiencePublic  = "safebox/audience-public/v1"
	TypeRecipient       = "safebox/recipient-key/v1"
	TypeRecipientPublic = "safebox/recipient-public/v1"
)

// MaxSize bounds a key file, in bytes. The largest are public ones in base64: a
// recipient's 1216 bytes, and 1312 of a witness's key (package notekey).
const MaxSize = 4 << 10

// RecipientSize is the length of a recipient's public key in bytes: ML-KEM-768
// (FIPS 203, table 3) 1184, then X25519 32.
const RecipientSize = 1216

// seedSize is the length of either key's seed in bytes.
const seedSize = 32

// secret is a secret file.
type secret struct {
	Type string         `json:"type"`
	Seed canon.Octets32 `json:"seed"`
}

// audiencePublic is the public file of an audience key.
type audiencePublic struct {
	Type string         `json:"type"`
	Key  canon.Octets32 `json:"key"`
}

// recipientPublic is the public file of a recipient key.
type recipientPublic struct {
	Type string `json:"type"`
	Key  []byte `json:"key"`
}

// NewAudience makes an audience key from 32 octets of random.
func NewAudience(random io.Reader) (ed25519.PrivateKey, error) {
	seed := make([]byte, seedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, fmt.Errorf("making an audience key: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// NewRecipient makes a recipient key from 32 octets of random.
func NewRecipient(random io.Reader) (hpke.PrivateKey, error) {
	seed := make([]byte, seedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, fmt.Errorf("making a recipient key: %w", err)
	}
	key, err := hpke.MLKEM768X25519().NewPrivateKey(seed)
	if err != nil {
		return nil, fmt.Errorf("making a recipient key: %w", err)
	}
	return key, nil
}

// EncodeAudience gives the secret file of an audience key.
func EncodeAudience(key ed25519.PrivateKey) ([]byte, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("encoding audience key: got %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	return canon.Marshal(secret{TypeAudience, canon.Octets32(key.Seed())})
}

// DecodeAudience reads the secret file of an audience key.
func DecodeAudience(b []byte) (ed25519.PrivateKey, error) {
	var s secret
	if err := decode(b, &s, &s.Type, TypeAudience); err != nil {
		return nil, fmt.Errorf("decoding audience key: %w", err)
	}
	return ed25519.NewKeyFromSeed(s.Seed[:]), nil
}

// EncodeAudiencePublic gives the public file of an audience key.
func EncodeAudiencePublic(key ed25519.PublicKey) ([]byte, error) {
	if len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("encoding audience public key: got %d bytes, want %d", len(key), ed25519.PublicKeySize)
	}
	return canon.Marshal(audiencePublic{TypeAudiencePublic, canon.Octets32(key)})
}

// DecodeAudiencePublic reads the public file of an audience key.
func DecodeAudiencePublic(b []byte) (ed25519.PublicKey, error) {
	var p audiencePublic
	if err := decode(b, &p, &p.Type, TypeAudiencePublic); err != nil {
		return nil, fmt.Errorf("decoding audience public key: %w", err)
	}
	return ed25519.PublicKey(p.Key[:]), nil
}

// EncodeRecipient gives the secret file of a recipient key.
func EncodeRecipient(key hpke.PrivateKey) ([]byte, error) {
	if id := key.KEM().ID(); id != hpke.MLKEM768X25519().ID() {
		return nil, fmt.Errorf("encoding recipient key: KEM: got %#04x, want %#04x", id, hpke.MLKEM768X25519().ID())
	}
	seed, err := key.Bytes()
	if err != nil {
		return nil, fmt.Errorf("encoding recipient key: %w", err)
	}
	if len(seed) != seedSize {
		return nil, fmt.Errorf("encoding recipient key: got %d bytes, want %d", len(seed), seedSize)
	}
	return canon.Marshal(secret{TypeRecipient, canon.Octets32(seed)})
}

// DecodeRecipient reads the secret file of a recipient key.
func DecodeRecipient(b []byte) (hpke.PrivateKey, error) {
	var s secret
	if err := decode(b, &s, &s.Type, TypeRecipient); err != nil {
		return nil, fmt.Errorf("decoding recipient key: %w", err)
	}
	key, err := hpke.MLKEM768X25519().NewPrivateKey(s.Seed[:])
	if err != nil {
		return nil, fmt.Errorf("decoding recipient key: %w", err)
	}
	return key, nil
}

// EncodeRecipientPublic gives the public file of a recipient key.
func EncodeRecipientPublic(key []byte) ([]byte, error) {
	if err := CheckRecipient(key); err != nil {
		return nil, fmt.Errorf("encoding recipient public key: %w", err)
	}
	return canon.Marshal(recipientPublic{TypeRecipientPublic, key})
}

// DecodeRecipientPublic reads the public file of a recipient key and gives the
// raw key of RecipientSize bytes.
func DecodeRecipientPublic(b []byte) ([]byte, error) {
	var p recipientPublic
	if err := decode(b, &p, &p.Type, TypeRecipientPublic); err != nil {
		return nil, fmt.Errorf("decoding recipient public key: %w", err)
	}
	if err := CheckRecipient(p.Key); err != nil {
		return nil, fmt.Errorf("decoding recipient public key: %w", err)
	}
	return p.Key, nil
}

// CheckRecipient refuses what is no public key of MLKEM768-X25519: another
// length, or coefficients out of range (FIPS 203, section 7.2).
func CheckRecipient(key []byte) error {
	if len(key) != RecipientSize {
		return fmt.Errorf("recipient key: got %d bytes, want %d", len(key), RecipientSize)
	}
	if _, err := hpke.MLKEM768X25519().NewPublicKey(key); err != nil {
		return fmt.Errorf("recipient key: %w", err)
	}
	return nil
}

// Kinds of secret files, as commands name them.
const (
	KindAudience  = "audience"
	KindRecipient = "recipient"
	KindSigner    = "signer"
)

// Kind tells what a secret file seems to be, without reading all of it: the
// decoder of its kind does that.
func Kind(b []byte) (string, error) {
	var file struct {
		Type string `json:"type"`
	}
	if len(b) > MaxSize || json.Unmarshal(b, &file) != nil {
		return "", errors.New("not a secret key")
	}
	switch file.Type {
	case TypeAudience:
		return KindAudience, nil
	case TypeRecipient:
		return KindRecipient, nil
	case TypeSigner:
		return KindSigner, nil
	default:
		return "", fmt.Errorf("not a secret key: type: got %.100q", file.Type)
	}
}

// decode reads canonical JSON into v, whose type is at got.
func decode(b []byte, v any, got *string, want string) error {
	if len(b) > MaxSize {
		return fmt.Errorf("size: got %d bytes, want at most %d", len(b), MaxSize)
	}
	if err := canon.Unmarshal(b, v); err != nil {
		return err
	}
	if *got != want {
		return fmt.Errorf("type: got %.100q, want %q", *got, want)
	}
	return nil
}
