package fat

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// image unpacks one of testdata.
func image(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".img.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const longFile = "EFI/Linux/a rather long file name, with ünïcode.efi"

func TestOpen(t *testing.T) {
	want := []File{ // what mdir of mtools lists
		{Path: "FRAG.BIN", Size: 20000, Attributes: Archive},
		{Path: "EMPTY", Attributes: Archive},
		{Path: "EFI", Attributes: Directory},
		{Path: "loader", Attributes: Directory},
		{Path: "EFI/BOOT", Attributes: Directory},
		{Path: "EFI/Linux", Attributes: Directory},
		{Path: "loader/loader.conf", Size: 100, Attributes: Archive},
		{Path: "loader/lower.efi", Size: 700, Attributes: Archive},
		{Path: "EFI/BOOT/BOOTX64.EFI", Size: 3000, Attributes: Archive},
		{Path: longFile, Size: 1537, Attributes: Archive},
	}
	for name, kind := range map[string]Type{"fat12": FAT12, "fat16": FAT16, "fat32": FAT32} {
		b := image(t, name)
		f, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if f.Type != kind || f.VolumeID != 0x1234abcd || f.Label != "SAFEBOX" { // mkfs.vfat --invariant -n SAFEBOX
			t.Errorf("%s: got %v, %x, %q", name, f.Type, f.VolumeID, f.Label)
		}
		if diff := cmp.Diff(want, f.Files(), cmpopts.IgnoreUnexported(File{})); diff != "" {
			t.Errorf("%s: files (-want +got):\n%s", name, diff)
		}
	}
}

func TestReadFile(t *testing.T) {
	tests := []struct{ path, sha256 string }{ // sha256sum of the sources, printed by make.sh
		{"EFI/BOOT/BOOTX64.EFI", "8628b9020fa6756d5afb738e7b27361ea1d6cac5adb864d370b4de80e716d825"},
		{`\efi\boot\bootx64.efi`, "8628b9020fa6756d5afb738e7b27361ea1d6cac5adb864d370b4de80e716d825"},
		{longFile, "381bb15c78b5097154d10f9b5f57d3663231b32a068abfe9e3329e7ff92ddedb"},
		{"EFI/LINUX/ARATHE~1.EFI", "381bb15c78b5097154d10f9b5f57d3663231b32a068abfe9e3329e7ff92ddedb"},
		{"loader/loader.conf", "5fc2f0924e5b05219c720dfe460c980281fe6811cc350d1cebd52b572c1c43c3"},
		{"loader/lower.efi", "98e4bd0f82b0b7687038d99cf4437573deee29fd147f94cfa9e02aba268372bb"},
		{"FRAG.BIN", "2fe7877d127a9c4d6f7e3a1edea7b0b5d46f4005ab06c50d497a17abb2544345"},
		{"EMPTY", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	}
	for _, name := range []string{"fat12", "fat16", "fat32"} {
		b := image(t, name)
		f, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range tests {
			got, err := f.ReadFile(tt.path)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if sum := sha256.Sum256(got); hex.EncodeToString(sum[:]) != tt.sha256 {
				t.Errorf("%s: %s: got SHA-256 %x, want %s", name, tt.path, sum, tt.sha256)
			}
		}
		for _, path := range []string{"", "/", "EFI/BOOT/NONE", "FRAG.BIN/x", "hole1"} {
			if _, err := f.ReadFile(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: reading %q: got error %v, want %v", name, path, err, fs.ErrNotExist)
			}
		}
		if _, err := f.ReadFile("EFI"); err == nil {
			t.Errorf("%s: reading a directory: got no error", name)
		}
	}
}

// TestPartitionLargerThanFileSystem: mkfs.vfat rounds down to whole tracks.
func TestPartitionLargerThanFileSystem(t *testing.T) {
	b := append(image(t, "fat16"), make([]byte, 4096)...)
	if _, err := Open(bytes.NewReader(b), int64(len(b))); err != nil {
		t.Error(err)
	}
}
