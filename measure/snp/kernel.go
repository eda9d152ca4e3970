package snp

import (
	"crypto/sha256"
	"encoding/binary"
)

// KernelHashes are the SHA-256 digests of what a monitor is given for direct
// boot. Firmware built for it refuses anything else. QEMU gives the files as
// they are: it doesn't change the kernel's setup header under SEV.
type KernelHashes struct {
	Kernel      [32]byte
	Initrd      [32]byte // that of no bytes if there is none
	CommandLine [32]byte // see HashCommandLine
}

// HashCommandLine hashes a kernel command line as QEMU does, with the NUL
// after it. White space counts, that around it too (tools of the Rust family
// trim it and so differ). No command line is the empty text.
func HashCommandLine(text string) [32]byte {
	return sha256.Sum256(append([]byte(text), 0))
}

// Sizes of QEMU 10.0 target/i386/sev.c, SevHashTableEntry, SevHashTable,
// PaddedSevHashTable.
const (
	hashEntrySize = 16 + 2 + 32
	hashTable     = 16 + 2 + 3*hashEntrySize
	hashTableSize = 176 // padded to a multiple of 16
)

// table is QEMU's PaddedSevHashTable; GUIDs are those of sev.c:
//
//	  0  SEV_HASH_TABLE_HEADER_GUID, u16 168
//	 18  SEV_CMDLINE_ENTRY_GUID, u16 50, SHA-256
//	 68  SEV_INITRD_ENTRY_GUID, u16 50, SHA-256
//	118  SEV_KERNEL_ENTRY_GUID, u16 50, SHA-256
//	168  zeros
func (k *KernelHashes) table() (t [hashTableSize]byte) {
	putHeader(t[0:], 0x9438d606, 0x4f22, 0x4cc9, 0xb479a793d411fd21, hashTable)
	putHeader(t[18:], 0x97d02dd8, 0xbd20, 0x4c94, 0xaa78e7714d36ab2a, hashEntrySize)
	copy(t[36:], k.CommandLine[:])
	putHeader(t[68:], 0x44baf731, 0x3a2f, 0x4bd7, 0x9af141e29169781d, hashEntrySize)
	copy(t[86:], k.Initrd[:])
	putHeader(t[118:], 0x4de79437, 0xabd2, 0x427f, 0xb835d5b172d2045b, hashEntrySize)
	copy(t[136:], k.Kernel[:])
	return t
}

// putHeader writes a GUID, given as it is written, and a length.
func putHeader(b []byte, a uint32, c, d uint16, e uint64, length uint16) {
	binary.LittleEndian.PutUint32(b, a)
	binary.LittleEndian.PutUint16(b[4:], c)
	binary.LittleEndian.PutUint16(b[6:], d)
	binary.BigEndian.PutUint64(b[8:], e)
	binary.LittleEndian.PutUint16(b[16:], length)
}
