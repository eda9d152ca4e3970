package bundle

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"safebox/verifier/release"
)

// content stands for a release.json: the bundle does not look into it.
const content = `{"type":"safebox/release/v1"}`

func encode(t testing.TB, b string) []byte {
	t.Helper()
	out, err := Encode(&Bundle{Release: []byte(b)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// gnuTar runs GNU tar in dir.
func gnuTar(t testing.TB, dir string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("tar", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tar %q: %v: %s (Debian package tar, which every Debian has)", args, err, stderr.Bytes())
	}
	if stderr.Len() > 0 {
		t.Errorf("tar %q: %s", args, stderr.Bytes())
	}
	return out
}

func writeFile(t testing.TB, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// oneForm are the flags of docs/format-bundle.md, with which GNU tar writes a
// bundle.
func oneForm() []string {
	return []string{
		"--format=ustar", "--owner=0", "--group=0", "--numeric-owner", "--mode=0644", "--mtime=@0",
		"--blocking-factor=1", "-cf", "-",
	}
}

// TestEqualsGNUTar: GNU tar, told what docs/format-bundle.md says, writes the
// same bytes.
func TestEqualsGNUTar(t *testing.T) {
	for _, size := range []int{1, len(content), 511, 512, 513, 100000, release.MaxSize} {
		b := bytes.Repeat([]byte("x"), size)
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, "release.json"), b)
		want := gnuTar(t, dir, append(oneForm(), "release.json")...)
		if got := encode(t, string(b)); !bytes.Equal(got, want) {
			t.Errorf("%d bytes: differs from GNU tar's", size)
		}
		got, err := Decode(want)
		if err != nil || !bytes.Equal(got.Release, b) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// TestReadByGNUTar: what a person sees who looks inside.
func TestReadByGNUTar(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "x.bundle"), encode(t, content))
	list := string(gnuTar(t, dir, "--full-time", "-tvf", "x.bundle"))
	if got, want := strings.Join(strings.Fields(list), " "), "-rw-r--r-- 0/0 29 1970-01-01 00:00:00 release.json"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := string(gnuTar(t, dir, "-xOf", "x.bundle", "release.json")); got != content {
		t.Errorf("got %q, want %q", got, content)
	}
}

// TestReadByGo: Go's reader finds one entry and the end.
func TestReadByGo(t *testing.T) {
	r := tar.NewReader(bytes.NewReader(encode(t, content)))
	h, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	if h.Name != "release.json" || h.Mode != 0o644 || h.Typeflag != tar.TypeReg || h.Format != tar.FormatUSTAR || h.ModTime.Unix() != 0 {
		t.Errorf("got %+v", h)
	}
	if b, err := io.ReadAll(r); err != nil || string(b) != content {
		t.Errorf("got %q, %v", b, err)
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the entry: got %v, want the end", err)
	}
}

// TestRefusesOtherTars: tars of the same file that differ in one thing.
func TestRefusesOtherTars(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "release.json")
	writeFile(t, name, []byte(content))
	writeFile(t, filepath.Join(dir, "other.json"), []byte(content))
	if err := os.Symlink("release.json", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args []string // after those of oneForm; the last of two equal flags counts
		want string
	}{
		{"other name", []string{"other.json"}, `entry 1 at byte 0: name: got "other.json", want "release.json"`},
		{"name with ./", []string{"./release.json"}, `entry 1 at byte 0: name: got "./release.json"`},
		{"mode", []string{"--mode=0600", "release.json"}, `entry 1 at byte 0: mode: got "0000600", want "0000644"`},
		{"user", []string{"--owner=1000", "release.json"}, `entry 1 at byte 0: uid: got "0001750", want "0000000"`},
		{"group", []string{"--group=1000", "release.json"}, `entry 1 at byte 0: gid: got "0001750", want "0000000"`},
		{"time", []string{"--mtime=@1767225600", "release.json"}, `entry 1 at byte 0: mtime: got "15125334400", want "00000000000"`},
		{"user's name", []string{"--no-same-owner", "--owner=root:0", "--group=root:0", "--format=gnu", "release.json"}, `entry 1 at byte 0: magic: got "ustar ", want "ustar"`},
		{"pax", []string{"--format=pax", "release.json"}, "entry 1 at byte 0: "},
		{"old", []string{"--format=v7", "release.json"}, "entry 1 at byte 0: "},
		{"link", []string{"--transform=s/link/release.json/", "link"}, "entry 1 at byte 0: "},
		{"folder", []string{"--transform=s/folder/release.json/", "folder"}, "entry 1 at byte 0: name: got"},
		{"two entries", []string{"release.json", "other.json"}, `entry 2 at byte 1024: name: got "other.json", want "release.dsse"`},
		{"the file twice", []string{"--hard-dereference", "release.json", "release.json"}, `entry 2 at byte 1024: name: got "release.json", want "release.dsse"`},
		{"records of 20 blocks", []string{"--blocking-factor=20", "release.json"}, "end at byte 1024: got 9216 bytes, want 1024"},
		{"compressed", []string{"--gzip", "release.json"}, "size: got"},
	} {
		b := gnuTar(t, dir, append(oneForm(), tt.args...)...)
		_, err := Decode(b)
		if err == nil || !strings.HasPrefix(err.Error(), "decoding bundle: "+tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}

// TestRefusesPythonTar: the same file, owner, mode and time by another
// program.
func TestRefusesPythonTar(t *testing.T) {
	b, err := os.ReadFile("testdata/python.tar")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(b); err == nil || !strings.Contains(err.Error(), `entry 1 at byte 0: devmajor: got "", want "0000000"`) {
		t.Errorf("got %v", err)
	}
	if _, err := Decode(encode(t, content)); err != nil {
		t.Errorf("the same in one form: %v", err)
	}
}

// TestEveryHeaderByteCounts: one bit anywhere in the header, or in the zeros
// after the content, and the bundle is refused.
func TestEveryHeaderByteCounts(t *testing.T) {
	good := encode(t, content)
	for i := range good {
		if i >= blockSize && i < blockSize+len(content) {
			continue
		}
		b := bytes.Clone(good)
		b[i] ^= 1
		if _, err := Decode(b); err == nil {
			t.Errorf("byte %d changed: accepted", i)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := encode(t, content)
	change := func(at int, text string) []byte {
		b := bytes.Clone(good)
		copy(b[at:], text)
		return b
	}
	for _, tt := range []struct {
		name, want string
		in         []byte
	}{
		{"empty", "size: got 0 bytes, want a multiple of 512, at least 1536", nil},
		{"no entry", "entry 1 at byte 0: got no entry, want release.json", make([]byte, 3*blockSize)},
		{"cut", "size: got 2047 bytes, want a multiple of 512", good[:len(good)-1]},
		{"last block cut", "end at byte 1024: got 512 bytes, want 1024", good[:len(good)-blockSize]},
		{"a block more", "end at byte 1024: got 1536 bytes, want 1024", append(bytes.Clone(good), make([]byte, blockSize)...)},
		{"too large", "size: got more than 16777216 bytes, want at most that", make([]byte, MaxSize+blockSize)},
		{"no content", "release.json: got 0 bytes, want 1 to 1048576", withSize(0)},
		{"8 GiB", "release.json: got 8589934591 bytes, want 1 to 1048576", withSize(1<<33 - 1)},
		{"size below the content's", "after release.json: got other bytes, want zeros only", append(withSize(28)[:blockSize], good[blockSize:]...)},
		{"size of spaces", `entry 1 at byte 0: size: got "          0\x00", want 11 octal digits`, change(124, "          0")},
		{"size with a sign", "entry 1 at byte 0: size: got", change(124, "+0000000035")},
		{"size with a prefix", "entry 1 at byte 0: size: got", change(124, "0o000000035")},
		{"size in base 256", "entry 1 at byte 0: size: got", change(124, "\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x1d")},
		{"size without its zero", "entry 1 at byte 0: size: got", change(124, "00000000035 ")},
		{"size that is not octal", "entry 1 at byte 0: size: got", change(124, "00000000038")},
		{"name that goes on after its zero", `entry 1 at byte 0: name: got "release.json\x00x", want "release.json"`, change(13, "x")},
		{"link", `entry 1 at byte 0: typeflag: got "2", want "0"`, change(156, "2")},
		{"link's target", `entry 1 at byte 0: linkname: got "x", want ""`, change(157, "x")},
		{"version", `entry 1 at byte 0: version: got "01", want "00"`, change(263, "01")},
		{"user's name", `entry 1 at byte 0: uname: got "root", want ""`, change(265, "root")},
		{"group's name", `entry 1 at byte 0: gname: got "root", want ""`, change(297, "root")},
		{"prefix", `entry 1 at byte 0: prefix: got "x", want ""`, change(345, "x")},
		{"padding", `entry 1 at byte 0: padding: got "x", want ""`, change(500, "x")},
		{"checksum", `entry 1 at byte 0: chksum: got "000000\x00 ", want "`, change(148, "000000")},
	} {
		_, err := Decode(tt.in)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}

// withSize is a bundle whose header says another size.
func withSize(size int64) []byte {
	h := newHeader("release.json", size)
	return append(h[:], make([]byte, 2*blockSize)...)
}

func TestEncodeRefuses(t *testing.T) {
	for name, b := range map[string][]byte{"nothing": nil, "too large": make([]byte, release.MaxSize+1)} {
		if _, err := Encode(&Bundle{Release: b}); err == nil || !strings.HasPrefix(err.Error(), "encoding bundle: ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestDecodeKeepsNothing: the input may be overwritten afterwards.
func TestDecodeKeepsNothing(t *testing.T) {
	in := encode(t, content)
	b, err := Decode(in)
	if err != nil {
		t.Fatal(err)
	}
	clear(in)
	if string(b.Release) != content {
		t.Errorf("got %q", b.Release)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(f, content))
	f.Add(encode(f, strings.Repeat("x", blockSize)))
	f.Add(mustEncode(f, signed(2, 3, 2)))
	f.Add(mustEncode(f, signed(0, 300, 0)))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Encode(d)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("accepted %q, encodes as %q, %v", b, again, err)
		}
		r := tar.NewReader(bytes.NewReader(b))
		if _, err := r.Next(); err != nil {
			t.Errorf("accepted, but Go's reader says: %v", err)
		}
	})
}
