// Package igvm reads IGVM files (Independent Guest Virtual Machine) and
// computes what a platform measures of one: the launch digest of SEV-SNP, MRTD
// of TDX.
//
// It implements version 1 of the format, and the fixed header of version 2, as
// the crate igvm_defs has them (microsoft/igvm, igvm_defs/src/lib.rs, commits
// 09b76e2 and 0f363b7). No other document describes the format. What is
// measured follows igvm/src/measurement/snp.rs and tdx.rs there (6b327b2).
// Where other programs measure a file differently, an option says so: those of
// QEMU (backends/igvm.c 03025db and target/i386/sev.c of 10.1) and igvmmeasure
// (coconut-svsm/svsm, tools/igvmmeasure, 0490f27).
//
// No published file with its digest was to be had, and no hardware has
// confirmed a digest computed here.
package igvm

import (
	"fmt"
	"hash/crc32"
)

// MaxSize bounds a file. It is ours: offsets have 32 bits.
const MaxSize = 512 << 20

// Sizes of pages. Version 1 knows pages of 4 KiB and, by a flag, of 2 MiB.
const (
	pageSize  = 4096
	largeSize = 2 << 20
)

// addressEnd is behind the addresses that page tables can hold (AMD 24593,
// section 5.1; Intel SDM volume 3, section 5.5.4: 52 bits).
const addressEnd = 1 << 52

// File is an IGVM file. Data in it are parts of the file that was decoded.
type File struct {
	Version    uint32 // 1 or 2
	CRC32      uint32 // of all headers
	Structures []Structure
}

// Decode reads a file. What a loader must know and this package doesn't is an
// error, and so is any header that breaks a rule of the format.
func Decode(b []byte) (*File, error) {
	f, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("parsing IGVM file: %w", err)
	}
	return f, nil
}

func decode(b []byte) (*File, error) {
	h, err := decodeHeader(b)
	if err != nil {
		return nil, err
	}
	if sum := Checksum(b[:h.size], b[h.start:h.end]); sum != h.crc {
		return nil, fmt.Errorf("CRC-32 at %#x: got %#08x, want %#08x, that of fixed and variable headers", offCRC, h.crc, sum)
	}
	r := reader{file: b, dataStart: h.end}
	for at := h.start; at < h.end; {
		next, err := r.structure(at, h.end)
		if err != nil {
			return nil, fmt.Errorf("structure %d at %#x: %w", len(r.list), at, err)
		}
		at = next
	}
	if len(r.platforms) == 0 {
		return nil, fmt.Errorf("variable headers at %#x: got no SUPPORTED_PLATFORM, want at least one", h.start)
	}
	return &File{Version: h.version, CRC32: h.crc, Structures: r.list}, nil
}

// Checksum is the CRC-32 (IEEE 802.3) of a file whose fixed header is given
// with any checksum: it counts as zero.
func Checksum(fixed, variable []byte) uint32 {
	sum := crc32.ChecksumIEEE(fixed[:offCRC])
	sum = crc32.Update(sum, crc32.IEEETable, make([]byte, 4))
	sum = crc32.Update(sum, crc32.IEEETable, fixed[offCRC+4:])
	return crc32.Update(sum, crc32.IEEETable, variable)
}

// Platforms lists the SUPPORTED_PLATFORM structures in order.
func (f *File) Platforms() []Platform {
	var list []Platform
	for _, s := range f.Structures {
		if p, ok := s.Body.(Platform); ok {
			list = append(list, p)
		}
	}
	return list
}
