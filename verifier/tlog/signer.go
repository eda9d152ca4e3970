package tlog

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/mldsa"
)

// seedSize is the length in bytes of the seed from which each secret key
// grows: RFC 8032, section 5.1.5; FIPS 204, section 6.1.
const seedSize = 32

// secretPrefix begins a signer key.
const secretPrefix = "PRIVATE+KEY+"

// LogSigner signs checkpoints as a log. It has the methods of a signer of
// golang.org/x/mod/sumdb/note.
type LogSigner struct {
	key    Key
	secret ed25519.PrivateKey
}

// NewLogSigner reads a log's signer key: Ed25519, type 0x01.
func NewLogSigner(skey string) (*LogSigner, error) {
	name, algorithm, id, seed, err := parseSecret(skey)
	if err != nil {
		return nil, fmt.Errorf("parsing log key: %w", err)
	}
	if algorithm != Ed25519 {
		return nil, fmt.Errorf("parsing log key: got %v, want %v", algorithm, Ed25519)
	}
	secret := ed25519.NewKeyFromSeed(seed)
	key, err := publicOf(name, algorithm, secret[seedSize:], id)
	if err != nil {
		return nil, fmt.Errorf("parsing log key: %w", err)
	}
	return &LogSigner{key: key, secret: secret}, nil
}

// Key is the public key.
func (s *LogSigner) Key() Key { return s.key }

// Name is the log's origin.
func (s *LogSigner) Name() string { return s.key.Name }

// KeyHash is the key ID.
func (s *LogSigner) KeyHash() uint32 { return s.key.ID }

// Sign signs a note's text. It gives the signature without the key ID.
func (s *LogSigner) Sign(text []byte) ([]byte, error) {
	if err := checkText(text); err != nil {
		return nil, fmt.Errorf("signing note: %w", err)
	}
	return ed25519.Sign(s.secret, text), nil
}

// SignCheckpoint gives the signed note of a checkpoint of this log.
func (s *LogSigner) SignCheckpoint(c *Checkpoint) ([]byte, error) {
	if c.Origin != s.key.Name {
		return nil, fmt.Errorf("signing checkpoint: origin: got %q, want %q", c.Origin, s.key.Name)
	}
	text := c.Text()
	if _, err := ParseCheckpoint(string(text)); err != nil {
		return nil, fmt.Errorf("signing checkpoint: %w", err)
	}
	line := Signature{Name: s.key.Name, ID: s.key.ID, Sig: ed25519.Sign(s.secret, text)}.String()
	return append(append(text, '\n'), line...), nil
}

// Cosigner cosigns checkpoints as a witness.
type Cosigner struct {
	key     Key
	ed25519 ed25519.PrivateKey // of CosignatureEd25519
	mldsa   *mldsa.PrivateKey  // of CosignatureMLDSA44
}

// NewCosigner reads a witness's signer key, type 0x04 or 0x06.
func NewCosigner(skey string) (*Cosigner, error) {
	name, algorithm, id, seed, err := parseSecret(skey)
	if err != nil {
		return nil, fmt.Errorf("parsing witness key: %w", err)
	}
	s := &Cosigner{}
	var public []byte
	switch algorithm {
	case CosignatureEd25519:
		s.ed25519 = ed25519.NewKeyFromSeed(seed)
		public = s.ed25519[seedSize:]
	case CosignatureMLDSA44:
		if s.mldsa, err = mldsa.NewPrivateKey(mldsa.MLDSA44(), seed); err != nil {
			return nil, fmt.Errorf("parsing witness key: %w", err)
		}
		public = s.mldsa.PublicKey().Bytes()
	case Ed25519:
		return nil, errors.New("parsing witness key: got a log's key (type 0x01), want type 0x04 or 0x06")
	default:
		return nil, fmt.Errorf("parsing witness key: got %v, want type 0x04 or 0x06", algorithm)
	}
	if s.key, err = publicOf(name, algorithm, public, id); err != nil {
		return nil, fmt.Errorf("parsing witness key: %w", err)
	}
	return s, nil
}

// Key is the public key.
func (s *Cosigner) Key() Key { return s.key }

// Cosign cosigns a checkpoint at a time in Unix seconds and gives the
// signature line. The witness has verified the log's signature and the
// consistency with what it cosigned before.
func (s *Cosigner) Cosign(c *Checkpoint, time int64) ([]byte, error) {
	if _, err := ParseCheckpoint(string(c.Text())); err != nil {
		return nil, fmt.Errorf("cosigning checkpoint: %w", err)
	}
	if time < 1 {
		return nil, fmt.Errorf("cosigning checkpoint: time: got %d, want at least 1", time)
	}
	sig := binary.BigEndian.AppendUint64(nil, uint64(time))
	if s.key.Algorithm == CosignatureEd25519 {
		sig = append(sig, ed25519.Sign(s.ed25519, cosignedText(c, time))...)
	} else {
		message, err := cosignedMessage(s.key.Name, c, time)
		if err != nil {
			return nil, fmt.Errorf("cosigning checkpoint: %w", err)
		}
		raw, err := s.mldsa.Sign(nil, message, nil)
		if err != nil {
			return nil, fmt.Errorf("cosigning checkpoint: %w", err)
		}
		sig = append(sig, raw...)
	}
	return []byte(Signature{Name: s.key.Name, ID: s.key.ID, Sig: sig}.String()), nil
}

// GenerateLogKey makes a log's keys, whose name is the log's origin, from 32
// bytes of random: the secret signer key and the public verifier key.
func GenerateLogKey(origin string, random io.Reader) (skey, vkey string, err error) {
	return generate(origin, Ed25519, random)
}

// GenerateWitnessKey makes a witness's keys from 32 bytes of random. The
// algorithm is CosignatureEd25519 or CosignatureMLDSA44.
func GenerateWitnessKey(name string, algorithm Algorithm, random io.Reader) (skey, vkey string, err error) {
	if algorithm != CosignatureEd25519 && algorithm != CosignatureMLDSA44 {
		return "", "", fmt.Errorf("making a witness key: %v makes no cosignatures", algorithm)
	}
	return generate(name, algorithm, random)
}

func generate(name string, algorithm Algorithm, random io.Reader) (skey, vkey string, err error) {
	seed := make([]byte, seedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return "", "", fmt.Errorf("making a key: %w", err)
	}
	public := []byte(ed25519.NewKeyFromSeed(seed)[seedSize:])
	if algorithm == CosignatureMLDSA44 {
		secret, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed)
		if err != nil {
			return "", "", fmt.Errorf("making a key: %w", err)
		}
		public = secret.PublicKey().Bytes()
	}
	key, err := newKey(name, algorithm, public)
	if err != nil {
		return "", "", fmt.Errorf("making a key: %w", err)
	}
	typed := append([]byte{byte(algorithm)}, seed...)
	skey = fmt.Sprintf("%s%s+%08x+%s", secretPrefix, name, key.ID, base64.StdEncoding.EncodeToString(typed))
	return skey, key.String(), nil
}

// parseSecret takes a signer key ("skey") apart: PRIVATE, KEY, name, the
// public key's ID in eight digits of hex, and the base64 of algorithm and
// seed, joined by plus signs. No error quotes any of it.
func parseSecret(skey string) (name string, algorithm Algorithm, id string, seed []byte, err error) {
	rest, ok := strings.CutPrefix(skey, secretPrefix)
	if !ok {
		return "", 0, "", nil, errors.New("want PRIVATE+KEY+NAME+ID+KEY")
	}
	name, rest, _ = strings.Cut(rest, "+")
	id, encoded, ok := strings.Cut(rest, "+")
	if !ok {
		return "", 0, "", nil, errors.New("want PRIVATE+KEY+NAME+ID+KEY")
	}
	typed, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(typed) != 1+seedSize || base64.StdEncoding.EncodeToString(typed) != encoded {
		return "", 0, "", nil, fmt.Errorf("want the base64 of a type and %d bytes", seedSize)
	}
	return name, Algorithm(typed[0]), id, typed[1:], nil
}

// publicOf makes the public key and compares its ID with the signer key's.
func publicOf(name string, algorithm Algorithm, public []byte, id string) (Key, error) {
	key, err := newKey(name, algorithm, public)
	if err != nil {
		return Key{}, err
	}
	if want := fmt.Sprintf("%08x", key.ID); id != want {
		return Key{}, fmt.Errorf("key ID: want %s, that of the public key", want) // what is there may be part of a secret
	}
	return key, nil
}
