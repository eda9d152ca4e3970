// Package uki assembles a unified kernel image: a systemd-stub with kernel,
// initramfs and command line added as PE sections.
//
// It implements:
//   - UAPI Group Specification, Unified Kernel Image (UKI), the sections.
//   - Microsoft, PE Format, the headers (see package measure/pe).
//   - rhboot/shim, SBAT.md, the list of generations in .sbat.
//
// The bytes are those that ukify 257 (systemd's own assembler, Python) writes
// for the same stub and sections, .sbat included, so that two independent
// programs agree on the Authenticode digest in PCR 4 and on PCR 11. Nothing depends on time, place or
// environment: TimeDateStamp stays that of the stub, which is pinned by hash,
// and CheckSum, which firmware does not look at, is zero.
package uki

import (
	"encoding/binary"
	"fmt"
	"slices"

	"safebox/measure/pe"
)

// Section is one section to add.
type Section struct {
	Name string
	Data []byte
}

// Linux is the section that holds the kernel, itself a PE image.
const Linux = ".linux"

// Names lists the sections that a stub knows (UAPI Group Specification,
// Unified Kernel Image, "UKI Components"), in the order in which systemd-stub
// measures them. Any other section would be neither used nor measured into
// PCR 11.
func Names() []string {
	return []string{
		Linux, ".osrel", ".cmdline", ".initrd", ".ucode", ".splash", ".dtb", ".uname",
		".sbat", ".pcrsig", ".pcrpkey", ".profile", ".dtbauto", ".hwids",
	}
}

// nxCompat is IMAGE_DLLCHARACTERISTICS_NX_COMPAT (PE Format, "DLL
// Characteristics").
const nxCompat = 0x0100

// Offsets of the fields that change (PE Format, "COFF File Header" and
// "Optional Header").
const (
	coffNumberOfSections     = 2
	optSizeOfInitializedData = 8
	optSizeOfImage           = 56
	optCheckSum              = 64
	optDllCharacteristics    = 70
)

// Assemble returns the stub with the sections added, in the order given, and
// with the .sbat that follows from stub and kernel. Each name may occur once
// and must not be one of the stub's own sections; the kernel must be among them.
func Assemble(stub []byte, sections []Section) ([]byte, error) {
	b, err := assemble(stub, sections)
	if err != nil {
		return nil, fmt.Errorf("assembling UKI: %w", err)
	}
	return b, nil
}

func assemble(stub []byte, sections []Section) ([]byte, error) {
	f, err := openStub(stub)
	if err != nil {
		return nil, fmt.Errorf("stub: %w", err)
	}
	if err := checkSections(f, sections); err != nil {
		return nil, err
	}
	list, err := mergeSbat(stub, kernel(sections))
	if err != nil {
		return nil, err
	}
	if stub, sections, err = withSbat(stub, f, sections, list); err != nil {
		return nil, err
	}
	placed, err := place(f, sections)
	if err != nil {
		return nil, err
	}
	return write(stub, f, sections, placed)
}

// openStub decodes the stub and checks that it can be added to.
func openStub(stub []byte) (*pe.File, error) {
	f, err := pe.Decode(stub)
	if err != nil {
		return nil, err
	}
	if f.Certificates.Size != 0 {
		return nil, fmt.Errorf("certificate table: got %d bytes, want an unsigned stub: adding sections breaks its signature", f.Certificates.Size)
	}
	end := f.Header.SizeOfHeaders
	for _, s := range f.Sections {
		end = max(end, s.RawOffset+s.RawSize)
	}
	if int(end) != len(stub) {
		return nil, fmt.Errorf("trailing data: got 0x%x bytes in the file, want 0x%x, the end of the last section", len(stub), end)
	}
	table := f.Header.SectionTableOffset + uint32(len(f.Sections))*pe.SectionHeaderSize
	if room := stub[table:f.Header.SizeOfHeaders]; slices.ContainsFunc(room, func(c byte) bool { return c != 0 }) {
		return nil, fmt.Errorf("header room at 0x%x: got other bytes, want zeros", table)
	}
	return f, nil
}

// checkSections checks names and contents.
func checkSections(stub *pe.File, sections []Section) error {
	taken := map[string]string{Sbat: "made from stub and kernel"}
	for _, s := range stub.Sections {
		taken[s.Name] = "the stub has one"
	}
	known := Names()
	for _, s := range sections {
		if !slices.Contains(known, s.Name) {
			return fmt.Errorf("section %q: unknown name, want one of %v", s.Name, known)
		}
		if why, ok := taken[s.Name]; ok {
			return fmt.Errorf("section %q: given, but %s", s.Name, why)
		}
		taken[s.Name] = "once already"
		if len(s.Data) == 0 {
			return fmt.Errorf("section %q: empty", s.Name)
		}
	}
	if kernel(sections) == nil {
		return fmt.Errorf("section %q: missing", Linux)
	}
	return nil
}

// kernel is the content of .linux, nil if there is none.
func kernel(sections []Section) []byte {
	for _, s := range sections {
		if s.Name == Linux {
			return s.Data
		}
	}
	return nil
}

// place computes the headers of the new sections, one after the other behind
// those of the stub, in memory and in the file.
func place(f *pe.File, sections []Section) ([]pe.Section, error) {
	h := &f.Header
	count := len(f.Sections) + len(sections)
	room := int(h.SizeOfHeaders-h.SectionTableOffset) / pe.SectionHeaderSize
	if count > room || count > pe.MaxSections {
		return nil, fmt.Errorf("section table: got %d sections with those of the stub, want at most %d", count, min(room, pe.MaxSections))
	}
	last := f.Sections[len(f.Sections)-1]
	raw, address := uint32(f.Size()), last.VirtualAddress+last.VirtualSize
	var placed []pe.Section
	for _, s := range sections {
		// Checked before any conversion: lengths below pe.MaxFile, and
		// so sums below two of it, fit 32 bits.
		if len(s.Data) > pe.MaxFile-int(raw) {
			return nil, fmt.Errorf("section %q: %d bytes: image larger than %d", s.Name, len(s.Data), pe.MaxFile)
		}
		n := pe.Section{Name: s.Name, VirtualSize: uint32(len(s.Data)), Characteristics: characteristics(s.Name)}
		n.VirtualAddress = roundUp(address, h.SectionAlignment)
		n.RawOffset = roundUp(raw, h.FileAlignment)
		n.RawSize = roundUp(n.VirtualSize, h.FileAlignment)
		raw, address = n.RawOffset+n.RawSize, n.VirtualAddress+n.VirtualSize
		if raw > pe.MaxFile || address > pe.MaxFile {
			return nil, fmt.Errorf("section %q: %d bytes: image larger than %d", s.Name, len(s.Data), pe.MaxFile)
		}
		placed = append(placed, n)
	}
	return placed, nil
}

// characteristics are data for all sections but the kernel, which old stubs
// execute in place.
func characteristics(name string) uint32 {
	if name == Linux {
		return pe.MemRead | pe.CntCode
	}
	return pe.MemRead | pe.CntInitializedData
}

// write puts the file together and reads it back.
func write(stub []byte, f *pe.File, sections []Section, placed []pe.Section) ([]byte, error) {
	last := placed[len(placed)-1]
	b := make([]byte, last.RawOffset+last.RawSize)
	copy(b, stub)
	table := b[f.Header.SectionTableOffset+uint32(len(f.Sections))*pe.SectionHeaderSize:]
	data := f.Header.SizeOfInitializedData
	for i, s := range placed {
		encodeHeader(table[i*pe.SectionHeaderSize:], s)
		copy(b[s.RawOffset:], sections[i].Data)
		data += s.VirtualSize // the kernel too, as ukify counts
	}
	coff, opt := b[f.Header.CoffOffset:], b[f.Header.OptionalOffset:]
	binary.LittleEndian.PutUint16(coff[coffNumberOfSections:], uint16(len(f.Sections)+len(placed)))
	binary.LittleEndian.PutUint32(opt[optSizeOfInitializedData:], data)
	binary.LittleEndian.PutUint32(opt[optSizeOfImage:], roundUp(last.VirtualAddress+last.VirtualSize, f.Header.SectionAlignment))
	binary.LittleEndian.PutUint32(opt[optCheckSum:], 0)
	flags, err := dllCharacteristics(f, sections)
	if err != nil {
		return nil, err
	}
	binary.LittleEndian.PutUint16(opt[optDllCharacteristics:], flags)
	if _, err := pe.Decode(b); err != nil {
		return nil, fmt.Errorf("reading it back: %w", err)
	}
	return b, nil
}

// dllCharacteristics are those of the stub, without NX_COMPAT if the kernel
// lacks it: firmware that enforces no-execute would stop such a kernel.
func dllCharacteristics(stub *pe.File, sections []Section) (uint16, error) {
	flags := stub.Header.DllCharacteristics
	linux, err := pe.Decode(kernel(sections))
	if err != nil {
		return 0, fmt.Errorf("section %q: %w", Linux, err)
	}
	if linux.Header.DllCharacteristics&nxCompat == 0 {
		flags &^= nxCompat
	}
	return flags, nil
}

// encodeHeader writes one entry of the section table (PE Format, "Section
// Table (Section Headers)").
func encodeHeader(b []byte, s pe.Section) {
	copy(b[:pe.NameSize], s.Name)
	binary.LittleEndian.PutUint32(b[8:], s.VirtualSize)
	binary.LittleEndian.PutUint32(b[12:], s.VirtualAddress)
	binary.LittleEndian.PutUint32(b[16:], s.RawSize)
	binary.LittleEndian.PutUint32(b[20:], s.RawOffset)
	binary.LittleEndian.PutUint32(b[36:], s.Characteristics)
}

// roundUp rounds n up to a multiple of align, a power of two. The callers'
// numbers are at most pe.MaxFile and can't wrap.
func roundUp(n, align uint32) uint32 { return (n + align - 1) &^ (align - 1) }
