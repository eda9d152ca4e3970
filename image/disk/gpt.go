package disk

import (
	"encoding/binary"
	"hash/crc32"
	"unicode/utf16"

	"safebox/measure/gpt"
)

// Layout of a table with 128 entries (UEFI 2.10, section 5.3.1).
const (
	gptHeaderSize   = 92
	gptEntrySize    = 128
	gptEntries      = 128
	gptArraySectors = gptEntries * gptEntrySize / sectorSize
	gptRevision     = 0x00010000
)

// partitionName is what tools show; firmware does not look at it.
const partitionName = "esp"

// partitionTable is a GPT with one system partition.
type partitionTable struct {
	sectors  uint64 // of the disk
	diskGUID gpt.GUID
	array    []byte
}

func newTable(seed string, diskSize, espSize int64) *partitionTable {
	t := &partitionTable{
		sectors:  uint64(diskSize / sectorSize),
		diskGUID: gpt.FromUUID(UUID(seed, "disk")),
		array:    make([]byte, gptEntries*gptEntrySize),
	}
	// UEFI 2.10, table 5-6, GPT partition entry.
	kind, unique := gpt.ESP(), gpt.FromUUID(UUID(seed, "esp"))
	copy(t.array[0:], kind[:])
	copy(t.array[16:], unique[:])
	binary.LittleEndian.PutUint64(t.array[32:], espStart/sectorSize)
	binary.LittleEndian.PutUint64(t.array[40:], uint64((espStart+espSize)/sectorSize-1))
	for i, u := range utf16.Encode([]rune(partitionName)) {
		binary.LittleEndian.PutUint16(t.array[56+2*i:], u)
	}
	return t
}

// primary is the start of the disk: protective MBR, header, entries.
func (t *partitionTable) primary() []piece {
	return []piece{
		{0, t.protectiveMBR()},
		{sectorSize, t.header(1, t.sectors-1, 2)},
		{2 * sectorSize, t.array},
	}
}

// backup is the end of the disk: entries, header in the last sector.
func (t *partitionTable) backup() []piece {
	last := t.sectors - 1
	array := last - gptArraySectors
	return []piece{
		{int64(array) * sectorSize, t.array},
		{int64(last) * sectorSize, t.header(last, 1, array)},
	}
}

// header is UEFI 2.10, table 5-5, GPT header.
func (t *partitionTable) header(own, other, array uint64) []byte {
	b := make([]byte, sectorSize)
	copy(b, "EFI PART")
	binary.LittleEndian.PutUint32(b[8:], gptRevision)
	binary.LittleEndian.PutUint32(b[12:], gptHeaderSize)
	binary.LittleEndian.PutUint64(b[24:], own)
	binary.LittleEndian.PutUint64(b[32:], other)
	binary.LittleEndian.PutUint64(b[40:], 2+gptArraySectors)           // first usable sector
	binary.LittleEndian.PutUint64(b[48:], t.sectors-2-gptArraySectors) // last usable sector
	copy(b[56:], t.diskGUID[:])
	binary.LittleEndian.PutUint64(b[72:], array)
	binary.LittleEndian.PutUint32(b[80:], gptEntries)
	binary.LittleEndian.PutUint32(b[84:], gptEntrySize)
	binary.LittleEndian.PutUint32(b[88:], crc32.ChecksumIEEE(t.array))
	binary.LittleEndian.PutUint32(b[16:], crc32.ChecksumIEEE(b[:gptHeaderSize])) // with itself still zero
	return b
}

// protectiveMBR is UEFI 2.10, table 5-3 and 5-4: one partition of type 0xee
// over the whole disk, for tools that don't know GPT.
func (t *partitionTable) protectiveMBR() []byte {
	b := make([]byte, sectorSize)
	rec := b[446:]
	copy(rec[1:4], []byte{0x00, 0x02, 0x00}) // CHS of sector 1
	rec[4] = 0xee
	copy(rec[5:8], []byte{0xff, 0xff, 0xff}) // CHS of the end: beyond what it can say
	binary.LittleEndian.PutUint32(rec[8:], 1)
	binary.LittleEndian.PutUint32(rec[12:], uint32(t.sectors-1)) // maxSize keeps it below 2^32
	b[510], b[511] = 0x55, 0xaa
	return b
}
