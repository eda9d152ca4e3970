package pe

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

const (
	kernelDeb  = "linux-image-6.12.107+deb13-cloud-amd64_6.12.107-1_amd64.deb"
	kernelFile = "./boot/vmlinuz-6.12.107+deb13-cloud-amd64"
)

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
	deb, err := os.Open(input(t, kernelDeb))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := deb.Close(); err != nil {
			t.Error(err)
		}
	}()
	b, err := fromDeb(bufio.NewReader(deb), kernelFile)
	if err != nil {
		t.Fatalf("%s: %v", kernelDeb, err)
	}
	return b
}

// input finds a pinned input: SAFEBOX_INPUTS, else shared/inputs beside the
// repository, else the cache.
func input(t *testing.T, name string) string {
	t.Helper()
	var dirs []string
	if d := os.Getenv("SAFEBOX_INPUTS"); d != "" {
		dirs = append(dirs, d)
	}
	dirs = append(dirs, filepath.Join("..", "..", "..", "shared", "inputs"))
	if d, err := os.UserCacheDir(); err == nil {
		dirs = append(dirs, filepath.Join(d, "safebox"))
	}
	for _, d := range dirs {
		if p := filepath.Join(d, name); exists(p) {
			return p
		}
	}
	t.Fatalf("%s: not in %s; set SAFEBOX_INPUTS to the folder that has it", name, strings.Join(dirs, ", "))
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// fromDeb reads one file of data.tar.xz in the ar archive r (deb(5)).
func fromDeb(r io.Reader, name string) ([]byte, error) {
	if _, err := io.CopyN(io.Discard, r, int64(len("!<arch>\n"))); err != nil {
		return nil, err
	}
	var hdr [60]byte
	for {
		if _, err := io.ReadFull(r, hdr[:]); err != nil {
			return nil, fmt.Errorf("looking for data.tar.xz: %w", err)
		}
		size, err := strconv.ParseInt(strings.TrimSpace(string(hdr[48:58])), 10, 64)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(string(hdr[:]), "data.tar.xz") {
			return fromTarXz(io.LimitReader(r, size), name)
		}
		if _, err := io.CopyN(io.Discard, r, size+size%2); err != nil {
			return nil, err
		}
	}
}

func fromTarXz(r io.Reader, name string) ([]byte, error) {
	x, err := xz.NewReader(r)
	if err != nil {
		return nil, err
	}
	for tr := tar.NewReader(x); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("no %s", name)
		}
		if err != nil {
			return nil, err
		}
		if h.Name == name {
			return io.ReadAll(tr)
		}
	}
}
