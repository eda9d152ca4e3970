package eif

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	reader "safebox/measure/eif"
)

// Lengths in bytes (EIF specification, "EifHeader" and "EifSectionHeader"),
// and the offset of the header's last field.
const (
	headerSize        = 0x224
	sectionHeaderSize = 12
	offsetCRC         = 0x220
)

// version is the format's (EIF specification, "EIF format version history").
const version = 4

// header is the file's header row for row (EIF specification, "EifHeader"). All
// numbers are big-endian.
type header struct {
	Magic    [4]byte                    // 0x000, ".eif"
	Version  uint16                     // 0x004
	Flags    uint16                     // 0x006, 0: x86_64
	Memory   uint64                     // 0x008, default_mem, bytes
	CPUs     uint64                     // 0x010, default_cpus
	Reserved uint16                     // 0x018
	Count    uint16                     // 0x01a, num_sections
	Offsets  [reader.MaxSections]uint64 // 0x01c, of each section's header
	Sizes    [reader.MaxSections]uint64 // 0x11c, of its data alone
	Unused   uint32                     // 0x21c
	CRC32    uint32                     // 0x220, of all other bytes of the file
}

func newHeader() *header {
	return &header{Magic: [4]byte{'.', 'e', 'i', 'f'}, Version: version, Memory: defaultMemory, CPUs: defaultCPUs}
}

// decodeHeader takes the header of an image that the strict reader accepted.
func decodeHeader(b []byte) (*header, error) {
	h := &header{}
	if _, err := binary.Decode(b, binary.BigEndian, h); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	return h, nil
}

// section is one part of the file.
type section struct {
	kind reader.Type
	data []byte
}

// append adds a section to b, the file up to here, and to the tables.
func (h *header) append(b []byte, s section) ([]byte, error) {
	if h.Count == reader.MaxSections {
		return nil, fmt.Errorf("section %v: number of sections: got %d with it, want at most %d", s.kind, h.Count+1, reader.MaxSections)
	}
	h.Offsets[h.Count], h.Sizes[h.Count] = uint64(len(b)), uint64(len(s.data))
	h.Count++
	// EIF specification, "EifSectionHeader": section_type, flags, section_size.
	b = binary.BigEndian.AppendUint16(b, uint16(s.kind))
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(len(s.data)))
	return append(b, s.data...), nil
}

// dropLast takes the last section away from b and from the tables.
func (h *header) dropLast(b []byte) []byte {
	h.Count--
	end := h.Offsets[h.Count]
	h.Offsets[h.Count], h.Sizes[h.Count] = 0, 0
	return b[:end]
}

// seal writes the header to the beginning of b, the whole file. The checksum is
// CRC-32 of IEEE 802.3 (EIF specification, "eif_crc32").
func (h *header) seal(b []byte) error {
	if _, err := binary.Encode(b[:headerSize], binary.BigEndian, h); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	h.CRC32 = crc32.Update(crc32.ChecksumIEEE(b[:offsetCRC]), crc32.IEEETable, b[headerSize:])
	binary.BigEndian.PutUint32(b[offsetCRC:], h.CRC32)
	return nil
}
