// Package vhd writes and reads fixed virtual hard disks: the bytes of the disk
// and a footer of one sector. Azure takes no other kind of disk.
//
// It implements:
//   - Microsoft, Virtual Hard Disk Image Format Specification, version 1.0
//     (2006-10-11), called the specification below: "Hard Disk Footer Format"
//     and the appendix "CHS Calculation".
//   - Azure's rule for uploads: a fixed disk whose current size is a multiple
//     of 1 MiB, with the footer behind it.
//
// There are two sizes in a footer: the current size, and what the geometry
// gives, which is up to a cylinder less. By which one the disk is read depends
// on the program that the footer says it was made by. Ours says Hyper-V, from
// which all take the current size; older versions of QEMU cut the disks of
// programs unknown to them to whole cylinders, and the backup partition table
// with that.
package vhd

import (
	"encoding/binary"
	"fmt"
	"io"

	"safebox/image/disk/sparse"
)

// Cookie begins a footer (the specification, "Hard Disk Footer Format").
const Cookie = "conectix"

// FooterSize is the length of what follows the disk.
const FooterSize = 512

const (
	mib        = 1 << 20
	sectorSize = 512

	// maxSize is below 2040 GiB, the most that the specification allows, as
	// in package disk.
	maxSize = 1 << 40

	features      = 2          // "Reserved": always set
	fileVersion   = 0x00010000 // "File Format Version"
	noDataOffset  = 1<<64 - 1  // of a fixed disk
	creator       = "win "     // Hyper-V
	creatorVer    = 0x000a0000 // as on Windows 10 and Server 2016
	creatorHost   = "Wi2k"     // "Windows (Wi2k)"
	typeFixed     = 2          // "Disk Type"
	typeDynamic   = 3
	typeDiffer    = 4
	offChecksum   = 64
	offSavedState = 84
)

// Footer is what a reader learns besides the disk.
type Footer struct {
	Features       uint32
	Version        uint32
	TimeStamp      uint32 // seconds since 2000-01-01 00:00:00 UTC
	Creator        [4]byte
	CreatorVersion uint32
	CreatorHost    [4]byte
	OriginalSize   uint64 // in bytes
	CurrentSize    uint64
	Geometry       Geometry
	DiskType       uint32
	Checksum       uint32
	UniqueID       [16]byte
}

// Encode writes the disk and a footer with the given identity.
func Encode(w io.Writer, d sparse.Disk, id [16]byte) error {
	size := d.Size()
	if size <= 0 || size > maxSize || size%mib != 0 {
		return fmt.Errorf("writing VHD: disk size: got %d, want a multiple of %d up to %d", size, mib, int64(maxSize))
	}
	if _, err := io.Copy(w, io.NewSectionReader(d, 0, size)); err != nil {
		return fmt.Errorf("writing VHD: %w", err)
	}
	f := Footer{
		Features: features, Version: fileVersion,
		Creator: [4]byte([]byte(creator)), CreatorVersion: creatorVer, CreatorHost: [4]byte([]byte(creatorHost)),
		OriginalSize: uint64(size), CurrentSize: uint64(size), Geometry: geometry(uint64(size / sectorSize)),
		DiskType: typeFixed, UniqueID: id,
	}
	if _, err := w.Write(f.encode()); err != nil {
		return fmt.Errorf("writing VHD: %w", err)
	}
	return nil
}

// encode lays out the table of "Hard Disk Footer Format", all numbers big
// endian, with its checksum.
func (f *Footer) encode() []byte {
	b := make([]byte, FooterSize)
	be := binary.BigEndian
	copy(b[0:], Cookie)
	be.PutUint32(b[8:], f.Features)
	be.PutUint32(b[12:], f.Version)
	be.PutUint64(b[16:], noDataOffset)
	be.PutUint32(b[24:], f.TimeStamp)
	copy(b[28:], f.Creator[:])
	be.PutUint32(b[32:], f.CreatorVersion)
	copy(b[36:], f.CreatorHost[:])
	be.PutUint64(b[40:], f.OriginalSize)
	be.PutUint64(b[48:], f.CurrentSize)
	be.PutUint16(b[56:], f.Geometry.Cylinders)
	b[58] = f.Geometry.Heads
	b[59] = f.Geometry.SectorsPerTrack
	be.PutUint32(b[60:], f.DiskType)
	copy(b[68:], f.UniqueID[:])
	be.PutUint32(b[offChecksum:], checksum(b))
	return b
}

// checksum is the one's complement of the sum of all bytes but its own.
func checksum(b []byte) uint32 {
	var sum uint32
	for i, c := range b {
		if i < offChecksum || i >= offChecksum+4 {
			sum += uint32(c)
		}
	}
	return ^sum
}
