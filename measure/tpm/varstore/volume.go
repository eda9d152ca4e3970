package varstore

import (
	"encoding/binary"
	"fmt"
)

// Fixed sizes of the headers before the first variable.
const (
	volumeHeaderSize = 0x48 // PI 1.8, volume 3, EFI_FIRMWARE_VOLUME_HEADER with one block map entry and its end
	storeHeaderSize  = 28   // edk2 VariableFormat.h, VARIABLE_STORE_HEADER
)

// Constants of the headers.
const (
	volumeSignature = "_FVH" // PI 1.8, volume 3, EFI_FVH_SIGNATURE
	storeFormatted  = 0x5a   // edk2 VariableFormat.h, VARIABLE_STORE_FORMATTED
	storeHealthy    = 0xfe   // edk2 VariableFormat.h, VARIABLE_STORE_HEALTHY
)

// systemNVData is gEfiSystemNvDataFvGuid (edk2,
// MdeModulePkg/Include/Guid/SystemNvDataGuid.h).
func systemNVData() GUID {
	return GUID{0x8d, 0x2b, 0xf1, 0xff, 0x96, 0x76, 0x8b, 0x4c, 0xa9, 0x85, 0x27, 0x47, 0x07, 0x5b, 0x4f, 0x50}
}

// authenticatedVariable is gEfiAuthenticatedVariableGuid (edk2 VariableFormat.h).
func authenticatedVariable() GUID {
	return GUID{0x78, 0x2c, 0xf3, 0xaa, 0x7b, 0x94, 0x9a, 0x43, 0xa1, 0x80, 0x2e, 0x14, 0x4e, 0xc3, 0x77, 0x92}
}

// openVolume checks the header of the firmware volume and returns the store in
// it, header included (PI 1.8, volume 3, section 3.2.1.1):
//
//	ZeroVector       16 bytes
//	FileSystemGuid   16 bytes
//	FvLength         u64
//	Signature        "_FVH"
//	Attributes       u32
//	HeaderLength     u16
//	Checksum         u16   the u16 words of the header add up to 0
//	ExtHeaderOffset  u16
//	Reserved         u8
//	Revision         u8
//	BlockMap         u32 count, u32 length; ends with two zeros
func openVolume(b []byte) ([]byte, error) {
	le := binary.LittleEndian
	if len(b) > MaxSize || len(b) < volumeHeaderSize+storeHeaderSize {
		return nil, fmt.Errorf("size: got %d, want %d to %d", len(b), volumeHeaderSize+storeHeaderSize, MaxSize)
	}
	if got := string(b[0x28:0x2c]); got != volumeSignature {
		return nil, fmt.Errorf("volume header at 0x28: signature: got %q, want %q", got, volumeSignature)
	}
	if got := GUID(b[0x10:0x20]); got != systemNVData() {
		return nil, fmt.Errorf("volume header at 0x10: file system: got %v, want %v (variables)", got, systemNVData())
	}
	if got := le.Uint64(b[0x20:]); got != uint64(len(b)) {
		return nil, fmt.Errorf("volume header at 0x20: length: got %#x, want %#x, the size of the file", got, len(b))
	}
	if got := le.Uint16(b[0x30:]); got != volumeHeaderSize {
		return nil, fmt.Errorf("volume header at 0x30: header length: got %#x, want %#x", got, volumeHeaderSize)
	}
	sum := uint16(0)
	for i := 0; i < volumeHeaderSize; i += 2 {
		sum += le.Uint16(b[i:])
	}
	if sum != 0 {
		return nil, fmt.Errorf("volume header at 0x32: checksum: words add up to %#04x, want 0", sum)
	}
	store, err := openStore(b[volumeHeaderSize:])
	if err != nil {
		return nil, err
	}
	return store, checkWrites(b, volumeHeaderSize+len(store))
}

// openStore checks the VARIABLE_STORE_HEADER and cuts the store to its size
// (edk2 VariableFormat.h):
//
//	Signature  16 bytes
//	Size       u32, of the store with this header
//	Format     u8
//	State      u8
//	Reserved   u16, u32
func openStore(b []byte) ([]byte, error) {
	if got := GUID(b[:16]); got != authenticatedVariable() {
		return nil, fmt.Errorf("store header at %#x: signature: got %v, want %v (authenticated variables)", volumeHeaderSize, got, authenticatedVariable())
	}
	size := binary.LittleEndian.Uint32(b[16:])
	if size < storeHeaderSize || uint64(size) > uint64(len(b)) {
		return nil, fmt.Errorf("store header at %#x: size: got %#x, want %#x to %#x", volumeHeaderSize+16, size, storeHeaderSize, len(b))
	}
	if b[20] != storeFormatted || b[21] != storeHealthy {
		return nil, fmt.Errorf("store header at %#x: format and state: got %#02x %#02x, want %#02x %#02x", volumeHeaderSize+20, b[20], b[21], storeFormatted, storeHealthy)
	}
	return b[:size], nil
}

// Sizes of the area of fault tolerant writes.
const (
	workingBlockSize  = 32     // edk2 FaultTolerantWrite.h, EFI_FAULT_TOLERANT_WORKING_BLOCK_HEADER
	workingBlockAlign = 0x1000 // the block size of OVMF's flash (OvmfPkg/VarStore.fdf.inc)
	workingBlockValid = 0xfe   // WorkingBlockValid is cleared, WorkingBlockInvalid is not
)

// workingBlock is gEdkiiWorkingBlockSignatureGuid (edk2,
// MdeModulePkg/Include/Guid/SystemNvDataGuid.h).
func workingBlock() GUID {
	return GUID{0x2b, 0x29, 0x58, 0x9e, 0x68, 0x7c, 0x7d, 0x49, 0xa0, 0xce, 0x65, 0x00, 0xfd, 0x9f, 0x1b, 0x95}
}

// checkWrites looks at what follows the store: erased flash, and in it at most
// the header of a working block, whose queue of writes is empty (edk2
// FaultTolerantWrite.h):
//
//	Signature       16 bytes
//	Crc             u32
//	state           u8
//	Reserved        3 bytes
//	WriteQueueSize  u64
//
// The CRC is not looked at: firmware that finds it wrong searches the spare
// blocks, which are erased, and writes a new header.
func checkWrites(b []byte, off int) error {
	for found := false; ; found = true {
		i := firstWritten(b[off:])
		if i < 0 {
			return nil
		}
		off += i
		rest := b[off:]
		if found || off%workingBlockAlign != 0 || len(rest) < workingBlockSize || GUID(rest[:16]) != workingBlock() || rest[20] != workingBlockValid {
			return fmt.Errorf("behind the store at %#x: got %#02x, want erased flash, or one working block without writes: a flash with fault tolerant writes was not seen to boot", off, b[off])
		}
		off += workingBlockSize
	}
}
