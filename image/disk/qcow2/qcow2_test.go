package qcow2

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"safebox/image/disk"
	"safebox/image/disk/disktest"
	"safebox/image/disk/sparse"
)

// contents are disks on which clusters, tables and ends fall differently.
func contents(t testing.TB) map[string][]byte {
	t.Helper()
	appliance, err := disk.Assemble(disktest.Files(300_001), disktest.Seed)
	if err != nil {
		t.Fatal(err)
	}
	full := bytes.Repeat([]byte{1}, 3*clusterSize)
	scattered := make([]byte, 40*clusterSize+512) // ends within a cluster
	for _, at := range []int{0, clusterSize - 1, 3 * clusterSize, 17*clusterSize + 9, 18 * clusterSize, len(scattered) - 1} {
		scattered[at] = 0xff
	}
	return map[string][]byte{
		"appliance": disktest.Bytes(t, appliance),
		"full":      full,
		"scattered": scattered,
		"sector":    bytes.Repeat([]byte{7}, 512),
		"zeros":     make([]byte, 2*clusterSize),
	}
}

func encode(t testing.TB, d sparse.Disk) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Encode(&b, d); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestQEMU: qemu-img reads the content that was written, and finds nothing to
// complain about and no cluster that holds zeros only.
func TestQEMU(t *testing.T) {
	for name, raw := range contents(t) {
		path := disktest.Save(t, "disk.qcow2", encode(t, bytes.NewReader(raw)))
		var info struct {
			Format  string `json:"format"`
			Size    int64  `json:"virtual-size"`
			Cluster int    `json:"cluster-size"`
			Dirty   bool   `json:"dirty-flag"`
			Special struct {
				Data struct {
					Compat  string `json:"compat"`
					Bits    int    `json:"refcount-bits"`
					Lazy    bool   `json:"lazy-refcounts"`
					Corrupt bool   `json:"corrupt"`
				} `json:"data"`
			} `json:"format-specific"`
		}
		unmarshal(t, disktest.Run(t, "qemu-img", "info", "--output=json", path), &info)
		if d := info.Special.Data; info.Format != "qcow2" || info.Size != int64(len(raw)) || info.Cluster != 65536 || info.Dirty ||
			d.Compat != "1.1" || d.Bits != 16 || d.Lazy || d.Corrupt {
			t.Errorf("%s: qemu-img info: got %+v", name, info)
		}
		var check struct {
			Errors      int   `json:"check-errors"`
			Leaks       int   `json:"leaks"`
			Corruptions int   `json:"corruptions"`
			Allocated   int64 `json:"allocated-clusters"`
			Fragmented  int64 `json:"fragmented-clusters"`
			End         int64 `json:"image-end-offset"`
		}
		unmarshal(t, disktest.Run(t, "qemu-img", "check", "--output=json", path), &check)
		var want int64
		for i := 0; i < len(raw); i += clusterSize {
			if !sparse.Zero(raw[i:min(i+clusterSize, len(raw))]) {
				want++
			}
		}
		if check.Errors != 0 || check.Leaks != 0 || check.Corruptions != 0 || check.Allocated != want {
			t.Errorf("%s: qemu-img check: got %+v, want %d clusters and nothing wrong", name, check, want)
		}
		if size := int64(len(disktest.Read(t, path))); size != check.End {
			t.Errorf("%s: file size: got %d, want %d, where qemu-img sees the end", name, size, check.End)
		}
		out := filepath.Join(t.TempDir(), "raw")
		disktest.Run(t, "qemu-img", "convert", "-f", "qcow2", "-O", "raw", path, out)
		disktest.Equal(t, name, disktest.Read(t, out), raw)
		disktest.Run(t, "qemu-img", "compare", "-f", "qcow2", "-F", "raw", path, out)
	}
}

func unmarshal(t testing.TB, b []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
}

// TestReadBack reads what was written, and what qemu-img made of the same
// disk: with other places for everything, and other sizes of cluster.
func TestReadBack(t *testing.T) {
	for name, raw := range contents(t) {
		files := map[string][]byte{"ours": encode(t, bytes.NewReader(raw))}
		in := disktest.Save(t, "raw", raw)
		for _, options := range []string{"cluster_size=65536", "cluster_size=512", "cluster_size=4096", "cluster_size=2M"} {
			out := filepath.Join(t.TempDir(), "qcow2")
			disktest.Run(t, "qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-o", options, in, out)
			files[options] = disktest.Read(t, out)
		}
		for from, b := range files {
			im, err := Open(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Errorf("%s, %s: %v", name, from, err)
				continue
			}
			disktest.CheckReads(t, im, raw)
		}
	}
}

// TestLayout compares with qemu-img's own header of the same disk, field by
// field where the specification leaves no choice.
func TestLayout(t *testing.T) {
	for name, raw := range contents(t) {
		out := filepath.Join(t.TempDir(), "qcow2")
		disktest.Run(t, "qemu-img", "convert", "-f", "raw", "-O", "qcow2", disktest.Save(t, "raw", raw), out)
		ours, theirs := encode(t, bytes.NewReader(raw)), disktest.Read(t, out)
		for _, field := range []struct {
			name      string
			off, size int
		}{
			{"magic to size", 0, 32},
			{"crypt_method and l1_size", 32, 8},
			{"nb_snapshots to refcount_order", 60, 40},
		} {
			if got, want := ours[field.off:field.off+field.size], theirs[field.off:field.off+field.size]; !bytes.Equal(got, want) {
				t.Errorf("%s: %s: got %x, want %x as qemu-img has it", name, field.name, got, want)
			}
		}
	}
}

// TestManyTables: a disk with data 512 MiB apart needs L2 tables with a gap
// between them, and one whose file is beyond 2 GiB a second block of counts.
func TestManyTables(t *testing.T) {
	gap := &patches{size: 3 << 30, at: map[int64]byte{0: 1, 1<<30 + 5<<16: 2, 3<<30 - 1: 3}}
	path := disktest.Save(t, "disk.qcow2", encode(t, gap))
	disktest.Run(t, "qemu-img", "check", path)
	b := disktest.Read(t, path)
	if want := 65536 * (1 + 1 + 1 + 1 + 3 + 3); len(b) != want {
		t.Errorf("file size: got %d, want %d: header, counts, L1, 3 of L2, 3 of data", len(b), want)
	}
	im, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	for off, want := range gap.at {
		got := make([]byte, 3)
		if _, err := im.ReadAt(got[:1], off); err != nil || got[0] != want {
			t.Errorf("byte %d: got %d, %v, want %d", off, got[0], err, want)
		}
	}
	if n := len(im.Extents()); n != 3 {
		t.Errorf("extents: got %d, want 3", n)
	}

	// 32768 counts are in a block (the specification: refcount_block_entries);
	// with 32760 clusters of data the file has as many clusters: a header, a
	// table and a block of counts, L1 and 4 L2 tables besides.
	for clusters, blocks := range map[int64]int64{32760: 1, 32761: 2} {
		l := newLayout(1<<40, []sparse.Extent{{Offset: 0, Size: clusters << 16}})
		metadata := 1 + 1 + blocks + l.l1Len + int64(len(l.tables))
		if l.blocks != blocks || l.end != metadata+clusters || l.data != metadata {
			t.Errorf("%d clusters: got %+v, want %d blocks of counts", clusters, l, blocks)
		}
	}
}

// patches is a disk of zeros but for some bytes.
type patches struct {
	size int64
	at   map[int64]byte
}

func (p *patches) Size() int64 { return p.size }

func (p *patches) ReadAt(b []byte, off int64) (int, error) {
	b, err := sparse.Bounds(b, off, p.size)
	clear(b)
	for at, c := range p.at {
		if at >= off && at < off+int64(len(b)) {
			b[at-off] = c
		}
	}
	return len(b), err
}

func (p *patches) Extents() []sparse.Extent {
	var list []sparse.Extent
	for off := int64(0); off < p.size; off += clusterSize {
		for at := range p.at {
			if at/clusterSize == off/clusterSize {
				list = append(list, sparse.Extent{Offset: at, Size: 1})
			}
		}
	}
	return list
}

// TestDeterministic: what the disk knows of its holes changes nothing.
func TestDeterministic(t *testing.T) {
	im, err := disk.Assemble(disktest.Files(1_000_000), disktest.Seed)
	if err != nil {
		t.Fatal(err)
	}
	whole := encode(t, bytes.NewReader(disktest.Bytes(t, im)))
	disktest.Equal(t, "with a map", encode(t, im), whole)
	back, err := Open(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	disktest.Equal(t, "encoded again", encode(t, back), whole)
}

func TestEncodeRefuses(t *testing.T) {
	for _, size := range []int64{0, 511, 513, 1<<40 + 512} {
		if err := Encode(&bytes.Buffer{}, &patches{size: size}); err == nil {
			t.Errorf("size %d: got no error", size)
		}
	}
	b := make([]byte, 1<<20)
	b[0] = 1
	for _, room := range []int{0, 100_000, 5*clusterSize + 10} {
		if err := Encode(&failing{room}, bytes.NewReader(b)); err == nil {
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

func put64(b []byte, off int, v uint64) { binary.BigEndian.PutUint64(b[off:], v) }
func put32(b []byte, off int, v uint32) { binary.BigEndian.PutUint32(b[off:], v) }
