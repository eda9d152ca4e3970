package canon

import (
	"bytes"
	"encoding/hex"
	"fmt"
)

// Octets32 is a value of 32 bytes: a SHA-256, a nonce, an Ed25519 public key.
// Documents write it as lower-case hex, as sha256sum prints it.
type Octets32 [32]byte

// String returns lower-case hex.
func (o Octets32) String() string { return hex.EncodeToString(o[:]) }

// MarshalText implements encoding.TextMarshaler.
func (o Octets32) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *Octets32) UnmarshalText(text []byte) error { return fromHex(o[:], text) }

// Octets16 is a value of 16 bytes, such as a serial number.
type Octets16 [16]byte

// String returns lower-case hex.
func (o Octets16) String() string { return hex.EncodeToString(o[:]) }

// MarshalText implements encoding.TextMarshaler.
func (o Octets16) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *Octets16) UnmarshalText(text []byte) error { return fromHex(o[:], text) }

// fromHex fills dst from lower-case hex of exactly that length. Its error does
// not show the text: secrets are written like this too, and a key file with one
// letter wrong is no reason to print the rest.
func fromHex(dst, text []byte) error {
	if len(text) != 2*len(dst) || len(bytes.Trim(text, "0123456789abcdef")) != 0 {
		return fmt.Errorf("got %d characters, want %d bytes of lower-case hex", len(text), len(dst))
	}
	_, err := hex.Decode(dst, text)
	return err
}
