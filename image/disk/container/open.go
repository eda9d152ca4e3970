package container

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"safebox/image/disk/gcp"
	"safebox/image/disk/qcow2"
	"safebox/image/disk/sparse"
	"safebox/image/disk/vhd"
	"safebox/measure/gpt"
)

// ErrUnknown is what a file that is no disk leads to.
var ErrUnknown = errors.New("not recognised as a disk")

// gzipMagic is RFC 1952, section 2.3.1: ID1, ID2, and CM deflate.
const gzipMagic = "\x1f\x8b\x08"

// gptMagic begins the second sector of a disk (UEFI 2.10, table 5-5).
const gptMagic = "EFI PART"

// Disk is the content of a file in one of the formats.
type Disk struct {
	sparse.Disk

	Format Format
}

// Recognise names the format of the file r by its content, which it does not
// check. A file that could be two of them is refused: programs would differ in
// what they read.
func Recognise(r io.ReaderAt, size int64) (Format, error) {
	has := func(off int64, magic string) bool {
		b := make([]byte, len(magic))
		return off >= 0 && off+int64(len(magic)) <= size && sparse.ReadFull(r, b, off) == nil && string(b) == magic
	}
	var found []string
	var format Format
	add := func(f Format, is bool) {
		if is {
			found, format = append(found, f.String()), f
		}
	}
	footer := has(size-vhd.FooterSize, vhd.Cookie)
	add(Raw, has(gpt.SectorSize, gptMagic) && !footer) // the content of a VHD begins like any
	add(QCOW2, has(0, qcow2.Magic))
	add(VHD, footer)
	add(GCP, has(0, gzipMagic))
	switch len(found) {
	case 0:
		return 0, ErrUnknown
	case 1:
		return format, nil
	}
	return 0, fmt.Errorf("ambiguous: could be %s", strings.Join(found, " or "))
}

// Open recognises the format of the file r, which is size bytes long, and
// reads it with the strict reader of that format.
func Open(r io.ReaderAt, size int64) (*Disk, error) {
	f, err := Recognise(r, size)
	if err != nil {
		return nil, fmt.Errorf("opening disk: %w", err)
	}
	var content sparse.Disk
	switch f {
	case Raw:
		content = io.NewSectionReader(r, 0, size)
	case QCOW2:
		content, err = qcow2.Open(r, size)
	case VHD:
		content, err = vhd.Open(r, size)
	case GCP:
		content, err = gcp.Open(r, size)
	}
	if err != nil {
		return nil, fmt.Errorf("opening disk: %w", err)
	}
	return &Disk{Disk: content, Format: f}, nil
}
