package compare

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"

	"safebox/image/disk/sparse"
	"safebox/measure/fat"
	"safebox/measure/gpt"
)

// disks compares two raw disks.
func disks(a, b []byte) *Difference {
	if d := diskContents(bytes.NewReader(a), bytes.NewReader(b)); d != nil {
		return d
	}
	return firstByte(a, b)
}

// diskContents compares two disks as a machine sees them: the files in EFI
// system partitions first, because sizes, tables and checksums follow from
// them; then the size, the partition table, the rest. It returns nil if they
// are equal.
func diskContents(a, b sparse.Disk) *Difference {
	tableA, errA := gpt.Decode(a, a.Size())
	tableB, errB := gpt.Decode(b, b.Size())
	var errFileA, errFileB error
	if errA == nil && errB == nil {
		var d *Difference
		d, errFileA, errFileB = systemPartitions(a, b, tableA, tableB)
		if d != nil {
			return d
		}
		if a.Size() != b.Size() {
			return sizes(int(a.Size()), int(b.Size()))
		}
	}
	table, layout := tableB, b
	if errB != nil {
		table, layout = tableA, a
	}
	var spans []span
	if table != nil {
		var err error
		if spans, err = diskSpans(layout, table); err != nil {
			return unread(err)
		}
	}
	// What no span names is counted from the start of the disk.
	spans = append(spans, span{size: max(a.Size(), b.Size()), late: true})
	return firstDiskSpan(a, b, spans).refused(errA, errB).refused(errFileA, errFileB)
}

// firstDiskSpan is firstSpan for disks that are not in memory.
func firstDiskSpan(a, b sparse.Disk, spans []span) *Difference {
	for _, late := range []bool{false, true} {
		for _, s := range spans {
			if s.late != late {
				continue
			}
			d, err := s.differ(a, b)
			if err != nil {
				return unread(err)
			}
			if d != nil {
				return d
			}
		}
	}
	return nil
}

// differ compares a span of two disks.
func (s span) differ(a, b sparse.Disk) (*Difference, error) {
	endA, endB := min(s.off+s.size, a.Size()), min(s.off+s.size, b.Size())
	at, err := sparse.Differ(a, b, s.off, min(endA, endB))
	if err != nil || at < 0 && endA == endB {
		return nil, err
	}
	if s.form != formBytes {
		at, endA, endB = s.off, max(endA, s.off), max(endB, s.off)
	} else if at < 0 {
		return sizes(int(max(endA-s.off, 0)), int(max(endB-s.off, 0))).in(s.path...), nil
	} else {
		endA, endB = at+1, at+1
	}
	partA, partB := make([]byte, endA-at), make([]byte, endB-at)
	if err := errors.Join(sparse.ReadFull(a, partA, at), sparse.ReadFull(b, partB, at)); err != nil {
		return nil, err
	}
	if s.form != formBytes {
		return s.show(partA, partB), nil
	}
	d := &Difference{What: fmt.Sprintf("byte %d", at-s.off), A: hexByte(partA[0]), B: hexByte(partB[0])}
	return d.in(s.path...), nil
}

// unread is what is left to say of disks of which a part could not be read.
func unread(err error) *Difference {
	return &Difference{What: "content", A: "not compared", B: "equal", Note: clip(err.Error())}
}

// systemPartitions compares the files of the EFI system partitions. The errors
// say why a side could not be read.
func systemPartitions(a, b sparse.Disk, tableA, tableB *gpt.Table) (d *Difference, errA, errB error) {
	for i := range min(len(tableA.Partitions), len(tableB.Partitions)) {
		pa, pb := tableA.Partitions[i], tableB.Partitions[i]
		if pa.Type != gpt.ESP() || pb.Type != gpt.ESP() {
			continue
		}
		d, errA, errB = partitionFiles(pa.Section(a), pb.Section(b))
		if d != nil || errA != nil || errB != nil {
			return d.in(partitionName(i, pb)), errA, errB
		}
	}
	return nil, nil, nil
}

func partitionName(i int, p gpt.Partition) string {
	if p.Name != "" {
		return "partition " + strconv.Quote(p.Name)
	}
	return fmt.Sprintf("partition %d", i+1)
}

func partitionFiles(a, b *io.SectionReader) (d *Difference, errA, errB error) {
	fsA, errA := fat.Open(a, a.Size())
	fsB, errB := fat.Open(b, b.Size())
	if errA != nil || errB != nil {
		return nil, errA, errB
	}
	inA, inB := make(map[string]fat.File), make(map[string]bool)
	for _, f := range fsA.Files() {
		inA[f.Path] = f
	}
	for _, f := range fsB.Files() {
		inB[f.Path] = true
		other, ok := inA[f.Path]
		if !ok {
			return onOneSide(describeFile(f), false).in(f.Path), nil, nil
		}
		if d, errA, errB := fatFiles(fsA, fsB, other, f); d != nil || errA != nil || errB != nil {
			return d.in(f.Path), errA, errB
		}
	}
	for _, f := range fsA.Files() {
		if !inB[f.Path] {
			return onOneSide(describeFile(f), true).in(f.Path), nil, nil
		}
	}
	return nil, nil, nil
}

func describeFile(f fat.File) string {
	if f.IsDir() {
		return "directory"
	}
	return count(f.Size)
}

func fatFiles(fsA, fsB *fat.FS, a, b fat.File) (d *Difference, errA, errB error) {
	if a.Attributes != b.Attributes {
		return &Difference{What: "attributes", A: hexByte(byte(a.Attributes)), B: hexByte(byte(b.Attributes))}, nil, nil
	}
	if b.IsDir() {
		return nil, nil, nil
	}
	contentA, errA := fsA.ReadFile(a.Path)
	contentB, errB := fsB.ReadFile(b.Path)
	if errA != nil || errB != nil {
		return nil, errA, errB
	}
	return contents(contentA, contentB, kindDisk), nil, nil
}

// gptField is a field of the partition table.
type gptField struct {
	name string
	off  int64
	size int64
	form form
	late bool
}

// headerFields: UEFI 2.10, table 5-5.
func headerFields() []gptField {
	return []gptField{
		{"Signature", 0, 8, formText, false},
		{"Revision", 8, 4, formNumber, false},
		{"HeaderSize", 12, 4, formNumber, false},
		{"HeaderCRC32", 16, 4, formNumber, true},
		{"Reserved", 20, 4, formNumber, false},
		{"MyLBA", 24, 8, formNumber, false},
		{"AlternateLBA", 32, 8, formNumber, false},
		{"FirstUsableLBA", 40, 8, formNumber, false},
		{"LastUsableLBA", 48, 8, formNumber, false},
		{"DiskGUID", 56, 16, formGUID, false},
		{"PartitionEntryLBA", offEntryLBA, 8, formNumber, false},
		{"NumberOfPartitionEntries", offEntryCount, 4, formNumber, false},
		{"SizeOfPartitionEntry", 84, 4, formNumber, false},
		{"PartitionEntryArrayCRC32", 88, 4, formNumber, true},
		{"after the header", 92, gpt.SectorSize - 92, formBytes, false},
	}
}

const (
	offEntryLBA   = 72
	offEntryCount = 80
	entrySize     = 128 // UEFI 2.10, table 5-6; the only size that gpt accepts
)

// partitionFields: UEFI 2.10, table 5-6.
func partitionFields() []gptField {
	return []gptField{
		{"PartitionTypeGUID", 0, 16, formGUID, false},
		{"UniquePartitionGUID", 16, 16, formGUID, false},
		{"StartingLBA", 32, 8, formNumber, false},
		{"EndingLBA", 40, 8, formNumber, false},
		{"Attributes", 48, 8, formNumber, false},
		{"PartitionName", 56, 72, formBytes, false},
	}
}

// bootFields: FATGEN, "Boot Sector and BPB Structure", and the structure for
// FAT32 only. These are the ones in which two builds of the same files differ.
func bootFields() []gptField {
	return []gptField{
		{"BS_OEMName", 3, 8, formText, false},
		{"BPB_BytsPerSec", 11, 2, formNumber, false},
		{"BPB_SecPerClus", 13, 1, formNumber, false},
		{"BPB_RsvdSecCnt", 14, 2, formNumber, false},
		{"BPB_NumFATs", 16, 1, formNumber, false},
		{"BPB_Media", 21, 1, formNumber, false},
		{"BPB_SecPerTrk", 24, 2, formNumber, false},
		{"BPB_NumHeads", 26, 2, formNumber, false},
		{"BPB_HiddSec", 28, 4, formNumber, false},
		{"BPB_TotSec32", 32, 4, formNumber, false},
		{"BPB_FATSz32", 36, 4, formNumber, false},
		{"BS_VolID", 67, 4, formNumber, false},
		{"BS_VolLab", 71, 11, formText, false},
	}
}

// diskSpans lists the regions of a disk by the table of layout, the side that
// could be decoded.
func diskSpans(layout sparse.Disk, t *gpt.Table) ([]span, error) {
	spans := []span{{path: []string{"protective MBR"}, off: 0, size: gpt.SectorSize}}
	add := func(where []string, base int64, fields []gptField) {
		for _, f := range fields {
			path := append(where[:len(where):len(where)], f.name)
			spans = append(spans, span{path: path, off: base + f.off, size: f.size, form: f.form, late: f.late})
		}
	}
	primary, backup := int64(gpt.SectorSize), layout.Size()-gpt.SectorSize
	add([]string{"GPT header"}, primary, headerFields())
	array, n, err := entryArray(layout, primary)
	if err != nil {
		return nil, err
	}
	for i := range n {
		add([]string{fmt.Sprintf("GPT entry %d", i+1)}, array+i*entrySize, partitionFields())
	}
	for i, p := range t.Partitions {
		name := partitionName(i, p)
		if p.Type == gpt.ESP() {
			add([]string{name, "FAT boot sector"}, p.Offset(), bootFields())
		}
		spans = append(spans, span{path: []string{name}, off: p.Offset(), size: p.Size()})
	}
	if array, n, err = entryArray(layout, backup); err != nil {
		return nil, err
	}
	for i := range n {
		add([]string{fmt.Sprintf("backup GPT entry %d", i+1)}, array+i*entrySize, partitionFields())
	}
	add([]string{"backup GPT header"}, backup, headerFields())
	return spans, nil
}

// entryArray finds the entries that belong to the header at an offset, which
// gpt has checked.
func entryArray(disk sparse.Disk, header int64) (off, n int64, err error) {
	b := make([]byte, gpt.SectorSize)
	if err := sparse.ReadFull(disk, b, header); err != nil {
		return 0, 0, err
	}
	off = int64(binary.LittleEndian.Uint64(b[offEntryLBA:])) * gpt.SectorSize
	return off, int64(binary.LittleEndian.Uint32(b[offEntryCount:])), nil
}
