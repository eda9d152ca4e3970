package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"safebox/image/deb"
	"safebox/image/lock"
	"safebox/image/lock/locktest"
)

// packaged takes a file that a build does not use out of a pinned package.
func packaged(t testing.TB, name, file string) []byte {
	t.Helper()
	l, err := lock.ReadFile(filepath.Join(root, "image", "safebox.lock"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := locktest.Resolver(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range l.Packages {
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
