// Package sparse finds what of a disk is not zeros, without reading the parts
// that are known to be: a disk of 1 GiB holds 20 MiB of data.
package sparse

import (
	"bytes"
	"fmt"
	"io"
)

// Extent is a part of a disk, in bytes.
type Extent struct {
	Offset, Size int64
}

// End is the first byte behind the extent.
func (e Extent) End() int64 { return e.Offset + e.Size }

// Disk is the content of a disk.
type Disk interface {
	io.ReaderAt
	Size() int64 // in bytes
}

// Mapped is a disk that knows where its data lies: outside of the extents it
// reads as zeros, inside it may do so too. They are in order and don't overlap.
type Mapped interface {
	Disk
	Extents() []Extent
}

// unit is how much is looked at together.
const unit = 64 << 10

// Runs gives the runs of blocks that hold something else than zeros. The
// last block may be cut by the end of the disk. The answer depends on the
// content alone: a disk with a map is read less, nothing more.
func Runs(d Disk, block int64) ([]Extent, error) {
	if block <= 0 || unit%block != 0 {
		return nil, fmt.Errorf("block size: got %d, want a divisor of %d", block, unit)
	}
	var s scanner
	for _, e := range extents(d) {
		// From the unit that it begins in to the one that it ends in, without
		// those that an extent before it had.
		from, to := max(e.Offset/unit*unit, s.next), min(e.End(), d.Size())
		for ; from < to; from += unit {
			if err := s.scan(d, from, block); err != nil {
				return nil, err
			}
		}
	}
	return s.runs, nil
}

func extents(d Disk) []Extent {
	if m, ok := d.(Mapped); ok {
		return m.Extents()
	}
	return []Extent{{0, d.Size()}}
}

// scanner collects runs, unit by unit.
type scanner struct {
	buf  [unit]byte
	next int64 // behind the last unit that was looked at
	runs []Extent
}

func (s *scanner) scan(d Disk, off, block int64) error {
	b := s.buf[:min(unit, d.Size()-off)]
	if err := ReadFull(d, b, off); err != nil {
		return err
	}
	s.next = off + unit
	for at := int64(0); at < int64(len(b)); at += block {
		part := b[at:min(at+block, int64(len(b)))]
		if !Zero(part) {
			s.add(Extent{off + at, int64(len(part))})
		}
	}
	return nil
}

func (s *scanner) add(e Extent) {
	if n := len(s.runs); n > 0 && s.runs[n-1].End() == e.Offset {
		s.runs[n-1].Size += e.Size
		return
	}
	s.runs = append(s.runs, e)
}

// Zero reports whether b is all zeros.
func Zero(b []byte) bool {
	// Every byte equals the one before it and the first is 0: one call of the
	// runtime's comparison.
	return len(b) == 0 || b[0] == 0 && bytes.Equal(b[1:], b[:len(b)-1])
}

// ReadFull fills b from off; io.ReaderAt may say io.EOF along with the last
// bytes.
func ReadFull(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading %d bytes at 0x%x: %w", len(b), off, err)
}

// Bounds does what every ReadAt of a disk does first: it cuts b at the end of
// the disk. When it was cut, err is what ReadAt is to return.
func Bounds(b []byte, off, size int64) (cut []byte, err error) {
	switch {
	case off < 0:
		return nil, fmt.Errorf("reading at %d: negative offset", off)
	case off >= size:
		return nil, io.EOF
	case int64(len(b)) > size-off:
		return b[:size-off], io.EOF
	}
	return b, nil
}
