// Package notekey is the format of the keys of transparency logs and of their
// witnesses on disk (docs/format-keys.md): the text forms that programs for
// logs and witnesses share, each as a file of one line. It is apart from the
// other keys because the guest needs those and no log's.
//
// The secret file has the signer key of Go's package sumdb/note, the public one
// the verifier key of C2SP signed-note ("Verifier keys"); package tlog reads
// and makes both.
package notekey

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"safebox/verifier/keyfile"
	"safebox/verifier/tlog"
)

// Roles of a key. A log's key never cosigns, a witness's never signs a log.
const (
	RoleLog     = "log"
	RoleWitness = "witness"
)

// mark begins a secret file.
const mark = "PRIVATE+KEY+"

// Key is a secret key of a log or of a witness.
type Key struct {
	secret string // signer key
	public tlog.Key
}

// NewLog makes the key of a log from 32 octets of random. The key's name is the
// log's origin (C2SP tlog-checkpoint, "Note text").
func NewLog(origin string, random io.Reader) (*Key, error) {
	secret, public, err := tlog.GenerateLogKey(origin, random)
	if err != nil {
		return nil, fmt.Errorf("making a log key: %w", err)
	}
	return newKey(secret, public)
}

// NewWitness makes the key of a witness, keyfile.Ed25519 or keyfile.MLDSA44,
// from 32 octets of random.
func NewWitness(name, algorithm string, random io.Reader) (*Key, error) {
	var cosignature tlog.Algorithm
	switch algorithm {
	case keyfile.Ed25519:
		cosignature = tlog.CosignatureEd25519
	case keyfile.MLDSA44:
		cosignature = tlog.CosignatureMLDSA44
	default:
		return nil, fmt.Errorf("making a witness key: algorithm: got %.100q, want %q or %q", algorithm, keyfile.Ed25519, keyfile.MLDSA44)
	}
	secret, public, err := tlog.GenerateWitnessKey(name, cosignature, random)
	if err != nil {
		return nil, fmt.Errorf("making a witness key: %w", err)
	}
	return newKey(secret, public)
}

func newKey(secret, public string) (*Key, error) {
	key, err := tlog.ParseKey(public)
	if err != nil {
		return nil, err
	}
	return &Key{secret, key}, nil
}

// Is tells a secret file of this package from those of package keyfile.
func Is(b []byte) bool { return bytes.HasPrefix(b, []byte(mark)) }

// Decode reads a secret file.
func Decode(b []byte) (*Key, error) {
	if len(b) > keyfile.MaxSize {
		return nil, fmt.Errorf("decoding note key: size: got %d bytes, want at most %d", len(b), keyfile.MaxSize)
	}
	line, whole := bytes.CutSuffix(b, []byte("\n"))
	if !whole {
		return nil, errors.New("decoding note key: want one line with its end")
	}
	secret := string(line)
	log, notLog := tlog.NewLogSigner(secret)
	if notLog == nil {
		return &Key{secret, log.Key()}, nil
	}
	witness, notWitness := tlog.NewCosigner(secret)
	if notWitness == nil {
		return &Key{secret, witness.Key()}, nil
	}
	return nil, fmt.Errorf("decoding note key: %w; %w", notLog, notWitness)
}

// Encode gives the secret file.
func (k *Key) Encode() []byte { return []byte(k.secret + "\n") }

// EncodePublic gives the public file.
func (k *Key) EncodePublic() []byte { return []byte(k.public.String() + "\n") }

// Secret is the signer key (skey).
func (k *Key) Secret() string { return k.secret }

// ID names the key among others of its name, as signatures do: NAME+ID (C2SP
// signed-note, "Signatures").
func (k *Key) ID() string { return fmt.Sprintf("%s+%08x", k.public.Name, k.public.ID) }

// Role is RoleLog or RoleWitness.
func (k *Key) Role() string {
	if k.public.Algorithm == tlog.Ed25519 {
		return RoleLog
	}
	return RoleWitness
}

// Algorithm is keyfile.Ed25519 or keyfile.MLDSA44.
func (k *Key) Algorithm() string {
	if k.public.Algorithm == tlog.CosignatureMLDSA44 {
		return keyfile.MLDSA44
	}
	return keyfile.Ed25519
}
