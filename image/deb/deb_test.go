package deb

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const bootEFI = "systemd-boot-efi_257.13-1~deb13u1_amd64.deb"

func load(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(b []byte, lim Limits) (*Package, error) {
	return Open(bytes.NewReader(b), int64(len(b)), lim)
}

func mustOpen(t *testing.T, name string) *Package {
	t.Helper()
	p, err := open(load(t, name), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// From sha256sum over what dpkg-deb -x unpacked: testdata/README.md.
var (
	smallSums = map[string]string{
		"usr/share/doc/small/hello": "a8a943b22ec2f62a2b536966c0edea86e82fa688ad45999e525cb7cc4c25263b",
		"usr/lib/small/numbers":     "6251e5743b6fd6a7d606130bdf7c15077ce85ebd3a0fdee284d15a46df199e38",
	}
	bootSums = map[string]string{
		"usr/lib/systemd/boot/efi/addonx64.efi.stub":         "c8a19b3327d98a8e65d01237e712b104497f87d69e94523d75a136c0b3a97bbe",
		"usr/lib/systemd/boot/efi/linuxx64.efi.stub":         "9c623743834bb904a3cb941092cffc958c31230263ce896d332a75e9ec48aa85",
		"usr/lib/systemd/boot/efi/systemd-bootx64.efi":       "5adb30d5e8f56313a0c6a333d2b5512c167f8102e011ff028f468564f77f668d",
		"usr/share/doc/systemd-boot-efi/NEWS.Debian.gz":      "b4b53c789347f2237993e4e2613beca6ce6def16b6eb6f67928bb928a88412f6",
		"usr/share/doc/systemd-boot-efi/changelog.Debian.gz": "77e101e9686c5c8e8f8e735811a63f85191e0bc517643c89fa522d4e958a473f",
		"usr/share/doc/systemd-boot-efi/copyright":           "a79e4b379cabbd960bb44f6cc1a069081a3778c59a25ee529b68df5a2cb7d27d",
	}
)

func TestFilesAgainstDpkg(t *testing.T) {
	for _, tt := range []struct {
		file string
		want map[string]string
	}{
		{"small-xz.deb", smallSums},
		{"small-gzip.deb", smallSums},
		{"small-none.deb", smallSums},
		{bootEFI, bootSums},
	} {
		t.Run(tt.file, func(t *testing.T) {
			got := map[string]string{}
			err := mustOpen(t, tt.file).Files(func(e Entry, content io.Reader) error {
				b, err := io.ReadAll(content)
				if e.Type == File {
					got[e.Path] = hexSum(b)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEntries(t *testing.T) {
	// As `dpkg-deb -c small-xz.deb` lists them.
	want := []Entry{
		{Path: ".", Type: Directory, Mode: 0o755},
		{Path: "usr", Type: Directory, Mode: 0o755},
		{Path: "usr/lib", Type: Directory, Mode: 0o755},
		{Path: "usr/lib/small", Type: Directory, Mode: 0o755},
		{Path: "usr/lib/small/numbers", Type: File, Mode: 0o644, Size: 8893},
		{Path: "usr/lib/small/second", Type: HardLink, Mode: 0o644, Target: "./usr/lib/small/numbers"},
		{Path: "usr/share", Type: Directory, Mode: 0o755},
		{Path: "usr/share/doc", Type: Directory, Mode: 0o755},
		{Path: "usr/share/doc/small", Type: Directory, Mode: 0o755},
		{Path: "usr/share/doc/small/hello", Type: File, Mode: 0o644, Size: 21},
		{Path: "usr/lib/small/link", Type: SymbolicLink, Mode: 0o777, Target: "../../share/doc/small/hello"},
	}
	var got []Entry
	if err := mustOpen(t, "small-xz.deb").Files(func(e Entry, _ io.Reader) error {
		got = append(got, e)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestControlFields(t *testing.T) {
	p := mustOpen(t, "small-xz.deb")
	if p.Name != "small" || p.Version != "1:2.0~rc1-3+deb13u1" || p.Architecture != "all" {
		t.Errorf("got %q %q %q", p.Name, p.Version, p.Architecture)
	}
	if got, want := p.Control["Description"], "two small files\nwith a folded\n.\ndescription"; got != want {
		t.Errorf("description: got %q, want %q", got, want)
	}
	p = mustOpen(t, bootEFI)
	if p.Name != "systemd-boot-efi" || p.Version != "257.13-1~deb13u1" || p.Architecture != "amd64" || p.Control["Source"] != "systemd" {
		t.Errorf("got %q %q %q %q", p.Name, p.Version, p.Architecture, p.Control["Source"])
	}
}

func TestExtract(t *testing.T) {
	p := mustOpen(t, "small-xz.deb")
	got, err := p.Extract("usr/share/doc/small/hello", "usr/lib/small/numbers")
	if err != nil {
		t.Fatal(err)
	}
	if string(got["usr/share/doc/small/hello"]) != "hello from a package\n" || len(got["usr/lib/small/numbers"]) != 8893 || len(got) != 2 {
		t.Errorf("got %d files: %q", len(got), got["usr/share/doc/small/hello"])
	}
	if got, err := p.Extract(); err != nil || len(got) != 0 {
		t.Errorf("nothing asked for: got %v, %v", got, err)
	}
	for _, tt := range []struct {
		paths []string
		want  string
	}{
		{[]string{"usr/lib/small/numbers", "usr/lib/none"}, `extracting "usr/lib/none": package small 1:2.0~rc1-3+deb13u1 has no such file`},
		{[]string{"/usr/lib/small/numbers"}, "has no such file"},
		{[]string{"usr/lib/small/link"}, `got a symbolic link to "../../share/doc/small/hello", want a file`},
		{[]string{"usr/lib/small/second"}, `got a hard link to "./usr/lib/small/numbers", want a file`},
		{[]string{"usr/lib"}, "got a directory"},
		{[]string{"a", "a"}, "asked for twice"},
	} {
		if _, err := p.Extract(tt.paths...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: got %v, want %q", tt.paths, err, tt.want)
		}
	}
}

// Extract stops behind the last file asked for: damage further on is not met.
func TestExtractStopsEarly(t *testing.T) {
	b := bytes.Clone(load(t, "small-none.deb"))
	i := bytes.Index(b, []byte("hello from"))
	b[i-512+148] ^= 1 // header checksum of the later entry "hello"
	p, err := open(b, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Extract("usr/lib/small/numbers"); err != nil {
		t.Errorf("entry before the damage: %v", err)
	}
	if _, err := p.Extract("usr/share/doc/small/hello"); err == nil {
		t.Error("entry behind the damage: got no error")
	}
}

// A cut anywhere is an error of Open, because the ar headers tell every length.
func TestTruncated(t *testing.T) {
	b := load(t, "small-xz.deb")
	for n := range b {
		if _, err := open(b[:n], DefaultLimits()); err == nil || !strings.Contains(err.Error(), "truncated") {
			t.Fatalf("%d bytes of %d: got %v, want an error that says truncated", n, len(b), err)
		}
	}
	for _, tt := range []struct {
		n    int
		want string
	}{
		{4, "file of 4 bytes is shorter than the archive's magic"},
		{40, "file ends at 0x28, want a member header of 60 bytes at 0x8"},
		{200, "member control.tar.xz has 332 bytes at 0x84, file ends at 0xc8"},
		{len(b) - 1, "member data.tar.xz has 1328 bytes at 0x20c, file ends at 0x73b"},
	} {
		if _, err := open(b[:tt.n], DefaultLimits()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%d bytes: got %v, want %q", tt.n, err, tt.want)
		}
	}
}

// Every flipped byte of the file must be noticed by one of the layers, but for
// the header fields of ar that say nothing about content.
func TestFlippedBytes(t *testing.T) {
	whole := load(t, "small-xz.deb")
	for i := range whole {
		if unreadField(i) {
			continue
		}
		b := bytes.Clone(whole)
		b[i] ^= 0x40
		p, err := open(b, DefaultLimits())
		if err != nil {
			continue
		}
		if err := p.Files(func(_ Entry, r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }); err == nil {
			t.Errorf("byte %#x flipped: got no error", i)
		}
	}
}

// unreadField tells whether offset i of small-xz.deb lies in the time, owner
// or mode of one of its three member headers. `ar tv` tells the sizes: 4, 332
// and 1328.
func unreadField(i int) bool {
	for _, header := range []int{8, 8 + 60 + 4, 8 + 60 + 4 + 60 + 332} {
		if i >= header+16 && i < header+48 {
			return true
		}
	}
	return false
}

func TestRefusedFrames(t *testing.T) {
	whole := string(load(t, "small-xz.deb"))
	for _, tt := range []struct{ name, old, new, want string }{
		{"magic", "!<arch>", "!<arcH>", "magic"},
		{"first member", "debian-binary ", "debian-binarx ", `first member: got "debian-binarx"`},
		{"format version", "2.0\n", "2.1\n", `format version: got "2.1\n", want "2.0\n"`},
		{"header end", "`\n2.0", "`\r2.0", "end: got"},
		{"size field", "4         `", "-4        `", `size: got "-4", want digits of base 10`},
		{"size with blank", "4         `", "4 0       `", "size: got"},
		{"empty size", "4         `", "          `", "size: got"},
		{"mode field", "100644  ", "100948  ", "mode: got"},
		{"name with slash", "debian-binary ", "debian-binary/", "name: got"},
		{"compression", "data.tar.xz ", "data.tar.bz2", `compression ".bz2" is not supported`},
		{"order", "control.tar.xz", "data.tar.xz   ", `name: got "data.tar.xz", want "control.tar.xz"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(whole, tt.old) {
				t.Fatalf("fixture lacks %q", tt.old)
			}
			_, err := open([]byte(strings.Replace(whole, tt.old, tt.new, 1)), DefaultLimits())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := open([]byte(whole+whole[:60]), DefaultLimits()); err == nil || !strings.Contains(err.Error(), "60 bytes behind data.tar.xz") {
		t.Errorf("fourth member: got %v", err)
	}
	if _, err := open(load(t, "small-zstd.deb"), DefaultLimits()); err == nil || !strings.Contains(err.Error(), `compression ".zst" is not supported`) {
		t.Errorf("zstd: got %v", err)
	}
}

func TestLimits(t *testing.T) {
	b := load(t, "small-xz.deb")
	for _, tt := range []struct {
		name string
		set  func(*Limits)
		want string
	}{
		{"member", func(l *Limits) { l.Member = 1000 }, "member data.tar.xz at 0x1d0: size: got 1328, limit is 1000"},
		{"control", func(l *Limits) { l.Control = 2000 }, "unpacks to more than the limit of 2000 bytes"},
		{"unpacked", func(l *Limits) { l.Unpacked = 12000 }, "unpacks to more than the limit of 12000 bytes"},
		{"one file", func(l *Limits) { l.Unpacked = 8000 }, "size: got 8893, limit for the archive is 8000"},
		{"entries", func(l *Limits) { l.Entries = 4 }, "limit of 4 entries exceeded"},
		{"path", func(l *Limits) { l.Path = 15 }, "limit is 15"},
		{"dictionary", func(l *Limits) { l.Dictionary = 1 << 20 }, "dictionary: got 8388608 bytes, limit is 1048576"},
		{"unset", func(l *Limits) { l.Entries = 0 }, "validating limits: entries: got 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lim := DefaultLimits()
			tt.set(&lim)
			p, err := open(b, lim)
			if err == nil {
				err = p.Files(func(Entry, io.Reader) error { return nil })
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
