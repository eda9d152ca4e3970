package image

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"safebox/guest/boot/cmdline"
	"safebox/image/kernel"
)

// TestCheckSource: the files of this source pass; another kernel patch or
// command line, or one that is gone, is named.
func TestCheckSource(t *testing.T) {
	if err := CheckSource(".."); err != nil {
		t.Fatal(err)
	}
	files, err := kernel.Files()
	if err != nil {
		t.Fatal(err)
	}
	name, content := cmdline.File()
	files = append(files, kernel.File{Name: name, Content: content})
	dir := t.TempDir()
	write := func(name string, b []byte) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range files {
		write(f.Name, f.Content)
	}
	if err := CheckSource(dir); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		write(f.Name, append([]byte("#"), f.Content...))
		if err := CheckSource(dir); err == nil || !strings.Contains(err.Error(), f.Name+" is not") {
			t.Errorf("%s changed: got %v", f.Name, err)
		}
		if err := os.Remove(filepath.Join(dir, f.Name)); err != nil {
			t.Fatal(err)
		}
		if err := CheckSource(dir); err == nil {
			t.Errorf("%s gone: accepted", f.Name)
		}
		write(f.Name, f.Content)
	}
}
