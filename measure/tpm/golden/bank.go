package golden

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
)

// Bank is a set of PCRs, named by its hash.
type Bank uint8

// The banks that verdicts may rest on.
const (
	SHA256 Bank = iota + 1
	SHA384
)

// Banks lists them.
func Banks() []Bank { return []Bank{SHA256, SHA384} }

// ParseBank reads a bank's name, "sha256" or "sha384".
func ParseBank(s string) (Bank, error) {
	for _, b := range Banks() {
		if s == b.String() {
			return b, nil
		}
	}
	return 0, fmt.Errorf("parsing PCR bank: got %q, want sha256 or sha384", s)
}

// String returns the bank's name as Linux writes it.
func (b Bank) String() string {
	switch b {
	case SHA256:
		return "sha256"
	case SHA384:
		return "sha384"
	}
	return fmt.Sprintf("bank %d", uint8(b))
}

// New returns the bank's hash, nil if b is not one of Banks.
func (b Bank) New() hash.Hash {
	switch b {
	case SHA256:
		return sha256.New()
	case SHA384:
		return sha512.New384()
	}
	return nil
}

// Sum hashes data, in pieces that are put together.
func (b Bank) Sum(data ...[]byte) Digest {
	h := b.New()
	for _, d := range data {
		h.Write(d)
	}
	return h.Sum(nil)
}

// Zero returns the value of a register that nothing was extended into.
func (b Bank) Zero() Digest { return make(Digest, b.New().Size()) }

// Extend returns the value of a register after digests were extended into it,
// starting from value (TPM 2.0 Library, Part 1, "Extend of a PCR").
func (b Bank) Extend(value Digest, digests ...Digest) Digest {
	for _, d := range digests {
		value = b.Sum(value, d)
	}
	return value
}

// Digest is a digest or the value of a register: 32 or 48 bytes.
type Digest []byte

// String returns lower-case hex.
func (d Digest) String() string { return hex.EncodeToString(d) }

// Equal reports whether both are the same. An empty digest equals nothing.
func (d Digest) Equal(other []byte) bool { return len(d) != 0 && bytes.Equal(d, other) }
