package pe

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Values that this reader insists on.
const (
	dosMagic     = "MZ"         // PE Format, "MS-DOS Stub (Image Only)"
	peMagic      = "PE\x00\x00" // PE Format, "Signature (Image Only)"
	machineAMD64 = 0x8664       // PE Format, "Machine Types": IMAGE_FILE_MACHINE_AMD64
	magicPE32P   = 0x20b        // PE Format, "Optional Header Standard Fields (Image Only)"
	subsystemEFI = 10           // PE Format, "Windows Subsystem": IMAGE_SUBSYSTEM_EFI_APPLICATION
)

// Sizes and offsets of the headers.
const (
	dosHeaderSize     = 64   // IMAGE_DOS_HEADER
	offPEOffset       = 0x3c // PE Format, "MS-DOS Stub": file offset of the signature
	signatureSize     = 4
	coffHeaderSize    = 20  // PE Format, "COFF File Header"
	optionalFixedSize = 112 // PE Format, "Optional Header Windows-Specific Fields": where the directories begin
	directorySize     = 8   // PE Format, "Optional Header Data Directories": IMAGE_DATA_DIRECTORY
	maxDirectories    = 16
	directorySecurity = 4 // "Certificate Table", the one whose address is a file offset

	// optCheckSum is the offset of CheckSum in the optional header.
	optCheckSum = 64
)

// Bounds of FileAlignment, PE Format, "Optional Header Windows-Specific
// Fields".
const (
	minFileAlignment = 512
	maxFileAlignment = 64 << 10
)

// Header holds the header fields that somebody uses. Names are those of the
// specification.
type Header struct {
	// COFF file header.
	Machine              uint16
	TimeDateStamp        uint32
	PointerToSymbolTable uint32
	Characteristics      uint16

	// Optional header.
	SizeOfCode              uint32
	SizeOfInitializedData   uint32
	SizeOfUninitializedData uint32
	AddressOfEntryPoint     uint32
	ImageBase               uint64
	SectionAlignment        uint32
	FileAlignment           uint32
	SizeOfImage             uint32
	SizeOfHeaders           uint32
	CheckSum                uint32
	Subsystem               uint16
	DllCharacteristics      uint16
	NumberOfRvaAndSizes     uint32

	// File offsets of what the assembler rewrites.
	CoffOffset         uint32
	OptionalOffset     uint32
	SectionTableOffset uint32

	numberOfSections int
}

// decodeHeader reads everything before the section table.
func (f *File) decodeHeader() error {
	b := f.raw
	if len(b) < dosHeaderSize {
		return fmt.Errorf("DOS header: got %d bytes, want at least %d", len(b), dosHeaderSize)
	}
	if string(b[:2]) != dosMagic {
		return fmt.Errorf("DOS header at 0x0: magic: got %q, want %q", b[:2], dosMagic)
	}
	off := uint64(binary.LittleEndian.Uint32(b[offPEOffset:]))
	if off < dosHeaderSize || off+signatureSize+coffHeaderSize+optionalFixedSize > uint64(len(b)) {
		return fmt.Errorf("DOS header at 0x3c: e_lfanew: got 0x%x, want 0x%x or more with %d bytes of headers after it in %d bytes",
			off, dosHeaderSize, signatureSize+coffHeaderSize+optionalFixedSize, len(b))
	}
	if got := string(b[off : off+signatureSize]); got != peMagic {
		return fmt.Errorf("signature at 0x%x: got %q, want %q", off, got, peMagic)
	}
	f.Header.CoffOffset = uint32(off) + signatureSize
	f.Header.OptionalOffset = f.Header.CoffOffset + coffHeaderSize
	optSize := f.decodeCoff(b[f.Header.CoffOffset:])
	if err := f.decodeOptional(b[f.Header.OptionalOffset:]); err != nil {
		return fmt.Errorf("optional header at 0x%x: %w", f.Header.OptionalOffset, err)
	}
	if err := f.checkCoff(optSize); err != nil {
		return fmt.Errorf("COFF header at 0x%x: %w", f.Header.CoffOffset, err)
	}
	f.Header.SectionTableOffset = f.Header.OptionalOffset + uint32(optSize)
	return nil
}

// decodeCoff reads the COFF file header (PE Format, "COFF File Header (Object
// and Image)") and returns SizeOfOptionalHeader.
func (f *File) decodeCoff(c []byte) (optSize uint16) {
	h := &f.Header
	h.Machine = binary.LittleEndian.Uint16(c[0:])
	h.numberOfSections = int(binary.LittleEndian.Uint16(c[2:]))
	h.TimeDateStamp = binary.LittleEndian.Uint32(c[4:])
	h.PointerToSymbolTable = binary.LittleEndian.Uint32(c[8:])
	h.Characteristics = binary.LittleEndian.Uint16(c[18:])
	return binary.LittleEndian.Uint16(c[16:])
}

// checkCoff checks the COFF header, which needs the number of data
// directories from the optional header.
func (f *File) checkCoff(optSize uint16) error {
	h := &f.Header
	if h.Machine != machineAMD64 {
		return fmt.Errorf("field Machine: got 0x%x, want 0x%x (x86-64)", h.Machine, machineAMD64)
	}
	if h.numberOfSections < 1 || h.numberOfSections > MaxSections {
		return fmt.Errorf("field NumberOfSections: got %d, want 1 to %d", h.numberOfSections, MaxSections)
	}
	// A loader finds the section table by this size and the directories by
	// their count; if the two differ, two loaders can see different images.
	if want := optionalFixedSize + directorySize*h.NumberOfRvaAndSizes; uint32(optSize) != want {
		return fmt.Errorf("field SizeOfOptionalHeader: got %d, want %d for %d directories", optSize, want, h.NumberOfRvaAndSizes)
	}
	return nil
}

// decodeOptional reads and checks the optional header of PE32+ (PE Format,
// "Optional Header (Image Only)").
func (f *File) decodeOptional(o []byte) error {
	if got := binary.LittleEndian.Uint16(o[0:]); got != magicPE32P {
		return fmt.Errorf("field Magic: got 0x%x, want 0x%x (PE32+)", got, magicPE32P)
	}
	h := &f.Header
	h.SizeOfCode = binary.LittleEndian.Uint32(o[4:])
	h.SizeOfInitializedData = binary.LittleEndian.Uint32(o[8:])
	h.SizeOfUninitializedData = binary.LittleEndian.Uint32(o[12:])
	h.AddressOfEntryPoint = binary.LittleEndian.Uint32(o[16:])
	h.ImageBase = binary.LittleEndian.Uint64(o[24:])
	h.SectionAlignment = binary.LittleEndian.Uint32(o[32:])
	h.FileAlignment = binary.LittleEndian.Uint32(o[36:])
	h.SizeOfImage = binary.LittleEndian.Uint32(o[56:])
	h.SizeOfHeaders = binary.LittleEndian.Uint32(o[60:])
	h.CheckSum = binary.LittleEndian.Uint32(o[optCheckSum:])
	h.Subsystem = binary.LittleEndian.Uint16(o[68:])
	h.DllCharacteristics = binary.LittleEndian.Uint16(o[70:])
	h.NumberOfRvaAndSizes = binary.LittleEndian.Uint32(o[108:])
	return f.checkOptional()
}

func (f *File) checkOptional() error {
	h := &f.Header
	if h.Subsystem != subsystemEFI {
		return fmt.Errorf("field Subsystem: got %d, want %d (EFI application)", h.Subsystem, subsystemEFI)
	}
	if fa := h.FileAlignment; bits.OnesCount32(fa) != 1 || fa < minFileAlignment || fa > maxFileAlignment {
		return fmt.Errorf("field FileAlignment: got 0x%x, want a power of two from %d to %d", fa, minFileAlignment, maxFileAlignment)
	}
	if sa := h.SectionAlignment; bits.OnesCount32(sa) != 1 || sa < h.FileAlignment {
		return fmt.Errorf("field SectionAlignment: got 0x%x, want a power of two, at least FileAlignment 0x%x", sa, h.FileAlignment)
	}
	if h.SizeOfHeaders%h.FileAlignment != 0 || uint64(h.SizeOfHeaders) > uint64(len(f.raw)) {
		return fmt.Errorf("field SizeOfHeaders: got 0x%x, want a multiple of 0x%x within the file of 0x%x", h.SizeOfHeaders, h.FileAlignment, len(f.raw))
	}
	if h.SizeOfImage%h.SectionAlignment != 0 || h.SizeOfImage > MaxFile {
		return fmt.Errorf("field SizeOfImage: got 0x%x, want a multiple of 0x%x, at most 0x%x", h.SizeOfImage, h.SectionAlignment, MaxFile)
	}
	if h.NumberOfRvaAndSizes > maxDirectories {
		return fmt.Errorf("field NumberOfRvaAndSizes: got %d, want at most %d", h.NumberOfRvaAndSizes, maxDirectories)
	}
	return nil
}
