package disk

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Limits and characters of names (FATGEN, "Name Limits and Character Sets").
const (
	maxName        = 255
	forbidden      = `"*/:<>?\|`
	forbiddenShort = forbidden + "+,;=[]. "
)

// checkName accepts ASCII names, because what other characters mean depends
// on tables that firmware need not have.
func checkName(name string) error {
	if name == "" || len(name) > maxName || strings.Trim(name, " .") == "" || strings.HasPrefix(name, " ") ||
		strings.HasSuffix(name, " ") || strings.HasSuffix(name, ".") {
		return fmt.Errorf("name %q: want 1 to %d characters, no space first, neither space nor period last", name, maxName)
	}
	for i := range len(name) {
		if c := name[i]; c < ' ' || c > '~' || strings.IndexByte(forbidden, c) >= 0 {
			return fmt.Errorf("name %q: character 0x%02x: want printable ASCII, none of %s", name, c, forbidden)
		}
	}
	return nil
}

// shortName is the name field of a directory entry, padded with spaces.
type shortName [11]byte

func padShort(base, ext string) shortName {
	return shortName([]byte(fmt.Sprintf("%-8s%-3s", base, ext)))
}

// String is the name as people write it, such as BOOTX64.EFI.
func (s shortName) String() string {
	base, ext := strings.TrimRight(string(s[:8]), " "), strings.TrimRight(string(s[8:]), " ")
	if ext == "" {
		return base
	}
	return base + "." + ext
}

// asShort returns name, in capitals, as a short name if it fits.
func asShort(name string) (shortName, bool) {
	base, ext, dotted := strings.Cut(strings.ToUpper(name), ".")
	if base == "" || len(base) > 8 || len(ext) > 3 || dotted && ext == "" || base != shortChars(base) || ext != shortChars(ext) {
		return shortName{}, false
	}
	return padShort(base, ext), true
}

// shortChars drops from s what a short name can't hold and makes the rest
// capitals.
func shortChars(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(forbiddenShort, r) {
			return -1
		}
		return r
	}, strings.ToUpper(s))
}

// shortNames gives every child of a directory its short name. A name that
// does not fit gets the first of BASIS~1, BASIS~2, .. that no other file
// answers to (FATGEN, "The Basis-Name Generation Algorithm" and "The
// Numeric-Tail Generation Algorithm").
func shortNames(children []*node) map[*node]shortName {
	taken := map[string]bool{}
	for _, c := range children {
		taken[strings.ToUpper(c.name)] = true
	}
	names := map[*node]shortName{}
	for _, c := range children {
		s, ok := asShort(c.name)
		if !ok {
			s = numericTail(c.name, taken)
			taken[s.String()] = true
		}
		names[c] = s
	}
	return names
}

func numericTail(name string, taken map[string]bool) shortName {
	stem, ext := name, ""
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		stem, ext = name[:i], name[i+1:]
	}
	stem, ext = shortChars(stem), shortChars(ext)
	for n := 1; ; n++ {
		tail := fmt.Sprintf("~%d", n)
		s := padShort(stem[:min(len(stem), 8-len(tail))]+tail, ext[:min(len(ext), 3)])
		if !taken[s.String()] {
			return s
		}
	}
}

// Long names (FATGEN, "FAT Long Directory Entries").
const (
	unitsPerEntry = 13
	attrLongName  = 0x0f
	lastLongEntry = 0x40
)

// longEntries are the entries that go before the short one, last piece first.
func longEntries(name string, short shortName) []byte {
	count := (len(name) + unitsPerEntry - 1) / unitsPerEntry
	b := make([]byte, count*entrySize)
	for ord := count; ord >= 1; ord-- {
		e := b[(count-ord)*entrySize:]
		e[0] = byte(ord)
		if ord == count {
			e[0] |= lastLongEntry
		}
		e[11] = attrLongName
		e[13] = checksum(short)
		for i := range unitsPerEntry {
			binary.LittleEndian.PutUint16(e[unitOffset(i):], unit(name, (ord-1)*unitsPerEntry+i))
		}
	}
	return b
}

// unit is the i-th character of a long name, ended by a NUL, padded by ones.
func unit(name string, i int) uint16 {
	switch {
	case i < len(name):
		return uint16(name[i])
	case i == len(name):
		return 0
	default:
		return 0xffff
	}
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

// checksum ties long entries to their short one (FATGEN, ChkSum).
func checksum(s shortName) byte {
	var sum byte
	for _, c := range s {
		sum = sum<<7 | sum>>1
		sum += c
	}
	return sum
}
