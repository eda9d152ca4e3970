// Package fat reads the FAT12, FAT16 or FAT32 file system of an EFI system
// partition, as firmware does to find \EFI\BOOT\BOOTX64.EFI.
//
// It implements:
//   - Microsoft, FAT: General Overview of On-Disk Format, version 1.03
//     (2000-12-06), called FATGEN below; section titles are those of it.
//   - UEFI Specification 2.10, section 13.3 (File System Format).
//
// The reader is strict. Open walks the whole tree and refuses a file system
// that two drivers could read differently: FAT copies that differ, clusters
// with two owners or none, chains that do not fit the size of their file, two
// entries of a directory that answer to one name.
package fat

import (
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
)

// Limits on what Open accepts.
const (
	MaxClusters = 4 << 20   // 2 GiB in clusters of 512 bytes, 16 MiB of FAT
	MaxFiles    = 1 << 14   // files and directories in the whole tree
	MaxDepth    = 16        // levels below the root
	MaxRead     = 512 << 20 // size of a file that ReadFile returns
)

// FS is a file system that has been checked as a whole.
type FS struct {
	Type     Type
	VolumeID uint32 // "serial number" of the boot sector
	Label    string // of the boot sector, without the padding

	r     io.ReaderAt
	boot  boot
	table table
	files []File
}

// File is a file or a directory.
type File struct {
	Path       string // "EFI/BOOT/BOOTX64.EFI"; the long name where there is one
	Size       int64  // zero for a directory
	Attributes Attributes

	alias string // other path it can be opened by, from the short name, else ""
	first uint32 // first cluster, zero if empty
}

// Attributes are the DIR_Attr bits (FATGEN, "FAT Directory Structure").
type Attributes uint8

// The attribute bits.
const (
	ReadOnly  Attributes = 0x01
	Hidden    Attributes = 0x02
	System    Attributes = 0x04
	VolumeID  Attributes = 0x08
	Directory Attributes = 0x10
	Archive   Attributes = 0x20

	longName     Attributes = 0x0f // ATTR_LONG_NAME, the first four together
	longNameMask Attributes = 0x3f // ATTR_LONG_NAME_MASK
	reservedBits Attributes = 0xc0
)

// IsDir reports whether f is a directory.
func (f File) IsDir() bool { return f.Attributes&Directory != 0 }

// Open reads the file system in r, which is size bytes long.
func Open(r io.ReaderAt, size int64) (*FS, error) {
	f := &FS{r: r}
	if err := f.open(size); err != nil {
		return nil, fmt.Errorf("parsing FAT: %w", err)
	}
	return f, nil
}

func (f *FS) open(size int64) error {
	if err := f.readBoot(size); err != nil {
		return err
	}
	if err := f.readTable(); err != nil {
		return err
	}
	if err := f.walk(); err != nil {
		return err
	}
	return f.table.checkLost()
}

// Files lists every file and directory, parents before what they hold, else
// in the order of the directory entries.
func (f *FS) Files() []File { return slices.Clone(f.files) }

// ReadFile returns the content of a file. Names are separated by slashes or
// backslashes and compared without regard to case, long or short, as firmware
// does.
func (f *FS) ReadFile(path string) ([]byte, error) {
	file, ok := f.lookup(path)
	if !ok {
		return nil, fmt.Errorf("reading %q from FAT: %w", path, fs.ErrNotExist)
	}
	if file.IsDir() {
		return nil, fmt.Errorf("reading %q from FAT: got a directory, want a file", path)
	}
	if file.Size > MaxRead {
		return nil, fmt.Errorf("reading %q from FAT: size: got %d, want at most %d", path, file.Size, MaxRead)
	}
	b, err := f.readChain(file.first)
	if err != nil {
		return nil, fmt.Errorf("reading %q from FAT: %w", path, err)
	}
	return b[:file.Size], nil
}

// lookup resolves path one directory at a time, because each part may be
// given by its long or by its short name.
func (f *FS) lookup(path string) (File, bool) {
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' })
	var found File
	for i, part := range parts {
		want := part
		if i > 0 {
			want = found.Path + "/" + part
		}
		j := slices.IndexFunc(f.files, func(c File) bool {
			return fold(c.Path) == fold(want) || c.alias != "" && fold(c.alias) == fold(want)
		})
		if j < 0 {
			return File{}, false
		}
		found = f.files[j]
	}
	return found, len(parts) > 0
}

// fold makes names comparable as FAT compares them.
func fold(name string) string { return strings.ToUpper(name) }

// readAt fills b; io.ReaderAt may say io.EOF along with the last bytes.
func readAt(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading %d bytes at 0x%x: %w", len(b), off, err)
}
