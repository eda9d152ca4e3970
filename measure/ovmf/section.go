package ovmf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// Section types (PI 1.8, Volume 3, 2.1.5.1).
const (
	sectionGUIDDefined   = 0x02 // EFI_SECTION_GUID_DEFINED
	sectionUserInterface = 0x15 // EFI_SECTION_USER_INTERFACE: UTF-16 with a NUL
	sectionVolume        = 0x17 // EFI_SECTION_FIRMWARE_VOLUME_IMAGE
	sectionRaw           = 0x19 // EFI_SECTION_RAW: alignment filling in OVMF
)

// Fields of EFI_COMMON_SECTION_HEADER and EFI_COMMON_SECTION_HEADER2 (PI 1.8,
// Volume 3, 3.2.4):
//
//	0  Size          u24 with the header, 0xffffff if it is extended
//	3  Type          u8
//	4  ExtendedSize  u32, in EFI_COMMON_SECTION_HEADER2 only
const (
	sectionHeaderSize  = 4
	sectionHeader2Size = 8
	sectionExtended    = 0xffffff
	sectionAlignment   = 4
	maxSections        = 64
)

// Fields of EFI_GUID_DEFINED_SECTION after the common header (PI 1.8, Volume
// 3, 3.2.5.7):
//
//	 0  SectionDefinitionGuid  16 bytes
//	16  DataOffset             u16 from the start of the common header
//	18  Attributes             u16
const (
	guidedFixedSize          = 20
	guidedProcessingRequired = 0x01 // EFI_GUIDED_SECTION_PROCESSING_REQUIRED
)

// lzmaSection is gLzmaCustomDecompressGuid of edk2 (MdeModulePkg.dec): the
// data is an LZMA stream with the 13-byte header of the LZMA SDK (lzma.txt).
const lzmaSection = "ee4e5898-3914-4259-9d6e-dc7bd79403cf"

// Limits of decompression. OVMF of 2025 has 15.4 MiB in a window of 16 MiB.
const (
	maxDecompressed = 64 << 20
	maxWindow       = 64 << 20
)

// section is one section of a file.
type section struct {
	typ  byte
	raw  []byte // with the header
	data []byte // without the common header
}

// readSections lists the sections of a file or of decompressed data: one after
// the other, each on a multiple of 4.
func readSections(b []byte) ([]section, error) {
	var list []section
	for off := 0; off < len(b); {
		if len(list) == maxSections {
			return nil, fmt.Errorf("more than %d sections", maxSections)
		}
		s, err := decodeSection(b[off:])
		if err != nil {
			return nil, fmt.Errorf("section at %#x: %w", off, err)
		}
		list = append(list, *s)
		end := off + len(s.raw)
		off = min(align(end, sectionAlignment), len(b))
		if !bytes.Equal(b[end:off], make([]byte, off-end)) {
			return nil, fmt.Errorf("section padding at %#x: got %x, want zeros", end, b[end:off])
		}
	}
	return list, nil
}

func decodeSection(b []byte) (*section, error) {
	if len(b) < sectionHeaderSize {
		return nil, fmt.Errorf("header: got %d bytes, want %d", len(b), sectionHeaderSize)
	}
	header, size := sectionHeaderSize, uint64(b[0])|uint64(b[1])<<8|uint64(b[2])<<16
	if size == sectionExtended {
		if len(b) < sectionHeader2Size {
			return nil, fmt.Errorf("header: got %d bytes, want %d", len(b), sectionHeader2Size)
		}
		header, size = sectionHeader2Size, uint64(binary.LittleEndian.Uint32(b[4:]))
	}
	if size < uint64(header) || size > uint64(len(b)) {
		return nil, fmt.Errorf("size: got %#x, want %#x to %#x", size, header, len(b))
	}
	return &section{typ: b[3], raw: b[:size], data: b[header:size]}, nil
}

// decompress returns the content of a GUID-defined LZMA section.
func (s *section) decompress() ([]byte, error) {
	if len(s.data) < guidedFixedSize {
		return nil, fmt.Errorf("guided section: got %d bytes, want at least %d", len(s.data), guidedFixedSize)
	}
	header := len(s.raw) - len(s.data) + guidedFixedSize
	offset, attributes := binary.LittleEndian.Uint16(s.data[16:]), binary.LittleEndian.Uint16(s.data[18:])
	if got := guid(s.data); got != lzmaSection {
		return nil, fmt.Errorf("guided section: got %s, want %s (LZMA)", got, lzmaSection)
	}
	if int(offset) != header {
		return nil, fmt.Errorf("guided section: data offset: got %d, want %d", offset, header)
	}
	if attributes != guidedProcessingRequired {
		return nil, fmt.Errorf("guided section: attributes: got %#x, want %#x", attributes, guidedProcessingRequired)
	}
	return decompressLZMA(s.raw[header:])
}

// decompressLZMA wants the size in the header, bounded, and all of the input
// used.
func decompressLZMA(b []byte) ([]byte, error) {
	in := bytes.NewReader(b)
	r, err := lzma.ReaderConfig{DictCap: maxWindow}.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("decompressing: %w", err)
	}
	h, _ := r.Header()
	if h.Size < 0 || h.Size > maxDecompressed {
		return nil, fmt.Errorf("decompressing: size: got %d, want 0 to %d", h.Size, maxDecompressed)
	}
	var out bytes.Buffer
	if _, err := io.Copy(&out, io.LimitReader(r, maxDecompressed+1)); err != nil {
		return nil, fmt.Errorf("decompressing: %w", err)
	}
	if int64(out.Len()) != h.Size {
		return nil, fmt.Errorf("decompressing: size: got %d, want %d", out.Len(), h.Size)
	}
	if in.Len() != 0 {
		return nil, fmt.Errorf("decompressing: %d bytes follow the stream", in.Len())
	}
	return out.Bytes(), nil
}
