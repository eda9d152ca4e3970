package uki

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"safebox/measure/pe"

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

// numbers is the output of `seq 1 20000`.
func numbers() []byte {
	var b bytes.Buffer
	for i := range 20000 {
		fmt.Fprintln(&b, i+1)
	}
	return b.Bytes()
}

// example are the sections that the expected values in testdata/README.md are
// about.
func example(t testing.TB) []Section {
	return []Section{
		{".cmdline", []byte("console=ttyS0 panic=1")},
		{".uname", []byte("6.12.107+deb13-cloud-amd64")},
		{".linux", read(t, "addonx64.efi.stub")},
		{".initrd", numbers()},
	}
}

func assembled(t testing.TB) []byte {
	t.Helper()
	b, err := Assemble(read(t, "linuxx64.efi.stub"), example(t))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestAssembleLikeUkify compares whole files with those of ukify 257, and their
// Authenticode digest with what pesign 0.112 says about ukify's.
func TestAssembleLikeUkify(t *testing.T) {
	stub, addon := read(t, "linuxx64.efi.stub"), read(t, "addonx64.efi.stub")
	noNX := bytes.Clone(addon)
	noNX[0x9f] = 0 // DllCharacteristics, the byte with NX_COMPAT
	longHeader := editSbat(t, stub, func(string) string { return "sbat,1," + strings.Repeat("x", 500) + "\n" })
	tests := []struct {
		name         string
		stub, kernel []byte
		sha256       string // ukify
		authenticode string // pesign
	}{
		{
			"kernel without .sbat", stub, addon,
			"ce77e5a55efd1de339abeb5f2d9d0649288cb097f96e0417952b9f9d6d6546a1",
			"7f305c6b680c92d7eefc79ff9acf1e93a7604f08dc3a1251bd4d7c82647386f4",
		},
		{
			"kernel without NX_COMPAT", stub, noNX,
			"07fbbbe9952b4461ec8197640639d2cd4abce1df6b29a4afdb18959b50b2920e",
			"faf064dc83876e5ba1964bffa2af6349c9e5fddc33f6ddf1df484715fe32d821",
		},
		{
			"kernel with .sbat", stub, stub,
			"49a8cd6f421e150aeb35a6d434203fa09af6189ef19ae51b13851f433724c82d",
			"75cc8f7a5cce616ad9ce0751bb668c9ccd11c8521daee6eea31a144fb812b601",
		},
		{
			"list fills the stub's .sbat", stub, longSbat(t, stub, 7),
			"18d59b8b298ffc3bd581b3ac4138fcf88a637619446fe95930bdec2e1af7ee82",
			"c85a089acc956d21c2677adfe4bd90007e32933a9cccee7da2370f7869076ca9",
		},
		{
			"list shorter than the stub's", longHeader, addon,
			"9f5ac3e40f1d586963d1ad31a6fb454b41f1b577ad73d68126d930fab902d844",
			"a491ddffe5e2ded7989c8ca7b551859533921cc07a4cf07ecec0ab2e147a6f7a",
		},
		{
			"stub without .sbat", addon, addon,
			"b548f4ff0adf75ac84dbe2d76c21703b5f6753bdcd8b4a860076b48c24961516",
			"a69fc0432785b8e595d71b43c827e5c732d78006f3cdeac4326446153b5abbe8",
		},
		{
			"only the kernel with .sbat", addon, stub,
			"b67740c19f0627f00dedaf5bdc5284f1d8f9bb557d9ace0891afb19300f73dd7",
			"dd9e9695f802684f8a0fbad0aa0bf7ad9691811d9ea98ae557b1bdf1fecfbd36",
		},
	}
	for _, tt := range tests {
		sections := example(t)
		sections[2].Data = tt.kernel
		b, err := Assemble(tt.stub, sections)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if got := hexSum(b); got != tt.sha256 {
			t.Errorf("%s: SHA-256: got %s, want %s", tt.name, got, tt.sha256)
		}
		f, err := pe.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(f.Authenticode(sha256.New())); got != tt.authenticode {
			t.Errorf("%s: Authenticode: got %s, want %s", tt.name, got, tt.authenticode)
		}
	}
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// TestAssembleObjdump asks binutils what it sees in the file.
func TestAssembleObjdump(t *testing.T) {
	objdump, err := exec.LookPath("objdump")
	if err != nil {
		t.Fatalf("%v; run ci/setup", err)
	}
	path := filepath.Join(t.TempDir(), "uki.efi")
	if err := os.WriteFile(path, assembled(t), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(objdump, "-h", path).CombinedOutput()
	if err != nil {
		t.Fatalf("objdump: %v\n%s", err, out)
	}
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^ +\d+ (\.\w+) +([0-9a-f]{8}) `).FindAllSubmatch(out, -1) {
		got = append(got, string(m[1])+" "+string(m[2]))
	}
	want := []string{ // names and lengths of what went in, and .sbat as long as in ukify's file; the first six are the stub's
		".text 0001080e", ".rodata 00004ef0", ".data 000000c0", ".sbat 0000014c", ".sdmagic 00000033", ".reloc 00000088",
		".cmdline 00000015", ".uname 0000001a", ".linux 00000800", ".initrd 0001a95e",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("objdump -h (-want +got):\n%s", diff)
	}
}

func TestAssembleRoundTrip(t *testing.T) {
	stub, b := read(t, "linuxx64.efi.stub"), assembled(t)
	f, err := pe.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range example(t) {
		if got, ok := f.Section(s.Name); !ok || !bytes.Equal(got, s.Data) {
			t.Errorf("%s: got %d bytes %v, want %d", s.Name, len(got), ok, len(s.Data))
		}
	}
	before, err := pe.Decode(stub)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range before.Sections { // the stub's own stay
		if s.Name == Sbat {
			continue
		}
		if got, ok := f.Section(s.Name); !ok || !bytes.Equal(got, before.Content(s)) {
			t.Errorf("%s: changed", s.Name)
		}
	}
	if f.Header.SizeOfHeaders != before.Header.SizeOfHeaders || f.Header.TimeDateStamp != before.Header.TimeDateStamp || f.Header.CheckSum != 0 {
		t.Errorf("header: got %+v", f.Header)
	}
	if !bytes.Equal(b, assembled(t)) {
		t.Error("second run: got other bytes")
	}
}

func TestAssembleRefuses(t *testing.T) {
	stub := read(t, "linuxx64.efi.stub")
	linux := Section{Linux, read(t, "addonx64.efi.stub")}
	cmdline := []Section{{".cmdline", []byte("x")}}
	var many []Section
	for _, name := range Names() {
		if name != Sbat {
			many = append(many, Section{name, linux.Data})
		}
	}
	room := bytes.Clone(stub)
	room[0x148+6*pe.SectionHeaderSize] = 1
	tests := []struct {
		name     string
		stub     []byte
		sections []Section
		want     string
	}{
		{"no stub", nil, cmdline, "stub: parsing PE"},
		{"signed stub", read(t, "addonx64.signed.efi"), cmdline, "certificate table"},
		{"trailing data", append(bytes.Clone(stub), 0), cmdline, "trailing data"},
		{"header room in use", room, cmdline, "header room"},
		{"no sections", stub, nil, `section ".linux": missing`},
		{"no kernel", stub, cmdline, `section ".linux": missing`},
		{"long name", stub, []Section{{".commandline", []byte("x")}}, "unknown name"},
		{"unknown name", stub, []Section{{".sdmagic", []byte("x")}}, "unknown name"},
		{"twice", stub, []Section{cmdline[0], cmdline[0]}, "given, but once already"},
		{".sbat, stub with it", stub, []Section{{Sbat, []byte("x")}}, "given, but the stub has one"},
		{".sbat, stub without", linux.Data, []Section{{Sbat, []byte("x")}}, "given, but made from stub and kernel"},
		{"empty", stub, []Section{{".initrd", nil}}, "empty"},
		{"kernel not PE", stub, []Section{{Linux, []byte("bzImage")}}, ".linux: parsing PE"},
		{"no header room", shrink(t, linux.Data), many, "section table: got 16 sections"},
		{"too large", stub, []Section{linux, {".initrd", make([]byte, pe.MaxFile-1000)}}, "image larger"},
		{"list too long", stub, []Section{{Linux, longSbat(t, stub, 8)}}, `".sbat": got 0x201 bytes with the lines of stub and kernel, want at most 0x200`}, // ukify: "Not enough space in existing section .sbat"
	}
	for _, tt := range tests {
		_, err := Assemble(tt.stub, tt.sections)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", tt.name, err, tt.want)
		}
	}
	if _, err := Assemble(stub, many); err != nil { // that stub has the room
		t.Errorf("all sections: %v", err)
	}
}

// shrink takes away 0x200 bytes of header room.
func shrink(t *testing.T, stub []byte) []byte {
	t.Helper()
	f, err := pe.Decode(stub)
	if err != nil {
		t.Fatal(err)
	}
	b := bytes.Clone(stub)
	b[f.Header.OptionalOffset+61] -= 2 // SizeOfHeaders, second byte
	return b
}

func FuzzAssemble(f *testing.F) {
	kernel := read(f, "addonx64.efi.stub")
	f.Add(kernel, []byte("console=ttyS0"), []byte("070701"))
	f.Add(kernel, []byte("quiet"), make([]byte, 1000))
	f.Add(read(f, "linuxx64.efi.stub"), []byte("quiet"), []byte("070701"))
	f.Fuzz(func(t *testing.T, stub, cmdline, initrd []byte) {
		sections := []Section{{".cmdline", cmdline}, {".initrd", initrd}, {".linux", kernel}}
		b, err := Assemble(stub, sections)
		if err != nil {
			return
		}
		img, err := pe.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sections {
			if got, ok := img.Section(s.Name); !ok || !bytes.Equal(got, s.Data) {
				t.Errorf("%s: got %q %v, want %q", s.Name, got, ok, s.Data)
			}
		}
		if list, ok := img.Section(Sbat); !ok || !bytes.HasPrefix(list, []byte(sbatHeader+"\n")) || !bytes.HasSuffix(list, []byte(sbatUnified+"\n\x00")) {
			t.Errorf(".sbat: got %q %v", list, ok)
		}
		img.Authenticode(sha256.New())
	})
}
