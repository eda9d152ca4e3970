package vhd

import (
	"encoding/binary"
	"fmt"
	"io"

	"safebox/image/disk/sparse"
)

// Image is the disk that a file holds.
type Image struct {
	*io.SectionReader // the disk

	Footer Footer
}

// Open reads the footer of the fixed disk r, which is size bytes long with its
// footer.
func Open(r io.ReaderAt, size int64) (*Image, error) {
	f, err := open(r, size)
	if err != nil {
		return nil, fmt.Errorf("parsing VHD footer: %w", err)
	}
	return &Image{SectionReader: io.NewSectionReader(r, 0, size-FooterSize), Footer: *f}, nil
}

func open(r io.ReaderAt, size int64) (*Footer, error) {
	if size <= FooterSize || size > maxSize+FooterSize {
		return nil, fmt.Errorf("file size: got %d, want more than %d, at most %d", size, FooterSize, int64(maxSize)+FooterSize)
	}
	b := make([]byte, FooterSize)
	if err := sparse.ReadFull(r, b, size-FooterSize); err != nil {
		return nil, err
	}
	if string(b[:8]) != Cookie {
		return nil, fmt.Errorf("cookie: got %q, want %q", b[:8], Cookie)
	}
	f := decode(b)
	if err := f.check(b, size-FooterSize); err != nil {
		return nil, err
	}
	return f, nil
}

func decode(b []byte) *Footer {
	be := binary.BigEndian
	return &Footer{
		Features:       be.Uint32(b[8:]),
		Version:        be.Uint32(b[12:]),
		TimeStamp:      be.Uint32(b[24:]),
		Creator:        [4]byte(b[28:]),
		CreatorVersion: be.Uint32(b[32:]),
		CreatorHost:    [4]byte(b[36:]),
		OriginalSize:   be.Uint64(b[40:]),
		CurrentSize:    be.Uint64(b[48:]),
		Geometry:       Geometry{Cylinders: be.Uint16(b[56:]), Heads: b[58], SectorsPerTrack: b[59]},
		DiskType:       be.Uint32(b[60:]),
		Checksum:       be.Uint32(b[offChecksum:]),
		UniqueID:       [16]byte(b[68:]),
	}
}

// check refuses what is no fixed disk of size bytes. Time, creator and
// identity may be any.
func (f *Footer) check(b []byte, size int64) error {
	if want := checksum(b); f.Checksum != want {
		return fmt.Errorf("checksum: got 0x%08x, want 0x%08x", f.Checksum, want)
	}
	switch f.DiskType {
	case typeFixed:
	case typeDynamic:
		return fmt.Errorf("disk type: got %d (dynamic), which is not supported", f.DiskType)
	case typeDiffer:
		return fmt.Errorf("disk type: got %d (differencing: it has a parent), which is not supported", f.DiskType)
	default:
		return fmt.Errorf("disk type: got %d, want %d", f.DiskType, typeFixed)
	}
	switch {
	case f.Features != features:
		return fmt.Errorf("features: got 0x%x, want 0x%x", f.Features, features)
	case f.Version != fileVersion:
		return fmt.Errorf("file format version: got 0x%x, want 0x%x", f.Version, fileVersion)
	case binary.BigEndian.Uint64(b[16:]) != noDataOffset:
		return fmt.Errorf("data offset: got 0x%x, want 0x%x", binary.BigEndian.Uint64(b[16:]), uint64(noDataOffset))
	case f.CurrentSize != uint64(size):
		return fmt.Errorf("current size: got %d, want %d, all but the footer", f.CurrentSize, size)
	case f.CurrentSize%mib != 0:
		return fmt.Errorf("current size: got %d, want a multiple of %d, which Azure asks for", f.CurrentSize, mib)
	case f.Geometry != geometry(uint64(size/sectorSize)) && f.Geometry != largest():
		return fmt.Errorf("disk geometry: got %v, want %v", f.Geometry, geometry(uint64(size/sectorSize)))
	case !sparse.Zero(b[offSavedState:]):
		return fmt.Errorf("saved state and reserved bytes: got data, want zeros")
	}
	return nil
}
