package uki

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"safebox/measure/pe"
)

// Sbat is the section that lists the generations of the programs in an image,
// so that old ones can be revoked (rhboot/shim, SBAT.md, "SBAT: Secure Boot
// Advanced Targeting"). It is never given: it follows from stub and kernel.
const Sbat = ".sbat"

// The lines that ukify 257 adds of its own: the first, which stands for the
// format itself, and the last, which stands for unified images as such.
const (
	sbatHeader  = "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md"
	sbatUnified = "uki,1,UKI,uki,1,https://uapi-group.org/specifications/specs/unified_kernel_image/"
)

// sbatFormat is how the first line of any list starts.
const sbatFormat = "sbat,"

// sectionVirtualSize is the offset of that field in a section header (PE
// Format, "Section Table (Section Headers)").
const sectionVirtualSize = 8

// mergeSbat gives the list of the unified image: header, lines of the stub,
// lines of the kernel, line of the image, each with a newline, and a NUL.
// systemd-stub measures it into PCR 11, and so every byte of it counts.
func mergeSbat(stub, kernel []byte) ([]byte, error) {
	lines := []string{sbatHeader}
	for _, part := range []struct {
		name string
		file []byte
	}{{"stub", stub}, {Linux, kernel}} {
		more, err := sbatLines(part.file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
		lines = append(lines, more...)
	}
	lines = append(lines, sbatUnified)
	return []byte(strings.Join(lines, "\n") + "\n\x00"), nil
}

// sbatLines gives the lines of a program's list, less the first. A program
// without a list has none.
func sbatLines(file []byte) ([]string, error) {
	f, err := pe.Decode(file)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(f.Sections, isSbat)
	if at < 0 {
		return nil, nil
	}
	if slices.ContainsFunc(f.Sections[at+1:], isSbat) {
		return nil, fmt.Errorf("section %q: is there twice", Sbat)
	}
	s := f.Sections[at]
	// Loaders see VirtualSize bytes, ukify reads SizeOfRawData: both must mean
	// the same list.
	text := bytes.TrimRight(file[s.RawOffset:s.RawOffset+s.RawSize], "\x00")
	if !bytes.Equal(text, bytes.TrimRight(f.Content(s), "\x00")) {
		return nil, fmt.Errorf("section %q: got 0x%x bytes of text, want them within its 0x%x bytes in memory", Sbat, len(text), s.VirtualSize)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for i, line := range lines {
		if err := checkSbatLine(line); err != nil {
			return nil, fmt.Errorf("section %q: line %d: %w", Sbat, i+1, err)
		}
	}
	if !strings.HasPrefix(lines[0], sbatFormat) {
		return nil, fmt.Errorf("section %q: line 1: got %q, want it to start with %q", Sbat, lines[0], sbatFormat)
	}
	return lines[1:], nil
}

func isSbat(s pe.Section) bool { return s.Name == Sbat }

// checkSbatLine refuses what readers might split or skip in different ways:
// Python, and so ukify, knows ten kinds of line ends.
func checkSbatLine(line string) error {
	if line == "" {
		return fmt.Errorf("got an empty one, want printable ASCII")
	}
	if i := strings.IndexFunc(line, func(c rune) bool { return c < ' ' || c > '~' }); i >= 0 {
		return fmt.Errorf("got byte 0x%02x at %d, want printable ASCII", line[i], i)
	}
	return nil
}

// withSbat puts the list into the image. The stub's own section takes it in
// place: what follows in the file stays where it is. A stub without the
// section gets one behind all others.
func withSbat(stub []byte, f *pe.File, sections []Section, list []byte) ([]byte, []Section, error) {
	at := slices.IndexFunc(f.Sections, isSbat)
	if at < 0 {
		return stub, append(slices.Clip(sections), Section{Name: Sbat, Data: list}), nil
	}
	s := f.Sections[at]
	if len(list) > int(s.RawSize) {
		return nil, nil, fmt.Errorf("section %q: got 0x%x bytes with the lines of stub and kernel, want at most 0x%x, the stub's SizeOfRawData", Sbat, len(list), s.RawSize)
	}
	b := bytes.Clone(stub)
	room := b[s.RawOffset : s.RawOffset+s.RawSize]
	clear(room[copy(room, list):])
	header := b[f.Header.SectionTableOffset+uint32(at)*pe.SectionHeaderSize:]
	binary.LittleEndian.PutUint32(header[sectionVirtualSize:], uint32(len(list)))
	return b, sections, nil
}
