package pe

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// patch returns a copy of b with a 32-bit little-endian value at off.
func patch(b []byte, off int, v uint32) []byte {
	c := append([]byte(nil), b...)
	binary.LittleEndian.PutUint32(c[off:], v)
	return c
}

func TestAuthenticode(t *testing.T) {
	stub, addon := read(t, "linuxx64.efi.stub"), read(t, "addonx64.efi.stub")
	tests := []struct {
		name string
		file []byte
		hash hash.Hash
		want string // origin: testdata/README.md
	}{
		{"stub", stub, sha256.New(), "67bef9a6389a20aed82f1ff17096fb21e28140b7f4456c437cb2f3030a93d5bd"},
		{"stub", stub, sha512.New384(), "e1e48a26ed74f0da6308988d2d77b8e15bdfa537085816d749ce373e2574b824d2ab56d7ce7925060069eb56b2b1c7f9"},
		{"addon", addon, sha256.New(), "cf9f98edc997e3717bb93a395c6a0aed30b1274ff46f19143f3b72e7aa90edca"},
		{"addon", addon, sha512.New384(), "259cfdb9e6ac707a097a0aad60d5cc1e8db8487be22b39cccbdbe4626943dc7b1648ce02ade029bc84eaaf5b8e216b37"},
		// Signing does not change the digest.
		{"signed addon", read(t, "addonx64.signed.efi"), sha256.New(), "cf9f98edc997e3717bb93a395c6a0aed30b1274ff46f19143f3b72e7aa90edca"},
		{"header gap", patch(stub, 0x94, 0x400), sha256.New(), "9b369f432e122aadaf6c9583d26d40fc886f7ab19efa25eaac83f5ba38e2ff91"},
		{"trailing data", append(addon[:len(addon):len(addon)], "safebox!safebox!"...), sha256.New(), "258cd7d6d4fc7b1a13235af2cbcaccfa2db89c70bd33515cb04e906250e11d16"},
	}
	for _, tt := range tests {
		f, err := Decode(tt.file)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		tt.hash.Write([]byte("left over from another use")) // Authenticode must reset
		if got := hex.EncodeToString(f.Authenticode(tt.hash)); got != tt.want {
			t.Errorf("%s: Authenticode: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

// What objdump -h and -x (binutils 2.40) print about the stub.
func TestDecodeStub(t *testing.T) {
	f, err := Decode(read(t, "linuxx64.efi.stub"))
	if err != nil {
		t.Fatal(err)
	}
	wantSections := []Section{
		{".text", 0x1080e, 0x1000, 0x10a00, 0x600, 0x60000020},
		{".rodata", 0x4ef0, 0x12000, 0x5000, 0x11000, 0x40000040},
		{".data", 0xc0, 0x17000, 0x200, 0x16000, 0xc0000040},
		{".sbat", 0xf9, 0x18000, 0x200, 0x16200, 0x40000040},
		{".sdmagic", 0x33, 0x19000, 0x200, 0x16400, 0x40000040},
		{".reloc", 0x88, 0x1a000, 0x200, 0x16600, 0x42000040},
	}
	if diff := cmp.Diff(wantSections, f.Sections); diff != "" {
		t.Errorf("sections (-want +got):\n%s", diff)
	}
	wantHeader := Header{
		Machine: 0x8664, TimeDateStamp: 1776109085, Characteristics: 0x22e,
		SizeOfCode: 0x1080e, SizeOfInitializedData: 0x5164,
		AddressOfEntryPoint: 0xea60, ImageBase: 0x14df90000,
		SectionAlignment: 0x1000, FileAlignment: 0x200,
		SizeOfImage: 0x1b000, SizeOfHeaders: 0x600, Subsystem: 10, DllCharacteristics: 0x160,
		NumberOfRvaAndSizes: 16,
		CoffOffset:          0x44, OptionalOffset: 0x58, SectionTableOffset: 0x148,
		numberOfSections: 6,
	}
	if diff := cmp.Diff(wantHeader, f.Header, cmp.AllowUnexported(Header{})); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if f.Size() != 92160 {
		t.Errorf("size: got %d, want 92160", f.Size())
	}
}

func TestSection(t *testing.T) {
	stub := read(t, "linuxx64.efi.stub")
	f, err := Decode(stub)
	if err != nil {
		t.Fatal(err)
	}
	// The stub says which systemd it is; 0x33 bytes, without the padding.
	got, ok := f.Section(".sdmagic")
	if want := "#### LoaderInfo: systemd-stub 257.13-1~deb13u1 ####"; !ok || string(got) != want {
		t.Errorf(".sdmagic: got %q %v, want %q", got, ok, want)
	}
	if _, ok := f.Section(".linux"); ok {
		t.Error(".linux: found in a bare stub")
	}

	// Larger in memory than in the file: zeros follow.
	bss := patch(stub, 0x148+4*SectionHeaderSize+8, 0x400)
	if f, err = Decode(bss); err != nil {
		t.Fatal(err)
	}
	want := append(append([]byte(nil), bss[0x16400:0x16600]...), make([]byte, 0x200)...)
	if got, ok := f.Section(".sdmagic"); !ok || !cmp.Equal(got, want) {
		t.Errorf("section with zero fill: got %d bytes %v, want %d", len(got), ok, len(want))
	}

	// Two sections of one name: which one is meant is not for us to guess.
	twice := append([]byte(nil), stub...)
	copy(twice[0x148+4*SectionHeaderSize:], ".sbat\x00\x00\x00")
	if f, err = Decode(twice); err != nil {
		t.Fatal(err)
	}
	if _, ok := f.Section(".sbat"); ok {
		t.Error("ambiguous name: got a section, want none")
	}
}

func TestDecodeRefuses(t *testing.T) {
	stub := read(t, "linuxx64.efi.stub")
	const table, text, rodata, reloc = 0x148, 0x148, 0x148 + 40, 0x148 + 5*40
	const optional = 0x58
	signed := read(t, "addonx64.signed.efi")
	tests := []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "DOS header"},
		{"no MZ", patch(stub, 0, 0), `magic: got "\x00\x00"`},
		{"e_lfanew low", patch(stub, 0x3c, 0x10), "e_lfanew"},
		{"e_lfanew high", patch(stub, 0x3c, 0xffffffff), "e_lfanew"},
		{"no PE", patch(stub, 0x40, 0x4550+1), "signature at 0x40"},
		{"machine", patch(stub, 0x44, 6<<16|0xaa64), "Machine"},
		{"no sections", patch(stub, 0x44, 0x8664), "NumberOfSections"},
		{"97 sections", patch(stub, 0x44, 97<<16|0x8664), "NumberOfSections"},
		{"header room", patch(stub, 0x44, 96<<16|0x8664), "within SizeOfHeaders"},
		{"optional size", patch(stub, 0x54, 0x022e00e8), "SizeOfOptionalHeader: got 232, want 240"},
		{"PE32", patch(stub, optional, 0x10b), "Magic"},
		{"subsystem", patch(stub, optional+68, 3), "Subsystem"},
		{"file alignment", patch(stub, optional+36, 0x300), "FileAlignment"},
		{"section alignment", patch(stub, optional+32, 0x100), "SectionAlignment"},
		{"headers beyond file", patch(stub, optional+60, 0x100000), "SizeOfHeaders"},
		{"headers over first section", patch(stub, optional+60, 0x800), "between SizeOfHeaders"},
		{"image size", patch(stub, optional+56, 0x1a000), `".reloc": end in memory`},
		{"huge image", patch(stub, optional+56, 0xfffff000), "SizeOfImage"},
		{"17 directories", patch(stub, optional+108, 17), "NumberOfRvaAndSizes"},
		{"name after NUL", patch(stub, text+4, 0x00410000), "Name"},
		{"empty name", patch(patch(stub, text, 0), text+4, 0), "Name"},
		{"virtual size 0", patch(stub, text+8, 0), "VirtualSize"},
		{"address order", patch(stub, rodata+12, 0x1000), "VirtualAddress"},
		{"address over headers", patch(stub, text+12, 0), "VirtualAddress"},
		{"raw unaligned", patch(stub, rodata+16, 0x5001), "multiples of 0x200"},
		{"raw beyond file", patch(stub, reloc+16, 0x400), "end of file"},
		{"raw offset without data", patch(stub, reloc+16, 0), "PointerToRawData"},
		{"raw overlap", patch(stub, rodata+20, 0x10e00), "overlaps"},
		{"relocations", patch(stub, text+24, 1), "relocations"},
		{"truncated", stub[:len(stub)-1], "end of file"},
		{"bytes after certificates", append(signed[:len(signed):len(signed)], make([]byte, 8)...), "certificate table"},
		{"certificates cut", signed[:len(signed)-8], "certificate table"},
		{"certificate length", patch(signed, 0x800, 0x10000), "dwLength"},
		{"certificate length 0", patch(signed, 0x800, 0), "dwLength"},
		{"security directory without size", patch(stub, optional+112+32, 0x16800), "certificate table"},
	}
	for _, tt := range tests {
		_, err := Decode(tt.file)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	// The larger stub is left out: with 92 kB a mutation rarely hits a header.
	for _, name := range []string{"addonx64.efi.stub", "addonx64.signed.efi"} {
		f.Add(read(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		img, err := Decode(b)
		if err != nil {
			return
		}
		img.Authenticode(sha256.New())
		for _, s := range img.Sections {
			if s.VirtualSize > 1<<20 {
				continue // only zeros, and allocating them is all it costs
			}
			if got := len(img.Content(s)); got != int(s.VirtualSize) {
				t.Errorf("%q: content: got %d bytes, want %d", s.Name, got, s.VirtualSize)
			}
		}
	})
}
