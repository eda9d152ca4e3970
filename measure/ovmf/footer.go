package ovmf

import (
	"encoding/binary"
	"fmt"
)

// Layout of the end of an image (edk2 OvmfPkg/ResetVector/Ia16/
// ResetVectorVtf0.asm). The reset vector fills the last 32 bytes and the table
// ends before it. Every entry is written so that it is read from its end:
//
//	0      data
//	n      u16  length of the whole entry: n + 18
//	n + 2  GUID
//
// The last entry, the footer, has no data; its length is that of the whole
// table with itself.
const (
	resetVectorSize = 32
	entryTailSize   = 2 + 16
	maxEntries      = 64
)

// fourGiB is where an image ends in guest memory.
const fourGiB = 1 << 32

// Entry is one entry of the footer table.
type Entry struct {
	GUID   GUID
	Name   string // what it is, "" if this package does not know it
	Offset int    // of Data in the image
	Data   []byte
}

// Area is a piece of guest memory that the firmware sets aside.
type Area struct{ GPA, Size uint32 }

// Image is a firmware image with the tables that a launch needs.
type Image struct {
	Bytes   []byte  // the whole image
	Entries []Entry // as they are read: from the end of the image backwards, without the footer

	// ResetEIP is where application processors start under SEV-ES: the low 16
	// bits are RIP, the others the base of CS. Nil if there is no such entry.
	ResetEIP *uint32
	// HashTable is where the hashes of kernel, initrd and command line go. Nil
	// if there is no such entry or its address is 0: no support.
	HashTable *Area
	// Secret is where a launch secret goes. Nil as with HashTable.
	Secret *Area
	// SVSMEntry is the offset of an SVSM's entry point from the image's start.
	SVSMEntry *uint32

	SEV       []SEVSection // in the order of the file, nil without SEV metadata
	SEVOffset int          // of the SEV metadata's header in the image
	TDX       []TDXSection // in the order of the file, nil without TDX metadata
	TDXOffset int          // of the TDX descriptor in the image

	table int // offset of the footer table
}

// GPA is the guest physical address of the image: its last byte lies just
// below 4 GiB.
func (im *Image) GPA() uint64 { return fourGiB - uint64(len(im.Bytes)) }

// Open decodes the image and checks that it is whole.
func Open(b []byte) (*Image, error) {
	im, err := Decode(b)
	if err != nil {
		return nil, err
	}
	if err := im.CheckUnified(); err != nil {
		return nil, err
	}
	return im, nil
}

// Decode parses the footer table and the metadata that it points at. b may
// also be the end of an image: whether the parts that TDX metadata names are
// there is left to CheckUnified. Entries with an unknown GUID and SEV sections
// with an unknown type are kept. The result refers to b.
func Decode(b []byte) (*Image, error) {
	im := &Image{Bytes: b}
	if len(b) > MaxSize {
		return nil, fmt.Errorf("parsing firmware: size: got %d, want at most %d", len(b), MaxSize)
	}
	if err := im.decodeTable(); err != nil {
		return nil, fmt.Errorf("parsing firmware table %w", err)
	}
	if err := im.decodeEntries(); err != nil {
		return nil, fmt.Errorf("parsing firmware table %w", err)
	}
	return im, im.checkApart()
}

// decodeTable finds the entries.
func (im *Image) decodeTable() error {
	end := len(im.Bytes) - resetVectorSize
	footer := end - entryTailSize
	if footer < 0 {
		return fmt.Errorf("at 0x0: size of the image: got %d bytes, want at least %d", len(im.Bytes), resetVectorSize+entryTailSize)
	}
	if got := guid(im.Bytes[footer+2:]); got != guidFooter {
		return fmt.Errorf("at %#x: footer: got %s, want %s: no OVMF image with a table, or cut off at its end", footer+2, got, guidFooter)
	}
	total := int(binary.LittleEndian.Uint16(im.Bytes[footer:]))
	if total < entryTailSize || total > end {
		return fmt.Errorf("at %#x: length of the table: got %d, want %d to %d", footer, total, entryTailSize, end)
	}
	im.table = end - total
	seen := make(map[GUID]bool)
	for at := footer; at > im.table; {
		e, start, err := im.decodeEntry(at)
		if err != nil {
			return fmt.Errorf("at %#x: entry %d: %w", at, len(im.Entries), err)
		}
		if seen[e.GUID] || e.GUID.String() == guidFooter {
			return fmt.Errorf("at %#x: entry %d: duplicate GUID: got %s, want each one once", at, len(im.Entries), e.GUID)
		}
		if len(im.Entries) == maxEntries {
			return fmt.Errorf("at %#x: entries: got more than %d, want at most %d", at, maxEntries, maxEntries)
		}
		seen[e.GUID] = true
		im.Entries = append(im.Entries, *e)
		at = start
	}
	return nil
}

// decodeEntry parses the entry that ends at end and returns where it starts.
func (im *Image) decodeEntry(end int) (*Entry, int, error) {
	room := end - im.table
	if room < entryTailSize {
		return nil, 0, fmt.Errorf("trailing bytes in the table: got %d, want an entry of %d or more or none", room, entryTailSize)
	}
	tail := im.Bytes[end-entryTailSize : end]
	id := GUID(tail[2:])
	length := int(binary.LittleEndian.Uint16(tail))
	if length < entryTailSize || length > room {
		return nil, 0, fmt.Errorf("%s: length: got %d, want %d to %d", id, length, entryTailSize, room)
	}
	start := end - length
	kind := kindOf(id.String())
	e := &Entry{GUID: id, Name: kind.name, Offset: start, Data: im.Bytes[start : end-entryTailSize]}
	if kind.name != "" && len(e.Data) != kind.size {
		return nil, 0, fmt.Errorf("%s (%s): data: got %d bytes, want %d", kind.name, id, len(e.Data), kind.size)
	}
	return e, start, nil
}

// decodeEntries reads what the known entries hold.
func (im *Image) decodeEntries() error {
	for i, e := range im.Entries {
		var err error
		switch e.GUID.String() {
		case guidResetBlock:
			im.ResetEIP = number(e.Data)
		case guidSVSMInfo:
			im.SVSMEntry = number(e.Data)
			if int64(*im.SVSMEntry) >= int64(len(im.Bytes)) {
				err = fmt.Errorf("entry point: got %#x, want below the size of the image %#x", *im.SVSMEntry, len(im.Bytes))
			}
		case guidHashTable:
			im.HashTable, err = area(e.Data)
		case guidSecret:
			im.Secret, err = area(e.Data)
		case guidSEVMetadata:
			im.SEVOffset, im.SEV, err = im.decodeSEV(*number(e.Data))
		case guidTDXMetadata:
			im.TDXOffset, im.TDX, err = im.decodeTDX(*number(e.Data))
		}
		if err != nil {
			return fmt.Errorf("at %#x: entry %d: %s: %w", e.Offset, i, e.Name, err)
		}
	}
	return nil
}

func number(b []byte) *uint32 {
	n := binary.LittleEndian.Uint32(b)
	return &n
}

// area parses u32 address, u32 size.
func area(b []byte) (*Area, error) {
	a := &Area{GPA: *number(b), Size: *number(b[4:])}
	if a.GPA == 0 {
		return nil, nil
	}
	if end := uint64(a.GPA) + uint64(a.Size); end > fourGiB {
		return nil, fmt.Errorf("area: got address %#x size %#x, want its end at 4 GiB or below", a.GPA, a.Size)
	}
	return a, nil
}

// metadata cuts out a table of sections: a header of four u32s, which are the
// signature, the length of all, the version and the number of sections, then
// the sections. It ends before the footer table starts.
func (im *Image) metadata(distance uint32, signature string, section int) (offset int, sections []byte, err error) {
	at := int64(len(im.Bytes)) - int64(distance)
	room := int64(im.table) - at
	if at < 0 || room < metadataHeaderSize {
		return 0, nil, fmt.Errorf("distance from the end of the image: got %#x, want %#x to %#x", distance, len(im.Bytes)-im.table+metadataHeaderSize, len(im.Bytes))
	}
	b := im.Bytes[at:im.table]
	length, version, count := *number(b[4:]), *number(b[8:]), *number(b[12:])
	switch {
	case string(b[:4]) != signature:
		return 0, nil, fmt.Errorf("signature at %#x: got %q, want %q", at, b[:4], signature)
	case version != metadataVersion:
		return 0, nil, fmt.Errorf("version at %#x: got %d, want %d", at+8, version, metadataVersion)
	case count > maxMetadataSections:
		return 0, nil, fmt.Errorf("number of sections at %#x: got %d, want at most %d", at+12, count, maxMetadataSections)
	case int64(length) != metadataHeaderSize+int64(count)*int64(section):
		return 0, nil, fmt.Errorf("length at %#x: got %d, want %d for %d sections", at+4, length, metadataHeaderSize+int(count)*section, count)
	case int64(length) > room:
		return 0, nil, fmt.Errorf("length at %#x: got %d, want at most %d, where the footer table starts", at+4, length, room)
	}
	return int(at), b[metadataHeaderSize:length], nil
}

// Bounds of SEV and TDX metadata.
const (
	metadataHeaderSize  = 16
	metadataVersion     = 1
	maxMetadataSections = 64
)

// checkApart wants SEV and TDX metadata in different bytes.
func (im *Image) checkApart() error {
	if im.SEV == nil || im.TDX == nil {
		return nil
	}
	sevEnd := im.SEVOffset + metadataHeaderSize + len(im.SEV)*sevSectionSize
	tdxStart := im.TDXOffset - tdxDescriptorGUIDSize
	tdxEnd := im.TDXOffset + metadataHeaderSize + len(im.TDX)*tdxSectionSize
	if im.SEVOffset < tdxEnd && tdxStart < sevEnd {
		return fmt.Errorf("parsing firmware: SEV metadata at %#x to %#x overlaps TDX metadata at %#x to %#x", im.SEVOffset, sevEnd, tdxStart, tdxEnd)
	}
	return nil
}
