package compare

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"safebox/measure/gpt"
)

// span is a named part of a file whose position is known: a header field or a
// region.
type span struct {
	path []string
	off  int64
	size int64
	form form
	late bool // derived from the rest, such as a checksum: looked at last
}

// form is how a difference in a span is shown.
type form int

const (
	formBytes  form = iota // the first byte, counted from the start of the span
	formNumber             // the value, little endian
	formBig                // the value, big endian
	formText               // the value, quoted
	formGUID
)

// firstSpan compares spans in order and returns the first that differs, those
// marked late after all others.
func firstSpan(a, b []byte, spans []span) *Difference {
	for _, late := range []bool{false, true} {
		for _, s := range spans {
			if s.late != late {
				continue
			}
			partA, partB := s.cut(a), s.cut(b)
			if !bytes.Equal(partA, partB) {
				return s.show(partA, partB)
			}
		}
	}
	return nil
}

// cut takes what there is of the span: a file may be too short.
func (s span) cut(b []byte) []byte {
	size := int64(len(b))
	start := min(max(s.off, 0), size)
	return b[start : start+min(max(s.size, 0), size-start)]
}

func (s span) show(a, b []byte) *Difference {
	if s.form == formBytes {
		return firstByte(a, b).in(s.path...)
	}
	last := len(s.path) - 1
	return (&Difference{What: s.path[last], A: s.value(a), B: s.value(b)}).in(s.path[:last]...)
}

func (s span) value(b []byte) string {
	if int64(len(b)) != s.size {
		return "none"
	}
	switch s.form {
	case formNumber:
		var wide [8]byte
		copy(wide[:], b)
		return fmt.Sprintf("0x%x", binary.LittleEndian.Uint64(wide[:]))
	case formGUID:
		return gpt.GUID(b).String()
	case formBig:
		var wide [8]byte
		copy(wide[8-len(b):], b)
		return fmt.Sprintf("0x%x", binary.BigEndian.Uint64(wide[:]))
	case formText:
		return fmt.Sprintf("%q", bytes.TrimRight(b, " \x00"))
	case formBytes:
	}
	return fmt.Sprintf("%x", b)
}
