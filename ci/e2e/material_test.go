package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"safebox/image/deb"
	"safebox/image/lock"
	"safebox/image/lock/locktest"
)

func writeFirmware(t *testing.T, dir, name string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "firmware"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "firmware", name), b)
}

func parsedLock(t *testing.T) *lock.Lock {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "image", "safebox.lock"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := lock.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// stub is the pinned EFI stub.
func stub(t *testing.T) []byte {
	t.Helper()
	r, err := locktest.Resolver(root)
	if err != nil {
		t.Fatal(err)
	}
	in, err := parsedLock(t).File(lock.Stub)
	if err != nil {
		t.Fatal(err)
	}
	b, err := r.File(t.Context(), in.Package, in.File)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// packaged takes a file that the build does not use out of a pinned package.
func packaged(t *testing.T, name, file string) []byte {
	t.Helper()
	r, err := locktest.Resolver(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parsedLock(t).Packages {
		if p.Name != name {
			continue
		}
		path, err := r.Package(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		d, err := deb.Open(bytes.NewReader(b), p.Size, deb.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		files, err := d.Extract(file)
		if err != nil {
			t.Fatal(err)
		}
		return files[file]
	}
	t.Fatalf("the lock has no package %s", name)
	return nil
}
