package tlog

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"filippo.io/mldsa"

	"safebox/verifier/dsse"
)

// Algorithm is a note's signature type (signed-note, "Signature types").
type Algorithm byte

// The signature types that this package knows.
const (
	Ed25519              Algorithm = 0x01 // a log's signature: signed-note
	CosignatureEd25519   Algorithm = 0x04 // a witness's: tlog-cosignature
	CosignatureMLDSA44   Algorithm = 0x06 // a witness's, against quantum computers as well: tlog-cosignature
	mldsa44PublicSize              = 1312 // FIPS 204, table 2, in bytes
	mldsa44SignatureSize           = 2420 // FIPS 204, table 2, in bytes
)

// String names the algorithm.
func (a Algorithm) String() string {
	switch a {
	case Ed25519:
		return "Ed25519"
	case CosignatureEd25519:
		return "Ed25519 cosignature"
	case CosignatureMLDSA44:
		return "ML-DSA-44 cosignature"
	}
	return fmt.Sprintf("signature type %#02x", byte(a))
}

// Key is a public key by which notes are verified. Its zero value verifies
// nothing.
type Key struct {
	Name      string // a log's origin or a witness's name
	ID        uint32 // signed-note's key ID
	Algorithm Algorithm

	public []byte
	mldsa  *mldsa.PublicKey // of CosignatureMLDSA44
}

// ParseKey reads a verifier key ("vkey"): name, key ID in eight digits of hex
// and the base64 of algorithm and public key, joined by plus signs. Its ID
// must be the one that signed-note recommends for all three algorithms.
func ParseKey(text string) (Key, error) {
	name, rest, _ := strings.Cut(text, "+")
	id, encoded, ok := strings.Cut(rest, "+")
	if !ok {
		return Key{}, fmt.Errorf("parsing verifier key %.100q: want NAME+ID+KEY", text)
	}
	typed, err := parseBase64(encoded)
	if err != nil {
		return Key{}, fmt.Errorf("parsing verifier key %.100q: %w", text, err)
	}
	if len(typed) == 0 {
		return Key{}, fmt.Errorf("parsing verifier key %.100q: no key", text)
	}
	k, err := newKey(name, Algorithm(typed[0]), typed[1:])
	if err != nil {
		return Key{}, fmt.Errorf("parsing verifier key %.100q: %w", text, err)
	}
	if want := fmt.Sprintf("%08x", k.ID); id != want {
		return Key{}, fmt.Errorf("parsing verifier key %.100q: key ID: got %.16q, want %s", text, id, want)
	}
	return k, nil
}

// newKey makes a key from its parts.
func newKey(name string, algorithm Algorithm, public []byte) (Key, error) {
	if !validName(name) || len(name) > MaxName {
		return Key{}, fmt.Errorf("name: got %.64q, want 1 to %d bytes of UTF-8 without space, control character or plus", name, MaxName)
	}
	k := Key{Name: name, ID: keyID(name, algorithm, public), Algorithm: algorithm, public: bytes.Clone(public)}
	switch algorithm {
	case Ed25519, CosignatureEd25519:
		if len(public) != ed25519.PublicKeySize {
			return Key{}, fmt.Errorf("%v key: got %d bytes, want %d", algorithm, len(public), ed25519.PublicKeySize)
		}
		if _, err := dsse.NewPublicKey(ed25519.PublicKey(public)); err != nil { // on the curve and of large order
			return Key{}, fmt.Errorf("%v key: %w", algorithm, err)
		}
	case CosignatureMLDSA44:
		if len(public) != mldsa44PublicSize {
			return Key{}, fmt.Errorf("%v key: got %d bytes, want %d", algorithm, len(public), mldsa44PublicSize)
		}
		var err error
		if k.mldsa, err = mldsa.NewPublicKey(mldsa.MLDSA44(), public); err != nil {
			return Key{}, fmt.Errorf("%v key: %w", algorithm, err)
		}
	default:
		return Key{}, fmt.Errorf("%v: want %#02x, %#02x or %#02x", algorithm,
			byte(Ed25519), byte(CosignatureEd25519), byte(CosignatureMLDSA44))
	}
	return k, nil
}

// keyID is SHA-256(name || 0x0A || algorithm || public key)[:4], big-endian
// (signed-note, "Signatures"; tlog-cosignature, "Format").
func keyID(name string, algorithm Algorithm, public []byte) uint32 {
	h := sha256.New()
	h.Write([]byte(name + "\n"))
	h.Write([]byte{byte(algorithm)})
	h.Write(public)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

// String is the verifier key as text.
func (k Key) String() string {
	typed := append([]byte{byte(k.Algorithm)}, k.public...)
	return k.Name + "+" + fmt.Sprintf("%08x", k.ID) + "+" + base64.StdEncoding.EncodeToString(typed)
}

// made says whether a signature names this key.
func (k Key) made(s Signature) bool { return s.Name == k.Name && s.ID == k.ID }

// Verify says whether s is this key's plain signature of a note's text.
func (k Key) Verify(text []byte, s Signature) bool {
	return k.Algorithm == Ed25519 && k.made(s) && ed25519.Verify(k.public, text, s.Sig)
}

// VerifyCosignature verifies this key's cosignature of a checkpoint and gives
// its time in Unix seconds. What the time is worth is for the caller to say: it
// can be 0, with which an ML-DSA-44 cosigner states no time, and it can lie in
// the future.
func (k Key) VerifyCosignature(c *Checkpoint, s Signature) (int64, error) {
	if !k.made(s) {
		return 0, fmt.Errorf("cosignature: got key %q (%08x), want %q (%08x)", s.Name, s.ID, k.Name, k.ID)
	}
	if len(s.Sig) < timestampSize {
		return 0, fmt.Errorf("cosignature of %q: got %d bytes, want at least %d", s.Name, len(s.Sig), timestampSize)
	}
	stamp, sig := binary.BigEndian.Uint64(s.Sig), s.Sig[timestampSize:]
	if stamp > 1<<63-1 {
		return 0, fmt.Errorf("cosignature of %q: time: got %d, want at most 2^63-1", s.Name, stamp)
	}
	ok := false
	switch k.Algorithm {
	case CosignatureEd25519:
		ok = ed25519.Verify(k.public, cosignedText(c, int64(stamp)), sig)
	case CosignatureMLDSA44:
		message, err := cosignedMessage(k.Name, c, int64(stamp))
		if err != nil {
			return 0, fmt.Errorf("cosignature of %q: %w", s.Name, err)
		}
		ok = len(sig) == mldsa44SignatureSize && mldsa.Verify(k.mldsa, message, sig, nil) == nil
	case Ed25519:
		return 0, fmt.Errorf("cosignature of %q: its key makes none", s.Name)
	}
	if !ok {
		return 0, &SignatureError{Name: s.Name, ID: s.ID}
	}
	return int64(stamp), nil
}

// timestampSize is the length of a cosignature's time in bytes
// (tlog-cosignature, timestamped_signature).
const timestampSize = 8

// cosignedText is what an Ed25519 cosigner signs (tlog-cosignature, "Ed25519
// signed message").
func cosignedText(c *Checkpoint, time int64) []byte {
	b := append([]byte("cosignature/v1\ntime "), strconv.FormatInt(time, 10)...)
	return append(append(b, '\n'), c.Text()...)
}

// cosignedMessage is what an ML-DSA-44 cosigner signs (tlog-cosignature,
// "ML-DSA-44 signed message": cosigned_message). The lengths are one byte
// each, so a longer text has no signature.
func cosignedMessage(name string, c *Checkpoint, time int64) ([]byte, error) {
	if len(name) > MaxName || len(c.Origin) > MaxName {
		return nil, errors.New("name or origin: want at most 255 bytes")
	}
	b := []byte("subtree/v1\n\x00")
	b = append(append(b, byte(len(name))), name...)
	b = binary.BigEndian.AppendUint64(b, uint64(time))
	b = append(append(b, byte(len(c.Origin))), c.Origin...)
	b = binary.BigEndian.AppendUint64(b, 0) // start: the whole tree
	b = binary.BigEndian.AppendUint64(b, uint64(c.Size))
	return append(b, c.Root[:]...), nil
}
