// Package disktest has what the tests of disk formats share: disks of awkward
// content, and the outside programs that judge what we write.
package disktest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"safebox/image/disk"
	"safebox/image/disk/sparse"
	"safebox/measure/benchtest"
)

// Seed is that of the disks here.
const Seed = "safebox test"

// Files are what an appliance's disk has: one file that does not compress.
func Files(size int) []disk.File {
	return []disk.File{{Path: disk.Boot, Data: benchtest.Bytes(size)}}
}

// Bytes reads a whole disk.
func Bytes(t testing.TB, d sparse.Disk) []byte {
	t.Helper()
	b := make([]byte, d.Size())
	if err := sparse.ReadFull(d, b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

// Save puts b into a file of that name.
func Save(t testing.TB, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Read reads a file.
func Read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Open opens a file for the time of the test.
func Open(t testing.TB, path string) *io.SectionReader {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return io.NewSectionReader(f, 0, info.Size())
}

// Run calls a program and returns what it says; many live where only root's
// PATH looks.
func Run(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if err != nil {
			path, err = exec.LookPath(filepath.Join(dir, name))
		}
	}
	if err != nil {
		t.Fatalf("%s: not found; run ci/setup", name)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// Equal compares two disks.
func Equal(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	if len(got) != len(want) {
		t.Fatalf("%s: got %d bytes, want %d", what, len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%s: byte %d: got 0x%02x, want 0x%02x", what, i, got[i], want[i])
		}
	}
}

// Same compares two disks that may be too large to hold in memory.
func Same(t testing.TB, what string, got, want sparse.Disk) {
	t.Helper()
	if got.Size() != want.Size() {
		t.Fatalf("%s: got %d bytes, want %d", what, got.Size(), want.Size())
	}
	a, b := make([]byte, 1<<20), make([]byte, 1<<20)
	for off := int64(0); off < want.Size(); off += int64(len(b)) {
		n := min(int64(len(b)), want.Size()-off)
		if err := errors.Join(sparse.ReadFull(got, a[:n], off), sparse.ReadFull(want, b[:n], off)); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		Equal(t, fmt.Sprintf("%s: from byte %d", what, off), a[:n], b[:n])
	}
}

// CheckReads reads a disk in pieces of many sizes at many places, up to and
// over its end, and compares with its content.
func CheckReads(t testing.TB, d sparse.Disk, want []byte) {
	t.Helper()
	if d.Size() != int64(len(want)) {
		t.Fatalf("size: got %d, want %d", d.Size(), len(want))
	}
	size := int64(len(want))
	for _, n := range []int64{1, 511, 512, 4096, 65535, 65537, 200_000, size} {
		step := size/32 + n/3 + 1
		for off := int64(0); off < size; off += step {
			b := bytes.Repeat([]byte{0xa5}, int(n))
			got, err := d.ReadAt(b, off)
			if wantN := min(n, size-off); int64(got) != wantN || (err != nil) != (wantN < n) && off+n != size {
				t.Fatalf("reading %d bytes at %d: got %d, %v", n, off, got, err)
			}
			if !bytes.Equal(b[:got], want[off:off+int64(got)]) {
				t.Fatalf("reading %d bytes at %d: got other bytes", n, off)
			}
		}
	}
	for _, off := range []int64{size, size + 1, -1} {
		if n, err := d.ReadAt(make([]byte, 1), off); n != 0 || err == nil {
			t.Errorf("reading at %d: got %d, %v, want an error", off, n, err)
		}
	}
}
