package eif

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// sectionHeaderSize is the length of a section's header: type, flags and size
// (EIF specification, "EifSectionHeader").
const sectionHeaderSize = 12

// maxCommandLine bounds the memory for a command line. Linux itself keeps 2048
// bytes (COMMAND_LINE_SIZE).
const maxCommandLine = 64 << 10

// Type says what a section holds (EIF specification, "section_type").
type Type uint16

// The types. Images with another one don't boot.
const (
	KernelSection      Type = 1 // exactly one: bzImage (x86_64) or Image (aarch64)
	CommandLineSection Type = 2 // exactly one
	RamdiskSection     Type = 3 // any number, behind the kernel
	SignatureSection   Type = 4 // at most one, from version 3
	MetadataSection    Type = 5 // exactly one, from version 4
)

// String returns a name.
func (t Type) String() string {
	switch t {
	case KernelSection:
		return "kernel"
	case CommandLineSection:
		return "cmdline"
	case RamdiskSection:
		return "ramdisk"
	case SignatureSection:
		return "signature"
	case MetadataSection:
		return "metadata"
	}
	return fmt.Sprintf("type %d", uint16(t))
}

// Section is a part of the file.
type Section struct {
	Type   Type
	Offset int64 // of the section's header, in bytes
	Size   int64 // of its data, which is behind the header

	r io.ReaderAt
}

// Data reads the section's data.
func (s Section) Data() *io.SectionReader {
	return io.NewSectionReader(s.r, s.Offset+sectionHeaderSize, s.Size)
}

// decodeSections reads the sections' headers. Sections lie back to back from
// the file's header to its end.
func decodeSections(r io.ReaderAt, size int64, list []place) ([]Section, error) {
	sections := make([]Section, len(list))
	end := int64(headerSize) // of what came before
	for i, p := range list {
		s, err := decodeSection(r, p, end, size)
		if err != nil {
			return nil, fmt.Errorf("section %d at %#x: %w", i, p.offset, err)
		}
		sections[i] = s
		end += sectionHeaderSize + s.Size
	}
	if end != size {
		return nil, fmt.Errorf("end of the last section: got %#x, want %#x, the file's end: %d trailing bytes", end, size, size-end)
	}
	return sections, nil
}

// decodeSection reads the header of the section that the file's table says is
// at p, and that has to begin at start. The file is size bytes long.
func decodeSection(r io.ReaderAt, p place, start, size int64) (Section, error) {
	switch want := uint64(start); {
	case p.offset > want:
		return Section{}, fmt.Errorf("offset: got %#x, want %#x: a gap of %d bytes before it", p.offset, want, p.offset-want)
	case p.offset < want:
		return Section{}, fmt.Errorf("offset: got %#x, want %#x: it overlaps what is before it", p.offset, want)
	}
	room := size - start - sectionHeaderSize
	if room < 0 {
		return Section{}, fmt.Errorf("truncated: got %d bytes, want the %d of a section's header", size-start, sectionHeaderSize)
	}
	var b [sectionHeaderSize]byte
	if err := readAt(r, b[:], start); err != nil {
		return Section{}, err
	}
	be := binary.BigEndian
	s := Section{Type: Type(be.Uint16(b[0:])), Offset: start, r: r}
	switch s.Type {
	case KernelSection, CommandLineSection, RamdiskSection, SignatureSection, MetadataSection:
	default:
		return Section{}, fmt.Errorf("type: got %d, want %d to %d", uint16(s.Type), uint16(KernelSection), uint16(MetadataSection))
	}
	// AWS's specification reserves them, QEMU refuses others (hw/core/eif.c).
	if flags := be.Uint16(b[2:]); flags != 0 {
		return Section{}, fmt.Errorf("%v: flags: got %#x, want 0", s.Type, flags)
	}
	switch length := be.Uint64(b[4:]); {
	case length != p.size:
		return Section{}, fmt.Errorf("%v: size: got %d in the section's header, want %d as in the file's", s.Type, length, p.size)
	case length > uint64(room):
		return Section{}, fmt.Errorf("%v: truncated: got %d bytes, want the %d that its header says", s.Type, room, length)
	case length == 0 && s.Type != CommandLineSection:
		return Section{}, fmt.Errorf("%v: size: got 0, want content", s.Type)
	default:
		s.Size = int64(length)
	}
	return s, nil
}

// checkTypes checks how often each type occurs, and that ramdisks are behind
// the kernel.
func checkTypes(list []Section, version uint16) error {
	seen := map[Type]int{}
	for i, s := range list {
		where := fmt.Sprintf("section %d at %#x: %v", i, s.Offset, s.Type)
		switch {
		case s.Type == RamdiskSection && seen[KernelSection] == 0:
			return fmt.Errorf("%s: got it before the kernel, want it behind", where)
		case s.Type != RamdiskSection && seen[s.Type] != 0:
			return fmt.Errorf("%s: got a second one, want one", where)
		case s.Type == SignatureSection && version < withSigning || s.Type == MetadataSection && version < current:
			return fmt.Errorf("%s: not defined in version %d of the format", where, version)
		}
		seen[s.Type]++
	}
	for _, t := range []Type{KernelSection, CommandLineSection, MetadataSection} {
		if seen[t] == 0 && (t != MetadataSection || version >= current) {
			return fmt.Errorf("section of type %v: missing, want one", t)
		}
	}
	return nil
}

// checkCommandLine refuses what a kernel could not see.
func checkCommandLine(b []byte) error {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return fmt.Errorf("byte %d: got NUL, want text: the kernel stops reading there", i)
	}
	return nil
}
