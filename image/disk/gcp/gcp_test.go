package gcp

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"safebox/image/disk"
	"safebox/image/disk/disktest"
	"safebox/image/disk/sparse"
)

// appliance is a disk as it is delivered.
func appliance(t testing.TB, data int) *disk.Image {
	t.Helper()
	im, err := disk.AssembleSize(disktest.Files(data), disktest.Seed, GiB)
	if err != nil {
		t.Fatal(err)
	}
	return im
}

// stripes is a disk on which every hole begins and ends at a multiple
// of 4096, and no sector between them is all zeros: programs that look for
// holes of other sizes see the same ones. Ends is whether it ends with data.
func stripes(size int64, n int, ends bool) *memory {
	m := &memory{size: size}
	for i := range n {
		m.extents = append(m.extents, sparse.Extent{Offset: int64(i) * 5 * holeSize, Size: int64(1+i%3) * holeSize})
	}
	if ends {
		m.extents = append(m.extents, sparse.Extent{Offset: size - holeSize, Size: holeSize})
	}
	return m
}

// memory is a disk whose extents hold a pattern.
type memory struct {
	size    int64
	extents []sparse.Extent
}

func (m *memory) Size() int64              { return m.size }
func (m *memory) Extents() []sparse.Extent { return m.extents }

func (m *memory) ReadAt(b []byte, off int64) (int, error) {
	b, err := sparse.Bounds(b, off, m.size)
	clear(b)
	for _, e := range m.extents {
		for at := max(e.Offset, off); at < min(e.End(), off+int64(len(b))); at++ {
			b[at-off] = byte(at>>8)&0x7f | 0x80
		}
	}
	return len(b), err
}

// file writes the disk into a file with holes.
func (m *memory) file(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk.raw")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range m.extents {
		b := make([]byte, e.Size)
		if _, err := m.ReadAt(b, e.Offset); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(b, e.Offset); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.Truncate(m.size), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func encode(t testing.TB, d sparse.Disk) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Encode(&b, d); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// gunzip is Go's own reader, which is not ours to test.
func gunzip(t testing.TB, b []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// pack is gzip as other programs write it.
func pack(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestGNUTar: the tar is byte for byte what GNU tar makes of the same disk by
// the command of Google's documentation, with time, owner and mode fixed, and
// holes looked for in the content, not asked of the file system. The disks are
// small: GNU tar reads them whole.
func TestGNUTar(t *testing.T) {
	for _, n := range []int{0, 1, 3, 4, 5, 24, 25, 26, 46, 47, 200} {
		for _, ends := range []bool{true, false} {
			m := stripes(8<<20, n, ends)
			path := m.file(t)
			out := filepath.Join(t.TempDir(), "tar")
			disktest.Run(t, "tar", "--format=oldgnu", "-S", "--hole-detection=raw", "--mtime=@0", "--owner=0", "--group=0",
				"--numeric-owner", "--mode=0644", "-C", filepath.Dir(path), "-cf", out, "disk.raw")
			runs, err := sparse.Runs(m, holeSize)
			if err != nil {
				t.Fatal(err)
			}
			var ours bytes.Buffer
			if err := writeTar(&ours, m, runs); err != nil {
				t.Fatal(err)
			}
			disktest.Equal(t, fmt.Sprintf("%d stripes, data at the end: %v", n, ends), ours.Bytes(), disktest.Read(t, out))
		}
	}
}

// TestUnpack: GNU tar and gzip unpack the disk that went in, and what they
// pack, with holes and without, our reader unpacks.
func TestUnpack(t *testing.T) {
	d := appliance(t, 300_001)
	b := encode(t, d)
	path := disktest.Save(t, "safebox.gcp.tar.gz", b)
	if out := string(disktest.Run(t, "tar", "-tzvf", path, "--utc", "--full-time")); out != "-rw-r--r-- 0/0      1073741824 1970-01-01 00:00:00 disk.raw\n" {
		t.Errorf("tar -tv: got %q", out)
	}
	disktest.Run(t, "gzip", "-t", path)
	dir := t.TempDir()
	disktest.Run(t, "tar", "-xzf", path, "-C", dir)
	unpacked := filepath.Join(dir, "disk.raw")
	disktest.Same(t, "unpacked by GNU tar", disktest.Open(t, unpacked), d)
	disktest.Run(t, "sfdisk", "--verify", unpacked)

	for name, options := range map[string][]string{
		"google's":   {"--format=oldgnu", "-Scz"},
		"not sparse": {"--format=oldgnu", "-I", "gzip -1", "-c"},
	} {
		out := filepath.Join(t.TempDir(), "tar.gz")
		disktest.Run(t, "tar", append(options, "-C", dir, "-f", out, "disk.raw")...)
		b := disktest.Read(t, out)
		im, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		disktest.Same(t, name, im, d)
	}
}

// TestGoTar: another reader agrees on the header.
func TestGoTar(t *testing.T) {
	r := tar.NewReader(bytes.NewReader(gunzip(t, encode(t, stripes(GiB, 30, true)))))
	h, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	if h.Name != "disk.raw" || h.Size != GiB || h.Typeflag != tar.TypeGNUSparse || h.Mode != 0o644 || h.Uid != 0 || h.Gid != 0 ||
		h.ModTime.Unix() != 0 || h.Format != tar.FormatGNU || h.Uname != "" || h.Gname != "" {
		t.Errorf("got %+v", h)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("second file: got %v, want the end", err)
	}
}

// TestGzip: RFC 1952, section 2.3: no name, no time, no flags; RFC 1951,
// section 3.2.4: stored blocks, so that the file is hardly longer than the tar.
func TestGzip(t *testing.T) {
	b := encode(t, appliance(t, 3_000_001))
	if want := []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff}; !bytes.Equal(b[:10], want) {
		t.Errorf("header: got %x, want %x", b[:10], want)
	}
	size, off := 0, 10
	for final := false; !final; {
		n := int(binary.LittleEndian.Uint16(b[off+1:]))
		if b[off] > 1 || n^0xffff != int(binary.LittleEndian.Uint16(b[off+3:])) {
			t.Fatalf("block at %d: got %x, want a stored one", off, b[off:off+5])
		}
		final = b[off] == 1
		size, off = size+n, off+5+n
	}
	if whole := gunzip(t, b); len(whole) != size || len(whole)%10240 != 0 || off+8 != len(b) {
		t.Errorf("got %d bytes in stored blocks, %d in all, end at %d of %d", size, len(whole), off+8, len(b))
	}
	if len(b) > 3_600_000 {
		t.Errorf("got %d bytes for 3 MB of data", len(b))
	}
}

// TestDeterministic: what the disk knows of its holes changes nothing.
func TestDeterministic(t *testing.T) {
	d := appliance(t, 1_000_000)
	b := encode(t, d)
	disktest.Equal(t, "without a map", encode(t, io.NewSectionReader(d, 0, GiB)), b)
	im, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	disktest.Equal(t, "encoded again", encode(t, im), b)
}

// TestReads reads at many places, of a disk with data at its end and of one
// without.
func TestReads(t *testing.T) {
	for _, ends := range []bool{true, false} {
		m := stripes(8<<20, 60, ends)
		var data bytes.Buffer
		for _, e := range m.extents {
			if _, err := io.Copy(&data, io.NewSectionReader(m, e.Offset, e.Size)); err != nil {
				t.Fatal(err)
			}
		}
		im := &Image{size: m.size}
		if err := im.load(&data, m.extents); err != nil {
			t.Fatal(err)
		}
		disktest.CheckReads(t, im, disktest.Bytes(t, m))
	}
	// One hole is a map of one entry without data.
	b := encode(t, &memory{size: GiB})
	im, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil || len(im.Extents()) != 0 || im.Size() != GiB {
		t.Errorf("one hole: got %+v, %v", im, err)
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, size := range []int64{0, GiB - 512, GiB + 512, 8 * GiB} {
		if err := Encode(io.Discard, &memory{size: size}); err == nil {
			t.Errorf("size %d: got no error", size)
		}
	}
	if err := Encode(io.Discard, &memory{size: 7 * GiB}); err != nil {
		t.Error(err)
	}
	for _, room := range []int{0, 9, 11, 70_000, 800_000} {
		if err := Encode(&failing{room}, appliance(t, 1_000_000)); err == nil {
			t.Errorf("writer with room for %d: got no error", room)
		}
	}
}

// failing is a writer that takes n bytes.
type failing struct{ n int }

func (f *failing) Write(b []byte) (int, error) {
	if f.n < len(b) {
		return f.n, errors.New("full")
	}
	f.n -= len(b)
	return len(b), nil
}
