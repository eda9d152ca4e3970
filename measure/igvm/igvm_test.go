package igvm

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"safebox/measure/snp"
)

// oracle is testdata/oracle.json: what oracle.py computed of its files.
type oracle struct {
	SHA256 string
	SNP    map[string]string // by program
	MRTD   string
}

func readOracle(t testing.TB) map[string]oracle {
	t.Helper()
	b, err := os.ReadFile("testdata/oracle.json")
	if err != nil {
		t.Fatal(err)
	}
	var list map[string]oracle
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 3 {
		t.Fatalf("got %d files, want 3", len(list))
	}
	return list
}

// file gives a file of oracle.py, without its compression.
func file(t testing.TB, name string) []byte {
	t.Helper()
	packed, err := os.ReadFile("testdata/" + name + ".igvm.gz")
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parse(t testing.TB, b []byte) *File {
	t.Helper()
	f, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// programs are the options that stand for other programs.
func programs() map[string]Options {
	return map[string]Options{
		"ms":          {},
		"igvmmeasure": {Shared: SharedMeasured, Insert: InsertFirst, Large: LargeSplit},
		"igvmmeasure-native-zero": {
			Zero: ZeroNative, Shared: SharedMeasured, Insert: InsertFirst, Large: LargeSplit,
		},
		"qemu": QEMU(),
	}
}

func TestMeasure(t *testing.T) {
	for name, want := range readOracle(t) {
		b := file(t, name)
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != want.SHA256 {
			t.Fatalf("%s: not the file of oracle.json", name)
		}
		f := parse(t, b)
		for program, digest := range want.SNP {
			o, ok := programs()[program]
			if !ok {
				t.Fatalf("program %q", program)
			}
			var trace []snp.Page
			o.Trace = func(p snp.Page) { trace = append(trace, p) }
			got, err := MeasureSNP(f, o)
			if err != nil || got.String() != digest {
				t.Errorf("%s: %s: got %v, %v, want %s", name, program, got, err, digest)
			}
			if n := len(trace); n == 0 || trace[n-1].LD != got || trace[n-1].Type != snp.PageVMSA {
				t.Errorf("%s: %s: the trace doesn't end with the digest", name, program)
			}
		}
		got, err := MeasureTDX(f, Options{Large: LargeSplit})
		if err != nil || got.String() != want.MRTD {
			t.Errorf("%s: MRTD: got %v, %v, want %s", name, got, err, want.MRTD)
		}
	}
}

// TestDecode spells out what oracle.py put into a file.
func TestDecode(t *testing.T) {
	for name, version := range map[string]uint32{"small": 1, "version2": 2} {
		f := parse(t, file(t, name))
		if f.Version != version || len(f.Platforms()) != 2 {
			t.Errorf("%s: version %d with %d platforms", name, f.Version, len(f.Platforms()))
		}
		var got []string
		for _, s := range f.Structures {
			got = append(got, s.Type.String()+" "+text(s.Body))
		}
		want := []string{
			"SUPPORTED_PLATFORM {Mask:1 HighestVTL:2 Type:snp Version:1 SharedGPABoundary:70368744177664}",
			"SUPPORTED_PLATFORM {Mask:2 HighestVTL:0 Type:tdx Version:1 SharedGPABoundary:0}",
			"GUEST_POLICY {Policy:196608 Mask:1}",
			"type 0x80000150 6f7074696f6e616c",
			"PARAMETER_AREA 0x3000 0 0",
			"PARAMETER_AREA 0x1000 7 4096",
			"VP_COUNT_PARAMETER {Index:0 ByteOffset:0}",
			"MEMORY_MAP {Index:0 ByteOffset:24}",
			"COMMAND_LINE {Index:7 ByteOffset:0}",
			"PARAMETER_INSERT {GPA:9437184 Mask:3 Index:0}",
			"PARAMETER_INSERT {GPA:9502720 Mask:1 Index:7}",
			"PAGE_DATA 0xffc00000 3 0 normal 4096",
			"PAGE_DATA 0xffc01000 3 0 normal 4096",
			"PAGE_DATA 0x800000 3 0 normal 0",
			"PAGE_DATA 0x801000 1 0 secrets 0",
			"PAGE_DATA 0x802000 1 0 cpuid 4096",
			"PAGE_DATA 0x803000 1 0 cpuid-xf 4096",
			"PAGE_DATA 0x804000 3 2 normal 4096",
			"PAGE_DATA 0x805000 3 4 normal 4096",
			"PAGE_DATA 0x806000 2 0 normal 4096",
			"PAGE_DATA 0x807000 1 6 normal 4096",
			"REQUIRED_MEMORY {GPA:1048576 Mask:3 Size:262144 Flags:0}",
			"ERROR_RANGE 1",
			"VP_CONTEXT 0xfffffffff000 1 0 1648",
			"VP_CONTEXT 0xfffffffff000 1 1 1648",
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func text(b Body) string {
	switch b := b.(type) {
	case ParameterArea:
		return fmt.Sprintf("%#x %d %d", b.Size, b.Index, len(b.Data))
	case PageData:
		return fmt.Sprintf("%#x %d %d %v %d", b.GPA, b.Mask, b.Flags, b.Type, len(b.Data))
	case VPContext:
		return fmt.Sprintf("%#x %d %d %d", b.GPA, b.Mask, b.Index, len(b.VMSA))
	case Opaque:
		if b.Mask != 0 {
			return fmt.Sprint(b.Mask)
		}
		return fmt.Sprintf("%x", b.Data)
	}
	return fmt.Sprintf("%+v", b)
}

// find gives the offset of the n-th structure of a type.
func find(t testing.TB, b []byte, want Type, n int) int {
	t.Helper()
	for _, s := range parse(t, b).Structures {
		if s.Type == want {
			if n == 0 {
				return s.Offset
			}
			n--
		}
	}
	t.Fatalf("no %v", want)
	return 0
}

// fix writes the checksum that the headers have.
func fix(b []byte) []byte {
	size := binary.LittleEndian.Uint32(b[offSize:])
	start := binary.LittleEndian.Uint32(b[offStart:])
	if end := uint64(start) + uint64(size); end <= uint64(len(b)) && start >= headerSize1 {
		fixed := b[:headerSize1]
		if binary.LittleEndian.Uint32(b[offVersion:]) == 2 {
			fixed = b[:headerSize2]
		}
		binary.LittleEndian.PutUint32(b[offCRC:], Checksum(fixed, b[start:end]))
	}
	return b
}

// refusal changes bytes of a structure's body.
type refusal struct {
	typ  Type
	n    int // which one of the type
	at   int // in the structure: 8 is where the body starts
	to   string
	want string
}

func TestRefusesStructure(t *testing.T) {
	b := file(t, "small")
	for _, c := range []refusal{
		{SupportedPlatformType, 0, 0, "\x02\x00\x00\x00", "got an unknown type"},
		{SupportedPlatformType, 0, 0, "\x01\x00\x00\x80", "a known type with bit 31"},
		{SupportedPlatformType, 0, 0, "\x01\x02\x00\x00", "want one of 0x1 to 0x100 (platform)"},
		{SupportedPlatformType, 0, 4, "\x11", "padding: got 0x10"},
		{SupportedPlatformType, 0, 4, "\xff\xff\xff\xff", "length: got 0xffffffff, want at most"},
		{SupportedPlatformType, 0, 8, "\x03", "compatibility mask: got 0x3, want one bit"},
		{SupportedPlatformType, 0, 8, "\x00", "compatibility mask: got 0x0, want one bit"},
		{SupportedPlatformType, 1, 8, "\x01", "want one that no platform before has"},
		{SupportedPlatformType, 1, 13, "\x02", "platform: got snp a second time"},
		{SupportedPlatformType, 0, 12, "\x01", "highest VTL: got 1"},
		{SupportedPlatformType, 0, 13, "\x06", "platform: got 6"},
		{SupportedPlatformType, 1, 13, "\x06", "platform: got 6"},
		{SupportedPlatformType, 0, 13, "\x01", "shared GPA boundary of platform vsm"},
		{SupportedPlatformType, 0, 14, "\x02", "platform version: got 2"},
		{0x80000150, 0, 0, "\x50\x00", "order"},
		{GuestPolicyType, 0, 16, "\x00", "compatibility mask: got 0x0, want bits out of 0x3"},
		{GuestPolicyType, 0, 16, "\x05", "compatibility mask: got 0x5, want bits out of 0x3"},
		{GuestPolicyType, 0, 20, "\x01", "reserved bytes"},
		{ParameterAreaType, 0, 8, "\x01", "number of bytes"},
		{ParameterAreaType, 0, 8, "\x00\x00", "number of bytes"},
		{ParameterAreaType, 0, 13, "\x01", "number of bytes"},
		{ParameterAreaType, 1, 16, "\x00", "got index 0 a second time"},
		{ParameterAreaType, 1, 20, "\x01\x00\x00\x00", "file offset: got 0x1"},
		{VPCountType, 0, 8, "\x01", "got index 1, want one that was declared"},
		{MemoryMapType, 0, 12, "\x00\x30", "byte offset: got 0x3000"},
		{ParameterInsertType, 1, 20, "\x00", "got index 0, want one that was declared before and not inserted yet"},
		{ParameterInsertType, 0, 20, "\x05", "got index 5, want one that was declared before and not inserted yet"},
		{ParameterInsertType, 0, 8, "\x10", "address: got 0x900010"},
		{ParameterInsertType, 0, 14, "\x10", "address: got 0x10000000900000"},
		{PageDataType, 0, 9, "\x08", "address: got 0xffc00800"},
		{PageDataType, 0, 24, "\x01", "file offset"}, // 2 MiB
		{PageDataType, 1, 24, "\x01", "address: got 0xffc01000, want a multiple of 0x200000"},
		{PageDataType, 0, 24, "\x08", "flags: got 0x8"},
		{PageDataType, 0, 28, "\x04", "data type: got 4"},
		{PageDataType, 3, 24, "\x02", "flags of a page of type secrets: got 0x2"},
		{PageDataType, 0, 30, "\x01", "reserved bytes"},
		{PageDataType, 0, 20, "\x18\x00", "file offset: got 0x18"},
		{PageDataType, 0, 20, "\xff\xff\xff\xff", "file offset: got 0xffffffff"},
		{RequiredMemoryType, 0, 20, "\x01", "size and flags: got 0x40001"},
		{RequiredMemoryType, 0, 20, "\x00\x00\x00", "size and flags: got 0x0"},
		{RequiredMemoryType, 0, 24, "\x02", "size and flags: got 0x40000 and 0x2"},
		{RequiredMemoryType, 0, 28, "\x01", "reserved bytes"},
		{ErrorRangeType, 0, 16, "\x08", "compatibility mask: got 0x8"},
		{VPContextType, 0, 8, "\x01", "address: got 0xfffffffff001"},
		{VPContextType, 0, 16, "\x03", "want platforms whose contexts have one form"},
		{VPContextType, 0, 20, "\x00\x00\x00\x00", "file offset: got 0, want that of a save area"},
		{VPContextType, 0, 26, "\x01", "reserved bytes"},
		{VPContextType, 0, 28, "\x30", "padding: got 0x30"}, // as igvm-tooling pads
		{VPContextType, 0, 4, "\x15", "length: got 21, want 20"},
	} {
		changed := bytes.Clone(b)
		copy(changed[find(t, b, c.typ, c.n)+c.at:], c.to)
		if bytes.Equal(changed, b) {
			t.Errorf("%v %d at %d: no change", c.typ, c.n, c.at)
		}
		_, err := Decode(fix(changed))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v %d at %d: got %v, want an error with %q", c.typ, c.n, c.at, err, c.want)
		}
	}
}

func TestRefusesHeader(t *testing.T) {
	small, second := file(t, "small"), file(t, "version2")
	put := func(b []byte, at int, v uint32) []byte {
		b = bytes.Clone(b)
		binary.LittleEndian.PutUint32(b[at:], v)
		return b
	}
	end := uint32(headerSize1) + binary.LittleEndian.Uint32(small[offSize:])
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"empty":          {nil, "magic at 0x0"},
		"cut header":     {small[:headerSize1-1], "magic at 0x0"},
		"magic":          {append([]byte("igvm"), small[4:]...), `magic at 0x0: got "igvm"`},
		"version":        {put(small, offVersion, 3), "version at 0x4: got 3"},
		"CRC":            {put(small, offCRC, 0), "CRC-32 at 0x14: got 0x00000000"},
		"changed header": {put(small, headerSize1+8+8, 1), "CRC-32 at 0x14"},
		"cut off":        {small[:len(small)-1], "total file size at 0x10"},
		"trailing":       {append(bytes.Clone(small), 0), "total file size at 0x10"},
		"start":          {put(small, offStart, headerSize1+8), "variable header offset at 0x8: got 0x20, want 0x18"},
		"start before":   {put(small, offStart, 0x10), "variable header offset at 0x8: got 0x10"},
		"size odd":       {put(small, offSize, 9), "variable header size at 0xc: got 0x9"},
		"size":           {put(small, offSize, 0xfffffff8), "variable header size at 0xc"},
		"no platform":    {fix(put(small, offSize, 0)), "got no SUPPORTED_PLATFORM"},
		"half structure": {fix(put(small, offSize, 0x10)), "structure 0 at 0x18: SUPPORTED_PLATFORM 0: length"},
		"architecture":   {fix(put(second, offArch, 1)), "architecture at 0x18: got 1"},
		"page size":      {fix(put(second, offPageSize, 16384)), "page size at 0x1c: got 16384"},
		"data as header": {fix(put(small, offSize, end)), "structure"},
		"short version2": {put(second, offVersion, 2)[:headerSize1], "want at least 32"},
	} {
		want := strings.ReplaceAll(c.want, "SUPPORTED_PLATFORM 0: ", "SUPPORTED_PLATFORM: ")
		if _, err := Decode(c.b); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, want)
		}
	}
}

// TestRefusesLaunch: files that can be read and not measured.
func TestRefusesLaunch(t *testing.T) {
	b := file(t, "small")
	at := func(typ Type, n, off int, to string) []byte {
		c := bytes.Clone(b)
		copy(c[find(t, b, typ, n)+off:], to)
		return fix(c)
	}
	large := file(t, "large")
	kvm := Options{KVM: true}
	tdx := func(f *File, o Options) error { _, err := MeasureTDX(f, o); return err }
	sev := func(f *File, o Options) error { _, err := MeasureSNP(f, o); return err }
	for name, c := range map[string]struct {
		b       []byte
		o       Options
		measure func(*File, Options) error
		want    string
	}{
		"no SNP":         {at(SupportedPlatformType, 0, 13, "\x05"), Options{}, sev, "got no SUPPORTED_PLATFORM snp"},
		"no TDX":         {at(SupportedPlatformType, 1, 13, "\x00"), Options{}, tdx, "got no SUPPORTED_PLATFORM tdx"},
		"large":          {large, Options{}, sev, "got a page of 2 MiB"},
		"overlap":        {at(PageDataType, 1, 9, "\x00"), Options{}, sev, "PAGE_DATA 12: got address 0xffc00000, want at least 0xffc01000, the end of PAGE_DATA 11"},
		"insert on page": {at(ParameterInsertType, 0, 8, "\x00\xf0\xbf\xff"), Options{}, tdx, "PAGE_DATA 11: got address 0xffc00000"},
		"secrets in TDX": {at(PageDataType, 3, 16, "\x03"), Options{}, tdx, "data type: got secrets"},
		"no processor":   {at(VPContextType, 0, 16, "\x02"), Options{}, tdx, "want none: TDX starts them all alike"},
		"processor 1":    {at(VPContextType, 0, 24, "\x01"), kvm, sev, "processor: got 1, want 0"},
		"VMSA address":   {at(VPContextType, 1, 9, "\xe0"), kvm, sev, "address: got 0xffffffffe000, want 0xfffffffff000"},
	} {
		f, err := Decode(c.b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := c.measure(f, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
	}
}

// TestOrder: KVM measures in another order than these structures stand.
func TestOrder(t *testing.T) {
	f := parse(t, file(t, "small"))
	base := f.Structures
	index := func(typ Type) int {
		return slices.IndexFunc(base, func(s Structure) bool { return s.Type == typ })
	}
	move := func(from, to int) *File {
		list := slices.Clone(base)
		s := list[from]
		return &File{Structures: slices.Insert(slices.Delete(list, from, from+1), to, s)}
	}
	for name, c := range map[string]struct {
		f    *File
		want string
	}{
		"page behind a processor": {move(index(PageDataType), len(base)-1), "got it behind a VP_CONTEXT"},
		"insert behind pages":     {move(index(ParameterInsertType), index(VPContextType)-1), "got it behind PAGE_DATA"},
		"second processor first":  {move(len(base)-1, index(VPContextType)), "processor: got 1, want 0"},
		"no processor":            {&File{Structures: base[:index(VPContextType)]}, "got no VP_CONTEXT"},
	} {
		_, err := MeasureSNP(c.f, Options{KVM: true})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
		if _, err := MeasureSNP(c.f, Options{}); (err != nil) != (name == "no processor") {
			t.Errorf("%s without KVM: got %v", name, err)
		}
	}
	inactive := slices.Clone(base)
	v := inactive[len(inactive)-1].Body.(VPContext)
	v.VMSA = bytes.Clone(v.VMSA)
	v.VMSA[sevFeatures] &^= 1
	inactive[len(inactive)-1].Body = v
	if _, err := MeasureSNP(&File{Structures: inactive}, Options{KVM: true}); err == nil || !strings.Contains(err.Error(), "SEV_FEATURES") {
		t.Errorf("not active: got %v", err)
	}
}

// TestBounds: many large pages without data cost little to write down.
func TestBounds(t *testing.T) {
	f := parse(t, file(t, "large"))
	list := slices.Clone(f.Structures)
	for i := range uint64(MaxPages/512 + 1) {
		list = append(list, Structure{Type: PageDataType, Body: PageData{GPA: i << 21, Mask: 1, Flags: Large | Unmeasured}})
	}
	_, err := MeasureSNP(&File{Structures: list}, Options{Large: LargeSplit})
	if err == nil || !strings.Contains(err.Error(), "pages: got more than") {
		t.Errorf("got %v", err)
	}
	moved := append(slices.Clone(f.Structures), Structure{Type: RelocatableRegionType, Body: Opaque{Mask: 1}})
	if _, err := MeasureSNP(&File{Structures: moved}, Options{Large: LargeSplit}); err == nil || !strings.Contains(err.Error(), "a region that the loader may move") {
		t.Errorf("got %v", err)
	}
}
