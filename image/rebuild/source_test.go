package rebuild

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tarOf packs members as they are told, good or bad.
func tarOf(t testing.TB, members ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range members {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content, h.Linkname = h.Linkname, ""
			h.Size = int64(len(content))
		}
		h.Mode = 0o644
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Members: of a file the second argument is the content.
func reg(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Linkname: content}
}
func dir(name string) tar.Header { return tar.Header{Typeflag: tar.TypeDir, Name: name} }
func link(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}
}

// linkMark is behind the name of a link in what tree returns.
const linkMark = " ->"

// tree reads a folder: files with their content, links with their target.
func tree(t testing.TB, root string) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if e.Type() == fs.ModeSymlink {
			target, err := os.Readlink(path)
			got[name+linkMark] = target
			return err
		}
		b, err := os.ReadFile(path)
		got[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestOpenSource takes what git itself packs, in all formats.
func TestOpenSource(t *testing.T) {
	repo, out := t.TempDir(), t.TempDir()
	want := map[string]string{"go.mod": "module safebox\n", "a/b/c.go": "package c\n", "run": "#!/bin/sh\n", "a/link" + linkMark: "b/c.go"}
	for name, content := range want {
		if name, ok := strings.CutSuffix(name, linkMark); ok {
			if err := errors.Join(os.MkdirAll(repo+"/a", 0o700), os.Symlink(content, filepath.Join(repo, name))); err != nil {
				t.Fatal(err)
			}
			continue
		}
		write(t, filepath.Join(repo, name), content)
	}
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", repo, "-c", "user.name=x", "-c", "user.email=x@example.test"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v: %s", args, err, out)
		}
	}
	git("init", "-q")
	git("add", "-A")
	git("commit", "-q", "-m", "x")
	for _, name := range []string{"plain.tar", "packed.tar.gz", "packed.zip"} {
		for _, prefix := range []string{"", "safebox-1.0/"} {
			archive := filepath.Join(out, strings.TrimSuffix(prefix, "/")+name)
			git("archive", "--prefix="+prefix, "-o", archive, "HEAD")
			s, err := OpenSource(t.Context(), archive)
			if err != nil {
				t.Fatalf("%s: %v", archive, err)
			}
			if diff := cmp.Diff(want, tree(t, s.Dir)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", archive, diff)
			}
			b, err := os.ReadFile(archive)
			if err != nil || s.Digest != sha256.Sum256(b) {
				t.Errorf("%s: digest %x, %v", archive, s.Digest, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(s.Dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: left behind: %v", archive, err)
			}
		}
	}
	s, err := OpenSource(t.Context(), repo)
	if err != nil || s.Dir != repo || s.Digest != [32]byte{} {
		t.Errorf("folder: got %+v, %v", s, err)
	}
	if err := s.Close(); err != nil || len(tree(t, repo)) < len(want) {
		t.Errorf("folder: it went away: %v", err)
	}
}

func TestOpenSourceRefuses(t *testing.T) {
	mod := reg("go.mod", "module safebox\n")
	tests := map[string]struct {
		archive []byte
		want    string
	}{
		"text":             {[]byte("module safebox\n"), "neither tar, tar in gzip nor zip"},
		"empty":            {nil, "neither tar"},
		"no go.mod":        {tarOf(t, reg("a", "")), "no go.mod at the top"},
		"too deep":         {tarOf(t, reg("a/b/go.mod", "")), "no go.mod at the top"},
		"two folders":      {tarOf(t, reg("a/go.mod", ""), reg("b/go.mod", "")), "no go.mod at the top"},
		"up":               {tarOf(t, mod, reg("../evil", "")), `member "../evil": want a clean relative path`},
		"up in between":    {tarOf(t, mod, reg("a/../../evil", "")), "want a clean relative path"},
		"absolute":         {tarOf(t, mod, reg("/evil", "")), "want a clean relative path"},
		"point":            {tarOf(t, mod, reg("./a", "")), "want a clean relative path"},
		"back slash":       {tarOf(t, mod, reg(`a\b`, "")), "want a clean relative path"},
		"long name":        {tarOf(t, mod, reg(strings.Repeat("a/", 600)+"b", "")), "want a clean relative path"},
		"twice":            {tarOf(t, mod, mod), `member "go.mod": there twice`},
		"file and folder":  {tarOf(t, mod, reg("a", ""), dir("a/")), `there twice`},
		"below a file":     {tarOf(t, mod, reg("a", ""), reg("a/b", "")), `"a" above it is no folder`},
		"over a folder":    {tarOf(t, mod, reg("a/b", ""), reg("a", "")), "there twice"},
		"through a link":   {tarOf(t, mod, link("a", "b"), reg("a/evil", "")), `"a" above it is no folder`},
		"link and file":    {tarOf(t, mod, link("a", "b"), reg("a", "")), "there twice"},
		"link that leaves": {tarOf(t, mod, link("a/b", "../../etc/passwd")), `link to "../../etc/passwd": want a path within the archive`},
		"absolute link":    {tarOf(t, mod, link("a", "/etc/passwd")), `link to "/etc/passwd": want a path within the archive`},
		"hard link":        {tarOf(t, mod, tar.Header{Typeflag: tar.TypeLink, Name: "a", Linkname: "go.mod"}), `member "a": type '1', want a file`},
		"device":           {tarOf(t, mod, tar.Header{Typeflag: tar.TypeChar, Name: "a"}), `member "a": type '3', want a file`},
		"cut":              {tarOf(t, mod, reg("a", "content"))[:1540], "unexpected EOF"},
		"cut in between":   {tarOf(t, mod, reg("a", "content"))[:1024], "does not end with two blocks of zeros"},
		"half the end":     {tarOf(t, mod, reg("a", "content"))[:2048+512], "does not end with two blocks of zeros"},
		"something behind": {append(tarOf(t, mod), "x"...), "does not end with two blocks of zeros"},
		"gzip: cut":        {gzipOf(t, tarOf(t, mod)[:1024]), "does not end with two blocks of zeros"},
		"zip: up":          {zipOf(t, "../evil", ""), "want a clean relative path"},
		"zip: link":        {zipOf(t, "a", "/etc/passwd"), "want a path within the archive"},
		"gzip: checksum":   {spoil(gzipOf(t, tarOf(t, mod)), 8), "checksum"},
		"zip: checksum":    {spoil(zipOf(t, "a", ""), -30), "checksum"},
		"cut zip":          {zipOf(t, "a", "")[:100], "not a valid zip file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tmp := t.TempDir()
			t.Setenv("TMPDIR", tmp)
			path := filepath.Join(t.TempDir(), "archive")
			write(t, path, string(tt.archive))
			if s, err := OpenSource(t.Context(), path); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, %v, want an error with %q", s, err, tt.want)
			}
			if left := tree(t, tmp); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	holes := filepath.Join(t.TempDir(), "holes")
	write(t, holes, "")
	if err := os.Truncate(holes, 1<<20); err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"--format=pax", "--format=gnu"} {
		archive := holes + ".tar"
		if out, err := exec.Command("tar", form, "--sparse", "-C", filepath.Dir(holes), "-cf", archive, "holes").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if _, err := OpenSource(t.Context(), archive); err == nil || !strings.Contains(err.Error(), `member "holes": `) {
			t.Errorf("a sparse file, %s: got %v", form, err)
		}
	}
	if _, err := OpenSource(t.Context(), "/dev/null"); err == nil || !strings.Contains(err.Error(), "want a folder, or an archive") {
		t.Errorf("a device: got %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	path := filepath.Join(t.TempDir(), "archive")
	write(t, path, string(tarOf(t, mod)))
	if _, err := OpenSource(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: got %v", err)
	}
}

// TestUnpackBounds packs more than is allowed into little.
func TestUnpackBounds(t *testing.T) {
	var many []tar.Header
	for i := range maxMembers + 1 {
		many = append(many, reg(fmt.Sprint(i), ""))
	}
	big := tar.Header{Typeflag: tar.TypeReg, Name: "big", Size: maxUnpacked + 1}
	var header bytes.Buffer
	if err := tar.NewWriter(&header).WriteHeader(&big); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		archive []byte
		want    string
	}{
		"members": {tarOf(t, many...), "more than 65536 files and folders"},
		"bytes":   {header.Bytes(), "more than 536870912 bytes in all"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			root, err := os.OpenRoot(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			err = unpack(t.Context(), bytes.NewReader(tt.archive), int64(len(tt.archive)), root)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func gzipOf(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// zipOf packs go.mod and one member: a link if there is a target.
func zipOf(t testing.TB, name, target string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, m := range []struct{ name, target string }{{"go.mod", ""}, {name, target}} {
		h := &zip.FileHeader{Name: m.name}
		h.SetMode(0o644)
		content := "content of a file"
		if m.target != "" {
			h.SetMode(fs.ModeSymlink | 0o777)
			content = m.target
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// spoil changes a byte: of gzip the first of the checksum (RFC 1952, 2.3.1), of
// zip the content of the first file when pos is negative.
func spoil(b []byte, fromEnd int) []byte {
	c := slices.Clone(b)
	if fromEnd < 0 {
		c[bytes.Index(c, []byte("content"))] ^= 1
		return c
	}
	c[len(c)-fromEnd] ^= 1
	return c
}

// FuzzUnpack: what is unpacked lies below the root, and packed and unpacked
// again it is the same.
func FuzzUnpack(f *testing.F) {
	good := tarOf(f, reg("go.mod", "module safebox\n"), dir("a/"), reg("a/b", "x"), link("a/c", "b"))
	for _, b := range [][]byte{good, gzipOf(f, good), zipOf(f, "a/b", ""), zipOf(f, "a/b", "../go.mod")} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := unpacked(t, b)
		if err != nil || len(got) == 0 { // an archive of nothing is no tar
			return
		}
		var members []tar.Header
		for _, name := range slices.Sorted(maps.Keys(got)) {
			m := reg(name, got[name])
			if of, ok := strings.CutSuffix(name, linkMark); ok {
				m = link(of, got[name])
			}
			members = append(members, m)
		}
		again, err := unpacked(t, tarOf(t, members...))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, again); diff != "" {
			t.Errorf("unpacked, packed and unpacked (-want +got):\n%s", diff)
		}
	})
}

func unpacked(t *testing.T, b []byte) (map[string]string, error) {
	t.Helper()
	outer := t.TempDir()
	inner := filepath.Join(outer, "inner")
	if err := os.Mkdir(inner, 0o700); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(inner)
	if err != nil {
		t.Fatal(err)
	}
	err = unpack(t.Context(), bytes.NewReader(b), int64(len(b)), root)
	if err2 := root.Close(); err2 != nil {
		t.Fatal(err2)
	}
	if entries, err := os.ReadDir(outer); err != nil || len(entries) != 1 {
		t.Fatalf("outside of the root: %v, %v", entries, err)
	}
	if err != nil {
		return nil, err
	}
	return tree(t, inner), nil
}
