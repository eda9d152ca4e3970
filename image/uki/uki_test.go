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
		{".initrd", numbers()},
		{".linux", read(t, "addonx64.efi.stub")},
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

func TestAssembleLikeUkify(t *testing.T) {
	b := assembled(t)
	if got, want := hexSum(b), "4fe7a3a163706e432316fe3ea6776697c9ccfde9c920a887a7248f1cd673cc91"; got != want { // ukify 257
		t.Errorf("SHA-256: got %s, want %s", got, want)
	}
	f, err := pe.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := hex.EncodeToString(f.Authenticode(sha256.New())), "fc02a8e898266198ec83394596b8d854e6e7ea2efc016bf74a34bf4a4f34e54b"; got != want { // pesign 0.112
		t.Errorf("Authenticode: got %s, want %s", got, want)
	}

	sections := example(t)
	sections[3].Data[0x9f] = 0 // a kernel without NX_COMPAT
	if b, err = Assemble(read(t, "linuxx64.efi.stub"), sections); err != nil {
		t.Fatal(err)
	}
	if got, want := hexSum(b), "7786c15a2751d7d3f5588b6934cf29411cb27a0185305816b4ee78bd248518e3"; got != want { // ukify 257
		t.Errorf("without NX_COMPAT: SHA-256: got %s, want %s", got, want)
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
	want := []string{ // names and lengths of what went in; the first six are the stub's
		".text 0001080e", ".rodata 00004ef0", ".data 000000c0", ".sbat 000000f9", ".sdmagic 00000033", ".reloc 00000088",
		".cmdline 00000015", ".uname 0000001a", ".initrd 0001a95e", ".linux 00000800",
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
	for _, s := range before.Sections { // the stub's own stay, .sbat too
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
	kernel := read(t, "addonx64.efi.stub")
	cmdline := []Section{{".cmdline", []byte("x")}}
	var many []Section
	for _, name := range Names() {
		if name != ".sbat" {
			many = append(many, Section{name, kernel})
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
		{"no sections", stub, nil, "sections: got none"},
		{"long name", stub, []Section{{".commandline", []byte("x")}}, "unknown name"},
		{"unknown name", stub, []Section{{".sdmagic", []byte("x")}}, "unknown name"},
		{"twice", stub, []Section{cmdline[0], cmdline[0]}, "given already"},
		{"of the stub", stub, []Section{{".sbat", []byte("x")}}, "the stub has it already"},
		{"empty", stub, []Section{{".initrd", nil}}, "empty"},
		{"kernel not PE", stub, []Section{{".linux", []byte("bzImage")}}, `section ".linux": parsing PE`},
		{"no header room", shrink(t, kernel), many, "section table: got 15 sections"},
		{"too large", stub, []Section{{".initrd", make([]byte, pe.MaxFile-1000)}}, "image larger"},
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
		img.Authenticode(sha256.New())
	})
}
