package rebuild

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLinkThroughLinks: each link's own text stays inside, but through the
// others, each of which climbs one folder, the last leaves the source.
func TestLinkThroughLinks(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const depth = "src/a/b/c/d/e/f/g/"
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	write := func(h tar.Header, content string) {
		h.Size = int64(len(content))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	write(tar.Header{Name: "src/go.mod", Typeflag: tar.TypeReg, Mode: 0o644}, "module safebox\n")
	write(tar.Header{Name: depth + "s", Typeflag: tar.TypeSymlink, Linkname: "."}, "")
	// By its text each "s" takes back a ".."; in the file system it does not.
	const ups = 16
	target := "a/b/c/d/e/f/g/" + strings.Repeat("s/", ups) + strings.Repeat("../", ups) + strings.TrimPrefix(outside, "/")
	write(tar.Header{Name: "src/guest", Typeflag: tar.TypeSymlink, Linkname: target}, "")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "a.tar")
	if err := os.WriteFile(archive, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := OpenSource(t.Context(), archive)
	if err == nil {
		t.Fatalf("accepted: %v, %v", s, s.Close())
	}
	if !strings.Contains(err.Error(), "src/guest") {
		t.Errorf("got %v, want the link named", err)
	}
}
