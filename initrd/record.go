package initrd

import (
	"bytes"
	"fmt"
)

// The newc header: Linux Documentation/driver-api/early-userspace/
// buffer-format.rst, table of struct cpio_header. Every field but the magic is
// eight hexadecimal digits.
const (
	magic       = "070701" // the one without a checksum
	fieldSize   = 8
	headerSize  = 110
	alignment   = 4
	trailerName = "TRAILER!!!"
)

// Positions of the fields in the header.
const (
	fieldIno = iota
	fieldMode
	fieldUID
	fieldGID
	fieldNLink
	fieldMTime
	fieldFileSize
	fieldMajor
	fieldMinor
	fieldRmajor
	fieldRminor
	fieldNameSize
	fieldCheck
	fieldCount
)

// readRecord reads the record at pos and returns where the next one starts.
func readRecord(b []byte, pos int) (Entry, int, error) {
	if len(b)-pos < headerSize {
		return Entry{}, 0, fmt.Errorf("header: got %d bytes, want %d", len(b)-pos, headerSize)
	}
	fields, err := readHeader(b[pos : pos+headerSize])
	if err != nil {
		return Entry{}, 0, err
	}
	name, pos, err := readName(b, pos+headerSize, fields[fieldNameSize])
	if err != nil {
		return Entry{}, 0, err
	}
	size := fields[fieldFileSize]
	if uint64(size) > uint64(len(b)-pos) {
		return Entry{}, 0, fmt.Errorf("%q: size: got %d, want at most %d", name, size, len(b)-pos)
	}
	end := pos + int(size)
	e := Entry{
		Name:      name,
		Ino:       fields[fieldIno],
		Mode:      fields[fieldMode],
		UID:       fields[fieldUID],
		GID:       fields[fieldGID],
		NLink:     fields[fieldNLink],
		MTime:     fields[fieldMTime],
		DevMajor:  fields[fieldMajor],
		DevMinor:  fields[fieldMinor],
		RdevMajor: fields[fieldRmajor],
		RdevMinor: fields[fieldRminor],
		Data:      b[pos:end:end],
	}
	next, err := skipPadding(b, end)
	if err != nil {
		return Entry{}, 0, fmt.Errorf("%q: %w", name, err)
	}
	return e, next, nil
}

func readHeader(h []byte) (fields [fieldCount]uint32, err error) {
	if got := h[:len(magic)]; string(got) != magic {
		return fields, fmt.Errorf("magic: got %q, want %q", got, magic)
	}
	for i := range fields {
		start := len(magic) + i*fieldSize
		fields[i], err = parseHex(h[start : start+fieldSize])
		if err != nil {
			return fields, fmt.Errorf("header field %d: %w", i, err)
		}
	}
	if got := fields[fieldCheck]; got != 0 {
		return fields, fmt.Errorf("check: got 0x%x, want 0 for magic %s", got, magic)
	}
	return fields, nil
}

// parseHex is stricter than strconv: eight digits and nothing else.
func parseHex(s []byte) (uint32, error) {
	var v uint32
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, fmt.Errorf("got %q, want hexadecimal digits", s)
		}
		v = v<<4 | uint32(c)
	}
	return v, nil
}

// readName reads a name of size bytes, its final NUL included.
func readName(b []byte, pos int, size uint32) (string, int, error) {
	if size < 2 || size > maxName {
		return "", 0, fmt.Errorf("name size: got %d, want 2 to %d", size, maxName)
	}
	if uint64(size) > uint64(len(b)-pos) {
		return "", 0, fmt.Errorf("name size: got %d, want at most %d", size, len(b)-pos)
	}
	end := pos + int(size)
	name := b[pos : end-1]
	if bytes.IndexByte(b[pos:end], 0) != len(name) {
		return "", 0, fmt.Errorf("name: got %q, want one NUL, at its end", b[pos:end])
	}
	next, err := skipPadding(b, end)
	if err != nil {
		return "", 0, fmt.Errorf("%q: %w", name, err)
	}
	return string(name), next, nil
}

// skipPadding goes to the next multiple of 4. Archives start at one, so the
// position in the buffer stands for that in the archive.
func skipPadding(b []byte, pos int) (int, error) {
	next := (pos + alignment - 1) &^ (alignment - 1)
	if next > len(b) {
		return 0, fmt.Errorf("padding at 0x%x: past the end at 0x%x", pos, len(b))
	}
	if pad := b[pos:next]; len(bytes.Trim(pad, "\x00")) != 0 {
		return 0, fmt.Errorf("padding at 0x%x: got %x, want zeros", pos, pad)
	}
	return next, nil
}

// checkTrailer refuses a trailer that carries anything. GNU cpio and
// systemd-stub give it one link, u-root none.
func checkTrailer(e Entry) error {
	e.Name = ""
	if e.NLink == 1 {
		e.NLink = 0
	}
	if len(e.Data) != 0 {
		return fmt.Errorf("size: got %d, want 0", len(e.Data))
	}
	if e.Mode|e.Ino|e.UID|e.GID|e.NLink|e.MTime|e.DevMajor|e.DevMinor|e.RdevMajor|e.RdevMinor != 0 {
		return fmt.Errorf("fields: want all zero but the number of links, 0 or 1")
	}
	return nil
}
