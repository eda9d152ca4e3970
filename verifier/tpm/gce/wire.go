package gce

import (
	"errors"
	"fmt"
	"math/bits"
)

// Wire types (Protocol Buffers, "Encoding"). The messages here have no others.
const (
	wireVarint = 0
	wireBytes  = 2
)

// field is one field of a message: a number of wire type 0 or bytes of wire
// type 2.
type field struct {
	number uint64
	wire   uint64
	value  uint64
	bytes  []byte // shares memory with the message
}

// message walks over the fields of a protobuf message.
type message struct {
	b   []byte
	off int // in the message, for errors
}

func (m *message) more() bool { return m.off < len(m.b) }

// next reads a field. Numbers must have their shortest form, so that a message
// has one encoding but for the order of its fields.
func (m *message) next() (field, error) {
	start := m.off
	tag, err := m.varint()
	if err != nil {
		return field{}, fmt.Errorf("at %#x: tag: %w", start, err)
	}
	f := field{number: tag >> 3, wire: tag & 7}
	switch f.wire {
	case wireVarint:
		f.value, err = m.varint()
	case wireBytes:
		f.bytes, err = m.sized()
	default:
		err = fmt.Errorf("wire type: got %d, want 0 or 2", f.wire)
	}
	if err != nil {
		return field{}, fmt.Errorf("at %#x: field %d: %w", start, f.number, err)
	}
	return f, nil
}

// varint reads a base-128 number of at most 64 bits, least significant group
// first.
func (m *message) varint() (uint64, error) {
	var v uint64
	for shift := 0; shift < 64; shift += 7 {
		if m.off == len(m.b) {
			return 0, errors.New("number: cut off")
		}
		c := m.b[m.off]
		m.off++
		if c == 0 && shift > 0 {
			return 0, errors.New("number: longer than it need be")
		}
		if bits.Len8(c&0x7f)+shift > 64 {
			return 0, errors.New("number: more than 64 bits")
		}
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v, nil
		}
	}
	return 0, errors.New("number: more than 64 bits")
}

func (m *message) sized() ([]byte, error) {
	n, err := m.varint()
	if err != nil {
		return nil, err
	}
	if rest := uint64(len(m.b) - m.off); n > rest {
		return nil, fmt.Errorf("length: got %d, want at most %d", n, rest)
	}
	out := m.b[m.off : m.off+int(n) : m.off+int(n)]
	m.off += int(n)
	return out, nil
}
