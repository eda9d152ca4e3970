package gcp

import (
	"bytes"
	"fmt"
	"strconv"

	"safebox/image/disk/sparse"
)

// Old GNU header (GNU tar manual, "Basic Tar Format": struct posix_header and
// struct oldgnu_header; "Old GNU Format": struct sparse, struct sparse_header).
const (
	blockSize  = 512
	recordSize = 20 * blockSize

	offMode     = 100
	offUID      = 108
	offGID      = 116
	offSize     = 124
	offMtime    = 136
	offChecksum = 148
	offType     = 156
	offMagic    = 257
	offPrefix   = 345 // times and more that a file on its own does not need
	offSparse   = 386 // entries of the map that the header holds
	offExtended = 482 // more blocks of the map follow
	offRealSize = 483
	offPad      = 495

	magic        = "ustar  \x00"
	typeRegular  = '0'
	typeSparse   = 'S'
	sparseSize   = 24 // of an entry: offset and length, each 12 bytes
	inHeader     = 4  // entries
	inExtension  = 21
	offExtended2 = inExtension * sparseSize // in a block of the map
)

// header is the header of disk.raw and the blocks of its map.
func header(size int64, runs []sparse.Extent) []byte {
	var stored int64
	for _, r := range runs {
		stored += r.Size
	}
	if n := len(runs); n == 0 || runs[n-1].End() != size {
		// A hole at the end is marked by an entry without data.
		runs = append(runs[:n:n], sparse.Extent{Offset: size})
	}
	b := make([]byte, blockSize)
	copy(b, fileName)
	octal(b[offMode:], 7, 0o644)
	octal(b[offUID:], 7, 0)
	octal(b[offGID:], 7, 0)
	octal(b[offSize:], 11, stored)
	octal(b[offMtime:], 11, 0)
	b[offType] = typeSparse
	copy(b[offMagic:], magic)
	octal(b[offRealSize:], 11, size)
	more := entries(b[offSparse:], runs, inHeader)
	if len(more) > 0 {
		b[offExtended] = 1
	}
	octal(b[offChecksum:], 6, checksum(b))
	b[offChecksum+7] = ' '
	for len(more) > 0 {
		block := make([]byte, blockSize)
		more = entries(block, more, inExtension)
		if len(more) > 0 {
			block[offExtended2] = 1
		}
		b = append(b, block...)
	}
	return b
}

// entries writes up to n entries and returns the others.
func entries(b []byte, runs []sparse.Extent, n int) []sparse.Extent {
	n = min(n, len(runs))
	for i, r := range runs[:n] {
		octal(b[i*sparseSize:], 11, r.Offset)
		octal(b[i*sparseSize+12:], 11, r.Size)
	}
	return runs[n:]
}

// octal writes a number of that many digits and a NUL.
func octal(b []byte, digits int, v int64) {
	copy(b, fmt.Sprintf("%0*o\x00", digits, v))
}

// number reads what octal writes.
func number(b []byte) (int64, error) {
	digits, found := bytes.CutSuffix(b, []byte{0})
	v, err := strconv.ParseUint(string(digits), 8, 62)
	if !found || err != nil {
		return 0, fmt.Errorf("got %q, want octal digits and a NUL", b)
	}
	return int64(v), nil
}

// checksum is the sum of all bytes, with spaces for its own.
func checksum(b []byte) int64 {
	sum := int64(8 * ' ')
	for i, c := range b {
		if i < offChecksum || i >= offChecksum+8 {
			sum += int64(c)
		}
	}
	return sum
}
