package ovmf

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// A second writing of the tables, from the assembly of edk2, for tests and the
// fuzzer.

// imageSpec describes an image; the zero value has an empty table.
type imageSpec struct {
	size    int
	entries []rawEntry // in the order of reading
	sev     []byte     // SEV metadata, put right before the table
	tdx     []byte     // TDX metadata, with its GUID, put before that
}

type rawEntry struct {
	guid string
	data []byte
}

// encodeTable writes the footer table, whose last entry is read first.
func encodeTable(entries []rawEntry) []byte {
	var b []byte
	for _, e := range slices.Backward(entries) {
		b = append(b, e.data...)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(e.data)+18))
		b = append(b, parseGUID(e.guid)...)
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(len(b)+18))
	return append(b, parseGUID("96b582de-1fb2-45f7-baea-a366c55a082d")...)
}

// build writes the image, with entries for its metadata.
func (s imageSpec) build() []byte {
	entries := slices.Clone(s.entries)
	const perEntry = 18 + 4
	end := 32 + len(encodeTable(entries))
	if s.sev != nil {
		end += perEntry
	}
	if s.tdx != nil {
		end += perEntry
	}
	var tail []byte
	if s.tdx != nil {
		tail = append(tail, s.tdx...)
		entries = append(entries, rawEntry{guidTDXMetadata, u32s(end + len(s.sev) + len(s.tdx) - 16)})
	}
	if s.sev != nil {
		tail = append(tail, s.sev...)
		entries = append(entries, rawEntry{guidSEVMetadata, u32s(end + len(s.sev))})
	}
	tail = append(tail, encodeTable(entries)...)
	tail = append(tail, make([]byte, 32)...)
	size := max(s.size, 4096)
	return append(make([]byte, size-len(tail)), tail...)
}

func u32s(list ...int) []byte {
	var b []byte
	for _, n := range list {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	return b
}

func encodeSEV(list ...SEVSection) []byte {
	b := append([]byte("ASEV"), u32s(16+12*len(list), 1, len(list))...)
	for _, s := range list {
		b = append(b, u32s(int(s.GPA), int(s.Size), int(s.Type))...)
	}
	return b
}

func encodeTDX(list ...TDXSection) []byte {
	b := append(parseGUID("e9eaf9f3-168e-44d5-a8eb-7f4d8738f6ae"), "TDVF"...)
	b = append(b, u32s(16+32*len(list), 1, len(list))...)
	for _, s := range list {
		b = append(b, u32s(int(s.Offset), int(s.RawSize))...)
		b = binary.LittleEndian.AppendUint64(b, s.GPA)
		b = binary.LittleEndian.AppendUint64(b, s.MemSize)
		b = append(b, u32s(int(s.Type), int(s.Attributes))...)
	}
	return b
}

// reencode writes the tables of a decoded image over a blank copy.
func reencode(im *Image) []byte {
	b := bytes.Clone(im.Bytes)
	var entries []rawEntry
	for _, e := range im.Entries {
		entries = append(entries, rawEntry{e.GUID.String(), e.Data})
	}
	put := func(at int, part []byte) {
		clear(b[at : at+len(part)])
		copy(b[at:], part)
	}
	table := encodeTable(entries)
	put(len(b)-32-len(table), table)
	if im.SEV != nil {
		put(im.SEVOffset, encodeSEV(im.SEV...))
	}
	if im.TDX != nil {
		put(im.TDXOffset-16, encodeTDX(im.TDX...))
	}
	return b
}

// TestSyntheticTables makes sure of the second writing: what real files hold
// comes out again byte for byte.
func TestSyntheticTables(t *testing.T) {
	for _, name := range []string{fileUnified, fileAmdSev, fileX64, fileSVSM, fileVMPL1, fileAmdSev2026, fileIntelTdx2026} {
		b := readShared(t, name)
		im, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(reencode(im), b) {
			t.Errorf("%s: written again: differs", name)
		}
	}
}

// zeroLength is how edk2 of 2026 leaves sections that IntelTdxX64 needs no page
// for.
func zeroLength() []SEVSection {
	return []SEVSection{
		{0x800000, 0x9000, SecMem},
		{0x80a000, 0x3000, SecMem},
		{0x80d000, 0x1000, Secrets},
		{0x80e000, 0x1000, CPUID},
		{0, 0, SVSMCAA},
		{0, 0, SecMem},
	}
}

func TestLayout(t *testing.T) {
	entry := func(guid string, data ...int) []rawEntry { return []rawEntry{{guid, u32s(data...)}} }
	tests := []struct {
		name string
		spec imageSpec
		want string
	}{
		{"no metadata", imageSpec{}, "unknown"},
		{"SEV only", imageSpec{sev: encodeSEV(zeroLength()...)}, "unknown"},
		{"IntelTdx", imageSpec{sev: encodeSEV(zeroLength()...), tdx: encodeTDX(tdxOf(0x810000)...)}, "IntelTdx"},
		{"kernel hashes in another build", imageSpec{
			entries: entry(guidHashTable, 0x810c00, 0x400),
			sev:     encodeSEV(zeroLength()...), tdx: encodeTDX(tdxOf(0x810000)...),
		}, "unknown"},
		{"kernel hashes without a page", imageSpec{
			entries: entry(guidHashTable, 0x810c00, 0x400), sev: encodeSEV(SEVSection{0, 0, KernelHashes}),
		}, "unknown"},
		{"SVSM", imageSpec{entries: entry(guidSVSMInfo, 16)}, "SVSM"},
		{"td-shim", imageSpec{tdx: encodeTDX(TDXSection{0, 16, 0x1000, 0x1000, Payload, 0})}, "td-shim"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			im, err := Decode(tt.spec.build())
			if err != nil {
				t.Fatal(err)
			}
			if got := im.Layout(); got != tt.want {
				t.Errorf("layout: got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestKept are things that are legitimate though nothing is known of them.
func TestKept(t *testing.T) {
	const other = "11111111-2222-3333-4444-555555555555"
	im, err := Decode(imageSpec{
		entries: []rawEntry{{other, []byte("some data")}, {"784fa70e-3176-4677-8a20-04b68699e374", u32s(0x560)}},
		sev:     encodeSEV(SEVSection{0x1000, 0x1000, 0x77}, SEVSection{0, 0, SecMem}),
	}.build())
	if err != nil {
		t.Fatal(err)
	}
	e := im.Entries[0]
	if e.Name != "" || e.GUID.String() != other || string(e.Data) != "some data" || string(im.Bytes[e.Offset:e.Offset+9]) != "some data" {
		t.Errorf("unknown entry: got %+v", e)
	}
	if got := im.Entries[1].Name; got != "IGVM metadata" {
		t.Errorf("name: got %q, want %q", got, "IGVM metadata")
	}
	if len(im.SEV) != 2 || im.SEV[0].Type != 0x77 {
		t.Errorf("SEV sections: got %v, want two, the first of type 0x77", im.SEV)
	}
	if im, err = Decode(imageSpec{sev: encodeSEV()}.build()); err != nil || im.SEV == nil || len(im.SEV) != 0 {
		t.Errorf("empty SEV metadata: got %v, error %v, want an empty list that is not nil", im, err)
	}
}

// TestBounds has images that lie exactly at a bound: all of them are taken.
func TestBounds(t *testing.T) {
	entry := func(guid string, data ...int) imageSpec { return imageSpec{entries: []rawEntry{{guid, u32s(data...)}}} }
	pages := func(n int) []SEVSection {
		var list []SEVSection
		for i := range n {
			list = append(list, SEVSection{uint32(i+1) << 12, 1 << 12, SecMem})
		}
		return list
	}
	var tdx []TDXSection
	for i := range 64 {
		tdx = append(tdx, TDXSection{GPA: uint64(i+1) << 12, MemSize: 1 << 12, Type: TempMem})
	}
	end := func(b []byte, n int) []byte { return b[len(b)-n:] }
	tests := []struct {
		name  string
		image []byte
	}{
		{"footer and reset vector alone", end(imageSpec{}.build(), 32+18)},
		{"table fills the image", end(entry("11111111-2222-3333-4444-555555555555").build(), 32+18+18)},
		{"64 MiB", imageSpec{size: 64 << 20}.build()},
		{"64 entries", imageSpec{entries: many()[:64]}.build()},
		{"hash table at 4 GiB", entry(guidHashTable, 0xfffff000, 0x1000).build()},
		{"SVSM entry in the last byte", entry(guidSVSMInfo, 4095).build()},
		{"64 SEV sections", imageSpec{sev: encodeSEV(pages(64)...)}.build()},
		{"SEV section at 4 GiB", imageSpec{sev: encodeSEV(SEVSection{0xfffff000, 0x1000, CPUID})}.build()},
		{"SEV metadata at the start", end(imageSpec{sev: encodeSEV()}.build(), 32+18+22+16)},
		{"64 TDX sections", imageSpec{tdx: encodeTDX(tdx...)}.build()},
		{"TDX memory at 52 bits", imageSpec{tdx: encodeTDX(TDXSection{GPA: 1<<52 - 1<<12, MemSize: 1 << 12, Type: TempMem})}.build()},
		{"no TDX memory at 52 bits", imageSpec{tdx: encodeTDX(TDXSection{GPA: 1 << 52, Type: TempMem})}.build()},
		{"GUID of TDX metadata at the start", end(imageSpec{tdx: encodeTDX()}.build(), 32+18+22+16+16)},
		{"TDX right behind SEV metadata", behind(0)},
		{"SEV right behind TDX metadata", imageSpec{tdx: encodeTDX(), sev: encodeSEV()}.build()},
	}
	for _, tt := range tests {
		im, err := Decode(tt.image)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if !bytes.Equal(reencode(im), tt.image) {
			t.Errorf("%s: written again: differs", tt.name)
		}
	}
}

// FuzzDecode starts from the ends of real images. What is accepted comes out
// again byte for byte.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{fileUnified, fileAmdSev, fileX64, fileSVSM, fileVMPL1, fileAmdSev2026, fileIntelTdx2026} {
		b := readShared(f, name)
		f.Add(b[max(0, len(b)-4096):])
	}
	f.Add(imageSpec{}.build())
	f.Add(imageSpec{sev: encodeSEV(zeroLength()...), tdx: encodeTDX(tdxOf(0x810000)...)}.build())
	f.Fuzz(func(t *testing.T, b []byte) {
		im, err := Decode(b)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "parsing firmware") {
				t.Errorf("error does not say what was parsed: %v", err)
			}
			return
		}
		if !bytes.Equal(reencode(im), b) {
			t.Error("written again: differs")
		}
		if im.CheckUnified() == nil {
			for _, s := range im.TDX {
				_ = b[s.Offset:][:s.RawSize] // must be there
			}
		}
	})
}
