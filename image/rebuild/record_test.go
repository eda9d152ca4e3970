package rebuild

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/image/compare"
	"safebox/verifier/bundle"
	"safebox/verifier/canon"
	"safebox/verifier/release"
	"safebox/verifier/release/record"
)

// sumOfNothing is the directory hash of no files, by
// `printf ” | sha256sum | xxd -r -p | base64`.
const sumOfNothing = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

func witness() Witness {
	return Witness{Rebuilder: "Example Auditors", Environment: record.Environment{Arch: "amd64", Go: "1.26.8", OS: "Debian 12"}, Time: 1795219200}
}

// recordOf is a release record about this release.
func recordOf(digest [32]byte) *record.Release {
	return &record.Release{
		Digest: digest, Version: "1.0.0", SVN: 1, NotBefore: 1795219200,
		Source: record.Source{Commit: strings.Repeat("c", 40), Tree: strings.Repeat("7", 40), Sum: sumOfNothing},
	}
}

// run repeats a release of contents with some of them changed.
func run(t *testing.T, change func(map[string]string)) *Result {
	t.Helper()
	files := contents()
	p, err := Open(publish(t, describeAll(t, files), files))
	if err != nil {
		t.Fatal(err)
	}
	mine := contents()
	change(mine)
	r, err := Run(t.Context(), p, []byte(lockText), builder(t, mine, nil))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRecordMatch: what is signed is what the rebuild said, and nothing more.
func TestRecordMatch(t *testing.T) {
	r := run(t, func(map[string]string) {})
	got, err := r.Record(recordOf(r.Release), sumOfNothing, witness())
	if err != nil {
		t.Fatal(err)
	}
	want := &record.Rebuild{
		Digest: r.Release, Rebuilder: "Example Auditors", Result: "match", Rebuilt: r.Release, Source: sumOfNothing,
		Environment: record.Environment{Arch: "amd64", Go: "1.26.8", OS: "Debian 12"}, Time: 1795219200,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := got.Encode(); err != nil {
		t.Error(err)
	}
}

// TestRecordMismatch: the differences are the lines of the rebuild.
func TestRecordMismatch(t *testing.T) {
	r := run(t, func(m map[string]string) { m["safebox-init"] = "\x00inIt"; delete(m, "cmdline") })
	got, err := r.Record(recordOf(r.Release), sumOfNothing, witness())
	if err != nil {
		t.Fatal(err)
	}
	if got.Result != "mismatch" || got.Rebuilt != canon.Octets32(r.Rebuilt) || got.Rebuilt == got.Digest {
		t.Errorf("got %s with %s, want a mismatch with %x", got.Result, got.Rebuilt, r.Rebuilt)
	}
	want := []record.Difference{
		{Path: "safebox-init: byte 3", Got: "0x49", Want: "0x69"},
		{Path: "cmdline", Got: "none", Want: "21 bytes"},
	}
	if len(got.Differences) < 2 || cmp.Diff(want, got.Differences[:2]) != "" {
		t.Errorf("got %v, want %v first", got.Differences, want)
	}
	if _, err := got.Encode(); err != nil {
		t.Error(err)
	}
}

// TestRecordOfNothing: another lock file, so that nothing was built.
func TestRecordOfNothing(t *testing.T) {
	files := contents()
	p, err := Open(publish(t, describeAll(t, files), files))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), p, []byte("another lock\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Record(recordOf(r.Release), sumOfNothing, witness())
	if err != nil {
		t.Fatal(err)
	}
	if got.Result != "mismatch" || got.Rebuilt != (canon.Octets32{}) || len(got.Differences) != 1 || got.Differences[0].Path != "release.json: lock_sha256" {
		t.Errorf("got %+v", got)
	}
	if _, err := got.Encode(); err != nil {
		t.Error(err)
	}
}

// TestRecordRefuses: another release, and another source, of a match too.
func TestRecordRefuses(t *testing.T) {
	for name, change := range map[string]func(map[string]string){
		"match": func(map[string]string) {}, "mismatch": func(m map[string]string) { delete(m, "cmdline") },
	} {
		r := run(t, change)
		if got, err := r.Record(recordOf([32]byte{1}), sumOfNothing, witness()); err == nil || !strings.Contains(err.Error(), "another release: got 0100") {
			t.Errorf("%s: record of another release: got %v and %v", name, got, err)
		}
		other := strings.Replace(sumOfNothing, "47DE", "47DF", 1)
		got, err := r.Record(recordOf(r.Release), other, witness())
		var source *SourceError
		if got != nil || !errors.As(err, &source) || source.Got != other || source.Want != sumOfNothing {
			t.Errorf("%s: another source: got %v and %v", name, got, err)
		}
	}
}

// TestRecordBounds: whatever a file is called and holds, and however many
// differ, the record can be encoded and names the first.
func TestRecordBounds(t *testing.T) {
	for name, one := range map[string]func(i int) compare.Difference{
		"many": func(i int) compare.Difference {
			return compare.Difference{Path: []string{fmt.Sprint(i)}, A: "a", B: "b"}
		},
		"long": func(i int) compare.Difference {
			return compare.Difference{Path: []string{fmt.Sprint(i), strings.Repeat("p", 2000)}, A: strings.Repeat("a", 2000), B: strings.Repeat("b", 2000)}
		},
		"quotes": func(i int) compare.Difference {
			return compare.Difference{Path: []string{fmt.Sprint(i), strings.Repeat(`"\`, 2000)}, A: strings.Repeat(`\"`, 2000), B: strings.Repeat(`"`, 2000)}
		},
		"the same": func(int) compare.Difference { return compare.Difference{Path: []string{"0"}, A: "a", B: "b"} },
		"unusual": func(i int) compare.Difference {
			return compare.Difference{Path: []string{fmt.Sprintf(" %d \x1b[31mü\xff", i)}, A: "\n", B: ""}
		},
		"note": func(i int) compare.Difference {
			return compare.Difference{Path: []string{fmt.Sprint(i)}, What: "size", A: "1 byte", B: "2 bytes", Note: "why"}
		},
		"emptiness": func(int) compare.Difference { return compare.Difference{} },
	} {
		r := &Result{Release: [32]byte{1}, Rebuilt: [32]byte{2}}
		for i := range 200 {
			r.Differences = append(r.Differences, one(i))
		}
		got, err := r.Record(recordOf(r.Release), sumOfNothing, witness())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := got.Encode(); err != nil {
			t.Errorf("%s: %d differences: %v", name, len(got.Differences), err)
		}
		if n := len(got.Differences); n == 0 || n > record.MaxDifferences || name == "many" && n != record.MaxDifferences || name == "the same" && n != 1 {
			t.Errorf("%s: got %d differences", name, n)
		}
	}
}

// TestText: bounds of package record, escapes of Go.
func TestText(t *testing.T) {
	for _, tt := range []struct {
		in, want string
		most     int
	}{
		{"plain", "plain", 5},
		{"too long", "too..", 5},
		{"  edges ", "edges", 10},
		{"", "(nothing)", 10},
		{" ", "(nothing)", 10},
		{`a "quoted" word`, `a "quoted" word`, 40},
		{"line\nbreak", `line\nbreak`, 40},
		{"\x1b[0m", `\x1b[0m`, 40},
		{"ü\xff", `\u00fc\xff`, 40},
		{"abc   def", "abc..", 8},
	} {
		if got := Text(tt.in, tt.most); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
}

// TestLook: a bundle's release with its folder, and with another's.
func TestLook(t *testing.T) {
	files := contents()
	r := describeAll(t, files)
	dir := publish(t, r, files)
	encoded, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Open(bundleOf(t, encoded))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := release.Digest(p.Encoded), release.Digest(encoded); got != want || p.Record != nil {
		t.Errorf("got release %x, want %x, and no record", got, want)
	}
	if _, err := p.Built(); !errors.Is(err, errNoFile) {
		t.Errorf("without a folder: got %v, want that files are missing", err)
	}
	if err := p.Look(dir); err != nil {
		t.Fatal(err)
	}
	built, err := p.Built()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		if got := string(built.File(name)); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	files["cmdline"] = "other"
	if err := p.Look(publish(t, describeAll(t, files), files)); err == nil || !strings.Contains(err.Error(), "is of another release: got SHA-256 ") {
		t.Errorf("another release: got %v", err)
	}
	write(t, dir+"/cmdline", "changed")
	if err := p.Look(dir); err == nil || !strings.Contains(err.Error(), "cmdline is not the file that release.json describes") {
		t.Errorf("a changed file: got %v", err)
	}
}

// bundleOf writes a bundle of release.json alone.
func bundleOf(t *testing.T, encoded []byte) string {
	t.Helper()
	b, err := bundle.Encode(&bundle.Bundle{Release: encoded})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "safebox.bundle")
	write(t, name, string(b))
	return name
}

// TestDifferentFile: the first by name, and which way.
func TestDifferentFile(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(dir string) error
		want   string
	}{
		"same":           {func(string) error { return nil }, ""},
		"not of the sum": {func(dir string) error { return os.RemoveAll(filepath.Join(dir, "bin")) }, ""},
		"one byte": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "guest.go"), []byte("package safebok\n"), 0o600)
		}, `"guest.go" differs`},
		"one file more": {func(dir string) error { return os.WriteFile(filepath.Join(dir, "aaa"), nil, 0o600) }, `"aaa" is not in it`},
		"one file less": {func(dir string) error { return os.Remove(filepath.Join(dir, "go.mod")) }, `"go.mod" is missing`},
		"a line break":  {func(dir string) error { return os.WriteFile(filepath.Join(dir, "\n"), nil, 0o600) }, `"\n" is not in it`},
		"two: first name": {func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "go.mod")), os.Remove(filepath.Join(dir, "guest.go")))
		}, `"go.mod" is missing`},
	} {
		a, b := sourceTree(t), sourceTree(t)
		if err := tt.change(a); err != nil {
			t.Fatal(err)
		}
		if got, err := DifferentFile(t.Context(), a, b); err != nil || got != tt.want {
			t.Errorf("%s: got %q and %v, want %q", name, got, err, tt.want)
		}
	}
}
