package deb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Numbers of The .xz File Format, version 1.2.1, for block headers.
const (
	xzLZMA2  = 0x21 // 5.3.1, filter ID
	xzMaxVLI = 9    // 1.2, bytes of a multibyte integer
)

// xzBlockHeader holds what a block header says: section 3.1.
type xzBlockHeader struct {
	compressed, uncompressed uint64
	hasCompressed, hasSize   bool
	dictionary               int64
}

// decodeBlockHeader: section 3.1, with LZMA2 as the one filter.
func decodeBlockHeader(b []byte) (xzBlockHeader, error) {
	var h xzBlockHeader
	body, sum := b[:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	if got := crc32.ChecksumIEEE(body); got != sum {
		return h, fmt.Errorf("crc32: got %08x, want %08x", got, sum)
	}
	flags, in := body[1], bytes.NewReader(body[2:])
	if flags&^0xc0 != 0 { // bits 0-1: filters less one; 2-5 reserved
		return h, fmt.Errorf("flags: got %#02x, want one filter and no reserved bit", flags)
	}
	h.hasCompressed, h.hasSize = flags&0x40 != 0, flags&0x80 != 0
	var err error
	if h.hasCompressed {
		if h.compressed, err = readVLI(in); err != nil {
			return h, fmt.Errorf("compressed size: %w", err)
		}
	}
	if h.hasSize {
		if h.uncompressed, err = readVLI(in); err != nil {
			return h, fmt.Errorf("uncompressed size: %w", err)
		}
	}
	if h.dictionary, err = readFilter(in); err != nil {
		return h, err
	}
	for c, err := in.ReadByte(); err == nil; c, err = in.ReadByte() {
		if c != 0 {
			return h, fmt.Errorf("padding: got %#02x, want 0", c)
		}
	}
	return h, nil
}

// window is how much dictionary the block can use: not more than it unpacks to.
// dpkg-deb writes that size, and names 8 MiB of dictionary for a kilobyte.
func (h xzBlockHeader) window() int64 {
	if h.hasSize && h.uncompressed < uint64(h.dictionary) {
		return int64(h.uncompressed)
	}
	return h.dictionary
}

// readFilter reads the filter flags (3.1.5) and returns the dictionary size
// of LZMA2 (5.3.1).
func readFilter(in io.ByteReader) (int64, error) {
	id, err := readVLI(in)
	if err != nil {
		return 0, fmt.Errorf("filter: %w", err)
	}
	if id != xzLZMA2 {
		return 0, fmt.Errorf("filter: got ID %#x, want LZMA2 (%#x) alone", id, xzLZMA2)
	}
	size, err := readVLI(in)
	if err != nil {
		return 0, fmt.Errorf("filter properties: %w", err)
	}
	if size != 1 {
		return 0, fmt.Errorf("filter properties: got %d bytes, want 1", size)
	}
	bits, err := in.ReadByte()
	if err != nil {
		return 0, fmt.Errorf("filter properties: %w", err)
	}
	switch {
	case bits > 40:
		return 0, fmt.Errorf("dictionary size: got code %d, want at most 40", bits)
	case bits == 40:
		return 1<<32 - 1, nil
	default:
		return int64(2|bits&1) << (bits/2 + 11), nil
	}
}

// readVLI reads a multibyte integer: section 1.2.
func readVLI(r io.ByteReader) (uint64, error) {
	var v uint64
	for i := range xzMaxVLI {
		c, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		v |= uint64(c&0x7f) << (7 * i)
		if c&0x80 == 0 {
			if c == 0 && i > 0 {
				return 0, errors.New("multibyte integer: not in its shortest form")
			}
			return v, nil
		}
	}
	return 0, fmt.Errorf("multibyte integer: longer than %d bytes", xzMaxVLI)
}
