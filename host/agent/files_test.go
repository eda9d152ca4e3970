package agent

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestCopyWhole(t *testing.T) {
	dir := t.TempDir()
	src, dst := filepath.Join(dir, "src"), filepath.Join(dir, "dst")
	want := bytes.Repeat([]byte("variables"), 60000)
	if err := os.WriteFile(src, want, 0o444); err != nil {
		t.Fatal(err)
	}
	if err := copyWhole(dst, src); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(dst)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, %v, want %d", len(got), err, len(want))
	}
	if fi, err := os.Stat(dst); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want a file for its owner to write", fi, err)
	}
}

func TestCopyWholeOrNothing(t *testing.T) {
	dir := t.TempDir()
	empty, deep := filepath.Join(dir, "empty"), filepath.Join(dir, "no", "dst")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	huge := filepath.Join(dir, "huge")
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, maxVars+1); err != nil {
		t.Fatal(err)
	}
	full := filepath.Join(dir, "src")
	if err := os.WriteFile(full, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, dst, src, want string }{
		{"missing", "dst", filepath.Join(dir, "missing"), "no such file"},
		{"empty", "dst", empty, "of 0 bytes"},
		{"huge", "dst", huge, "of 67108865 bytes"},
		{"folder", "dst", dir, "want a file"},
		{"no folder to write to", deep, full, "no such file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out := t.TempDir()
			dst := tc.dst
			if !filepath.IsAbs(dst) {
				dst = filepath.Join(out, dst)
			}
			if err := copyWhole(dst, tc.src); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
			if left, err := os.ReadDir(out); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestListenPortInUse(t *testing.T) {
	ln, err := listen(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
	})
	_, port, ok := strings.Cut(ln.Addr().String(), "127.0.0.1:")
	if !ok {
		t.Fatalf("listens at %s, want loopback", ln.Addr())
	}
	if _, err := listen(atoi(t, port)); err == nil || !strings.Contains(err.Error(), "is in use") {
		t.Errorf("got %v, want the port in use", err)
	}
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
