package pe

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

// SectionHeaderSize is the size of one entry of the section table (PE Format,
// "Section Table (Section Headers)").
const SectionHeaderSize = 40

// NameSize is the width of the name in a section header. Images have no
// string table, so longer names can't be written.
const NameSize = 8

// Section flags (PE Format, "Section Flags").
const (
	CntCode            = 0x00000020 // IMAGE_SCN_CNT_CODE
	CntInitializedData = 0x00000040 // IMAGE_SCN_CNT_INITIALIZED_DATA
	MemRead            = 0x40000000 // IMAGE_SCN_MEM_READ
)

// Section is one entry of the section table.
type Section struct {
	Name            string
	VirtualSize     uint32
	VirtualAddress  uint32
	RawSize         uint32 // SizeOfRawData
	RawOffset       uint32 // PointerToRawData
	Characteristics uint32
}

func (s Section) raw() Range { return Range{Offset: s.RawOffset, Size: s.RawSize} }

// decodeSections reads the section table and checks that neither the raw data
// nor the addresses of any two sections overlap.
func (f *File) decodeSections() error {
	h := &f.Header
	table := uint64(h.SectionTableOffset)
	end := table + uint64(h.numberOfSections)*SectionHeaderSize
	if end > uint64(h.SizeOfHeaders) {
		return fmt.Errorf("section table at 0x%x: %d entries: end at 0x%x, want within SizeOfHeaders 0x%x", table, h.numberOfSections, end, h.SizeOfHeaders)
	}
	next := uint64(h.SizeOfHeaders) // lowest address the next section may have
	f.Sections = make([]Section, h.numberOfSections)
	for i := range f.Sections {
		off := table + uint64(i)*SectionHeaderSize
		s, err := decodeSection(f.raw[off : off+SectionHeaderSize])
		if err == nil {
			err = f.checkSection(s, next)
		}
		if err != nil {
			return fmt.Errorf("section %d at 0x%x: %w", i, off, err)
		}
		f.Sections[i] = s
		next = uint64(s.VirtualAddress) + uint64(s.VirtualSize)
	}
	return f.checkRawOverlap()
}

func decodeSection(b []byte) (Section, error) {
	name, padding, _ := bytes.Cut(b[:NameSize], []byte{0})
	if !printable(name) || !isZero(padding) {
		return Section{}, fmt.Errorf("field Name: got %q, want printable ASCII, padded with zeros", b[:NameSize])
	}
	// The remaining 12 bytes are relocations and line numbers, which images
	// do not have ("This is set to zero for executable images").
	if r := b[24:36]; !isZero(r) {
		return Section{}, fmt.Errorf("relocations and line numbers: got %x, want zeros", r)
	}
	return Section{
		Name:            string(name),
		VirtualSize:     binary.LittleEndian.Uint32(b[8:]),
		VirtualAddress:  binary.LittleEndian.Uint32(b[12:]),
		RawSize:         binary.LittleEndian.Uint32(b[16:]),
		RawOffset:       binary.LittleEndian.Uint32(b[20:]),
		Characteristics: binary.LittleEndian.Uint32(b[36:]),
	}, nil
}

// printable reports whether name is one or more visible ASCII characters.
func printable(name []byte) bool {
	for _, c := range name {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return len(name) > 0
}

// checkSection checks one section by itself; next is the end of the one
// before it in memory.
func (f *File) checkSection(s Section, next uint64) error {
	h := &f.Header
	// Some loaders read a VirtualSize of zero as "the raw size".
	if s.VirtualSize == 0 {
		return fmt.Errorf("%q: VirtualSize: got 0, want the size of the content", s.Name)
	}
	if s.VirtualAddress%h.SectionAlignment != 0 || uint64(s.VirtualAddress) < next {
		return fmt.Errorf("%q: VirtualAddress: got 0x%x, want a multiple of 0x%x, 0x%x or more", s.Name, s.VirtualAddress, h.SectionAlignment, next)
	}
	if end := uint64(s.VirtualAddress) + uint64(s.VirtualSize); end > uint64(h.SizeOfImage) {
		return fmt.Errorf("%q: end in memory: got 0x%x, want within SizeOfImage 0x%x", s.Name, end, h.SizeOfImage)
	}
	if s.RawSize == 0 {
		if s.RawOffset != 0 {
			return fmt.Errorf("%q: PointerToRawData: got 0x%x, want 0 where there is no raw data", s.Name, s.RawOffset)
		}
		return nil
	}
	if s.RawSize%h.FileAlignment != 0 || s.RawOffset%h.FileAlignment != 0 {
		return fmt.Errorf("%q: raw data: got 0x%x bytes at 0x%x, want multiples of 0x%x", s.Name, s.RawSize, s.RawOffset, h.FileAlignment)
	}
	if s.RawOffset < h.SizeOfHeaders || s.raw().end() > uint64(len(f.raw)) {
		return fmt.Errorf("%q: raw data: got 0x%x to 0x%x, want between SizeOfHeaders 0x%x and the end of file 0x%x",
			s.Name, s.RawOffset, s.raw().end(), h.SizeOfHeaders, len(f.raw))
	}
	return nil
}

// byRawOffset lists the sections that have raw data in the order in which
// they lie in the file, the order in which Authenticode hashes them.
func (f *File) byRawOffset() []Section {
	var list []Section
	for _, s := range f.Sections {
		if s.RawSize > 0 {
			list = append(list, s)
		}
	}
	slices.SortStableFunc(list, func(a, b Section) int { return int(int64(a.RawOffset) - int64(b.RawOffset)) })
	return list
}

func (f *File) checkRawOverlap() error {
	list := f.byRawOffset()
	for i := 1; i < len(list); i++ {
		if a, b := list[i-1], list[i]; a.raw().end() > uint64(b.RawOffset) {
			return fmt.Errorf("raw data of %q at 0x%x: overlaps %q, which ends at 0x%x", b.Name, b.RawOffset, a.Name, a.raw().end())
		}
	}
	return nil
}

// rawEnd is where the last raw data ends.
func (f *File) rawEnd() uint64 {
	end := uint64(f.Header.SizeOfHeaders)
	for _, s := range f.Sections {
		end = max(end, s.raw().end())
	}
	return end
}
