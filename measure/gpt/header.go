package gpt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

// header is UEFI 2.10, table 5-5, GPT header.
type header struct {
	raw         [headerSize]byte
	myLBA       uint64
	otherLBA    uint64 // AlternateLBA
	firstUsable uint64
	lastUsable  uint64
	diskGUID    GUID
	entryLBA    uint64
	entries     uint32
	entriesCRC  uint32
}

// readHeader reads and checks the header at lba.
func readHeader(r io.ReaderAt, lba, sectors uint64) (*header, error) {
	var block [SectorSize]byte
	if err := readAt(r, block[:], int64(lba)*SectorSize); err != nil {
		return nil, err
	}
	h, err := decodeHeader(&block)
	if err == nil {
		err = h.check(lba, sectors)
	}
	if err != nil {
		return nil, fmt.Errorf("at sector %d: %w", lba, err)
	}
	return h, nil
}

func decodeHeader(b *[SectorSize]byte) (*header, error) {
	if got := string(b[0:8]); got != signature {
		return nil, fmt.Errorf("signature: got %q, want %q", got, signature)
	}
	if got := binary.LittleEndian.Uint32(b[8:]); got != revision {
		return nil, fmt.Errorf("revision: got 0x%x, want 0x%x", got, revision)
	}
	if got := binary.LittleEndian.Uint32(b[12:]); got != headerSize {
		return nil, fmt.Errorf("header size: got %d, want %d", got, headerSize)
	}
	// The CRC covers the header with its own field zeroed.
	h := &header{raw: [headerSize]byte(b[:headerSize])}
	zeroed := h.raw
	clear(zeroed[16:20])
	if got, want := crc32.ChecksumIEEE(zeroed[:]), binary.LittleEndian.Uint32(b[16:]); got != want {
		return nil, fmt.Errorf("header CRC32: got %08x, want %08x", got, want)
	}
	if reserved := [][]byte{b[20:24], b[headerSize:]}; len(bytes.TrimLeft(bytes.Join(reserved, nil), "\x00")) != 0 {
		return nil, fmt.Errorf("reserved bytes: got others than zeros")
	}
	h.myLBA = binary.LittleEndian.Uint64(b[24:])
	h.otherLBA = binary.LittleEndian.Uint64(b[32:])
	h.firstUsable = binary.LittleEndian.Uint64(b[40:])
	h.lastUsable = binary.LittleEndian.Uint64(b[48:])
	h.diskGUID = GUID(b[56:72])
	h.entryLBA = binary.LittleEndian.Uint64(b[72:])
	h.entries = binary.LittleEndian.Uint32(b[80:])
	if got := binary.LittleEndian.Uint32(b[84:]); got != entrySize {
		return nil, fmt.Errorf("entry size: got %d, want %d", got, entrySize)
	}
	h.entriesCRC = binary.LittleEndian.Uint32(b[88:])
	return h, nil
}

// check compares the header with the place where it was found and with the
// disk: header, entries, usable sectors, entries, header, none overlapping.
func (h *header) check(lba, sectors uint64) error {
	if h.myLBA != lba {
		return fmt.Errorf("own sector: got %d, want %d", h.myLBA, lba)
	}
	if want := sectors - lba; h.otherLBA != want { // 1 and sectors-1
		return fmt.Errorf("sector of the other header: got %d, want %d", h.otherLBA, want)
	}
	if h.entries < 1 || h.entries > maxEntries {
		return fmt.Errorf("number of entries: got %d, want 1 to %d", h.entries, maxEntries)
	}
	low, high := h.firstUsable, h.lastUsable
	if low < 2 || high >= sectors-1 || low > high {
		return fmt.Errorf("usable sectors: got %d to %d, want within 2 to %d", low, high, sectors-2)
	}
	from, to := uint64(2), low // where the array may lie: between this header and the usable sectors
	if lba != 1 {
		from, to = high+1, lba
	}
	blocks := (uint64(h.entries)*entrySize + SectorSize - 1) / SectorSize
	if h.entryLBA < from || h.entryLBA > to || to-h.entryLBA < blocks {
		return fmt.Errorf("sector of the entries: got %d, want %d sectors within %d to %d", h.entryLBA, blocks, from, to-1)
	}
	if h.diskGUID == (GUID{}) {
		return fmt.Errorf("disk GUID: got zeros")
	}
	return nil
}

// checkPair compares the fields that both headers must have alike. Their own
// places were checked by check.
func checkPair(a, b *header) error {
	if a.firstUsable != b.firstUsable || a.lastUsable != b.lastUsable {
		return fmt.Errorf("backup header: usable sectors: got %d to %d, want %d to %d as in the primary one", b.firstUsable, b.lastUsable, a.firstUsable, a.lastUsable)
	}
	if a.diskGUID != b.diskGUID {
		return fmt.Errorf("backup header: disk GUID: got %v, want %v as in the primary one", b.diskGUID, a.diskGUID)
	}
	if a.entries != b.entries || a.entriesCRC != b.entriesCRC {
		return fmt.Errorf("backup header: entries: got %d with CRC32 %08x, want %d with %08x as in the primary one", b.entries, b.entriesCRC, a.entries, a.entriesCRC)
	}
	return nil
}

// Protective MBR: UEFI 2.10, table 5-3 and 5-4.
const (
	mbrRecord     = 446 // first of four partition records of 16 bytes
	mbrSignature  = 510
	mbrProtective = 0xee // OSType: GPT protective
)

// checkMBR checks that the MBR says nothing but "this disk has a GPT". Boot
// code, disk signature and CHS addresses mean nothing to UEFI and are free.
func checkMBR(r io.ReaderAt, sectors uint64) error {
	var b [SectorSize]byte
	if err := readAt(r, b[:], 0); err != nil {
		return err
	}
	if got := binary.LittleEndian.Uint16(b[mbrSignature:]); got != 0xaa55 {
		return fmt.Errorf("signature: got 0x%04x, want 0xaa55", got)
	}
	rec := b[mbrRecord : mbrRecord+16]
	if rec[0] != 0 || rec[4] != mbrProtective {
		return fmt.Errorf("record 0: got boot indicator 0x%02x, type 0x%02x, want 0x00, 0x%02x", rec[0], rec[4], mbrProtective)
	}
	if got := binary.LittleEndian.Uint32(rec[8:]); got != 1 {
		return fmt.Errorf("record 0: starting sector: got %d, want 1", got)
	}
	// Some tools always write the largest number, as for a disk beyond 2 TiB.
	want := min(sectors-1, math.MaxUint32)
	if got := uint64(binary.LittleEndian.Uint32(rec[12:])); got != want && got != math.MaxUint32 {
		return fmt.Errorf("record 0: sectors: got %d, want %d", got, want)
	}
	if others := b[mbrRecord+16 : mbrSignature]; len(bytes.TrimLeft(others, "\x00")) != 0 {
		return fmt.Errorf("records 1 to 3: got others than zeros")
	}
	return nil
}
