// Package bundle is the file by which a release travels to those who verify
// (docs/format-bundle.md; specs/protocol.md, section 8): a tar that has
// exactly one form, so that equal content is an equal file. So far it has one
// entry, release.json.
package bundle

import (
	"bytes"
	"errors"
	"fmt"

	"safebox/verifier/release"
)

// MaxSize bounds a bundle, in bytes.
const MaxSize = 2 << 20

// Bundle is the content of a bundle.
type Bundle struct {
	Release []byte // the bytes of release.json: release.Decode has not seen them
}

// Encode gives the one form.
func Encode(b *Bundle) ([]byte, error) {
	if err := checkRelease(int64(len(b.Release))); err != nil {
		return nil, fmt.Errorf("encoding bundle: %s: %w", release.FileName, err)
	}
	h := newHeader(release.FileName, int64(len(b.Release)))
	out := append(make([]byte, 0, tarSize(len(b.Release))), h[:]...)
	out = append(out, b.Release...)
	return append(out, make([]byte, tarSize(len(b.Release))-len(out))...), nil
}

// Decode accepts that form and nothing else that tar would read: what it
// accepts, Encode gives again.
func Decode(b []byte) (*Bundle, error) {
	content, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("decoding bundle: %w", err)
	}
	return &Bundle{Release: content}, nil
}

func decode(b []byte) ([]byte, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("size: got %d bytes, want at most %d", len(b), MaxSize)
	}
	if len(b) < tarSize(0) || len(b)%blockSize != 0 {
		return nil, fmt.Errorf("size: got %d bytes, want a multiple of %d, at least %d", len(b), blockSize, tarSize(0))
	}
	h := header(b[:blockSize])
	size, err := h.size()
	if err != nil {
		return nil, fmt.Errorf("entry 1: %w", err)
	}
	// The size is the file's; every other field is said here.
	want := newHeader(release.FileName, size)
	if err := h.compare(&want); err != nil {
		return nil, fmt.Errorf("entry 1: %w", err)
	}
	if err := checkRelease(size); err != nil {
		return nil, fmt.Errorf("%s: %w", release.FileName, err)
	}
	if want := tarSize(int(size)); len(b) != want {
		return nil, fmt.Errorf("size: got %d bytes, want %d: one entry of %d bytes and two blocks of zeros", len(b), want, size)
	}
	content, padding := b[blockSize:blockSize+size], b[blockSize+size:]
	if bytes.Count(padding, []byte{0}) != len(padding) {
		return nil, errors.New("after the last entry: got other bytes, want zeros only")
	}
	return bytes.Clone(content), nil
}

func checkRelease(size int64) error {
	if size == 0 || size > release.MaxSize {
		return fmt.Errorf("got %d bytes, want 1 to %d", size, release.MaxSize)
	}
	return nil
}
