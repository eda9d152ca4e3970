package ovmf

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Firmware file systems: EFI_FIRMWARE_FILE_SYSTEM2_GUID and
// EFI_FIRMWARE_FILE_SYSTEM3_GUID (PI 1.8, Volume 3, 3.2.2). The second allows
// files of 16 MiB and more; they are written the same way otherwise.
const (
	fileSystem2 = "8c8ce578-8a3d-4f1c-9935-896185c32dd3"
	fileSystem3 = "5473c07a-3dcb-4dca-bd6f-1e9689e7349a"
)

// Fields of EFI_FIRMWARE_VOLUME_HEADER (PI 1.8, Volume 3, 3.2.1.1):
//
//	 0  ZeroVector       16 bytes
//	16  FileSystemGuid   16 bytes
//	32  FvLength         u64
//	40  Signature        "_FVH"
//	44  Attributes       u32
//	48  HeaderLength     u16
//	50  Checksum         u16: the u16s of the header sum up to zero
//	52  ExtHeaderOffset  u16: 0 if there is none
//	54  Reserved         u8: 0
//	55  Revision         u8: 2
//	56  BlockMap         u32 count, u32 length each; ends with a pair of zeros
const (
	volumeSignature = "_FVH"
	volumeRevision  = 2
	blockMapOffset  = 56
	maxBlockMap     = 16
	erasePolarity   = 0x800 // EFI_FVB2_ERASE_POLARITY: free space is ones
)

// extHeaderSize is the fixed part of EFI_FIRMWARE_VOLUME_EXT_HEADER (PI 1.8,
// Volume 3, 3.2.1.2): the volume's name, then u32 ExtHeaderSize.
const extHeaderSize = 16 + 4

// volume is one firmware volume.
type volume struct {
	bytes      []byte // all of it: FvLength bytes
	fileSystem string
	name       string // of its extended header, empty if there is none
	files      []byte // what follows the headers
	fileBase   int    // offset of files in bytes
	free       byte   // what free space is filled with
}

// decodeVolume parses the headers of the volume at the start of b, which may
// be longer.
func decodeVolume(b []byte) (*volume, error) {
	if len(b) < blockMapOffset+8 {
		return nil, fmt.Errorf("volume header: got %d bytes, want at least %d", len(b), blockMapOffset+8)
	}
	le := binary.LittleEndian
	length, headerLength := le.Uint64(b[32:]), int(le.Uint16(b[48:]))
	switch {
	case string(b[40:44]) != volumeSignature:
		return nil, fmt.Errorf("volume signature: got %q, want %q", b[40:44], volumeSignature)
	case !bytes.Equal(b[:16], make([]byte, 16)):
		return nil, fmt.Errorf("volume zero vector: got %x, want zeros", b[:16])
	case b[54] != 0:
		return nil, fmt.Errorf("volume reserved byte: got %d, want 0", b[54])
	case b[55] != volumeRevision:
		return nil, fmt.Errorf("volume revision: got %d, want %d", b[55], volumeRevision)
	case length > uint64(len(b)):
		return nil, fmt.Errorf("volume length: got %#x, want at most %#x", length, len(b))
	case headerLength < blockMapOffset+8 || uint64(headerLength) > length || headerLength%8 != 0:
		return nil, fmt.Errorf("volume header length: got %d, want a multiple of 8 from %d to the volume's length", headerLength, blockMapOffset+8)
	}
	if sum := sum16(b[:headerLength]); sum != 0 {
		return nil, fmt.Errorf("volume header checksum: sum is %#04x, want 0", sum)
	}
	if err := checkBlockMap(b[blockMapOffset:headerLength], length); err != nil {
		return nil, err
	}
	v := &volume{bytes: b[:length], fileSystem: guid(b[16:]), fileBase: headerLength}
	if le.Uint32(b[44:])&erasePolarity != 0 {
		v.free = 0xff
	}
	return v, v.decodeExtHeader(int(le.Uint16(b[52:])), headerLength)
}

// decodeExtHeader finds the volume's name and where its files start: after the
// extended header, on the next multiple of 8 (PI 1.8, Volume 3, 3.2.1.2).
func (v *volume) decodeExtHeader(off, headerLength int) error {
	if off != 0 {
		if off < headerLength || off > len(v.bytes)-extHeaderSize {
			return fmt.Errorf("volume extended header: offset: got %#x, want %#x to %#x", off, headerLength, len(v.bytes)-extHeaderSize)
		}
		size := binary.LittleEndian.Uint32(v.bytes[off+16:])
		if size < extHeaderSize || uint64(size) > uint64(len(v.bytes)-off) {
			return fmt.Errorf("volume extended header: size: got %d, want %d to %d", size, extHeaderSize, len(v.bytes)-off)
		}
		v.name = guid(v.bytes[off:])
		v.fileBase = min(align(off+int(size), 8), len(v.bytes))
	}
	v.files = v.bytes[v.fileBase:]
	return nil
}

// checkBlockMap wants the blocks to add up to the volume.
func checkBlockMap(b []byte, length uint64) error {
	if len(b)/8 > maxBlockMap {
		return fmt.Errorf("volume block map: got %d entries, want at most %d", len(b)/8, maxBlockMap)
	}
	sum := uint64(0)
	for i := 0; i < len(b); i += 8 {
		count, size := binary.LittleEndian.Uint32(b[i:]), binary.LittleEndian.Uint32(b[i+4:])
		if last := i+8 == len(b); last != (count == 0 && size == 0) {
			return fmt.Errorf("volume block map entry %d: got %d blocks of %d bytes, want the end in the last entry only", i/8, count, size)
		}
		blocks := uint64(count) * uint64(size)
		if blocks > length-sum {
			return fmt.Errorf("volume block map: more than the volume's length %#x", length)
		}
		sum += blocks
	}
	if sum != length {
		return fmt.Errorf("volume block map: sum: got %#x, want %#x", sum, length)
	}
	return nil
}

// sum16 adds up little-endian u16s; len(b) is even.
func sum16(b []byte) uint16 {
	var sum uint16
	for i := 0; i < len(b); i += 2 {
		sum += binary.LittleEndian.Uint16(b[i:])
	}
	return sum
}

func align(n, to int) int { return (n + to - 1) / to * to }
