// Package gpt reads the GUID partition table of a disk image and forms what
// firmware measures of it into PCR 5.
//
// It implements:
//   - UEFI Specification 2.10, section 5.2.3 (protective MBR) and 5.3 (GUID
//     Partition Table disk layout).
//   - TCG PC Client Platform Firmware Profile (PFP), family 2.0, version
//     1.06 revision 52: UEFI_GPT_DATA, the event data of EV_EFI_GPT_EVENT.
//
// The reader is strict: both copies of the table must be there, whole and
// alike, so that no reader can see another disk by taking the other copy.
package gpt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
)

// SectorSize is the one logical block size this package reads and the builder
// writes: firmware does not find file systems made for another one.
const SectorSize = 512

const (
	headerSize = 92                    // UEFI 2.10, table 5-5: HeaderSize
	signature  = "EFI PART"            // UEFI 2.10, table 5-5: Signature
	revision   = 0x00010000            // UEFI 2.10, table 5-5: Revision
	entrySize  = 128                   // UEFI 2.10, table 5-6
	maxEntries = 128                   // what 16384 bytes hold, the size section 5.3.1 reserves
	minSectors = 1 + 1 + 1 + 1 + 1 + 1 // MBR, two headers, two arrays, one sector of partition
)

// Table is a decoded partition table.
type Table struct {
	DiskGUID    GUID
	Sectors     uint64 // of the whole disk
	FirstUsable uint64 // sector numbers, both inclusive
	LastUsable  uint64
	Partitions  []Partition // used entries only, in table order

	header [headerSize]byte
	used   []byte // the used entries as they are on the disk
}

// Partition is one used entry.
type Partition struct {
	Type       GUID
	GUID       GUID
	First      uint64 // sector numbers, both inclusive
	Last       uint64
	Attributes uint64
	Name       string
}

// Offset is where the partition begins, in bytes.
func (p Partition) Offset() int64 { return int64(p.First) * SectorSize }

// Size is the length of the partition in bytes.
func (p Partition) Size() int64 { return int64(p.Last-p.First+1) * SectorSize }

// Section returns the part of the disk r that the partition covers.
func (p Partition) Section(r io.ReaderAt) *io.SectionReader {
	return io.NewSectionReader(r, p.Offset(), p.Size())
}

// Decode reads the partition table of the disk r, which is size bytes long.
func Decode(r io.ReaderAt, size int64) (*Table, error) {
	if size%SectorSize != 0 || size < minSectors*SectorSize {
		return nil, fmt.Errorf("parsing GPT: disk size: got %d, want a multiple of %d, at least %d", size, SectorSize, minSectors*SectorSize)
	}
	sectors := uint64(size / SectorSize)
	t, err := decode(r, sectors)
	if err != nil {
		return nil, fmt.Errorf("parsing GPT: %w", err)
	}
	return t, nil
}

func decode(r io.ReaderAt, sectors uint64) (*Table, error) {
	if err := checkMBR(r, sectors); err != nil {
		return nil, fmt.Errorf("protective MBR: %w", err)
	}
	primary, err := readHeader(r, 1, sectors)
	if err != nil {
		return nil, fmt.Errorf("primary header: %w", err)
	}
	backup, err := readHeader(r, sectors-1, sectors)
	if err != nil {
		return nil, fmt.Errorf("backup header: %w", err)
	}
	if err := checkPair(primary, backup); err != nil {
		return nil, err
	}
	array, err := readEntries(r, primary)
	if err != nil {
		return nil, fmt.Errorf("primary entries: %w", err)
	}
	second, err := readEntries(r, backup)
	if err != nil {
		return nil, fmt.Errorf("backup entries: %w", err)
	}
	if !bytes.Equal(array, second) {
		return nil, fmt.Errorf("backup entries at sector %d: differ from the primary ones", backup.entryLBA)
	}
	t := &Table{
		DiskGUID: primary.diskGUID, Sectors: sectors,
		FirstUsable: primary.firstUsable, LastUsable: primary.lastUsable,
		header: primary.raw,
	}
	if err := t.decodeEntries(array); err != nil {
		return nil, err
	}
	return t, nil
}

// decodeEntries takes the used entries out of the array. As in firmware, an
// entry is used if its type is not zero.
func (t *Table) decodeEntries(array []byte) error {
	for i := 0; i < len(array); i += entrySize {
		e := array[i : i+entrySize]
		if GUID(e[:16]) == (GUID{}) {
			if len(bytes.TrimLeft(e, "\x00")) != 0 {
				return fmt.Errorf("entry %d: unused: got other bytes, want all zeros", i/entrySize)
			}
			continue
		}
		p, err := decodePartition(e)
		if err == nil {
			err = t.checkPartition(p)
		}
		if err != nil {
			return fmt.Errorf("entry %d: %w", i/entrySize, err)
		}
		t.Partitions = append(t.Partitions, p)
		t.used = append(t.used, e...)
	}
	return nil
}

// decodePartition reads one entry: UEFI 2.10, table 5-6, GPT partition entry.
func decodePartition(e []byte) (Partition, error) {
	name, err := decodeName(e[56:128])
	if err != nil {
		return Partition{}, err
	}
	return Partition{
		Type:       GUID(e[0:16]),
		GUID:       GUID(e[16:32]),
		First:      binary.LittleEndian.Uint64(e[32:]),
		Last:       binary.LittleEndian.Uint64(e[40:]),
		Attributes: binary.LittleEndian.Uint64(e[48:]),
		Name:       name,
	}, nil
}

// checkPartition compares p with the disk and with the partitions before it.
func (t *Table) checkPartition(p Partition) error {
	if p.GUID == (GUID{}) {
		return fmt.Errorf("unique GUID: got zeros")
	}
	if p.First < t.FirstUsable || p.Last > t.LastUsable || p.First > p.Last {
		return fmt.Errorf("sectors: got %d to %d, want within %d to %d", p.First, p.Last, t.FirstUsable, t.LastUsable)
	}
	for i, q := range t.Partitions {
		if p.GUID == q.GUID {
			return fmt.Errorf("unique GUID: got %v, which partition %d has too", p.GUID, i)
		}
		if p.First <= q.Last && q.First <= p.Last {
			return fmt.Errorf("sectors %d to %d: overlap partition %d at %d to %d", p.First, p.Last, i, q.First, q.Last)
		}
	}
	return nil
}

// EventData returns UEFI_GPT_DATA, the bytes whose digest PCR 5 is extended
// with: the header without the rest of its sector, the number of used entries
// as 64 bits, the used entries.
func (t *Table) EventData() []byte {
	b := slices.Clone(t.header[:])
	b = binary.LittleEndian.AppendUint64(b, uint64(len(t.Partitions)))
	return append(b, t.used...)
}

// readEntries reads the entry array that h points to and checks its CRC.
func readEntries(r io.ReaderAt, h *header) ([]byte, error) {
	b := make([]byte, int(h.entries)*entrySize)
	if err := readAt(r, b, int64(h.entryLBA)*SectorSize); err != nil {
		return nil, fmt.Errorf("at sector %d: %w", h.entryLBA, err)
	}
	if got := crc32.ChecksumIEEE(b); got != h.entriesCRC {
		return nil, fmt.Errorf("at sector %d: CRC32: got %08x, want %08x", h.entryLBA, got, h.entriesCRC)
	}
	return b, nil
}

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
