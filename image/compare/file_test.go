package compare

import (
	"bytes"
	"debug/elf"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"safebox/initrd"
)

// program is a real Go binary: the test itself. section gives where a section
// lies in it.
func program(t *testing.T) (b []byte, section func(name string) int) {
	t.Helper()
	file, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err = os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return b, func(name string) int { return int(f.Section(name).Offset) }
}

func TestELF(t *testing.T) {
	b, section := program(t)
	// The Go version lies after the header of 32 bytes, as text with its
	// length before it (debug/buildinfo, Go 1.18 and later).
	version := section(".go.buildinfo") + bytes.Index(b[section(".go.buildinfo"):], []byte("go1."))
	mine := runtime.Version()
	theirs := mine[:len(mine)-1] + "x"
	other := slices.Clone(b)
	copy(other[version:], theirs)
	settings := bytes.ReplaceAll(b, []byte("build\tCGO_ENABLED="), []byte("build\tCGO_ENABLEX="))
	tests := map[string]struct {
		a, b []byte
		want string
	}{
		"code":          {flip(b, section(".text")+1000), b, "f: section .text: byte 1000: ..."},
		"constant":      {flip(b, section(".rodata")+9), b, "f: section .rodata: byte 9: ..."},
		"Go version":    {other, b, "f: Go version: " + theirs + ", want " + mine},
		"build setting": {settings, b, "f: build setting CGO_ENABLED: none, want ..."},
		"ELF header":    {flip(b, 8), b, "f: byte 8: 0x01, want 0x00"},
		"cut":           {b[:1<<20], b, "f: size: 1048576 bytes, want ..."},
		"no ELF":        {b, []byte("\x00data"), "f: byte 0: 0x7f, want 0x00 (formats: ELF and data)"},
		"text":          {b, []byte("text"), "f: format: ELF, want text"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { check(t, tt.a, tt.b, tt.want) })
	}
}

func TestJSONAndText(t *testing.T) {
	const release = `{"artifacts":[{"name":"vmlinuz","sha256":"aa"},{"name":"safebox.efi","sha256":"bb"}],"epoch":1767225600,"measurements":[{"pcrs":{"4":"00","11":"11"}}]}`
	replace := func(old, with string) []byte { return []byte(strings.Replace(release, old, with, 1)) }
	long := strings.Repeat("x", 500)
	tests := map[string]struct {
		a, b []byte
		want string
	}{
		"by name":      {replace("bb", "bc"), []byte(release), `f: artifacts: safebox.efi: sha256: "bc", want "bb"`},
		"by number":    {replace(`"11":"11"`, `"11":"12"`), []byte(release), `f: measurements: [0]: pcrs: 11: "12", want "11"`},
		"number":       {replace("1767225600", "1767225601"), []byte(release), "f: epoch: 1767225601, want 1767225600"},
		"type":         {replace("1767225600", `"x"`), []byte(release), `f: epoch: "x", want 1767225600`},
		"name missing": {replace(`"4":"00",`, ""), []byte(release), `f: measurements: [0]: pcrs: 4: none, want "00"`},
		"name extra":   {[]byte(release), replace(`"4":"00",`, ""), `f: measurements: [0]: pcrs: 4: "00", want none`},
		"long values":  {[]byte(`{"a":"` + long + `"}`), []byte(`{"a":[]}`), `f: a: "` + long[:119] + `.., want []`},
		"length":       {replace(`,{"name":"safebox.efi","sha256":"bb"}`, ""), []byte(release), `f: artifacts: safebox.efi: none, want {"name":"safebox.efi","sha256":"bb"}`},
		"space":        {replace(":", " :"), []byte(release), "f: byte 12: 0x20, want 0x3a (the values are equal, only how they are written differs)"},
		"broken":       {replace("{", "("), []byte(release), "f: text: ..."},
		"line":         {[]byte("a\nb\nc\n"), []byte("a\nB\nc\n"), `f: line 2: "b", want "B"`},
		"last line":    {[]byte("a\nb"), []byte("a\nb\n"), `f: lines: 2, want 3`},
		"long line":    {[]byte(long + "1" + long), []byte(long + "2" + long), `f: text: .."` + long[:60] + "1" + long[:59] + `".., want .."` + long[:60] + "2" + long[:59] + `"..`},
		"NUL at end":   {[]byte("a b\x00"), []byte("a b"), `f: text: "a b\x00", want "a b"`},
		"data":         {[]byte("\x00a"), []byte("\x00b"), "f: byte 1: 0x61, want 0x62"},
		"empty":        {nil, []byte("\x00b"), "f: ..."},
		"prefix":       {[]byte("\x00b"), []byte("\x00bc"), "f: size: 2 bytes, want 3 bytes"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { check(t, tt.a, tt.b, tt.want) })
	}
}

func TestFolders(t *testing.T) {
	folder := func(pairs ...string) fstest.MapFS {
		m := fstest.MapFS{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
		}
		return m
	}
	b := folder("release.json", `{"a":1}`, "safebox-init", "\x00i", "safebox.efi", "\x00u", "cmdline", "x", "firmware/code.fd", "\x00f", "vmlinuz", "\x00k")
	tests := map[string]struct {
		a    fstest.MapFS
		want []string
	}{
		"equal": {folder("release.json", `{"a":1}`, "safebox-init", "\x00i", "safebox.efi", "\x00u", "cmdline", "x", "firmware/code.fd", "\x00f", "vmlinuz", "\x00k"), nil},
		"causes first": {
			folder("release.json", `{"a":2}`, "safebox-init", "\x00j", "safebox.efi", "\x00v", "cmdline", "x", "firmware/code.fd", "\x00g", "vmlinuz", "\x00k"),
			[]string{
				"safebox-init: byte 1: 0x6a, want 0x69",
				"safebox.efi: byte 1: 0x76, want 0x75",
				"firmware/code.fd: byte 1: 0x67, want 0x66",
				"release.json: a: 2, want 1",
			},
		},
		"missing and extra": {
			folder("release.json", `{"a":1}`, "safebox-init", "\x00i", "safebox.efi", "\x00u", "cmdline", "x", "firmware/code.fd", "\x00f", "notes", "n"),
			[]string{"vmlinuz: none, want 2 bytes", "notes: 1 byte, want none"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			list, err := Folders(tt.a, b)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range list {
				got = append(got, d.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestFoldersOfSystem compares folders on disk, one with a link that leads out.
func TestFoldersOfSystem(t *testing.T) {
	good, linked := t.TempDir(), t.TempDir()
	for _, dir := range []string{good, linked} {
		if err := os.WriteFile(dir+"/cmdline", []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if d, err := Folders(os.DirFS(good), os.DirFS(linked)); err != nil || len(d) != 0 {
		t.Errorf("equal folders: got %v, %v", d, err)
	}
	if err := os.Symlink("/etc/passwd", linked+"/vmlinuz"); err != nil {
		t.Fatal(err)
	}
	_, err := Folders(os.DirFS(good), os.DirFS(linked))
	if want := "comparing folders: the second: vmlinuz: got L---------, want a file or a folder"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := Folders(os.DirFS(good), os.DirFS(good+"/nosuch")); err == nil {
		t.Error("no folder: got no error")
	}
}

// TestNestedContainers wants a container within an initrd left alone: what is
// named there is a byte, not an entry of an entry.
func TestNestedContainers(t *testing.T) {
	good := newBuild(t)
	nest := func(inner []byte) []byte {
		return build{init: inner, modules: []initrd.Module{{Name: "m", Data: []byte("x")}}}.initrd(t)
	}
	inner := good.archive(t)
	at := after(t, inner, "first", 0)
	check(t, nest(flip(inner, at)), nest(inner), "f: entry /init: byte ...")
}

// TestStringIsOneLine has a name that would clear the screen.
func TestStringIsOneLine(t *testing.T) {
	d := Difference{Path: []string{"entry /\x1b[2J\nx\u202e\xff"}, A: "ä", B: "b\r"}
	if got, want := d.String(), `entry /\x1b[2J\x0ax\xe2\x80\xae\xff: ä, want b\x0d`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// FuzzFiles checks that equal means equal, whatever the readers think.
func FuzzFiles(f *testing.F) {
	good := newBuild(f)
	image := good.uki(f)
	archive := good.initrd(f)
	f.Add(image, flip(image, len(image)-2000))
	f.Add(archive, good.archive(f))
	f.Add(good.archive(f), flip(good.archive(f), 200))
	f.Add([]byte(`{"a":[{"name":"x","b":1}]}`), []byte(`{"a":[{"name":"x","b":2}]}`))
	f.Add([]byte("line\nline\n"), []byte("line\nother\n"))
	for _, name := range []string{
		"go-eventlog/CCEL_unpadded.data.bin", "go-eventlog/crypto_agile_eventlog",
		"sev-snp-measure/ovmf_AmdSev_suffix.bin", "nitro/eif/signed_p384.eif",
	} {
		b := shared(f, name)
		f.Add(b, flip(b, len(b)-900))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		d, err := Files("f", a, b)
		if err != nil {
			t.Fatal(err)
		}
		if (d == nil) != bytes.Equal(a, b) {
			t.Fatalf("equal: %t, got %v", bytes.Equal(a, b), d)
		}
		if d != nil && (d.A == d.B || strings.Contains(d.String(), "\n")) {
			t.Errorf("got %q: want two values on one line", d)
		}
	})
}
