package eif

import (
	"encoding/binary"
	"fmt"
)

// EIF specification, "EifHeader": the layout, all big-endian.
const (
	headerSize      = 0x224
	offsetVersion   = 0x004
	offsetFlags     = 0x006
	offsetMemory    = 0x008 // default_mem
	offsetCPUs      = 0x010 // default_cpus
	offsetReserved  = 0x018
	offsetCount     = 0x01a // num_sections
	offsetOffsets   = 0x01c // section_offsets
	offsetSizes     = 0x11c // section_sizes
	offsetReserved2 = 0x21c
	offsetCRC       = 0x220
)

const (
	magic       = ".eif" // EIF specification, "magic"
	minSections = 2      // EIF specification, "num_sections"

	// EIF specification, "EIF format version history".
	oldest      = 2
	withSigning = 3 // added the signature section
	current     = 4 // added the metadata section, and demands it

	flagARM64 = 1 << 0 // EIF specification, "flags": arch
)

// MaxSections is the room of the header's two tables (EIF specification,
// "num_sections": MAX_NUM_SECTIONS).
const MaxSections = 32

// Arch is the processor that an image is for.
type Arch uint8

// The processors.
const (
	AMD64 Arch = iota + 1
	ARM64
)

// String returns the name that AWS's tools use.
func (a Arch) String() string {
	switch a {
	case AMD64:
		return "x86_64"
	case ARM64:
		return "aarch64"
	}
	return fmt.Sprintf("arch %d", uint8(a))
}

// Header is what the file says of the whole image. None of it is measured.
type Header struct {
	Version uint16
	Arch    Arch
	Memory  uint64 // default_mem, bytes. AWS's stack does not look at it
	CPUs    uint64 // default_cpus. AWS's stack does not look at it
	CRC32   uint32
}

// place is one entry of the header's two tables.
type place struct {
	offset uint64 // of the section's header
	size   uint64 // of its data
}

// decodeHeader takes apart the header. Images of a version below lowest are
// refused.
func decodeHeader(b *[headerSize]byte, lowest uint16) (Header, []place, error) {
	if string(b[:len(magic)]) != magic {
		return Header{}, nil, fmt.Errorf("magic at 0x0: got %q, want %q", b[:len(magic)], magic)
	}
	be := binary.BigEndian
	h := Header{
		Version: be.Uint16(b[offsetVersion:]),
		Memory:  be.Uint64(b[offsetMemory:]),
		CPUs:    be.Uint64(b[offsetCPUs:]),
		CRC32:   be.Uint32(b[offsetCRC:]),
	}
	if err := checkVersion(h.Version, lowest); err != nil {
		return Header{}, nil, fmt.Errorf("version at %#x: %w", offsetVersion, err)
	}
	switch flags := be.Uint16(b[offsetFlags:]); flags {
	case 0:
		h.Arch = AMD64
	case flagARM64:
		h.Arch = ARM64
	default:
		return Header{}, nil, fmt.Errorf("flags at %#x: got %#x, want 0 (x86_64) or 1 (aarch64)", offsetFlags, flags)
	}
	if got := be.Uint16(b[offsetReserved:]); got != 0 {
		return Header{}, nil, fmt.Errorf("reserved field at %#x: got %#x, want 0", offsetReserved, got)
	}
	if got := be.Uint32(b[offsetReserved2:]); got != 0 {
		return Header{}, nil, fmt.Errorf("reserved field at %#x: got %#x, want 0", offsetReserved2, got)
	}
	list, err := decodeTable(b)
	if err != nil {
		return Header{}, nil, err
	}
	return h, list, nil
}

func checkVersion(got, lowest uint16) error {
	if got >= lowest && got <= current {
		return nil
	}
	if got >= oldest && got < lowest {
		return fmt.Errorf("got %d, want %d: an older format, which is read only on request", got, current)
	}
	return fmt.Errorf("got %d, want %d", got, current)
}

// decodeTable gives the used entries of section_offsets and section_sizes. The
// others are zero, so that a reader that goes by them sees no further section.
func decodeTable(b *[headerSize]byte) ([]place, error) {
	be := binary.BigEndian
	count := be.Uint16(b[offsetCount:])
	if count < minSections || count > MaxSections {
		return nil, fmt.Errorf("number of sections at %#x: got %d, want %d to %d", offsetCount, count, minSections, MaxSections)
	}
	list := make([]place, MaxSections)
	for i := range list {
		at, sizeAt := offsetOffsets+8*i, offsetSizes+8*i
		list[i] = place{offset: be.Uint64(b[at:]), size: be.Uint64(b[sizeAt:])}
		if i < int(count) {
			continue
		}
		if got := list[i].offset; got != 0 {
			return nil, fmt.Errorf("section_offsets[%d] at %#x: unused entry: got %#x, want 0", i, at, got)
		}
		if got := list[i].size; got != 0 {
			return nil, fmt.Errorf("section_sizes[%d] at %#x: unused entry: got %#x, want 0", i, sizeAt, got)
		}
	}
	return list[:count], nil
}
