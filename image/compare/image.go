package compare

import (
	"fmt"

	"safebox/measure/pe"
)

// images compares two PE images: what their sections hold, then the headers,
// then what lies between. outer is the kind of what they lie in.
func images(a, b []byte, outer kind) *Difference {
	fileA, errA := pe.Decode(a)
	fileB, errB := pe.Decode(b)
	if errA != nil || errB != nil {
		return firstSpanOrByte(a, b, readable(fileA, fileB)).refused(errA, errB)
	}
	inner := kindPE
	if outer == kindPE {
		inner = kindInitrd // the innermost container, whatever it is
	}
	if d := peSections(fileA, fileB, inner); d != nil {
		return d
	}
	return firstSpanOrByte(a, b, fileB)
}

// readable gives the side that could be decoded, nil if none could. Its
// headers say where to look in both.
func readable(a, b *pe.File) *pe.File {
	if b != nil {
		return b
	}
	return a
}

// firstSpanOrByte names what lies at the first difference by the layout of f.
func firstSpanOrByte(a, b []byte, f *pe.File) *Difference {
	if f != nil {
		if d := firstSpan(a, b, peSpans(f)); d != nil {
			return d
		}
	}
	return firstByte(a, b)
}

// occurrence tells sections of one name apart: a UKI with profiles repeats
// names.
type occurrence struct {
	name string
	n    int
}

func (o occurrence) String() string {
	if o.n > 0 {
		return fmt.Sprintf("section %s (number %d)", o.name, o.n+1)
	}
	return "section " + o.name
}

func occurrences(f *pe.File) (order []occurrence, sections map[occurrence]pe.Section) {
	sections = make(map[occurrence]pe.Section, len(f.Sections))
	seen := make(map[string]int)
	for _, s := range f.Sections {
		o := occurrence{s.Name, seen[s.Name]}
		seen[s.Name]++
		order = append(order, o)
		sections[o] = s
	}
	return order, sections
}

// peSections compares sections by name, as a loader sees their content: that
// is what the stub measures.
func peSections(a, b *pe.File, kind kind) *Difference {
	orderA, inA := occurrences(a)
	orderB, inB := occurrences(b)
	for _, o := range orderB {
		s, ok := inA[o]
		if !ok {
			return onOneSide(count(int64(inB[o].VirtualSize)), false).in(o.String())
		}
		if d := contents(a.Content(s), b.Content(inB[o]), kind); d != nil {
			return d.in(o.String())
		}
	}
	for i, o := range orderA {
		if _, ok := inB[o]; !ok {
			return onOneSide(count(int64(inA[o].VirtualSize)), true).in(o.String())
		}
		if o != orderB[i] {
			return &Difference{What: fmt.Sprintf("order: section %d", i), A: o.name, B: orderB[i].name}
		}
	}
	return nil
}

// peField is a header field: name, offset and size.
type peField struct {
	name string
	off  int64
	size int64
}

// coffFields: PE Format, "COFF File Header (Object and Image)".
func coffFields() []peField {
	return []peField{
		{"Machine", 0, 2},
		{"NumberOfSections", 2, 2},
		{"TimeDateStamp", 4, 4},
		{"PointerToSymbolTable", 8, 4},
		{"NumberOfSymbols", 12, 4},
		{"SizeOfOptionalHeader", 16, 2},
		{"Characteristics", 18, 2},
	}
}

// optionalFields: PE Format, "Optional Header Standard Fields (Image Only)" and
// "Optional Header Windows-Specific Fields (Image Only)", PE32+.
func optionalFields() []peField {
	return []peField{
		{"Magic", 0, 2},
		{"MajorLinkerVersion", 2, 1},
		{"MinorLinkerVersion", 3, 1},
		{"SizeOfCode", 4, 4},
		{"SizeOfInitializedData", 8, 4},
		{"SizeOfUninitializedData", 12, 4},
		{"AddressOfEntryPoint", 16, 4},
		{"BaseOfCode", 20, 4},
		{"ImageBase", 24, 8},
		{"SectionAlignment", 32, 4},
		{"FileAlignment", 36, 4},
		{"MajorOperatingSystemVersion", 40, 2},
		{"MinorOperatingSystemVersion", 42, 2},
		{"MajorImageVersion", 44, 2},
		{"MinorImageVersion", 46, 2},
		{"MajorSubsystemVersion", 48, 2},
		{"MinorSubsystemVersion", 50, 2},
		{"Win32VersionValue", 52, 4},
		{"SizeOfImage", 56, 4},
		{"SizeOfHeaders", 60, 4},
		{"CheckSum", optCheckSum, 4},
		{"Subsystem", 68, 2},
		{"DllCharacteristics", 70, 2},
		{"SizeOfStackReserve", 72, 8},
		{"SizeOfStackCommit", 80, 8},
		{"SizeOfHeapReserve", 88, 8},
		{"SizeOfHeapCommit", 96, 8},
		{"LoaderFlags", 104, 4},
		{"NumberOfRvaAndSizes", 108, 4},
	}
}

// optCheckSum is the one field that follows from all others.
const optCheckSum = 64

// Sizes in "Optional Header Data Directories (Image Only)".
const (
	offDirectories = 112
	directorySize  = 8
)

// sectionFields: PE Format, "Section Table (Section Headers)".
func sectionFields() []peField {
	return []peField{
		{"Name", 0, pe.NameSize},
		{"VirtualSize", 8, 4},
		{"VirtualAddress", 12, 4},
		{"SizeOfRawData", 16, 4},
		{"PointerToRawData", 20, 4},
		{"PointerToRelocations", 24, 4},
		{"PointerToLinenumbers", 28, 4},
		{"NumberOfRelocations", 32, 2},
		{"NumberOfLinenumbers", 34, 2},
		{"Characteristics", 36, 4},
	}
}

// peSpans lists the headers of f and its sections as they lie in the file.
func peSpans(f *pe.File) []span {
	h := f.Header
	coff, optional, table := int64(h.CoffOffset), int64(h.OptionalOffset), int64(h.SectionTableOffset)
	spans := []span{{path: []string{"DOS header"}, off: 0, size: coff}}
	add := func(where string, base int64, fields []peField) {
		for _, p := range fields {
			s := span{path: []string{where, p.name}, off: base + p.off, size: p.size, form: formNumber}
			if p.name == "Name" {
				s.form = formText
			}
			s.late = base == optional && p.off == optCheckSum
			spans = append(spans, s)
		}
	}
	add("COFF header", coff, coffFields())
	add("optional header", optional, optionalFields())
	for i := range int64(h.NumberOfRvaAndSizes) {
		base := optional + offDirectories + i*directorySize
		add(fmt.Sprintf("data directory %d", i), base, []peField{{"VirtualAddress", 0, 4}, {"Size", 4, 4}})
	}
	for i, s := range f.Sections {
		add("header of section "+s.Name, table+int64(i)*pe.SectionHeaderSize, sectionFields())
	}
	end := table + int64(len(f.Sections))*pe.SectionHeaderSize
	spans = append(spans, span{path: []string{"after the section table"}, off: end, size: int64(h.SizeOfHeaders) - end})
	for _, s := range f.Sections {
		spans = append(spans, span{path: []string{"section " + s.Name}, off: int64(s.RawOffset), size: int64(s.RawSize)})
	}
	if c := f.Certificates; c.Size > 0 {
		spans = append(spans, span{path: []string{"certificate table"}, off: int64(c.Offset), size: int64(c.Size)})
	}
	return spans
}
