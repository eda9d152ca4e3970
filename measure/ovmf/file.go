package ovmf

import (
	"encoding/binary"
	"fmt"
)

// fileVolumeImage is EFI_FV_FILETYPE_FIRMWARE_VOLUME_IMAGE (PI 1.8, Volume 3,
// 2.1.4.1).
const fileVolumeImage = 0x0b

// Fields of EFI_FFS_FILE_HEADER and EFI_FFS_FILE_HEADER2 (PI 1.8, Volume 3,
// 3.2.3):
//
//	 0  Name                      16 bytes
//	16  IntegrityCheck.Header     u8: the header's bytes sum up to zero with
//	                              State and IntegrityCheck.File taken as zero
//	17  IntegrityCheck.File       u8: likewise for the data, or 0xaa
//	18  Type                      u8
//	19  Attributes                u8
//	20  Size                      u24 with the header, 0 if it is extended
//	23  State                     u8
//	24  ExtendedSize              u64, in EFI_FFS_FILE_HEADER2 only
const (
	fileHeaderSize    = 24
	fileHeader2Size   = 32
	fileAttrLarge     = 0x01 // FFS_ATTRIB_LARGE_FILE
	fileAttrChecksum  = 0x40 // FFS_ATTRIB_CHECKSUM
	fileFixedChecksum = 0xaa // FFS_FIXED_CHECKSUM, without FFS_ATTRIB_CHECKSUM
	fileStateValid    = 0x07 // HEADER_CONSTRUCTION, HEADER_VALID, DATA_VALID
	maxFiles          = 4096
	fileAlignment     = 8
)

// file is one file of a volume.
type file struct {
	name string
	typ  byte
	data []byte
}

// readFiles lists the files of a volume: one after the other, each on a
// multiple of 8, then free space to the volume's end.
func (v *volume) readFiles() ([]file, error) {
	if !v.hasFiles() {
		return nil, fmt.Errorf("volume file system: got %s, want %s or %s", v.fileSystem, fileSystem2, fileSystem3)
	}
	var files []file
	b := v.files
	for off := 0; off < len(b); {
		if v.isFree(b[off:min(off+fileHeaderSize, len(b))]) {
			if !v.isFree(b[off:]) {
				return nil, fmt.Errorf("volume at %#x: data after the start of free space", v.fileBase+off)
			}
			break
		}
		if len(files) == maxFiles {
			return nil, fmt.Errorf("volume: more than %d files", maxFiles)
		}
		f, size, err := v.decodeFile(b[off:])
		if err != nil {
			return nil, fmt.Errorf("file at %#x: %w", v.fileBase+off, err)
		}
		files = append(files, *f)
		next := min(align(v.fileBase+off+size, fileAlignment)-v.fileBase, len(b))
		if !v.isFree(b[off+size : next]) {
			return nil, fmt.Errorf("file at %#x: padding after it: got %x, want %#02x", v.fileBase+off, b[off+size:next], v.free)
		}
		off = next
	}
	return files, nil
}

// hasFiles reports whether the volume is one of files.
func (v *volume) hasFiles() bool { return v.fileSystem == fileSystem2 || v.fileSystem == fileSystem3 }

func (v *volume) isFree(b []byte) bool {
	for _, c := range b {
		if c != v.free {
			return false
		}
	}
	return true
}

// decodeFile parses the file at the start of b and returns its size there.
func (v *volume) decodeFile(b []byte) (*file, int, error) {
	if len(b) < fileHeaderSize {
		return nil, 0, fmt.Errorf("header: got %d bytes, want %d", len(b), fileHeaderSize)
	}
	header, size, err := v.fileSize(b)
	if err != nil {
		return nil, 0, err
	}
	if size < uint64(header) || size > uint64(len(b)) {
		return nil, 0, fmt.Errorf("size: got %#x, want %#x to %#x", size, header, len(b))
	}
	state, integrity, attributes := b[23], b[17], b[19]
	if sum := sum8(b[:header]) - state - integrity; sum != 0 {
		return nil, 0, fmt.Errorf("header checksum: sum is %#02x, want 0", sum)
	}
	if state^v.free != fileStateValid {
		return nil, 0, fmt.Errorf("state: got %#02x, want %#02x", state, fileStateValid^v.free)
	}
	data := b[header:size]
	want := byte(fileFixedChecksum)
	if attributes&fileAttrChecksum != 0 {
		want = -sum8(data)
	}
	if integrity != want {
		return nil, 0, fmt.Errorf("data checksum: got %#02x, want %#02x", integrity, want)
	}
	return &file{name: guid(b), typ: b[18], data: data}, int(size), nil
}

// fileSize reads the length of the header and of the whole file.
func (v *volume) fileSize(b []byte) (header int, size uint64, err error) {
	size = uint64(b[20]) | uint64(b[21])<<8 | uint64(b[22])<<16
	if b[19]&fileAttrLarge == 0 {
		return fileHeaderSize, size, nil
	}
	if v.fileSystem != fileSystem3 {
		return 0, 0, fmt.Errorf("attributes: got %#02x: large files need file system %s", b[19], fileSystem3)
	}
	if size != 0 {
		return 0, 0, fmt.Errorf("size field of a large file: got %#x, want 0", size)
	}
	if len(b) < fileHeader2Size {
		return 0, 0, fmt.Errorf("header: got %d bytes, want %d", len(b), fileHeader2Size)
	}
	return fileHeader2Size, binary.LittleEndian.Uint64(b[24:]), nil
}

func sum8(b []byte) byte {
	var sum byte
	for _, c := range b {
		sum += c
	}
	return sum
}
