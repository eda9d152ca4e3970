package fat

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Case flags in DIR_NTRes: Windows NT, Linux and edk2 take them for a name
// that is all lower case, instead of a long name entry.
const (
	lowerBase = 0x08
	lowerExt  = 0x10
)

// forbidden are the printable characters that no name may hold, forbidden in
// short names besides (FATGEN, "FAT Directory Structure" and "Name Limits and
// Character Sets").
const (
	forbidden      = `"*/:<>?\|`
	forbiddenShort = forbidden + `+,;=[].`
)

// decodeShortName reads the 8.3 name of an entry.
func decodeShortName(e []byte) (string, error) {
	base := strings.TrimRight(string(e[0:8]), " ")
	ext := strings.TrimRight(string(e[8:11]), " ")
	if e[0] == nameKanji {
		return "", fmt.Errorf("short name: got %q, want ASCII", e[:11])
	}
	for _, s := range []string{base, ext} {
		for i := range len(s) {
			if c := s[i]; c < ' ' || c > '~' || strings.IndexByte(forbiddenShort, c) >= 0 || c >= 'a' && c <= 'z' {
				return "", fmt.Errorf("short name: got %q, want capital ASCII", e[:11])
			}
		}
	}
	if base == "" || base[0] == ' ' {
		return "", fmt.Errorf("short name: got %q, want it to begin with a character", e[:11])
	}
	if e[12]&lowerBase != 0 {
		base = strings.ToLower(base)
	}
	if e[12]&lowerExt != 0 {
		ext = strings.ToLower(ext)
	}
	if e[12]&^(lowerBase|lowerExt) != 0 {
		return "", fmt.Errorf("short name: %q: DIR_NTRes: got 0x%02x, want no bits but 0x%02x", e[:11], e[12], lowerBase|lowerExt)
	}
	if ext == "" {
		return base, nil
	}
	return base + "." + ext, nil
}

// Long names (FATGEN, "FAT Long Directory Entries").
const (
	unitsPerEntry  = 13
	maxLongEntries = 20
	lastLongEntry  = 0x40 // LAST_LONG_ENTRY
)

// longNameReader gathers the entries of a long name, which lie before their
// short entry, last piece first.
type longNameReader struct {
	units []uint16
	next  int // LDIR_Ord expected next, 0 when none is
	sum   byte
}

// add takes one long entry.
func (l *longNameReader) add(e []byte) error {
	ord := int(e[0])
	if l.units == nil {
		if ord&lastLongEntry == 0 || ord&^lastLongEntry < 1 || ord&^lastLongEntry > maxLongEntries {
			return fmt.Errorf("long name: LDIR_Ord: got 0x%02x, want 0x%02x plus 1 to %d", ord, lastLongEntry, maxLongEntries)
		}
		l.next = ord &^ lastLongEntry
		l.units = make([]uint16, l.next*unitsPerEntry)
		l.sum = e[13]
		ord = l.next
	}
	if ord != l.next || l.next == 0 {
		return fmt.Errorf("long name: LDIR_Ord: got 0x%02x, want %d", ord, l.next)
	}
	if e[12] != 0 || e[13] != l.sum || e[26] != 0 || e[27] != 0 {
		return fmt.Errorf("long name: type, checksum, first cluster: got %d, 0x%02x, %d, want 0, 0x%02x, 0", e[12], e[13], binary.LittleEndian.Uint16(e[26:]), l.sum)
	}
	at := l.units[(l.next-1)*unitsPerEntry:]
	for i := range unitsPerEntry {
		at[i] = binary.LittleEndian.Uint16(e[unitOffset(i):])
	}
	l.next--
	return nil
}

// unitOffset is where the i-th character lies in a long entry: LDIR_Name1,
// LDIR_Name2, LDIR_Name3.
func unitOffset(i int) int {
	switch {
	case i < 5:
		return 1 + 2*i
	case i < 11:
		return 14 + 2*(i-5)
	default:
		return 28 + 2*(i-11)
	}
}

// take ends the long name at its short entry e and returns the name of the
// file: the long name, or short if there was none.
func (l *longNameReader) take(e []byte, short string) (string, error) {
	if l.units == nil {
		return short, nil
	}
	units, next, sum := l.units, l.next, l.sum
	*l = longNameReader{}
	if next != 0 {
		return "", fmt.Errorf("long name of %q: got an end, want %d entries more", short, next)
	}
	if want := checksum(e[:11]); sum != want {
		return "", fmt.Errorf("long name of %q: checksum: got 0x%02x, want 0x%02x", short, sum, want)
	}
	return decodeLongName(units)
}

// checkNone reports a long name that has no file.
func (l *longNameReader) checkNone() error {
	if l.units != nil {
		return fmt.Errorf("long name: got no short entry after it")
	}
	return nil
}

// decodeLongName checks the padding (a NUL, then ones, to the end of the last
// entry) and the characters.
func decodeLongName(units []uint16) (string, error) {
	n := len(units)
	for i, u := range units {
		if u == 0 {
			n = i
			break
		}
	}
	if n <= len(units)-unitsPerEntry {
		return "", fmt.Errorf("long name: got %d characters in %d entries", n, len(units)/unitsPerEntry)
	}
	for i := n + 1; i < len(units); i++ {
		if units[i] != 0xffff {
			return "", fmt.Errorf("long name: padding: got 0x%04x, want 0xffff", units[i])
		}
	}
	name := string(utf16.Decode(units[:n]))
	for _, r := range name {
		if r < ' ' || r == 0x7f || r == utf8.RuneError || strings.ContainsRune(forbidden, r) {
			return "", fmt.Errorf("long name: got U+%04X in %q", r, name)
		}
	}
	if len(units[:n]) > 255 || strings.Trim(name, " .") == "" || strings.HasSuffix(name, " ") || strings.HasSuffix(name, ".") {
		return "", fmt.Errorf("long name: got %q, want 1 to 255 characters, the last neither space nor period", name)
	}
	return name, nil
}

// checksum ties long entries to their short one (FATGEN, "Organization and
// Association of Short & Long Directory Entries": ChkSum).
func checksum(short []byte) byte {
	var sum byte
	for _, c := range short {
		sum = sum<<7 | sum>>1
		sum += c
	}
	return sum
}
