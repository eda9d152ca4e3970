// Package pe reads PE32+ images (EFI applications for x86-64: kernels, stubs,
// UKIs) and computes their Authenticode digest, which is what UEFI firmware
// measures into PCR 4 and what Secure Boot signs.
//
// It implements:
//   - Microsoft, PE Format (the online edition, which bears no revision number):
//     headers, section table, attribute certificate table.
//   - Microsoft, Windows Authenticode Portable Executable Signature Format,
//     version 1.0 (2008-03-21), section "Calculating the PE Image Hash".
//   - UEFI Specification 2.10, section 2.1.1 (UEFI images).
//
// The reader is strict: a file on which two loaders could disagree (overlaps,
// sections out of order, sizes beyond the file) is refused, not repaired.
package pe

import (
	"bytes"
	"fmt"
)

// Limits on what Decode accepts.
const (
	// MaxFile bounds the file and, so that Section can't be made to
	// allocate more, the image in memory.
	MaxFile = 512 << 20
	// MaxSections is the most that the Windows loader takes (PE Format,
	// "COFF File Header": NumberOfSections).
	MaxSections = 96
)

// File is a decoded image. It keeps the bytes it was decoded from.
type File struct {
	Header   Header
	Sections []Section // in file order, which is also address order

	// Certificates is the attribute certificate table, empty if unsigned.
	Certificates Range

	raw []byte
}

// Range is a piece of the file.
type Range struct {
	Offset, Size uint32
}

// end is computed in 64 bits so that it can't wrap.
func (r Range) end() uint64 { return uint64(r.Offset) + uint64(r.Size) }

// Decode reads the image in b, which must not change while the File is used.
func Decode(b []byte) (*File, error) {
	if len(b) > MaxFile {
		return nil, fmt.Errorf("parsing PE: size: got %d, want at most %d", len(b), MaxFile)
	}
	f := &File{raw: b}
	if err := f.decodeHeader(); err != nil {
		return nil, fmt.Errorf("parsing PE: %w", err)
	}
	if err := f.decodeSections(); err != nil {
		return nil, fmt.Errorf("parsing PE: %w", err)
	}
	if err := f.decodeCertificates(); err != nil {
		return nil, fmt.Errorf("parsing PE: %w", err)
	}
	return f, nil
}

// Size is the length of the file.
func (f *File) Size() int { return len(f.raw) }

// Section returns the section of that name as a loader sees it: VirtualSize
// bytes, zeros where the file holds fewer. It reports false if there is none,
// and also if there are several (a UKI with profiles has them): the caller
// who can tell those apart walks Sections and calls Content.
func (f *File) Section(name string) ([]byte, bool) {
	found := -1
	for i, s := range f.Sections {
		if s.Name != name {
			continue
		}
		if found >= 0 {
			return nil, false
		}
		found = i
	}
	if found < 0 {
		return nil, false
	}
	return f.Content(f.Sections[found]), true
}

// Content returns what a loader puts at the address of s, which must be one
// of f.Sections. The bytes may be shared with the file: do not write to them.
func (f *File) Content(s Section) []byte {
	raw := f.raw[s.RawOffset : uint64(s.RawOffset)+uint64(s.RawSize)]
	if s.VirtualSize <= s.RawSize {
		return raw[:s.VirtualSize:s.VirtualSize]
	}
	padded := make([]byte, s.VirtualSize)
	copy(padded, raw)
	return padded
}

// isZero reports whether every byte of b is zero.
func isZero(b []byte) bool {
	return len(bytes.TrimLeft(b, "\x00")) == 0
}
