package object

import (
	"fmt"

	"safebox/verifier/canon"
)

// KeysType is the value of Keys.Type.
const KeysType = "safebox/object-keys/v1"

// MaxKeys bounds the owner's key file in bytes.
const MaxKeys = 4 << 10

// Keys is the owner's key file of one object, canonical JSON. Who holds it
// can read the whole object.
type Keys struct {
	Type       string         `json:"type"`
	FS         canon.Octets32 `json:"fs"`          // the secret that all chunk keys come from
	OID        canon.Octets32 `json:"oid"`         // as in the manifest
	RootCID    string         `json:"root_cid"`    // the object
	WriterSeed canon.Octets32 `json:"writer_seed"` // Ed25519 seed (RFC 8032) of the manifest's writer
}

// Encode gives the file's bytes.
func (k *Keys) Encode() ([]byte, error) {
	if err := k.check(); err != nil {
		return nil, fmt.Errorf("encoding object keys: %w", err)
	}
	return canon.Marshal(k)
}

// DecodeKeys reads a key file strictly.
func DecodeKeys(b []byte) (*Keys, error) {
	if len(b) > MaxKeys {
		return nil, fmt.Errorf("decoding object keys: got %d bytes, want at most %d", len(b), MaxKeys)
	}
	var k Keys
	if err := canon.Unmarshal(b, &k); err != nil {
		return nil, fmt.Errorf("decoding object keys: %w", err)
	}
	if err := k.check(); err != nil {
		return nil, fmt.Errorf("decoding object keys: %w", err)
	}
	return &k, nil
}

func (k *Keys) check() error {
	if k.Type != KeysType {
		return fmt.Errorf("type: got %.100q, want %q", k.Type, KeysType)
	}
	if _, err := ParseCID(k.RootCID); err != nil {
		return fmt.Errorf("root_cid: %w", err)
	}
	return nil
}

// Root is the root of the object's key tree.
func (k *Keys) Root() Node { return RootNode(k.FS, k.OID, Suite) }
