package bundle

import (
	"bytes"
	"fmt"
	"strconv"
)

// blockSize is what a tar is made of (IEEE Std 1003.1-2017, pax, "ustar
// Interchange Format").
const blockSize = 512

// endSize is what ends a tar: two blocks of zeros.
const endSize = 2 * blockSize

// nameSize is the size of the field name; the field prefix is not used.
const nameSize = 100

// entrySize is the size of an entry with that many bytes: the header and the
// content in whole blocks.
func entrySize(content int) int { return blockSize + content + padding(content) }

// padding is the number of zeros after that many bytes.
func padding(content int) int { return (blockSize - content%blockSize) % blockSize }

// header is the header block of an entry.
type header [blockSize]byte

// field is a field of a header.
type field struct {
	name      string
	from, end int
}

// fields lists the header's fields in their order (IEEE Std 1003.1-2017, pax,
// table "ustar Header Block"). The checksum comes last here, as every other
// difference makes one there too.
func fields() []field {
	return []field{
		{"name", 0, nameSize},
		{"mode", nameSize, 108},
		{"uid", 108, 116},
		{"gid", 116, 124},
		{"size", 124, 136},
		{"mtime", 136, 148},
		{"typeflag", 156, 157},
		{"linkname", 157, 257},
		{"magic", 257, 263},
		{"version", 263, 265},
		{"uname", 265, 297},
		{"gname", 297, 329},
		{"devmajor", 329, 337},
		{"devminor", 337, 345},
		{"prefix", 345, 500},
		{"padding", 500, 512},
		{"chksum", 148, 156},
	}
}

// newHeader is the header of a plain file that belongs to user 0, has mode
// 0644 and the time 0.
func newHeader(name string, size int64) header {
	var h header
	set := func(from int, text string) { copy(h[from:], text) }
	set(0, name)
	set(100, "0000644\x00")
	set(108, "0000000\x00")
	set(116, "0000000\x00")
	set(124, fmt.Sprintf("%011o\x00", size))
	set(136, "00000000000\x00")
	set(156, "0") // a regular file
	set(257, "ustar\x00")
	set(263, "00")
	set(329, "0000000\x00")
	set(337, "0000000\x00")
	set(148, fmt.Sprintf("%06o\x00 ", h.checksum()))
	return h
}

// checksum is the sum of the header's bytes, the checksum field as spaces.
func (h *header) checksum() int {
	sum := 8 * int(' ')
	for i, b := range h {
		if i < 148 || i >= 156 {
			sum += int(b)
		}
	}
	return sum
}

// size reads the size field: 11 octal digits and a zero.
func (h *header) size() (int64, error) {
	text := h[124:136]
	n, err := strconv.ParseUint(string(text[:11]), 8, 33)
	if err != nil || text[11] != 0 {
		return 0, fmt.Errorf("size: got %q, want 11 octal digits and a zero", text)
	}
	return int64(n), nil
}

// compare names the first field that differs.
func (h *header) compare(want *header) error {
	for _, f := range fields() {
		if got, want := h[f.from:f.end], want[f.from:f.end]; !bytes.Equal(got, want) {
			return fmt.Errorf("%s: got %q, want %q", f.name, bytes.TrimRight(got, "\x00"), bytes.TrimRight(want, "\x00"))
		}
	}
	return nil
}
