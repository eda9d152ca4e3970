package tpm

import (
	"encoding/binary"
	"fmt"
)

// reader walks over a TPM structure: big-endian numbers, nothing aligned
// (TPM 2.0 Library, Part 2, section 4, "Notation"). After its first error it returns
// zeros, so that a structure is read in one go and the error looked at once.
type reader struct {
	b   []byte
	err error
}

// take returns the next n bytes. They share memory with the input.
func (r *reader) take(n int, field string) []byte {
	if r.err == nil && n > len(r.b) {
		r.err = fmt.Errorf("%s: got %d bytes, want %d", field, len(r.b), n)
	}
	if r.err != nil {
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) u8(field string) uint8 {
	if b := r.take(1, field); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16(field string) uint16 {
	if b := r.take(2, field); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32(field string) uint32 {
	if b := r.take(4, field); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64(field string) uint64 {
	if b := r.take(8, field); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// sized reads a TPM2B: u16 size, then as many bytes, at most limit.
func (r *reader) sized(limit int, field string) []byte {
	n := int(r.u16(field + " size"))
	if r.err == nil && n > limit {
		r.err = fmt.Errorf("%s size: got %d, want at most %d", field, n, limit)
	}
	return r.take(n, field)
}

// want reads a u16 that must have one value.
func (r *reader) want(value uint16, field string) {
	if got := r.u16(field); r.err == nil && got != value {
		r.err = fmt.Errorf("%s: got %#04x, want %#04x", field, got, value)
	}
}

// refuse records an error unless there is one.
func (r *reader) refuse(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

// done refuses bytes that were not read.
func (r *reader) done() error {
	if r.err == nil && len(r.b) != 0 {
		r.err = fmt.Errorf("trailing bytes: got %d, want 0", len(r.b))
	}
	return r.err
}
