// Package eif reads enclave image files, the images that AWS Nitro Enclaves
// boot. The reader is strict: there is one way to see a file that it accepts.
//
// It implements:
//   - "Enclave Image File (EIF) Specification" of 2024-06-21, in the README of
//     github.com/aws/aws-nitro-enclaves-image-format at commit 935dc62, version
//     4 of the format, on request 2 and 3.
//   - RFC 9052, section 4.2 and 4.4 (COSE_Sign1) and RFC 9053, section 2.1
//     (ECDSA), for the signature section.
//
// AWS's loader follows the table of offsets, AWS's describe-eif walks the file
// from front to back. Where the two could see different sections (a gap, an
// overlap, trailing bytes, sizes that differ) the file is refused.
//
// Kernel and ramdisks are never held in memory: a section is a reader.
package eif

import (
	"errors"
	"fmt"
	"io"
)

// File is an image whose structure and checksum were found right.
type File struct {
	Header      Header
	Sections    []Section  // in file order
	CommandLine []byte     // the kernel's, as in its section: no NUL behind it
	Metadata    *Metadata  // nil in versions 2 and 3. Nobody vouches for it
	Signature   *Signature // nil: the image is not signed. Not verified before its Verify
}

// Open reads an image of size bytes. Its checksum was found right then; what
// the image is signed with has still to be verified, by Signature.Verify. It
// takes format version 4 only.
func Open(r io.ReaderAt, size int64) (*File, error) { return open(r, size, current) }

// OpenOlder is Open, and takes format versions 2 and 3 too: AWS no longer
// writes them, but loads them.
func OpenOlder(r io.ReaderAt, size int64) (*File, error) { return open(r, size, oldest) }

func open(r io.ReaderAt, size int64, lowest uint16) (*File, error) {
	f, err := decode(r, size, lowest)
	if err != nil {
		return nil, fmt.Errorf("parsing EIF: %w", err)
	}
	sum, err := checksum(r, size)
	if err != nil {
		return nil, fmt.Errorf("parsing EIF: reading for its CRC32: %w", err)
	}
	if sum != f.Header.CRC32 {
		return nil, fmt.Errorf("parsing EIF: header: CRC32 at %#x: got %#08x, want %#08x, that of the file's bytes", offsetCRC, f.Header.CRC32, sum)
	}
	return f, nil
}

// decode reads all but the content of kernel and ramdisks.
func decode(r io.ReaderAt, size int64, lowest uint16) (*File, error) {
	if size < headerSize {
		return nil, fmt.Errorf("file size: got %d, want at least the %d bytes of a header", size, headerSize)
	}
	var raw [headerSize]byte
	if err := readAt(r, raw[:], 0); err != nil {
		return nil, fmt.Errorf("reading header: %w", err)
	}
	header, list, err := decodeHeader(&raw, lowest)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	f := &File{Header: header}
	if f.Sections, err = decodeSections(r, size, list); err != nil {
		return nil, err
	}
	if err := checkTypes(f.Sections, header.Version); err != nil {
		return nil, err
	}
	for i := range f.Sections {
		if err := f.decodeContent(&f.Sections[i]); err != nil {
			return nil, fmt.Errorf("section %d at %#x: %v: %w", i, f.Sections[i].Offset, f.Sections[i].Type, err)
		}
	}
	return f, nil
}

// decodeContent reads the sections that say something about the image.
func (f *File) decodeContent(s *Section) error {
	limit := int64(0)
	switch s.Type {
	case KernelSection, RamdiskSection:
		return nil
	case CommandLineSection:
		limit = maxCommandLine
	case SignatureSection:
		limit = maxSignature
	case MetadataSection:
		limit = maxMetadata
	}
	if s.Size > limit {
		return fmt.Errorf("size: got %d, want at most %d", s.Size, limit)
	}
	b := make([]byte, s.Size)
	if err := readAt(s.r, b, s.Offset+sectionHeaderSize); err != nil {
		return err
	}
	var err error
	switch s.Type {
	case KernelSection, RamdiskSection:
	case CommandLineSection:
		f.CommandLine, err = b, checkCommandLine(b)
	case SignatureSection:
		f.Signature, err = decodeSignature(b)
	case MetadataSection:
		f.Metadata, err = decodeMetadata(b)
	}
	return err
}

// readAt fills b. What ends early is damaged.
func readAt(r io.ReaderAt, b []byte, offset int64) error {
	n, err := r.ReadAt(b, offset)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
