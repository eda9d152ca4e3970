package deb

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The ar archive, as deb(5) has it: "an ar archive with a magic value of
// !<arch>", headers as in ar(5).
const (
	arMagic      = "!<arch>\n"
	arHeaderSize = 60
	arHeaderEnd  = "`\n"
	arPadding    = '\n'
)

// formatVersion is the content of the first member, deb(5). A higher minor
// number would mean additions that this reader does not know.
const formatVersion = "2.0\n"

// member is one member of the archive; its bytes lie inside the file.
type member struct {
	name   string
	r      io.ReaderAt
	offset int64 // of the first byte of content
	size   int64
}

func (m member) reader() *io.SectionReader { return io.NewSectionReader(m.r, m.offset, m.size) }

// end is where the next header starts: members are padded to even length.
func (m member) end() int64 { return m.offset + m.size + m.size&1 }

// arField is one field of a member header, ar(5).
type arField struct {
	name   string
	offset int
	size   int
	base   int // 0 for text
}

// arFields lists the header row for row.
func arFields() []arField {
	return []arField{
		{"name", 0, 16, 0},
		{"modification time", 16, 12, 10},
		{"user", 28, 6, 10},
		{"group", 34, 6, 10},
		{"mode", 40, 8, 8},
		{"size", 48, 10, 10},
		{"end", 58, 2, 0},
	}
}

// frame checks the archive from its first to its last byte and returns the two
// members that matter: exactly debian-binary, control.tar and data.tar. deb(5)
// lets a reader ignore members behind data.tar; bytes that nobody looks at
// have no place in a pinned input, so they are refused.
func frame(r io.ReaderAt, size, limit int64) (control, data member, err error) {
	if err := checkMagic(r, size); err != nil {
		return member{}, member{}, err
	}
	version, err := nextMember(r, size, int64(len(arMagic)), limit)
	if err != nil {
		return member{}, member{}, err
	}
	if err := checkVersion(version); err != nil {
		return member{}, member{}, err
	}
	if control, err = nextMember(r, size, version.end(), limit); err != nil {
		return member{}, member{}, err
	}
	if data, err = nextMember(r, size, control.end(), limit); err != nil {
		return member{}, member{}, err
	}
	if data.end() != size {
		return member{}, member{}, fmt.Errorf("reading package: %d bytes behind %s at %#x, want none", size-data.end(), data.name, data.end())
	}
	return control, data, nil
}

func checkMagic(r io.ReaderAt, size int64) error {
	if size < int64(len(arMagic)) {
		return fmt.Errorf("reading package: truncated: file of %d bytes is shorter than the archive's magic", size)
	}
	magic := make([]byte, len(arMagic))
	if _, err := r.ReadAt(magic, 0); err != nil {
		return fmt.Errorf("reading package: magic: %w", err)
	}
	if string(magic) != arMagic {
		return fmt.Errorf("reading package: magic: got %q, want %q", magic, arMagic)
	}
	return nil
}

func checkVersion(m member) error {
	if m.name != "debian-binary" {
		return fmt.Errorf("reading package: first member: got %q, want %q", m.name, "debian-binary")
	}
	if m.size != int64(len(formatVersion)) {
		return fmt.Errorf("reading debian-binary: size: got %d, want %d", m.size, len(formatVersion))
	}
	b := make([]byte, len(formatVersion))
	if _, err := m.r.ReadAt(b, m.offset); err != nil {
		return fmt.Errorf("reading debian-binary: %w", err)
	}
	if string(b) != formatVersion {
		return fmt.Errorf("reading debian-binary: format version: got %q, want %q", b, formatVersion)
	}
	return nil
}

// nextMember reads the header at the given offset and checks that the content
// and its padding are there.
func nextMember(r io.ReaderAt, size, at, limit int64) (member, error) {
	if size-at < arHeaderSize {
		return member{}, fmt.Errorf("reading package: truncated: file ends at %#x, want a member header of %d bytes at %#x", size, arHeaderSize, at)
	}
	header := make([]byte, arHeaderSize)
	if _, err := r.ReadAt(header, at); err != nil {
		return member{}, fmt.Errorf("reading member header at %#x: %w", at, err)
	}
	m := member{r: r, offset: at + arHeaderSize}
	for _, f := range arFields() {
		if err := m.setField(f, header[f.offset:f.offset+f.size]); err != nil {
			return member{}, fmt.Errorf("reading member header at %#x: %s: %w", at, f.name, err)
		}
	}
	if m.size > limit {
		return member{}, fmt.Errorf("reading member %s at %#x: size: got %d, limit is %d", m.name, at, m.size, limit)
	}
	if m.end() > size {
		return member{}, fmt.Errorf("reading package: truncated: member %s has %d bytes at %#x, file ends at %#x", m.name, m.size, m.offset, size)
	}
	return m, m.checkPadding()
}

func (m *member) setField(f arField, raw []byte) error {
	if f.name == "end" {
		if string(raw) != arHeaderEnd {
			return fmt.Errorf("got %q, want %q", raw, arHeaderEnd)
		}
		return nil
	}
	text := strings.TrimRight(string(raw), " ")
	if f.name == "name" {
		if !validMemberName(text) {
			return fmt.Errorf("got %q, want a plain member name", raw)
		}
		m.name = text
		return nil
	}
	value, err := parseNumber(text, f.base)
	if err != nil {
		return err
	}
	if f.name == "size" {
		m.size = value
	}
	return nil
}

func validMemberName(s string) bool {
	return s != "" && consistsOf(s, isLowerOrDigit, "-.")
}

// parseNumber takes digits of the base only: no sign, no blank, no prefix.
func parseNumber(s string, base int) (int64, error) {
	for i := range len(s) {
		if s[i] < '0' || int(s[i]-'0') >= base {
			return 0, fmt.Errorf("got %q, want digits of base %d", s, base)
		}
	}
	v, err := strconv.ParseInt(s, base, 64)
	if err != nil {
		return 0, fmt.Errorf("got %q, want digits of base %d", s, base)
	}
	return v, nil
}

func (m member) checkPadding() error {
	if m.size&1 == 0 {
		return nil
	}
	var b [1]byte
	if _, err := m.r.ReadAt(b[:], m.offset+m.size); err != nil {
		return fmt.Errorf("reading padding of %s: %w", m.name, err)
	}
	if b[0] != arPadding {
		return fmt.Errorf("reading padding of %s at %#x: got %#02x, want %#02x", m.name, m.offset+m.size, b[0], arPadding)
	}
	return nil
}
