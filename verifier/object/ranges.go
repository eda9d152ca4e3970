package object

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MaxRanges bounds the ranges of one grant.
const MaxRanges = 64

// Ranges names chunks by half-open ranges [a, b), sorted, with a gap between
// each two, so that a set of chunks is written in one way.
type Ranges [][2]uint32

// ParseRanges reads ranges as people write them, ends included: "0-9,20" is
// the chunks 0 to 9 and chunk 20.
func ParseRanges(s string) (Ranges, error) {
	var r Ranges
	for part := range strings.SplitSeq(s, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		a, err := parseIndex(first)
		if err != nil {
			return nil, fmt.Errorf("parsing chunks %q: %w", s, err)
		}
		b, err := parseIndex(last)
		if err != nil {
			return nil, fmt.Errorf("parsing chunks %q: %w", s, err)
		}
		if b < a {
			return nil, fmt.Errorf("parsing chunks %q: %q ends before it begins", s, part)
		}
		r = append(r, [2]uint32{a, b + 1})
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("parsing chunks %q: %w", s, err)
	}
	return r, nil
}

// parseIndex reads a chunk index: decimal digits, no sign, no leading zero.
func parseIndex(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || strconv.FormatUint(n, 10) != s || n >= maxLeaves {
		return 0, fmt.Errorf("got %q, want a number from 0 to %d", s, maxLeaves-1)
	}
	return uint32(n), nil
}

// String writes the ranges as ParseRanges reads them.
func (r Ranges) String() string {
	parts := make([]string, len(r))
	for i, p := range r {
		parts[i] = strconv.FormatUint(uint64(p[0]), 10)
		if last := uint64(p[1]) - 1; last != uint64(p[0]) {
			parts[i] += "-" + strconv.FormatUint(last, 10)
		}
	}
	return strings.Join(parts, ",")
}

// Check refuses ranges that are not in their one form or reach beyond the
// object's chunks.
func (r Ranges) Check(chunks uint32) error {
	if err := r.check(); err != nil {
		return fmt.Errorf("ranges: %w", err)
	}
	if last := r[len(r)-1]; last[1] > chunks {
		return fmt.Errorf("ranges: got chunk %d, but the object has %d", last[1]-1, chunks)
	}
	return nil
}

func (r Ranges) check() error {
	if len(r) == 0 {
		return errors.New("got no range")
	}
	if len(r) > MaxRanges {
		return fmt.Errorf("got %d, want at most %d", len(r), MaxRanges)
	}
	for i, p := range r {
		if p[0] >= p[1] {
			return fmt.Errorf("range %d: got [%d,%d), want the end above the start", i, p[0], p[1])
		}
		if i > 0 && p[0] <= r[i-1][1] {
			return fmt.Errorf("range %d: got start %d, want above %d: sorted, and ranges that touch written as one", i, p[0], r[i-1][1])
		}
	}
	return nil
}

// Contains reports whether chunk i is in one of the ranges.
func (r Ranges) Contains(i uint32) bool {
	for _, p := range r {
		if p[0] <= i && i < p[1] {
			return true
		}
	}
	return false
}

// Count is the number of chunks in the ranges.
func (r Ranges) Count() int64 {
	var n int64
	for _, p := range r {
		n += int64(p[1]) - int64(p[0])
	}
	return n
}
