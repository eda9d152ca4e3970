package output

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

var errFull = errors.New("no space left")

func half(w io.Writer) error {
	if _, err := io.WriteString(w, "half"); err != nil {
		return err
	}
	return errFull
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestFileWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := File(path, text("old")); err != nil {
		t.Fatal(err)
	}
	if err := File(path, half); !errors.Is(err, errFull) {
		t.Fatalf("got %v, want the writer's error", err)
	}
	b, err := os.ReadFile(path)
	if err != nil || string(b) != "old" {
		t.Errorf("after a failed write the file holds %q, %v, want the old content", b, err)
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("left behind: %q", got)
	}
}

func TestFolder(t *testing.T) {
	parent := t.TempDir()
	path := filepath.Join(parent, "out")
	for _, content := range []string{"first", "second"} {
		f, err := NewFolder(path, "marker")
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Write("marker", text("")); err != nil {
			t.Fatal(err)
		}
		if err := f.Write("sub/file", text(content)); err != nil {
			t.Fatal(err)
		}
		if err := f.Commit(); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(path, "sub", "file"))
		if err != nil || string(b) != content {
			t.Errorf("got %q, %v, want %q", b, err, content)
		}
		if got := names(t, parent); len(got) != 1 {
			t.Errorf("left behind: %q", got)
		}
	}
}

func TestFolderFailureLeavesNothing(t *testing.T) {
	parent := t.TempDir()
	f, err := NewFolder(filepath.Join(parent, "out"), "marker")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Write("file", half); !errors.Is(err, errFull) {
		t.Fatalf("got %v, want the writer's error", err)
	}
	if err := f.Write("../escape", text("")); err == nil {
		t.Error("wrote outside the folder")
	}
	if err := f.Discard(); err != nil {
		t.Fatal(err)
	}
	if got := names(t, parent); len(got) != 0 {
		t.Errorf("left behind: %q", got)
	}
}

func TestStrangersFolderIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.tex"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewFolder(dir, "marker"); err == nil {
		t.Error("accepted a folder with a stranger's files in it")
	}
}

// TestStrangersFileIsNotLost: a file that somebody put beside a result stops
// the next one, which leaves all as it was.
func TestStrangersFileIsNotLost(t *testing.T) {
	parent := t.TempDir()
	path := filepath.Join(parent, "out")
	for _, name := range []string{"marker", "sub/notes.txt"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(path, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, name), []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := NewFolder(path, "marker")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Write("marker", text("new")); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); err == nil || !strings.Contains(err.Error(), "sub/notes.txt") {
		t.Errorf("got %v, want an error that names sub/notes.txt", err)
	}
	for _, name := range []string{"marker", "sub/notes.txt"} {
		if b, err := os.ReadFile(filepath.Join(path, name)); err != nil || string(b) != "old" {
			t.Errorf("%s: got %q, %v, want it as it was", name, b, err)
		}
	}
	if got := names(t, parent); len(got) != 1 {
		t.Errorf("left behind: %q", got)
	}
}

func TestModesIgnoreUmask(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	f, err := NewFolder(path, "marker")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Write("d/f", text("x")); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"": 0o755, "d": 0o755, "d/f": 0o644} {
		st, err := os.Stat(filepath.Join(path, name))
		if err != nil || st.Mode().Perm() != want {
			t.Errorf("%q: mode %v, %v, want %v", name, st.Mode().Perm(), err, want)
		}
	}
}
