package keyfile

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"filippo.io/mldsa"
)

// Signature types (C2SP signed-note, "Signature types"), the first octet of a
// note key.
const (
	noteLog        = 0x01 // Ed25519 over the note: a log
	noteWitness    = 0x04 // Ed25519, cosignature/v1: a witness
	noteWitnessPQC = 0x06 // ML-DSA-44, cosignature/v1: a witness
)

// notePrefix begins a note's secret key in the text form of Go's package
// golang.org/x/mod/sumdb/note, which C2SP's tools share.
const notePrefix = "PRIVATE+KEY+"

// maxNoteName bounds the name in a note key, in bytes.
const maxNoteName = 255

// NoteKey is the secret key of a log or of a witness. Its file is one line, the
// key's text, so that other programs for logs and witnesses read it, too.
type NoteKey struct {
	name   string
	kind   byte // signature type
	seed   [seedSize]byte
	public []byte // raw
}

// NewLog makes the key of a log from 32 octets of random. The log's origin is
// the key's name (C2SP tlog-checkpoint).
func NewLog(origin string, random io.Reader) (*NoteKey, error) {
	return newNote(origin, noteLog, random)
}

// NewWitness makes the key of a witness, Ed25519 or MLDSA44, from 32 octets of
// random.
func NewWitness(name, algorithm string, random io.Reader) (*NoteKey, error) {
	switch algorithm {
	case Ed25519:
		return newNote(name, noteWitness, random)
	case MLDSA44:
		return newNote(name, noteWitnessPQC, random)
	default:
		return nil, fmt.Errorf("making a witness key: algorithm: got %.100q, want %q or %q", algorithm, Ed25519, MLDSA44)
	}
}

func newNote(name string, kind byte, random io.Reader) (*NoteKey, error) {
	k := &NoteKey{name: name, kind: kind}
	if err := checkNoteName(name); err != nil {
		return nil, fmt.Errorf("making a %s key: %w", k.Role(), err)
	}
	if _, err := io.ReadFull(random, k.seed[:]); err != nil {
		return nil, fmt.Errorf("making a %s key: %w", k.Role(), err)
	}
	if err := k.derive(); err != nil {
		return nil, fmt.Errorf("making a %s key: %w", k.Role(), err)
	}
	return k, nil
}

// derive computes the public key.
func (k *NoteKey) derive() error {
	switch k.kind {
	case noteLog, noteWitness:
		k.public = ed25519.NewKeyFromSeed(k.seed[:]).Public().(ed25519.PublicKey)
	case noteWitnessPQC:
		key, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), k.seed[:])
		if err != nil {
			return err
		}
		k.public = key.PublicKey().Bytes()
	default:
		return fmt.Errorf("signature type: got %#02x, want %#02x, %#02x or %#02x", k.kind, noteLog, noteWitness, noteWitnessPQC)
	}
	return nil
}

// Role is "log" or "witness".
func (k *NoteKey) Role() string {
	if k.kind == noteLog {
		return "log"
	}
	return "witness"
}

// Algorithm is Ed25519 or MLDSA44.
func (k *NoteKey) Algorithm() string {
	if k.kind == noteWitnessPQC {
		return MLDSA44
	}
	return Ed25519
}

// Name is the log's origin or the witness's name.
func (k *NoteKey) Name() string { return k.name }

// ID names the key among others of the same name: NAME+HASH, the key ID of C2SP
// signed-note in hex.
func (k *NoteKey) ID() string { return k.name + "+" + k.hash() }

// Secret is the key's text (skey): PRIVATE+KEY+NAME+HASH+BASE64.
func (k *NoteKey) Secret() string {
	return notePrefix + k.ID() + "+" + noteText(k.kind, k.seed[:])
}

// Public is the verifier key (C2SP signed-note, "Verifier keys"):
// NAME+HASH+BASE64.
func (k *NoteKey) Public() string { return k.ID() + "+" + noteText(k.kind, k.public) }

// hash is the key ID: the first four octets of SHA-256 of name, newline, type
// and public key (C2SP signed-note, "Signatures").
func (k *NoteKey) hash() string {
	b := append([]byte(k.name), '\n', k.kind)
	sum := sha256.Sum256(append(b, k.public...))
	return hex.EncodeToString(sum[:4])
}

func noteText(kind byte, key []byte) string {
	return base64.StdEncoding.EncodeToString(append([]byte{kind}, key...))
}

// EncodeNote gives the secret file of a log's or a witness's key.
func EncodeNote(k *NoteKey) []byte { return []byte(k.Secret() + "\n") }

// EncodeNotePublic gives the public file of a log's or a witness's key.
func EncodeNotePublic(k *NoteKey) []byte { return []byte(k.Public() + "\n") }

// DecodeNote reads the secret file of a log's or a witness's key.
func DecodeNote(b []byte) (*NoteKey, error) {
	k, err := decodeNote(b)
	if err != nil {
		return nil, fmt.Errorf("decoding note key: %w", err)
	}
	return k, nil
}

func decodeNote(b []byte) (*NoteKey, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("size: got %d bytes, want at most %d", len(b), MaxSize)
	}
	line, whole := strings.CutSuffix(string(b), "\n")
	text, ok := strings.CutPrefix(line, notePrefix)
	parts := strings.Split(text, "+")
	if !whole || !ok || len(parts) < 3 {
		return nil, errors.New("want one line, PRIVATE+KEY+NAME+HASH+BASE64")
	}
	name, encoded := parts[0], strings.Join(parts[2:], "+") // base64 has + in it
	if err := checkNoteName(name); err != nil {
		return nil, err
	}
	// No error of base64 is shown: it would show of the key where it is wrong.
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(raw) != 1+seedSize {
		return nil, fmt.Errorf("key: want base64 of %d bytes", 1+seedSize)
	}
	k := &NoteKey{name: name, kind: raw[0], seed: [seedSize]byte(raw[1:])}
	if err := k.derive(); err != nil {
		return nil, err
	}
	if got := parts[1]; got != k.hash() {
		return nil, fmt.Errorf("key ID: got %.100q, want %q, that of the key and its name", got, k.hash())
	}
	if line != k.Secret() {
		return nil, errors.New("key: not as base64 is written")
	}
	return k, nil
}

// checkNoteName refuses what C2SP signed-note forbids in a key's name, and what
// a terminal would not show.
func checkNoteName(name string) error {
	if name == "" || len(name) > maxNoteName {
		return fmt.Errorf("name: got %d bytes, want 1 to %d", len(name), maxNoteName)
	}
	bad := func(r rune) bool { return r == '+' || unicode.IsSpace(r) || !unicode.IsPrint(r) }
	if !utf8.ValidString(name) || strings.ContainsFunc(name, bad) {
		return fmt.Errorf("name: got %q, want printable characters without space and plus", name)
	}
	return nil
}
