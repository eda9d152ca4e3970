package ovmf

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

const testGUID = "11111111-2222-3333-4444-555555555555"

// patched builds an image and changes bytes counted from its end.
func patched(s imageSpec, fromEnd int, with ...byte) []byte {
	b := s.build()
	copy(b[len(b)-fromEnd:], with)
	return b
}

// TestRefusesTable: each message names what is wrong, where, and what was
// expected.
func TestRefusesTable(t *testing.T) {
	one := imageSpec{entries: []rawEntry{{testGUID, []byte("0123456789")}}}
	entry := func(guid string, data ...int) []byte {
		return imageSpec{entries: []rawEntry{{guid, u32s(data...)}}}.build()
	}
	tests := []struct {
		name  string
		image []byte
		want  string
	}{
		{"empty", nil, "parsing firmware table at 0x0: size of the image: got 0 bytes, want at least 50"},
		{"short", make([]byte, 49), "size of the image: got 49 bytes, want at least 50"},
		{"huge", make([]byte, MaxSize+1), "parsing firmware: size: got 67108865, want at most 67108864"},
		{"no footer", make([]byte, 4096), "parsing firmware table at 0xfd0: footer: got 00000000-0000-0000-0000-000000000000, want 96b582de-1fb2-45f7-baea-a366c55a082d"},
		{"truncated", imageSpec{}.build()[:4095], "footer: got "},
		{"table shorter than its footer", patched(one, 50, 17, 0), "at 0xfce: length of the table: got 17, want 18 to 4064"},
		{"table longer than the file", patched(one, 50, 0xe1, 0x0f), "at 0xfce: length of the table: got 4065, want 18 to 4064"},
		{"trailing bytes", patched(one, 50, 18+28+5, 0), "at 0xfb2: entry 1: trailing bytes in the table: got 5, want an entry of 18 or more or none"},
		{"entry below 18", patched(one, 68, 17, 0), "at 0xfce: entry 0: " + testGUID + ": length: got 17, want 18 to 28"},
		{"entry past the table", patched(one, 68, 29, 0), "at 0xfce: entry 0: " + testGUID + ": length: got 29, want 18 to 28"},
		{"duplicate GUID", imageSpec{entries: []rawEntry{{testGUID, nil}, {testGUID, nil}}}.build(), "entry 1: duplicate GUID: got " + testGUID},
		{"second footer", entry(guidFooter), "entry 0: duplicate GUID: got 96b582de"},
		{"too many entries", imageSpec{entries: many()}.build(), "entries: got more than 64, want at most 64"},
		{"reset block", entry(guidResetBlock), "entry 0: SEV-ES reset block (00f771de-1a7e-4fcb-890e-68c77e2fb44e): data: got 0 bytes, want 4"},
		{"hash table", entry(guidHashTable, 1), "SEV hash table (7255371f-3a3b-4b04-927b-1da6efa8d454): data: got 4 bytes, want 8"},
		{"hash table past 4 GiB", entry(guidHashTable, 0xfffff000, 0x1001), "entry 0: SEV hash table: area: got address 0xfffff000 size 0x1001, want its end at 4 GiB or below"},
		{"launch secret", entry(guidSecret, 1, 2, 3), "SEV launch secret (4c2eb361-7d9b-4cc3-8081-127c90d3d294): data: got 12 bytes, want 8"},
		{"SVSM info", entry(guidSVSMInfo, 1, 2), "SVSM info (a789a612-0597-4c4b-a49f-cbb1fe9d1ddd): data: got 8 bytes, want 4"},
		{"SVSM entry outside", entry(guidSVSMInfo, 4096), "at 0xfb8: entry 0: SVSM info: entry point: got 0x1000, want below the size of the image 0x1000"},
		{"IGVM metadata", entry(guidIGVMMetadata, 1, 2), "IGVM metadata (784fa70e-3176-4677-8a20-04b68699e374): data: got 8 bytes, want 4"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantError(t, tt.image, tt.want) })
	}
}

func many() []rawEntry {
	var list []rawEntry
	for i := range 65 {
		list = append(list, rawEntry{strings.Replace(testGUID, "1111", "11"+string([]byte{'0' + byte(i/10), '0' + byte(i%10)}), 1), nil})
	}
	return list
}

func wantError(t *testing.T, image []byte, want string) {
	t.Helper()
	_, err := Decode(image)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want one with %q", err, want)
	}
}

// change builds metadata and sets a u32 in it.
func change(metadata []byte, off int, to uint32) []byte {
	b := bytes.Clone(metadata)
	binary.LittleEndian.PutUint32(b[off:], to)
	return b
}

// TestRefusesSEV: a table of one entry starts at 0xfb8, and metadata with two
// sections 40 bytes before that.
func TestRefusesSEV(t *testing.T) {
	two := encodeSEV(SEVSection{0x1000, 0x1000, SecMem}, SEVSection{0x2000, 0x1000, CPUID})
	entry := func(distance int) []byte {
		return imageSpec{entries: []rawEntry{{guidSEVMetadata, u32s(distance)}}}.build()
	}
	sections := func(list ...SEVSection) []byte { return imageSpec{sev: encodeSEV(list...)}.build() }
	tests := []struct {
		name  string
		image []byte
		want  string
	}{
		{"before the file", entry(4097), "at 0xfb8: entry 0: SEV metadata: distance from the end of the image: got 0x1001, want 0x58 to 0x1000"},
		{"in the table", entry(0x57), "distance from the end of the image: got 0x57, want 0x58 to 0x1000"},
		{"not there", entry(0x58), `SEV metadata: signature at 0xfa8: got "\x00\x00\x00\x00", want "ASEV"`},
		{"version", imageSpec{sev: change(two, 8, 2)}.build(), "version at 0xf98: got 2, want 1"},
		{"length", imageSpec{sev: change(two, 4, 39)}.build(), "length at 0xf94: got 39, want 40 for 2 sections"},
		{"count", imageSpec{sev: change(two, 12, 1)}.build(), "length at 0xf94: got 40, want 28 for 1 sections"},
		{"absurd count", imageSpec{sev: change(two, 12, 0xffffffff)}.build(), "number of sections at 0xf9c: got 4294967295, want at most 64"},
		{"into the table", imageSpec{sev: change(change(two, 12, 3), 4, 52)}.build(), "length at 0xf94: got 52, want at most 40, where the footer table starts"},
		{"address", sections(SEVSection{0x1001, 0x1000, SecMem}), "section 0 at 0xfac: SNP_SEC_MEM: address: got 0x1001, want a multiple of 0x1000"},
		{"size", sections(SEVSection{0x1000, 0xfff, CPUID}), "section 0 at 0xfac: CPUID: size: got 0xfff, want a multiple of 0x1000"},
		{"past 4 GiB", sections(SEVSection{0xfffff000, 0x2000, Secrets}), "SNP_SECRETS: end: got 0x100001000, want at most 0x100000000"},
		{"overlap", sections(SEVSection{0x1000, 0x3000, SecMem}, SEVSection{0x3000, 0x1000, SVSMCAA}), "section 1 at 0xfac: SVSM_CAA: got 0x3000 to 0x4000, want no overlap with section 0, 0x1000 to 0x4000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantError(t, tt.image, tt.want) })
	}
}

func TestRefusesTDX(t *testing.T) {
	bfv := TDXSection{0, 0x1000, 0xfffff000, 0x1000, BFV, MRExtend}
	temp := TDXSection{0, 0, 0x1000, 0x1000, TempMem, 0}
	with := func(list ...TDXSection) []byte { return imageSpec{tdx: encodeTDX(list...)}.build() }
	edit := func(s TDXSection, f func(s *TDXSection)) []byte {
		f(&s)
		return with(bfv, s)
	}
	raw := encodeTDX(bfv)
	tests := []struct {
		name  string
		image []byte
		want  string
	}{
		{"GUID", imageSpec{tdx: change(raw, 0, 7)}.build(), "GUID at 0xf78: got 00000007-168e-44d5-a8eb-7f4d8738f6ae, want e9eaf9f3-168e-44d5-a8eb-7f4d8738f6ae"},
		{"signature", imageSpec{tdx: change(raw, 16, 0x41414141)}.build(), `TDX metadata: signature at 0xf88: got "AAAA", want "TDVF"`},
		{"version", imageSpec{tdx: change(raw, 24, 0)}.build(), "version at 0xf90: got 0, want 1"},
		{"length", imageSpec{tdx: change(raw, 20, 47)}.build(), "length at 0xf8c: got 47, want 48 for 1 sections"},
		{"absurd count", imageSpec{tdx: change(raw, 28, 65)}.build(), "number of sections at 0xf94: got 65, want at most 64"},
		{"no room for the GUID", atStart(raw[16:]), "descriptor at 0x0: got 0 bytes before it, want a GUID of 16"},
		{"type", edit(temp, func(s *TDXSection) { s.Type = 8 }), "section 1 at 0xf98: TDX section type 8: type: got 8, want 0 to 7"},
		{"attributes", edit(temp, func(s *TDXSection) { s.Attributes = 4 }), "TEMP_MEM: attributes: got 0x4, want 0, 1 (MR_EXTEND) or 2 (PAGE_AUG)"},
		{"measured and added later", edit(temp, func(s *TDXSection) { s.Attributes = 3 }), "attributes: got 0x3, want 0, 1"},
		{"address", edit(temp, func(s *TDXSection) { s.GPA++ }), "TEMP_MEM: address: got 0x1001, want a multiple of 0x1000"},
		{"size", edit(temp, func(s *TDXSection) { s.MemSize-- }), "TEMP_MEM: size: got 0xfff, want a multiple of 0x1000"},
		{"past memory", edit(temp, func(s *TDXSection) { s.GPA = 1<<64 - 4096 }), "TEMP_MEM: memory: got 0x1000 bytes at 0xfffffffffffff000, want its end at 0x10000000000000 or below"},
		{"wraps around", edit(temp, func(s *TDXSection) { s.MemSize = 1<<64 - 4096 }), "memory: got 0xfffffffffffff000 bytes at 0x1000"},
		{"raw data of memory", edit(temp, func(s *TDXSection) { s.RawSize = 1 }), "TEMP_MEM: raw data: got 0x1 bytes at 0x0, want none"},
		{"offset of memory", edit(temp, func(s *TDXSection) { s.Offset = 1 }), "TEMP_MEM: raw data: got 0x0 bytes at 0x1, want none"},
		{"raw data past memory", with(TDXSection{0, 0x1001, 0xfffff000, 0x1000, BFV, MRExtend}), "BFV: raw data size: got 0x1001, want at most the memory size 0x1000"},
		{"memory of information", edit(temp, func(s *TDXSection) { s.Type = TDInfo }), "TD_INFO: memory: got 0x1000 bytes at 0x1000, want none"},
		{"address of information", edit(temp, func(s *TDXSection) { s.Type = TDInfo; s.MemSize = 0 }), "TD_INFO: memory: got 0x0 bytes at 0x1000, want none"},
		{"size of information", edit(temp, func(s *TDXSection) { s.Type = TDInfo; s.GPA = 0 }), "TD_INFO: memory: got 0x1000 bytes at 0x0, want none"},
		{"a page past memory", edit(temp, func(s *TDXSection) { s.GPA = 1 << 52 }), "memory: got 0x1000 bytes at 0x10000000000000"},
		{"ends a page past memory", edit(temp, func(s *TDXSection) { s.GPA = 1<<52 - 4096; s.MemSize = 8192 }), "memory: got 0x2000 bytes at 0xffffffffff000"},
		{"overlap", edit(temp, func(s *TDXSection) { s.GPA = 0xffffe000; s.MemSize = 0x2000 }), "TEMP_MEM: memory: got 0xffffe000 to 0x100000000, want no overlap with section 0, 0xfffff000 to 0x100000000"},
		{"raw overlap", with(bfv, TDXSection{0xfff, 0x1000, 0xffffe000, 0x1000, CFV, 0}), "CFV: raw data: got 0xfff to 0x1fff, want no overlap with section 0, 0x0 to 0x1000"},
		{"one's end is the other's start", behind(4), "parsing firmware: SEV metadata at 0xf6a to 0xf86 overlaps TDX metadata at 0xf82 to 0xfa2"},
		{"both in one place", inside(), "parsing firmware: SEV metadata at 0xf84 to 0xf94 overlaps TDX metadata at 0xf62 to 0xfa2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantError(t, tt.image, tt.want) })
	}
}

// atStart puts a descriptor at the very start, with nothing before it.
func atStart(descriptor []byte) []byte {
	b := imageSpec{entries: []rawEntry{{guidTDXMetadata, u32s(4096)}}}.build()
	copy(b, descriptor)
	return b
}

// inside hides empty SEV metadata in a TDX section, two bytes into it: its
// "ASEV" lies in both sizes, its version in the address.
func inside() []byte {
	s := TDXSection{Offset: 0x5341 << 16, RawSize: 0x105645, GPA: 1 << 16, MemSize: 0x110000, Type: Payload}
	return imageSpec{entries: []rawEntry{{guidSEVMetadata, u32s(0x7c)}}, tdx: encodeTDX(s)}.build()
}

// behind puts TDX metadata behind SEV metadata, whose last bytes are the first
// ones of the GUID: a section may have any type.
func behind(shared int) []byte {
	guid := parseGUID("e9eaf9f3-168e-44d5-a8eb-7f4d8738f6ae")
	sev := encodeSEV(SEVSection{0x1000, 0x1000, SEVType(binary.LittleEndian.Uint32(guid))})
	metadata := append(sev, encodeTDX()[shared:]...)
	const table = 32 + 18 + 2*(18+4)
	b := imageSpec{entries: []rawEntry{
		{guidSEVMetadata, u32s(table + len(metadata))}, {guidTDXMetadata, u32s(table + 16)},
	}}.build()
	copy(b[len(b)-table-len(metadata):], metadata)
	return b
}

func TestRefusesLaunch(t *testing.T) {
	bfv := TDXSection{0, 0x1000, 0xffffe000, 0x1000, BFV, MRExtend}
	hob := TDXSection{0, 0, 0x1000, 0x1000, TDHOB, 0}
	second := TDXSection{0, 0, 0x2000, 0x1000, TDHOB, 0}
	with := func(list ...TDXSection) imageSpec { return imageSpec{size: 0x2000, tdx: encodeTDX(list...)} }
	tests := []struct {
		name string
		spec imageSpec
		want string
	}{
		{"good", with(bfv, hob), ""},
		{"half a page", imageSpec{size: 0x1800}, "checking firmware: size: got 0x1800, want a multiple of 0x1000"},
		{"SEV memory in the image", imageSpec{sev: encodeSEV(SEVSection{0xfffff000, 0x1000, CPUID})}, "SEV section 0: CPUID: got 0xfffff000 to 0x100000000, want no overlap with the image at 0xfffff000 to 0x100000000"},
		{"no sections", with(), "BFV sections: got 0, want 1 or more"},
		{"no code", with(hob), "BFV sections: got 0, want 1 or more"},
		{"empty code", with(TDXSection{0, 0, 0xffffe000, 0x1000, BFV, MRExtend}, hob), "TDX section 0: BFV: raw data size: got 0, want 1 or more"},
		{"no TD HOB", with(bfv), "TD_HOB sections: got 0, want 1"},
		{"two TD HOBs", with(bfv, hob, second), "TD_HOB sections: got 2, want 1"},
		{"past the end", with(TDXSection{0x1000, 0x1001, 0xfffff000, 0x2000, BFV, MRExtend}, hob), "BFV: raw data: got 0x1000 to 0x2001, want its end at most 0x2000, the size of the file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Open(tt.spec.build())
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}
