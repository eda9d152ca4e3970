// Package disk assembles the disk image that UEFI firmware boots: a GPT with
// one EFI system partition.
//
// It implements:
//   - UEFI Specification 2.10, section 5.2.3 and 5.3 (protective MBR, GUID
//     Partition Table) and 13.3 (file system of the system partition, FAT32).
//   - Microsoft, FAT: General Overview of On-Disk Format, version 1.03
//     (2000-12-06), called FATGEN below.
//   - RFC 9562, section 5.5 (UUID version 5).
//
// The bytes depend on the files, the seed and the size alone: GUIDs and the
// serial number come from the seed, every time is 1980-01-01, entries are
// sorted, clusters are contiguous. The file system is always FAT32, which is
// what the UEFI specification asks of a disk that is not removable; with the
// smallest clusters that makes 35 MiB the smallest disk.
package disk

import (
	"fmt"
	"io"
)

const (
	sectorSize = 512
	mib        = 1 << 20

	// espStart is where the partition begins. The last mebibyte of the
	// disk belongs to the backup table.
	espStart = mib
	tail     = mib

	maxSize = 1 << 40 // of the disk; beyond 2 TiB the protective MBR changes its form
)

// Boot is the path from which firmware starts an x86-64 disk without a boot
// entry (UEFI 2.10, section 3.5.1.1, Removable Media Boot Behavior).
const Boot = "EFI/BOOT/BOOTX64.EFI"

// File is a file of the system partition. Path has slashes and begins with a
// name; the directories on the way are made.
type File struct {
	Path string
	Data []byte
}

// Image is a disk. It refers to the Data of its files.
type Image struct {
	size   int64
	pieces []piece // in order; between them are zeros
}

type piece struct {
	offset int64
	data   []byte
}

// Assemble lays out the smallest disk that holds the files, in whole
// mebibytes. seed is any text; another seed gives other GUIDs.
func Assemble(esp []File, seed string) (*Image, error) {
	return AssembleSize(esp, seed, 0)
}

// AssembleSize is Assemble for a disk of the given size, a multiple of 1 MiB,
// or 0 for the smallest: clouds want certain sizes, and PCR 5 covers it. The
// partition stays the same, the space behind it is left free.
func AssembleSize(esp []File, seed string, size int64) (*Image, error) {
	im, err := assemble(esp, seed, size)
	if err != nil {
		return nil, fmt.Errorf("assembling disk: %w", err)
	}
	return im, nil
}

func assemble(esp []File, seed string, size int64) (*Image, error) {
	if seed == "" {
		return nil, fmt.Errorf("seed: got none")
	}
	root, err := newTree(esp)
	if err != nil {
		return nil, err
	}
	fs, err := newFileSystem(root, volumeID(seed))
	if err != nil {
		return nil, err
	}
	least := espStart + fs.size + tail
	if size == 0 {
		size = least
	}
	if size < least || size > maxSize || size%mib != 0 {
		return nil, fmt.Errorf("disk size: got %d, want a multiple of %d, from %d to %d", size, mib, least, int64(maxSize))
	}
	table := newTable(seed, size, fs.size)
	im := &Image{size: size}
	im.pieces = append(im.pieces, table.primary()...)
	for _, p := range fs.pieces() {
		im.pieces = append(im.pieces, piece{espStart + p.offset, p.data})
	}
	im.pieces = append(im.pieces, table.backup()...)
	return im, nil
}

// Size is the size of the disk in bytes.
func (im *Image) Size() int64 { return im.size }

// WriteTo writes the whole disk.
func (im *Image) WriteTo(w io.Writer) (int64, error) {
	var n int64
	zeros := make([]byte, 64<<10)
	write := func(b []byte) error {
		k, err := w.Write(b)
		n += int64(k)
		return err
	}
	fill := func(to int64) error {
		for n < to {
			if err := write(zeros[:min(int64(len(zeros)), to-n)]); err != nil {
				return err
			}
		}
		return nil
	}
	for _, p := range im.pieces {
		if err := fill(p.offset); err != nil {
			return n, fmt.Errorf("writing disk: %w", err)
		}
		if err := write(p.data); err != nil {
			return n, fmt.Errorf("writing disk: %w", err)
		}
	}
	if err := fill(im.size); err != nil {
		return n, fmt.Errorf("writing disk: %w", err)
	}
	return n, nil
}
