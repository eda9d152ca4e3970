// Package transcript is what a guest binds into its evidence: the transcript
// input I of protocol.md, section 2, the two digests of it that platforms
// carry, and the events that a guest extends into its own register (section
// 3). docs/format-transcript.md has the layout, the steps and test vectors.
package transcript

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"slices"

	"safebox/measure/tpm/golden"
	"safebox/verifier/lp"
)

// The platforms (specs/protocol.md, section 2).
const (
	VTPM     = "vtpm"
	SNP      = "snp"
	TDX      = "tdx"
	Nitro    = "nitro"
	NitroTPM = "nitrotpm"
)

// The KEM of a challenge: MLKEM768-X25519.
const (
	KEMID         = 0x647a // its HPKE identifier
	KEMPublicSize = 1216   // bytes of its public key
	KEMSize       = 2 + KEMPublicSize
)

// The labels that keep one hash from being taken for another
// (specs/protocol.md, sections 2 and 3).
const (
	label         = "safebox/evidence/v1\x00"
	audienceLabel = "safebox/audience/v1\x00"
	configLabel   = "safebox/config/v1\x00"
	keysLabel     = "safebox/keys/v1\x00"
)

// maxPlatform bounds the platform field in Decode: "nitrotpm".
const maxPlatform = 8

// Platforms lists them.
func Platforms() []string { return []string{VTPM, SNP, TDX, Nitro, NitroTPM} }

// Input is the transcript input I, field by field in its order.
type Input struct {
	Platform    string
	Nonce       [32]byte // the challenge's
	Audience    [32]byte // Audience of the owner's key
	KEM         []byte   // u16be KEMID || public key: KEMSize bytes
	ReceiptKey  [32]byte // the guest's Ed25519 public key, made at boot
	Release     [32]byte // the challenge's: an image can't know its own digest
	Config      [32]byte // Config of the configuration document
	BootSession [32]byte // random, made at boot
}

// Bytes gives I.
func (in *Input) Bytes() ([]byte, error) {
	if err := in.check(); err != nil {
		return nil, fmt.Errorf("encoding transcript: %w", err)
	}
	b := []byte(label)
	for _, field := range [][]byte{
		[]byte(in.Platform), in.Nonce[:], in.Audience[:], in.KEM,
		in.ReceiptKey[:], in.Release[:], in.Config[:], in.BootSession[:],
	} {
		b = lp.Append(b, field)
	}
	return b, nil
}

// Sum gives T, the SHA-512 of I.
func (in *Input) Sum() ([sha512.Size]byte, error) {
	b, err := in.Bytes()
	if err != nil {
		return [sha512.Size]byte{}, err
	}
	return sha512.Sum512(b), nil
}

// QualifyingData gives SHA-256 of I, which is what a quote of a TPM has room
// for.
func (in *Input) QualifyingData() ([sha256.Size]byte, error) {
	b, err := in.Bytes()
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return sha256.Sum256(b), nil
}

// Decode is the inverse of Bytes: it accepts nothing that Bytes would not
// have written.
func Decode(b []byte) (*Input, error) {
	in, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("decoding transcript: %w", err)
	}
	return in, nil
}

func decode(b []byte) (*Input, error) {
	rest, ok := bytes.CutPrefix(b, []byte(label))
	if !ok {
		return nil, fmt.Errorf("label: got %.20q, want %q", b, label)
	}
	var in Input
	platform, rest, err := lp.Cut(rest, maxPlatform)
	if err != nil {
		return nil, fmt.Errorf("platform: %w", err)
	}
	in.Platform = string(platform)
	for _, f := range []struct {
		name string
		to   *[32]byte // nil: the KEM key
	}{
		{"nonce", &in.Nonce},
		{"audience", &in.Audience},
		{"KEM key", nil},
		{"receipt key", &in.ReceiptKey},
		{"release", &in.Release},
		{"config", &in.Config},
		{"boot session", &in.BootSession},
	} {
		if f.to == nil {
			in.KEM, rest, err = lp.Cut(rest, KEMSize)
		} else {
			rest, err = cut32(rest, f.to)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("%d bytes after the last field", len(rest))
	}
	in.KEM = bytes.Clone(in.KEM) // b is the caller's
	if err := in.check(); err != nil {
		return nil, err
	}
	return &in, nil
}

// cut32 takes a field of exactly 32 bytes.
func cut32(b []byte, to *[32]byte) (rest []byte, err error) {
	field, rest, err := lp.Cut(b, len(to))
	if err != nil {
		return nil, err
	}
	if len(field) != len(to) {
		return nil, fmt.Errorf("length: got %d, want %d", len(field), len(to))
	}
	copy(to[:], field)
	return rest, nil
}

func (in *Input) check() error {
	if err := CheckPlatform(in.Platform); err != nil {
		return err
	}
	return CheckKEM(in.KEM)
}

// CheckPlatform refuses a name that is none of Platforms.
func CheckPlatform(name string) error {
	if !slices.Contains(Platforms(), name) {
		return fmt.Errorf("platform: got %.20q, want one of %q", name, Platforms())
	}
	return nil
}

// CheckKEM checks the identifier and the length of a KEM key in the form of
// Input.KEM. Whether the public key is a valid one shows when it is used.
func CheckKEM(kem []byte) error {
	if len(kem) != KEMSize {
		return fmt.Errorf("KEM key: length: got %d, want %d", len(kem), KEMSize)
	}
	if id := binary.BigEndian.Uint16(kem); id != KEMID {
		return fmt.Errorf("KEM key: identifier: got %#04x, want %#04x", id, KEMID)
	}
	return nil
}

// Audience is the digest under which a guest knows the owner of a raw Ed25519
// public key.
func Audience(owner [32]byte) [sha256.Size]byte {
	return sha256.Sum256(append([]byte(audienceLabel), owner[:]...))
}

// Config is the digest of a configuration document, empty if there is none.
func Config(document []byte) [sha256.Size]byte { return sha256.Sum256(document) }

// ConfigEvent is what a guest extends into PCR 15 before its first quote.
func ConfigEvent(bank golden.Bank, config [sha256.Size]byte) golden.Digest {
	return bank.Sum([]byte(configLabel), config[:])
}

// KeysEvent is what a guest extends into PCR 15 when the keys of a grant have
// arrived, before it uses the first. grant is SHA-256 of the grant document.
func KeysEvent(bank golden.Bank, grant [sha256.Size]byte) golden.Digest {
	return bank.Sum([]byte(keysLabel), grant[:])
}
