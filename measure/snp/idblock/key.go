package idblock

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// PublicKeySize is the length of a public key.
const PublicKeySize = 0x404

// Fields of a public key (AMD 56860, chapter 10, table "ECDSA P-384 with
// SHA-384 Public Key"):
//
//	0x00  CURVE  u32       2 = P-384
//	0x04  QX     72 bytes  little endian, zero-extended
//	0x4c  QY     72 bytes  likewise
//	0x94  zeros to 0x404
const (
	curveP384    = 2
	keyX         = 0x04
	keyY         = 0x4c
	keyReserved  = 0x94
	numberSize   = 72
	coordinate   = 48      // bytes of a number of P-384
	uncompressed = 0x04    // SEC 1 version 2.0, section 2.3.3
	curveName    = "P-384" // of elliptic.P384
)

// PublicKey is an ID key or an author key. Its zero value is no key.
type PublicKey struct{ x, y [coordinate]byte } // big endian

// KeyDigest is what the report says of a key: ID_KEY_DIGEST, AUTHOR_KEY_DIGEST.
type KeyDigest [48]byte

// String gives lower-case hex.
func (d KeyDigest) String() string { return hex.EncodeToString(d[:]) }

// NewPublicKey takes a key of curve P-384.
func NewPublicKey(k *ecdsa.PublicKey) (PublicKey, error) {
	if k == nil || k.Curve == nil {
		return PublicKey{}, errors.New("public key: got none, want one of curve P-384")
	}
	if k.Curve != elliptic.P384() {
		return PublicKey{}, fmt.Errorf("public key: curve: got %s, want %s", k.Params().Name, curveName)
	}
	b, err := k.Bytes()
	if err != nil {
		return PublicKey{}, fmt.Errorf("public key: %w", err)
	}
	return PublicKey{[coordinate]byte(b[1:]), [coordinate]byte(b[1+coordinate:])}, nil
}

// key gives the key to verify with, after checking that it is on the curve.
func (k PublicKey) key() (*ecdsa.PublicKey, error) {
	point := slices.Concat([]byte{uncompressed}, k.x[:], k.y[:])
	p, err := ecdsa.ParseUncompressedPublicKey(elliptic.P384(), point)
	if err != nil {
		return nil, fmt.Errorf("public key: got %x, %x, want a point of curve %s: %w", k.x, k.y, curveName, err)
	}
	return p, nil
}

// Encode gives the bytes that the author key signs.
func (k PublicKey) Encode() []byte {
	b := make([]byte, PublicKeySize)
	binary.LittleEndian.PutUint32(b, curveP384)
	putNumber(b[keyX:], k.x)
	putNumber(b[keyY:], k.y)
	return b
}

// Digest is SHA-384 of the encoded key.
func (k PublicKey) Digest() KeyDigest { return sha512.Sum384(k.Encode()) }

// DecodePublicKey parses a key and checks that it is on the curve.
func DecodePublicKey(b []byte) (PublicKey, error) {
	k, err := decodePublicKey(b)
	if err != nil {
		return PublicKey{}, fmt.Errorf("parsing public key: %w", err)
	}
	return k, nil
}

func decodePublicKey(b []byte) (k PublicKey, err error) {
	if len(b) != PublicKeySize {
		return k, fmt.Errorf("length: got %d, want %d", len(b), PublicKeySize)
	}
	if c := binary.LittleEndian.Uint32(b); c != curveP384 {
		return k, fmt.Errorf("curve at 0x0: got %d, want %d (%s)", c, curveP384, curveName)
	}
	if k.x, err = number(b, keyX); err != nil {
		return PublicKey{}, fmt.Errorf("x: %w", err)
	}
	if k.y, err = number(b, keyY); err != nil {
		return PublicKey{}, fmt.Errorf("y: %w", err)
	}
	if err := checkZero(b, keyReserved, PublicKeySize); err != nil {
		return PublicKey{}, err
	}
	if _, err := k.key(); err != nil {
		return PublicKey{}, err
	}
	return k, nil
}

// number reads a number at an offset into the order that Go's packages take.
func number(b []byte, at int) (n [coordinate]byte, err error) {
	copy(n[:], b[at:at+coordinate])
	slices.Reverse(n[:])
	return n, checkZero(b, at+coordinate, at+numberSize)
}

func putNumber(b []byte, n [coordinate]byte) {
	slices.Reverse(n[:])
	copy(b, n[:])
}
