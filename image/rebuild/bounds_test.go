package rebuild

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"safebox/image/compare"
)

// TestSourceBounds: a source of too many files, or of files too large together,
// is refused before one of them is read.
func TestSourceBounds(t *testing.T) {
	many := fstest.MapFS{}
	for i := range maxMembers {
		many[fmt.Sprintf("f%d", i)] = &fstest.MapFile{}
	}
	if names, err := sourceFiles(many); err != nil || len(names) != maxMembers {
		t.Errorf("%d files: got %d, %v", maxMembers, len(names), err)
	}
	many["one more"] = &fstest.MapFile{}
	if _, err := sourceFiles(many); err == nil || !strings.Contains(err.Error(), "or 65536 files") {
		t.Errorf("%d files: got %v", len(many), err)
	}

	dir := t.TempDir() // of holes: they take no room
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(dir, name), maxUnpacked/2); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := sourceFiles(os.DirFS(dir)); err != nil {
		t.Errorf("%d bytes: got %v", maxUnpacked, err)
	}
	if err := os.Truncate(filepath.Join(dir, "b"), maxUnpacked/2+1); err != nil {
		t.Fatal(err)
	}
	if _, err := sourceFiles(os.DirFS(dir)); err == nil || !strings.Contains(err.Error(), "more than 536870912 bytes") {
		t.Errorf("%d bytes: got %v", maxUnpacked+1, err)
	}
}

// TestOpenSourceFile: what was a file when it was listed, and is a link or a pipe
// now, is not opened.
func TestOpenSourceFile(t *testing.T) {
	dir := sourceTree(t)
	if err := os.Symlink("guest.go", filepath.Join(dir, "link.go")); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"link.go": "it changed meanwhile", "guest": "it changed meanwhile", "none": "no such file"} {
		if _, err := openSourceFile(root, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
	if err := root.Close(); err != nil {
		t.Error(err)
	}
}

// TestMatchIsBoth: no difference found is no match when the digests differ, nor
// are equal digests with a difference.
func TestMatchIsBoth(t *testing.T) {
	for name, r := range map[string]Result{
		"another digest": {Release: [32]byte{1}, Rebuilt: [32]byte{2}},
		"nothing built":  {Release: [32]byte{1}},
		"a difference":   {Release: [32]byte{1}, Rebuilt: [32]byte{1}, Differences: make([]compare.Difference, 1)},
	} {
		if r.Match() {
			t.Errorf("%s: a match", name)
		}
	}
	if r := (Result{Release: [32]byte{1}, Rebuilt: [32]byte{1}}); !r.Match() {
		t.Error("equal digests and no difference: no match")
	}
}
