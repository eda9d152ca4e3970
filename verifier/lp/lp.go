// Package lp is the length prefix of every binary structure made here
// (specs/protocol.md, top): LP(x) = u32 big-endian length || bytes. Two
// different lists of fields never give the same bytes.
package lp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// PrefixSize is what LP adds to a field, in bytes.
const PrefixSize = 4

// Append adds LP(field) to b. The field is at most 4 GiB less one byte, which
// the limits of every format here keep it well below.
func Append(b, field []byte) []byte {
	if uint64(len(field)) > math.MaxUint32 {
		panic("lp: field of 4 GiB or more")
	}
	return append(binary.BigEndian.AppendUint32(b, uint32(len(field))), field...)
}

// Cut takes one field of at most limit bytes off the front of b. Both results
// share b's memory; the field's capacity ends where it does.
func Cut(b []byte, limit int) (field, rest []byte, err error) {
	if len(b) < PrefixSize {
		return nil, nil, fmt.Errorf("length: got %d bytes, want %d", len(b), PrefixSize)
	}
	n := binary.BigEndian.Uint32(b)
	b = b[PrefixSize:]
	switch {
	case limit < 0:
		return nil, nil, errors.New("negative limit")
	case uint64(n) > uint64(limit):
		return nil, nil, fmt.Errorf("length: got %d, want at most %d", n, limit)
	case uint64(n) > uint64(len(b)):
		return nil, nil, fmt.Errorf("length: got %d, but %d bytes follow", n, len(b))
	}
	return b[:n:n], b[n:], nil
}
