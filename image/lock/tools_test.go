package lock

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/image/deb"
)

const oldSource, newSource = "testdata/old-source.lock", "testdata/new-source.lock"

// The values are those of make.sh's tools sha256sum and stat.
func TestParseTools(t *testing.T) {
	l := parse(t, oldSource)
	if diff := cmp.Diff(string(load(t, oldSource)), string(l.Encode())); diff != "" {
		t.Errorf("encoding: %s", diff)
	}
	var got []string
	for _, p := range l.Tools {
		got = append(got, fmt.Sprintf("%s %s %d %s %s %d", p, p.Architecture, p.Size, p.SHA256, p.Pool, len(p.Files)))
	}
	if diff := cmp.Diff([]string{
		"small-cc 4.2-1 amd64 764 9ad0b5befc2ec4826065cbb673e24dede591ddc69ad1c237e89a1675a59c3510 pool/main/s/small-boot/small-cc_4.2-1_amd64.deb 0",
		"libsmall1 1.0-1 amd64 728 45d5ada59c0ffaeb0ce6c083626784fa87f1cefd1638ed3efed445d7a1b25c23 pool/main/s/small-boot/libsmall1_1.0-1_amd64.deb 0",
	}, got); diff != "" {
		t.Error(diff)
	}
	if len(l.Packages) != 2 {
		t.Errorf("packages: got %v", l.Packages)
	}
	in, err := l.File(KernelSource)
	if err != nil || in.File.Path != "usr/src/small-source-9.9.tar.xz" || in.File.Size != 43 || in.Package.Name != "small-source-9.9" {
		t.Errorf("got %+v, %v", in, err)
	}
}

func TestParseToolsRefuses(t *testing.T) {
	text := string(load(t, oldSource))
	lines := strings.SplitAfter(text, "\n")
	boot, file := lines[7], lines[8]
	for _, tt := range []struct {
		name, old, new string
		line           int
		want           string
	}{
		{"twice", "tool libsmall1", "tool small-cc", 15, "package small-cc: given twice, first on line 14"},
		{"a package too", "tool libsmall1", "tool small-boot", 15, "package small-boot: given twice, first on line 8"},
		{"the source too", "tool libsmall1", "tool small-source-9.9", 15, "package small-source-9.9: given twice, first on line 11"},
		{"file below", "tool libsmall1", file + "tool libsmall1", 15, "file: a tool is unpacked whole and has no file lines"},
		{"package below", "tool libsmall1", strings.Replace(boot, "small-boot", "other", 1) + "tool libsmall1", 15, "package: want it above the first tool"},
		{"package without files above", "\ntool small-cc", strings.ReplaceAll(boot, "small-boot", "other") + "\ntool small-cc", 15, "package other: no file line below it"},
		{"indented", "tool libsmall1", "  tool libsmall1", 15, `got "  tool libsmall1`},
		{"name", "tool libsmall1", "tool Libsmall1", 15, `tool: got "Libsmall1" "1.0-1" "amd64"`},
		{"version", "libsmall1 1.0-1", "libsmall1 1.0_1", 15, "tool: got"},
		{"architecture", "1.0-1 amd64", "1.0-1 AMD64", 15, "tool: got"},
		{"size", "amd64 728", "amd64 0", 15, `size: got "0"`},
		{"size above the limit", "amd64 728", "amd64 1073741825", 15, `size: got "1073741825", want a number from 1 to 1073741824`},
		{"hash", "45d5ada5", "45D5ADA5", 15, "sha256: got"},
		{"pool", "small-boot/libsmall1", "../libsmall1", 15, "pool path: got"},
		{"pool of another", "libsmall1_1.0-1_amd64.deb", "libsmall2_1.0-1_amd64.deb", 15, "want pool/.../libsmall1_1.0-1_amd64.deb"},
		{"field missing", " 728 ", " ", 15, `the same for "tool"`},
		{"second source", "  file stub usr/lib/small/x64.stub", "  file kernel-source usr/lib/small/x64.stub", 12, "role kernel-source: given twice, first on line 9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if strings.Count(text, tt.old) != 1 {
				t.Fatalf("fixture has %d of %q, want 1", strings.Count(text, tt.old), tt.old)
			}
			_, err := Parse([]byte(strings.Replace(text, tt.old, tt.new, 1)))
			var at *ParseError
			if !errors.As(err, &at) || at.Line != tt.line || !strings.Contains(at.Err.Error(), tt.want) {
				t.Errorf("got %v, want line %d: ... %q", err, tt.line, tt.want)
			}
		})
	}
	if _, err := Parse([]byte(strings.Join(lines[:6], "") + lines[13])); err == nil || !strings.Contains(err.Error(), "want at least one package") {
		t.Errorf("tools alone: got %v", err)
	}
}

// Packages and tools share one limit.
func TestParseToolsLimit(t *testing.T) {
	text := string(load(t, oldSource))
	more := func(n int) []byte {
		var b strings.Builder
		for i := range n {
			name := fmt.Sprintf("tool%d", i)
			fmt.Fprintf(&b, "tool %s 1 all 1 %s pool/%s_1_all.deb\n", name, Digest{}, name)
		}
		return []byte(text + b.String())
	}
	if l, err := Parse(more(maxPackages - 4)); err != nil || len(l.Packages)+len(l.Tools) != 1024 {
		t.Errorf("at the limit: got %v", err)
	}
	if _, err := Parse(more(maxPackages - 3)); err == nil || !strings.Contains(err.Error(), "limit of 1024 packages and tools exceeded") {
		t.Errorf("above the limit: got %v", err)
	}
}

func TestWithoutSource(t *testing.T) {
	l := parse(t, oldSource)
	rest := l.WithoutSource()
	if len(rest.Tools) != 0 || len(rest.Packages) != 1 || rest.Packages[0].Name != "small-boot" || rest.Toolchain != l.Toolchain || rest.Epoch != l.Epoch {
		t.Errorf("got %+v", rest)
	}
	if diff := cmp.Diff(parse(t, oldSource), l); diff != "" {
		t.Errorf("the lock itself changed: %s", diff)
	}
	// A package that holds something else too is needed.
	l.Packages[1].Files = append(l.Packages[1].Files, File{Role: Module, Path: "x"})
	if got := len(l.WithoutSource().Packages); got != 2 {
		t.Errorf("got %d packages, want 2", got)
	}
	if diff := cmp.Diff(parse(t, oldLock), parse(t, oldLock).WithoutSource()); diff != "" {
		t.Errorf("a lock without a source: %s", diff)
	}
}

func TestFetchTools(t *testing.T) {
	l := parse(t, oldSource)
	r := Resolver{CacheDir: t.TempDir(), Mirrors: []string{mirror(t)}}
	if err := r.Fetch(t.Context(), l.WithoutSource()); err != nil {
		t.Fatal(err)
	}
	if got := len(stored(t, r.CacheDir)); got != 2 {
		t.Errorf("without the source: got %d files, want a package and a file", got)
	}
	if err := r.Fetch(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if got := len(stored(t, r.CacheDir)); got != 6 {
		t.Errorf("got %d files, want 2 packages, 2 files and 2 tools", got)
	}
	// The file alone in the cache does not make up for the package.
	name := store(r.CacheDir).path(l.Packages[1].SHA256)
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := r.Fetch(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(name); err != nil {
		t.Error(err)
	}
}

// The archive of a lock with tools and a source is all that an offline build of
// a kernel needs.
func TestPackTools(t *testing.T) {
	l := parse(t, oldSource)
	var packed bytes.Buffer
	r := Resolver{CacheDir: t.TempDir(), Mirrors: []string{mirror(t)}}
	if err := r.Pack(t.Context(), l, nil, &packed); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for archive := tar.NewReader(&packed); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, h.Name), b)
	}
	if diff := cmp.Diff(string(load(t, oldSource)), string(load(t, filepath.Join(dir, PackedLock)))); diff != "" {
		t.Error(diff)
	}
	if got := len(stored(t, dir)); got != 4 {
		t.Errorf("got %d contents, want 2 packages and 2 tools", got)
	}
	offline := Resolver{CacheDir: t.TempDir(), Inputs: []string{dir}, Offline: true, transport: noNetwork{t}}
	for _, p := range l.Tools {
		if err := offline.Walk(t.Context(), p, func(deb.Entry, io.Reader) error { return nil }); err != nil {
			t.Error(err)
		}
	}
	in, err := l.File(KernelSource)
	if err != nil {
		t.Fatal(err)
	}
	b, err := offline.File(t.Context(), in.Package, in.File)
	if want := "usr/src/small-source-9.9.tar.xz of 9.9.9-1\n"; err != nil || string(b) != want { // as make.sh wrote it
		t.Errorf("got %q, %v, want %q", b, err, want)
	}
}

func TestOpen(t *testing.T) {
	in, err := parse(t, oldSource).File(KernelSource)
	if err != nil {
		t.Fatal(err)
	}
	r := Resolver{CacheDir: t.TempDir(), Mirrors: []string{mirror(t)}}
	want := "usr/src/small-source-9.9.tar.xz of 9.9.9-1\n" // as make.sh wrote it
	for _, where := range []string{"mirror", "cache"} {
		f, err := r.Open(t.Context(), in.Package, in.File)
		if err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		b, err := io.ReadAll(f)
		if err = errors.Join(err, f.Close()); err != nil || string(b) != want {
			t.Errorf("%s: got %q, %v, want %q", where, b, err, want)
		}
		r.Offline, r.transport = true, noNetwork{t}
	}
	name := store(r.CacheDir).path(in.File.SHA256)
	write(t, name, []byte(strings.ToUpper(want)))
	_, err = r.Open(t.Context(), in.Package, in.File)
	checkDamage(t, err, "file usr/src/small-source-9.9.tar.xz of package small-source-9.9 9.9.9-1 from "+name)
	other := in.File
	other.Role = Kernel
	if _, err := r.Open(t.Context(), in.Package, other); err == nil || !strings.Contains(err.Error(), "the lock lists no file kernel usr/src") {
		t.Errorf("got %v", err)
	}
}

// A file that another package brought is in the cache; this package must hold
// the same bytes all the same before its line is believed.
func TestFileOfOtherPackageInCache(t *testing.T) {
	l := parse(t, oldSource)
	p, stub := l.Packages[1], l.Packages[0].Files[0]
	r := Resolver{CacheDir: t.TempDir(), Mirrors: []string{mirror(t)}}
	if _, err := r.File(t.Context(), l.Packages[0], stub); err != nil {
		t.Fatal(err)
	}
	p.Files[0].Size, p.Files[0].SHA256 = stub.Size, stub.SHA256
	var mismatch *MismatchError
	_, err := r.File(t.Context(), p, p.Files[0])
	if !errors.As(err, &mismatch) || mismatch.Got != "39" || mismatch.Want != "38" {
		t.Errorf("got %v, want the file's own size refused", err)
	}
}

func TestWalk(t *testing.T) {
	p := parse(t, oldSource).Tools[0]
	r := Resolver{CacheDir: t.TempDir(), Mirrors: []string{mirror(t)}}
	var text []byte
	err := r.Walk(t.Context(), p, func(e deb.Entry, content io.Reader) (err error) {
		if e.Path == "usr/bin/small-cc" {
			text, err = io.ReadAll(content)
		}
		return err
	})
	if want := "usr/bin/small-cc of 4.2-1\n"; err != nil || string(text) != want { // as make.sh wrote it
		t.Errorf("got %q, %v, want %q", text, err, want)
	}
	stop := errors.New("stop")
	if err := r.Walk(t.Context(), p, func(deb.Entry, io.Reader) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v, want the error of visit", err)
	}
	p.Version, p.Pool = "4.2-2", "pool/main/s/small-boot/small-cc_4.2-2_amd64.deb"
	err = r.Walk(t.Context(), p, func(deb.Entry, io.Reader) error { t.Error("visited"); return nil })
	if err == nil || !strings.Contains(err.Error(), "package small-cc 4.2-2: control fields: got small-cc 4.2-1 amd64, want small-cc 4.2-2 amd64 as the lock says") {
		t.Errorf("got %v", err)
	}
	p.SHA256[0] ^= 1
	if err := r.Walk(t.Context(), p, func(deb.Entry, io.Reader) error { t.Error("visited"); return nil }); err == nil {
		t.Error("a wrong hash: got no error")
	}
}
