package eventlog

import (
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
)

// Algorithm is a TPM_ALG_ID of a hash (TCG Algorithm Registry 1.34, table 3).
type Algorithm uint16

// The hash algorithms whose digest size is fixed here. A log may hold others:
// its header carries their size.
const (
	SHA1   Algorithm = 0x0004
	SHA256 Algorithm = 0x000b
	SHA384 Algorithm = 0x000c
	SHA512 Algorithm = 0x000d
	SM3    Algorithm = 0x0012
)

// String returns the name that Linux gives to the bank, as in pcr-sha256.
func (a Algorithm) String() string {
	switch a {
	case SHA1:
		return "sha1"
	case SHA256:
		return "sha256"
	case SHA384:
		return "sha384"
	case SHA512:
		return "sha512"
	case SM3:
		return "sm3"
	}
	return fmt.Sprintf("algorithm %#04x", uint16(a))
}

// Size returns the length of a digest, 0 if the algorithm is not known.
func (a Algorithm) Size() int {
	switch a {
	case SHA1:
		return 20
	case SHA256, SM3:
		return 32
	case SHA384:
		return 48
	case SHA512:
		return 64
	}
	return 0
}

// newHash returns the hash of the banks that verdicts may rest on. SHA-1 is
// not among them: it is parsed, for it stands in real logs, and never replayed.
func (a Algorithm) newHash() (hash.Hash, error) {
	switch a {
	case SHA256:
		return sha256.New(), nil
	case SHA384:
		return sha512.New384(), nil
	}
	return nil, fmt.Errorf("bank %v: want %v or %v", a, SHA256, SHA384)
}
