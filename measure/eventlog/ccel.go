package eventlog

import (
	"encoding/binary"
	"fmt"
)

// CCELTable is the ACPI table that tells where the firmware put the event log
// of a confidential guest (ACPI 6.5, section 5.2, CC Event Log table). The host
// can replace it: it says nothing that the log's replay against a quote would
// not.
type CCELTable struct {
	OEM             [6]byte
	OEMTable        [8]byte
	OEMRevision     uint32
	Creator         [4]byte
	CreatorRevision uint32
	LogSize         uint64 // LAML, the smallest size of the log's area
	LogAddress      uint64 // LASA, guest physical
}

// ACPI 6.5, CC Event Log table: the table's fields after the ACPI header.
const (
	ccelSize      = 56
	ccelSignature = "CCEL"
	ccelRevision  = 1
	ccelTypeTDX   = 2 // UEFI 2.10, section 38, EFI_CC_TYPE: 1 is SEV
)

// DecodeCCELTable parses the table, which must be one of a TDX guest:
//
//	signature        4 bytes  "CCEL"
//	length           u32      56
//	revision         u8       1
//	checksum         u8       makes the sum of all bytes zero
//	oemId            6 bytes
//	oemTableId       8 bytes
//	oemRevision      u32
//	creatorId        4 bytes
//	creatorRevision  u32
//	ccType           u8       2 (TDX)
//	ccSubtype        u8       0
//	reserved         u16      0
//	laml             u64
//	lasa             u64
func DecodeCCELTable(b []byte) (*CCELTable, error) {
	t, err := decodeCCELTable(b)
	if err != nil {
		return nil, fmt.Errorf("parsing CCEL table: %w", err)
	}
	return t, nil
}

func decodeCCELTable(b []byte) (*CCELTable, error) {
	le := binary.LittleEndian
	if len(b) != ccelSize {
		return nil, fmt.Errorf("length: got %d, want %d", len(b), ccelSize)
	}
	switch {
	case string(b[:4]) != ccelSignature:
		return nil, fmt.Errorf("signature: got %q, want %q", b[:4], ccelSignature)
	case le.Uint32(b[4:]) != ccelSize:
		return nil, fmt.Errorf("length field at 0x4: got %d, want %d", le.Uint32(b[4:]), ccelSize)
	case b[8] != ccelRevision:
		return nil, fmt.Errorf("revision at 0x8: got %d, want %d", b[8], ccelRevision)
	case sum(b) != 0:
		return nil, fmt.Errorf("checksum: got a sum of %#02x, want 0", sum(b))
	case b[36] != ccelTypeTDX:
		return nil, fmt.Errorf("type at 0x24: got %d, want %d (TDX)", b[36], ccelTypeTDX)
	case b[37] != 0:
		return nil, fmt.Errorf("subtype at 0x25: got %d, want 0", b[37])
	case le.Uint16(b[38:]) != 0:
		return nil, fmt.Errorf("reserved at 0x26: got %#x, want 0", le.Uint16(b[38:]))
	}
	t := &CCELTable{
		OEM: [6]byte(b[10:16]), OEMTable: [8]byte(b[16:24]), OEMRevision: le.Uint32(b[24:]),
		Creator: [4]byte(b[28:32]), CreatorRevision: le.Uint32(b[32:]),
		LogSize: le.Uint64(b[40:]), LogAddress: le.Uint64(b[48:]),
	}
	if t.LogSize == 0 || t.LogSize > MaxSize {
		return nil, fmt.Errorf("log size at 0x28: got %d, want 1 to %d", t.LogSize, MaxSize)
	}
	if t.LogAddress == 0 || t.LogAddress > ^uint64(0)-t.LogSize {
		return nil, fmt.Errorf("log address at 0x30: got %#x with size %#x, want a place in memory", t.LogAddress, t.LogSize)
	}
	return t, nil
}

// sum is that of ACPI checksums.
func sum(b []byte) byte {
	var s byte
	for _, v := range b {
		s += v
	}
	return s
}

// Encode is the inverse of DecodeCCELTable. It sets the checksum.
func (t *CCELTable) Encode() []byte {
	le := binary.LittleEndian
	b := append([]byte{}, ccelSignature...)
	b = le.AppendUint32(b, ccelSize)
	b = append(b, ccelRevision, 0)
	b = append(b, t.OEM[:]...)
	b = append(b, t.OEMTable[:]...)
	b = le.AppendUint32(b, t.OEMRevision)
	b = append(b, t.Creator[:]...)
	b = le.AppendUint32(b, t.CreatorRevision)
	b = append(b, ccelTypeTDX, 0, 0, 0)
	b = le.AppendUint64(b, t.LogSize)
	b = le.AppendUint64(b, t.LogAddress)
	b[9] = -sum(b)
	return b
}

// CheckLog compares the size that the table tells with the log's. A whole area
// must have it; a log that was cut after its last event must fit.
func (t *CCELTable) CheckLog(l *CCLog) error {
	size := uint64(len(l.Encode()))
	if l.Filling > 0 && size != t.LogSize {
		return fmt.Errorf("comparing event log with CCEL table: size with filling: got %d, want %d", size, t.LogSize)
	}
	if size > t.LogSize {
		return fmt.Errorf("comparing event log with CCEL table: size: got %d, want at most %d", size, t.LogSize)
	}
	return nil
}
