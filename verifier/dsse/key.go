package dsse

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Algorithms of the keys that sign envelopes, as their text names them.
const (
	AlgorithmEd25519   = "ed25519"
	AlgorithmECDSAP256 = "ecdsa-p256"
)

// spkiP256 is all of a SubjectPublicKeyInfo but the point's 64 bytes, in DER
// (RFC 5480, section 2: id-ecPublicKey with named curve secp256r1, then a BIT
// STRING of the point). Its last byte says that the point is uncompressed (SEC
// 1, section 2.3.3), so a key has one encoding.
const spkiP256 = "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04"

// pointP256 is the size in bytes of both coordinates of a point.
const pointP256 = 2 * 32

// maxKeyText is more than the longest text of a key, in bytes.
const maxKeyText = 256

// PublicKey is a key that an envelope can be signed with: Ed25519 (RFC 8032) or
// ECDSA over P-256 with SHA-256 (FIPS 186-5). Two that are the same key are
// equal under ==. The zero value is no key: nothing verifies under it.
type PublicKey struct {
	algorithm string
	raw       string // 32 bytes of Ed25519, or the DER SubjectPublicKeyInfo
}

// Ed25519Key gives the key with these 32 bytes, or the zero PublicKey if they
// are no key that ParsePublicKey would take.
func Ed25519Key(key ed25519.PublicKey) PublicKey {
	if checkPoint(key) != nil {
		return PublicKey{}
	}
	return PublicKey{algorithm: AlgorithmEd25519, raw: string(key)}
}

// NewPublicKey takes an ed25519.PublicKey or an *ecdsa.PublicKey on P-256.
func NewPublicKey(key crypto.PublicKey) (PublicKey, error) {
	switch key := key.(type) {
	case ed25519.PublicKey:
		if err := checkPoint(key); err != nil {
			return PublicKey{}, fmt.Errorf("public key: %w", err)
		}
		return Ed25519Key(key), nil
	case *ecdsa.PublicKey:
		if key == nil || key.Curve != elliptic.P256() {
			return PublicKey{}, errors.New("public key: ECDSA on another curve, want P-256")
		}
		point, err := key.Bytes()
		if err != nil {
			return PublicKey{}, fmt.Errorf("public key: %w", err)
		}
		return keyP256([]byte(spkiP256 + string(point[1:])))
	}
	return PublicKey{}, fmt.Errorf("public key: got %T, want Ed25519 or ECDSA on P-256", key)
}

// keyP256 takes a SubjectPublicKeyInfo in its one form.
func keyP256(der []byte) (PublicKey, error) {
	if want := len(spkiP256) + pointP256; len(der) != want {
		return PublicKey{}, fmt.Errorf("public key: SubjectPublicKeyInfo: got %d bytes, want %d", len(der), want)
	}
	if !strings.HasPrefix(string(der), spkiP256) {
		return PublicKey{}, errors.New("public key: SubjectPublicKeyInfo: not that of an uncompressed point on P-256")
	}
	key := PublicKey{algorithm: AlgorithmECDSAP256, raw: string(der)}
	if _, err := key.p256(); err != nil {
		return PublicKey{}, fmt.Errorf("public key: %w", err)
	}
	return key, nil
}

// p256 gives the key for crypto/ecdsa, which checks that the point lies on the
// curve and is not the one at infinity.
func (k PublicKey) p256() (*ecdsa.PublicKey, error) {
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), []byte(k.raw[len(spkiP256)-1:]))
}

// ParsePublicKey reads a key as policies and .pub files write it:
// "ed25519:" and the base64 of the 32 bytes, or "ecdsa-p256:" and the base64 of
// the DER SubjectPublicKeyInfo. Nothing stands before or after, so a key has
// one text.
func ParsePublicKey(text string) (PublicKey, error) {
	if len(text) > maxKeyText {
		return PublicKey{}, fmt.Errorf("public key: got %d bytes, want at most %d", len(text), maxKeyText)
	}
	algorithm, encoded, found := strings.Cut(text, ":")
	if !found {
		return PublicKey{}, fmt.Errorf("public key: got %.100q, want ALGORITHM:BASE64", text)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return PublicKey{}, fmt.Errorf("public key: %w", err)
	}
	if strings.ContainsAny(encoded, "\r\n") { // which encoding/base64 passes over
		return PublicKey{}, errors.New("public key: line break inside, want one line")
	}
	switch algorithm {
	case AlgorithmEd25519:
		return NewPublicKey(ed25519.PublicKey(raw))
	case AlgorithmECDSAP256:
		return keyP256(raw)
	}
	return PublicKey{}, fmt.Errorf("public key: algorithm: got %.100q, want %s or %s", algorithm, AlgorithmEd25519, AlgorithmECDSAP256)
}

// Algorithm is one of the constants above, or empty for the zero PublicKey.
func (k PublicKey) Algorithm() string { return k.algorithm }

// String gives the text that ParsePublicKey reads, or nothing for the zero
// PublicKey.
func (k PublicKey) String() string {
	if k.algorithm == "" {
		return ""
	}
	return k.algorithm + ":" + base64.StdEncoding.EncodeToString([]byte(k.raw))
}

// ID names the key in an envelope: SHA-256 of the 32 bytes of an Ed25519 key or
// of the DER SubjectPublicKeyInfo, lower-case hex. The zero PublicKey has none.
func (k PublicKey) ID() string {
	if k.algorithm == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(k.raw))
	return hex.EncodeToString(sum[:])
}

// Verify says whether sig is the key's signature of the message: 64 bytes of
// Ed25519, or the DER Ecdsa-Sig-Value of r and s (RFC 3279, section 2.2.3) over
// the message's SHA-256.
//
// An ECDSA signature (r, s) has a twin (r, n-s) that anybody can compute and
// that verifies too, and what PKCS#11 tokens and KMS services give is either of
// the two; both are taken. That changes nothing: a twin says what the signer
// said, a key counts once, and whoever swaps one in makes other bytes, which no
// inclusion proof of the log covers. In DER each has one encoding: another is
// refused.
func (k PublicKey) Verify(message, sig []byte) bool {
	switch k.algorithm {
	case AlgorithmEd25519:
		return ed25519.Verify(ed25519.PublicKey(k.raw), message, sig)
	case AlgorithmECDSAP256:
		key, err := k.p256()
		if err != nil {
			return false
		}
		digest := sha256.Sum256(message)
		return ecdsa.VerifyASN1(key, digest[:], sig)
	}
	return false
}
