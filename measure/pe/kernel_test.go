package pe

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"path/filepath"
	"testing"

	"safebox/image/lock"
	"safebox/image/lock/locktest"
)

// kernelFile is the kernel whose digests firmware logged (testdata/README.md).
const kernelFile = "boot/vmlinuz-6.12.107+deb13-cloud-amd64"

// TestAuthenticodeKernel compares with what firmware measured when it loaded
// Debian's signed bzImage (testdata/README.md).
func TestAuthenticodeKernel(t *testing.T) {
	f, err := Decode(kernel(t))
	if err != nil {
		t.Fatal(err)
	}
	if want := (Range{Offset: 0xb2a200, Size: 0x5c0}); f.Certificates != want { // objdump -x: Security Directory
		t.Errorf("certificates: got %+v, want %+v", f.Certificates, want)
	}
	if got, want := hex.EncodeToString(f.Authenticode(sha256.New())), "782467f032ce2d6a96d9131eac2bcf910ba46099c99e6cfd20555da97a7f1390"; got != want {
		t.Errorf("SHA-256: got %s, want %s", got, want)
	}
	if got, want := hex.EncodeToString(f.Authenticode(sha512.New384())),
		"b87b2bfd7eb3fcc0c5e3f28a8bd807420d85d8d2ccd0d2727a5b7025aa2d16a6c3369b80556175dad1e1749843ee8f93"; got != want {
		t.Errorf("SHA-384: got %s, want %s", got, want)
	}
}

// kernel takes vmlinuz out of the pinned package.
func kernel(t *testing.T) []byte {
	t.Helper()
	root := filepath.Join("..", "..")
	r, err := locktest.Resolver(root)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lock.ReadFile(filepath.Join(root, "image", "safebox.lock"))
	if err != nil {
		t.Fatal(err)
	}
	in, err := l.File(lock.Kernel)
	if err != nil {
		t.Fatal(err)
	}
	if in.File.Path != kernelFile {
		t.Fatalf("the lock names %s: boot it once, and take its digests from the firmware's log", in.File.Path)
	}
	b, err := r.File(t.Context(), in.Package, in.File)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
