package igvm

import (
	"encoding/binary"
	"fmt"
)

// Fields of the fixed header (igvm_defs, IGVM_FIXED_HEADER and
// IGVM_FIXED_HEADER_V2), all u32:
//
//	0x00  magic "IGVM"
//	0x04  format_version
//	0x08  variable_header_offset
//	0x0c  variable_header_size
//	0x10  total_file_size
//	0x14  checksum, CRC-32 of fixed and variable headers with this field 0
//	0x18  architecture, 0 = x86-64    version 2 only
//	0x1c  page_size, in bytes         version 2 only
const (
	Magic = "IGVM"

	offVersion  = 0x04
	offStart    = 0x08
	offSize     = 0x0c
	offTotal    = 0x10
	offCRC      = 0x14
	offArch     = 0x18
	offPageSize = 0x1c

	headerSize1 = 0x18
	headerSize2 = 0x20

	architectureX64 = 0
)

// align is the alignment of every structure.
const align = 8

// header says where the variable headers are in a file.
type header struct {
	version, crc     uint32
	size, start, end int // of the fixed header; of the variable headers
}

func decodeHeader(b []byte) (h header, err error) {
	if len(b) > MaxSize {
		return h, fmt.Errorf("size: got %d, want at most %d", len(b), MaxSize)
	}
	if len(b) < headerSize1 || string(b[:len(Magic)]) != Magic {
		return h, fmt.Errorf("magic at 0x0: got %q, want %q and a header of %d bytes", b[:min(len(b), len(Magic))], Magic, headerSize1)
	}
	le := binary.LittleEndian
	h.version, h.crc, h.size = le.Uint32(b[offVersion:]), le.Uint32(b[offCRC:]), headerSize1
	switch h.version {
	case 1:
	case 2:
		h.size = headerSize2
		if err := checkHeader2(b); err != nil {
			return h, err
		}
	default:
		return h, fmt.Errorf("version at %#x: got %d, want 1 or 2", offVersion, h.version)
	}
	if n := le.Uint32(b[offTotal:]); uint64(n) != uint64(len(b)) {
		return h, fmt.Errorf("total file size at %#x: got %d, want %d, the file's", offTotal, n, len(b))
	}
	start, size := uint64(le.Uint32(b[offStart:])), uint64(le.Uint32(b[offSize:]))
	// The checksum covers the two headers, so nothing may hide between them.
	if start != uint64(h.size) {
		return h, fmt.Errorf("variable header offset at %#x: got %#x, want %#x, the end of the fixed header", offStart, start, h.size)
	}
	if size%align != 0 || start+size > uint64(len(b)) {
		return h, fmt.Errorf("variable header size at %#x: got %#x, want a multiple of %d and at most %#x", offSize, size, align, uint64(len(b))-start)
	}
	h.start, h.end = int(start), int(start+size)
	return h, nil
}

// checkHeader2 checks what version 2 adds.
func checkHeader2(b []byte) error {
	if len(b) < headerSize2 {
		return fmt.Errorf("size: got %d, want at least %d, the header of version 2", len(b), headerSize2)
	}
	le := binary.LittleEndian
	if a := le.Uint32(b[offArch:]); a != architectureX64 {
		return fmt.Errorf("architecture at %#x: got %d, want %d (x86-64)", offArch, a, architectureX64)
	}
	if n := le.Uint32(b[offPageSize:]); n != pageSize {
		return fmt.Errorf("page size at %#x: got %d, want %d", offPageSize, n, pageSize)
	}
	return nil
}
