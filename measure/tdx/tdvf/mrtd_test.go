package tdvf

import (
	"crypto/sha512"
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"

	"safebox/measure/benchtest"
	"safebox/measure/ovmf"
	"safebox/measure/vectortest"
)

func realFirmware(t testing.TB) *ovmf.Image {
	t.Helper()
	return open(t, vectortest.File(t, os.DirFS("../../testdata"), "debian-ovmf/OVMF.fd"))
}

// record writes an extension buffer as the ABI specification describes it.
func record(name string, gpa uint64) []byte {
	b := make([]byte, 128)
	copy(b, name)
	binary.LittleEndian.PutUint64(b[16:], gpa)
	return b
}

// TestTrace compares the steps with the sections of Debian's OVMF (edk2
// OvmfPkg/ResetVector/X64/OvmfMetadata.asm): 892 pages of code, 132 of
// variables, 15, 2 and 6 of temporary memory, 2 for the HOB.
func TestTrace(t *testing.T) {
	im := realFirmware(t)
	for _, c := range []struct {
		order         Order
		steps, twice  int
		second, third uint64
	}{
		{SinglePass, 1049, 892, 0xffc85000, 0xffc86000},
		{TwoPass, 1049 + 892, 0, 0xffc85000, 0xffc86000},
	} {
		var pages []Page
		got, err := MRTD(im, Options{Order: c.order, Trace: func(p Page) { pages = append(pages, p) }})
		if err != nil {
			t.Fatal(err)
		}
		both, added, extended := 0, 0, 0
		for _, p := range pages {
			if p.Added && p.Extended {
				both++
			}
			if p.Added {
				added++
			}
			if p.Extended {
				extended++
			}
		}
		if len(pages) != c.steps || both != c.twice || added != 1049 || extended != 892 {
			t.Errorf("%v: got %d steps, %d add and extend, %d add, %d extend", c.order, len(pages), both, added, extended)
		}
		if pages[0].GPA != 0xffc84000 || pages[1].GPA != c.second || pages[2].GPA != c.third {
			t.Errorf("%v: got first pages %#x, %#x, %#x", c.order, pages[0].GPA, pages[1].GPA, pages[2].GPA)
		}
		if last := pages[len(pages)-1]; last.Running != got || last.Section != 5 || last.Type != ovmf.TempMem {
			t.Errorf("%v: got last step %+v, want it to end with %v", c.order, last, got)
		}
	}
}

// TestFirstPage writes out what is hashed for one page.
func TestFirstPage(t *testing.T) {
	im := realFirmware(t)
	stream := record("MEM.PAGE.ADD", 0xffc84000)
	for i := range 16 {
		stream = append(stream, record("MR.EXTEND", 0xffc84000+uint64(i)*256)...)
		stream = append(stream, im.Bytes[0x84000+i*256:][:256]...)
	}
	var first *Page
	if _, err := MRTD(im, Options{Trace: func(p Page) {
		if first == nil {
			first = &p
		}
	}}); err != nil {
		t.Fatal(err)
	}
	if want := Digest(sha512.Sum384(stream)); first.Running != want {
		t.Errorf("got %v, want %v", first.Running, want)
	}
}

// TestPayload has a section that is longer than its data, and one that comes
// after the launch (both as in td-shim).
func TestPayload(t *testing.T) {
	list := append(volumes(0x3000, 0x1000),
		ovmf.TDXSection{GPA: 0x100000, MemSize: 1 << 31, Type: ovmf.PermMem, Attributes: ovmf.PageAug},
		ovmf.TDXSection{Offset: 0x1000, RawSize: 5, GPA: 0x1000, MemSize: pageSize, Type: ovmf.Payload, Attributes: ovmf.MRExtend},
		ovmf.TDXSection{GPA: 0x3000, MemSize: pageSize, Type: ovmf.TDHOB})
	list[0].Offset, list[0].RawSize, list[0].GPA, list[0].MemSize = 0x2000, 0x1000, 0xfffff000, 0x1000
	flash := make([]byte, 0x3000)
	copy(flash[0x1000:], "hello, world")
	im := open(t, build(flash, list))
	var stream []byte
	extend := func(gpa uint64, page []byte) {
		stream = append(stream, record("MEM.PAGE.ADD", gpa)...)
		for i := range 16 {
			stream = append(stream, record("MR.EXTEND", gpa+uint64(i)*256)...)
			stream = append(stream, page[i*256:][:256]...)
		}
	}
	extend(0xfffff000, im.Bytes[0x2000:])
	stream = append(stream, record("MEM.PAGE.ADD", 0xffffd000)...)
	extend(0x1000, append([]byte("hello"), make([]byte, 0x1000)...))
	stream = append(stream, record("MEM.PAGE.ADD", 0x3000)...)
	got, err := MRTD(im, Options{})
	if want := Digest(sha512.Sum384(stream)); err != nil || got != want {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

// TestMRTDRefuses builds images that package ovmf or this one must refuse.
func TestMRTDRefuses(t *testing.T) {
	const size = 0x2000
	code := volumes(size, 0x1000)[0]
	hob := ovmf.TDXSection{GPA: 0x1000, MemSize: pageSize, Type: ovmf.TDHOB}
	changed := func(s ovmf.TDXSection, f func(*ovmf.TDXSection)) ovmf.TDXSection { f(&s); return s }
	with := func(f func(*ovmf.TDXSection)) []ovmf.TDXSection { return []ovmf.TDXSection{changed(code, f), hob} }
	and := func(s ...ovmf.TDXSection) []ovmf.TDXSection { return append([]ovmf.TDXSection{code, hob}, s...) }
	temp := func(gpa, size uint64) ovmf.TDXSection {
		return ovmf.TDXSection{GPA: gpa, MemSize: size, Type: ovmf.TempMem}
	}
	for _, c := range []struct {
		name string
		tdx  []ovmf.TDXSection
		o    Options
		want string
	}{
		{"no sections", nil, Options{}, "BFV sections: got 0, want 1 or more"},
		{"unknown order", and(), Options{Order: 3}, "MRTD: order 3: want one of [single-pass two-pass tdhob-bug]"},
		{"unknown type", and(changed(hob, func(s *ovmf.TDXSection) { s.Type = 9 })), Options{}, "type: got 9, want 0 to 7"},
		{"unknown attribute", with(func(s *ovmf.TDXSection) { s.Attributes = 5 }), Options{}, "attributes: got 0x5, want 0, 1 (MR_EXTEND) or 2 (PAGE_AUG)"},
		{"measured later", with(func(s *ovmf.TDXSection) { s.Attributes = 3 }), Options{}, "attributes: got 0x3, want"},
		{"not a page", and(temp(0x3001, pageSize)), Options{}, "address: got 0x3001, want a multiple of 0x1000"},
		{"not pages", and(temp(0x3000, pageSize+1)), Options{}, "size: got 0x1001, want a multiple of 0x1000"},
		{"past 4 GiB", and(temp(addressEnd-pageSize*3, 4*pageSize)), Options{}, "overlap"},
		{"above 4 GiB", and(temp(addressEnd, pageSize)), Options{}, "TDX metadata: section 2 (TEMP_MEM): memory: got 0x1000 bytes at 0x100000000, want an end at or below 4 GiB"},
		{"wraps", and(temp(1<<64-pageSize, 2*pageSize)), Options{}, "got 0x2000 bytes at 0xfffffffffffff000, want its end at"},
		{"past the image", with(func(s *ovmf.TDXSection) { s.Offset = size }), Options{}, "raw data: got 0x2000 to 0x3000, want its end at most 0x2000"},
		{"offset wraps", with(func(s *ovmf.TDXSection) { s.Offset = 0xfffff000 }), Options{}, "raw data: got 0xfffff000 to 0x100000000"},
		{"another address", with(func(s *ovmf.TDXSection) { s.GPA -= pageSize }), Options{}, "address: got 0xffffe000, want 0xfffff000"},
		{"short data", with(func(s *ovmf.TDXSection) { s.RawSize-- }), Options{}, "section 0 (BFV): raw data size: got 0xfff, want the memory size 0x1000"},
		{"no data", with(func(s *ovmf.TDXSection) { s.RawSize = 0 }), Options{}, "raw data size: got 0, want 1 or more"},
		{"no memory", and(temp(0x3000, 0)), Options{}, "section 2 (TEMP_MEM): memory size: got 0, want at least a page"},
		{"temporary with data", and(ovmf.TDXSection{RawSize: 1, GPA: 0x3000, MemSize: pageSize, Type: ovmf.TempMem}), Options{}, "raw data: got 0x1 bytes at 0x0, want none"},
		{"parameters with data", and(ovmf.TDXSection{RawSize: 1, GPA: 0x3000, MemSize: pageSize, Type: ovmf.PayloadParam}), Options{}, "raw data size: got 0x1, want 0: the monitor fills this memory"},
		{"long payload", and(ovmf.TDXSection{RawSize: pageSize + 1, GPA: 0x3000, MemSize: pageSize, Type: ovmf.Payload}), Options{}, "raw data size: got 0x1001, want at most the memory size 0x1000"},
		{"info in memory", and(ovmf.TDXSection{RawSize: 1, GPA: 0x3000, MemSize: pageSize, Type: ovmf.TDInfo}), Options{}, "TD_INFO: memory: got 0x1000 bytes at 0x3000, want none"},
		{"code not measured", with(func(s *ovmf.TDXSection) { s.Attributes = 0 }), Options{}, "section 0 (BFV): attributes: got 0x0, want 0x1 (MR.EXTEND): MRTD would not depend on the code"},
		{"code later", with(func(s *ovmf.TDXSection) { s.Attributes = ovmf.PageAug }), Options{}, "attributes: got 0x2, want 0x1 (MR.EXTEND)"},
		{"no code", []ovmf.TDXSection{hob}, Options{}, "BFV sections: got 0, want 1 or more"},
		{"no HOB", []ovmf.TDXSection{code}, Options{}, "TD_HOB sections: got 0, want 1"},
		{"two HOBs", and(changed(hob, func(s *ovmf.TDXSection) { s.GPA = 0x3000 })), Options{}, "TD_HOB sections: got 2, want 1"},
		{"code elsewhere", []ovmf.TDXSection{
			hob, changed(code, func(s *ovmf.TDXSection) { s.Offset, s.GPA = 0, s.GPA-0x1000 }),
			{Offset: 0x1000, RawSize: 0x1000, GPA: 0xfffff000, MemSize: 0x1000, Type: ovmf.CFV},
		}, Options{}, "BFV sections: got none that ends at 4 GiB, want one: a TD starts there"},
		{"overlap", and(temp(0x3000, pageSize), temp(0x2000, 2*pageSize)), Options{}, "memory: got 0x2000 to 0x4000, want no overlap with section 2, 0x3000 to 0x4000"},
		{"flash twice", and(code), Options{}, "want no overlap with section 0"},
		{"too much", and(temp(0x100000, 128<<20)), Options{}, "TDX metadata: memory added at launch: got 0x8002000 bytes, want at most 0x8000000"},
		{"bug without HOB", and(), Options{Order: TDHOBBug}, "MRTD: section 1 (TD_HOB, 0x1000 bytes at 0x1000) is measured: want the HOB that the monitor puts there"},
		{"measured HOB", []ovmf.TDXSection{code, changed(hob, func(s *ovmf.TDXSection) { s.Attributes = ovmf.MRExtend })}, Options{}, "is measured: want the HOB"},
		{"HOB too long", and(), Options{Order: TDHOBBug, HOB: make([]byte, 4089)}, "MRTD: HOB: got 4097 bytes with its end, want at most 4096"},
		{"HOB not measured", and(), Options{HOB: make([]byte, 56)}, "MRTD: HOB: got one, want none: it is not measured in this order"},
	} {
		im, err := ovmf.Open(build(make([]byte, size), c.tdx))
		if err == nil {
			_, err = MRTD(im, c.o)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

// TestCheckSection: what package ovmf refuses too.
func TestCheckSection(t *testing.T) {
	for want, s := range map[string]ovmf.TDXSection{
		"raw data size: got 0x1001, want at most the memory size 0x1000": {RawSize: pageSize + 1, MemSize: pageSize, Type: ovmf.Payload},
		"memory size: got 0x1000, want 0: the section is for tools":      {MemSize: pageSize, Type: ovmf.TDInfo},
		"raw data size: got 0x1, want 0: the monitor fills this memory":  {RawSize: 1, MemSize: pageSize, Type: ovmf.TempMem},
		"type: got 8, want 0 to 7":                                       {MemSize: pageSize, Type: ovmf.TDInfo + 1},
	} {
		if err := checkSection(s); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestHOBFits: a HOB that with its end fills its section.
func TestHOBFits(t *testing.T) {
	im := open(t, build(make([]byte, 0x2000), append(volumes(0x2000, 0x1000), ovmf.TDXSection{GPA: 0x1000, MemSize: pageSize, Type: ovmf.TDHOB})))
	if _, err := MRTD(im, Options{Order: TDHOBBug, HOB: make([]byte, 4088)}); err != nil {
		t.Error(err)
	}
}

// TestParts refuses what is no whole firmware with TDX.
func TestParts(t *testing.T) {
	im := realFirmware(t)
	code, err := ovmf.Decode(im.Bytes[0x84000:])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := MRTD(code, Options{}); err == nil || !strings.Contains(err.Error(), "want the unified image") {
		t.Errorf("CODE: got %v", err)
	}
	if _, err := CFV(code); err == nil || !strings.Contains(err.Error(), "want the unified image") {
		t.Errorf("CFV of CODE: got %v", err)
	}
	if _, err := MRTD(&ovmf.Image{Bytes: im.Bytes}, Options{}); err == nil || !strings.Contains(err.Error(), "no TDX metadata") {
		t.Errorf("no metadata: got %v", err)
	}
}

func TestCFVRefuses(t *testing.T) {
	im := open(t, build(make([]byte, 0x2000), append(volumes(0x2000, 0x1000)[:1], oldMemory()...)))
	if _, err := CFV(im); err == nil || !strings.Contains(err.Error(), "TDX metadata: CFV sections: got 0, want 1") {
		t.Errorf("got %v", err)
	}
}

func TestParseOrder(t *testing.T) {
	for _, o := range Orders() {
		if got, err := ParseOrder(o.String()); err != nil || got != o {
			t.Errorf("%v: got %v, %v", o, got, err)
		}
	}
	const want = `parsing MRTD order: got "Single-pass", want single-pass, two-pass, tdhob-bug`
	if _, err := ParseOrder("Single-pass"); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// FuzzMRTD changes the metadata of Debian's OVMF, in flash of the same size.
// Whatever is accepted adds no page twice, none above 4 GiB, measures only
// what is added, and measures code.
func FuzzMRTD(f *testing.F) {
	debian := realFirmware(f)
	var seed []byte
	for _, s := range debian.TDX {
		seed = appendSection(seed, s)
	}
	f.Add(seed)
	flash := make([]byte, len(debian.Bytes))
	f.Fuzz(func(t *testing.T, b []byte) {
		var list []ovmf.TDXSection
		for s := range slices.Chunk(b, 32) {
			if len(s) == 32 && len(list) < 100 {
				list = append(list, readSectionBytes(s))
			}
		}
		im, err := ovmf.Open(build(flash, list))
		if err != nil {
			return
		}
		added := map[uint64]bool{}
		extended := 0
		_, err = MRTD(im, Options{Order: TwoPass, Trace: func(p Page) {
			if p.GPA >= addressEnd || p.Added == added[p.GPA] {
				t.Fatalf("page %+v", p)
			}
			added[p.GPA] = true
			if p.Extended {
				extended++
			}
		}})
		if err == nil && (extended == 0 || len(added)*pageSize > MaxMemory) {
			t.Errorf("got %d pages measured, %d added", extended, len(added))
		}
	})
}

// BenchmarkMRTD compares with hashing as many bytes as there are: 128 for each
// page that is added, and 16 times 128 and 256 for each that is measured.
func BenchmarkMRTD(b *testing.B) {
	im := realFirmware(b)
	stream := benchtest.Bytes(1049*128 + 892*16*(128+256))
	b.SetBytes(int64(len(stream)))
	benchtest.Ratio(b, "x-of-sha384", func() {
		if _, err := MRTD(im, Options{}); err != nil {
			b.Fatal(err)
		}
	}, func() { sha512.Sum384(stream) })
}
