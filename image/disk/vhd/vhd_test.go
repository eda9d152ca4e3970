package vhd

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"safebox/image/disk"
	"safebox/image/disk/disktest"

	"github.com/google/go-cmp/cmp"
)

func appliance(t testing.TB) *disk.Image {
	t.Helper()
	im, err := disk.Assemble(disktest.Files(300_001), disktest.Seed)
	if err != nil {
		t.Fatal(err)
	}
	return im
}

func encode(t testing.TB, d *disk.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Encode(&b, d, disk.UUID(disktest.Seed, "vhd")); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestQEMU: qemu-img, which refuses a footer with a wrong checksum, sees the
// whole disk and not the part that its cylinders cover.
func TestQEMU(t *testing.T) {
	d := appliance(t)
	raw := disktest.Bytes(t, d)
	b := encode(t, d)
	path := disktest.Save(t, "disk.vhd", b)
	var info struct {
		Format string `json:"format"`
		Size   int64  `json:"virtual-size"`
	}
	if err := json.Unmarshal(disktest.Run(t, "qemu-img", "info", "-f", "vpc", "--output=json", path), &info); err != nil {
		t.Fatal(err)
	}
	if info.Format != "vpc" || info.Size != int64(len(raw)) || info.Size%mib != 0 || len(b) != len(raw)+512 {
		t.Errorf("qemu-img info: got %+v, file of %d, want vpc, %d and 512 more", info, len(b), len(raw))
	}
	out := filepath.Join(t.TempDir(), "raw")
	disktest.Run(t, "qemu-img", "convert", "-f", "vpc", "-O", "raw", path, out)
	disktest.Equal(t, "converted", disktest.Read(t, out), raw)
	disktest.Run(t, "qemu-img", "compare", "-f", "vpc", "-F", "raw", path, out)

	theirs := filepath.Join(t.TempDir(), "vhd")
	disktest.Run(t, "qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", "subformat=fixed,force_size=on", out, theirs)
	other := disktest.Read(t, theirs)
	// All but time, creator and version (24 to 36), geometry (56 to 60),
	// checksum and identity (64 to 84) is as qemu-img has it.
	for _, part := range [][2]int{{-len(raw), 24}, {36, 56}, {60, 64}, {84, 512}} {
		from, to := len(raw)+part[0], len(raw)+part[1]
		disktest.Equal(t, fmt.Sprintf("bytes %d to %d of the footer", part[0], part[1]), b[from:to], other[from:to])
	}
	im, err := Open(bytes.NewReader(other), int64(len(other)))
	if err != nil {
		t.Fatal(err)
	}
	disktest.CheckReads(t, im, raw)
}

// TestFooter: the values are those of the specification's table, the UUID
// Python 3.11's: uuid5(uuid5(namespace, "safebox test"), "vhd"). The geometry is the appendix
// by hand: 71680 sectors are 4216 tracks of 17, which need 5 heads, and have
// 843 whole cylinders (qemu-img's disk of 35 MiB has one more, 844/5/17, as it
// rounds the size up).
func TestFooter(t *testing.T) {
	b := encode(t, appliance(t))
	want := "636f6e6563746978" + "00000002" + "00010000" + "ffffffffffffffff" + "00000000" + // cookie to time
		"77696e20" + "000a0000" + "5769326b" + // "win ", 10.0, "Wi2k"
		"0000000002300000" + "0000000002300000" + // 35 MiB
		"034b" + "05" + "11" + "00000002" // 843 cylinders
	if got := hex.EncodeToString(b[len(b)-512 : len(b)-512+64]); got != want {
		t.Errorf("footer: got %s\nwant %s", got, want)
	}
	if got, want := hex.EncodeToString(b[len(b)-512+68:len(b)-512+84]), "5e4dad39170456a6ac0050f387f9e4c6"; got != want {
		t.Errorf("unique ID: got %s, want %s", got, want)
	}
	im, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	disktest.CheckReads(t, im, disktest.Bytes(t, appliance(t)))
	f := im.Footer
	f.Checksum, f.UniqueID = 0, [16]byte{}
	wantFooter := Footer{
		Features: 2, Version: 0x10000, Creator: [4]byte{'w', 'i', 'n', ' '}, CreatorVersion: 0xa0000, CreatorHost: [4]byte{'W', 'i', '2', 'k'},
		OriginalSize: 35 << 20, CurrentSize: 35 << 20, Geometry: Geometry{843, 5, 17}, DiskType: 2,
	}
	if diff := cmp.Diff(wantFooter, f); diff != "" {
		t.Errorf("footer (-want +got):\n%s", diff)
	}
}

// TestGeometry compares with the geometry that qemu-img writes, by the same
// appendix, for disks that are whole cylinders. The sizes lie around those
// where the length of a track changes.
func TestGeometry(t *testing.T) {
	for _, sectors := range []uint64{
		68, 2048, 35 << 11, 64 << 11, 17*4*1024 - 1, 17 * 4 * 1024, 17*16*1024 - 20, 17 * 16 * 1024, 17*16*1024 + 5000,
		31*16*1024 - 40, 31 * 16 * 1024, 31*16*1024 + 60_000, 1 << 21, 65535*16*63 - 2000, 65535 * 16 * 63, 65535*16*63 + 9000, 65535*16*255 - 1,
	} {
		path := filepath.Join(t.TempDir(), "vhd")
		disktest.Run(t, "qemu-img", "create", "-q", "-f", "vpc", "-o", "subformat=dynamic", path, fmt.Sprint(sectors*512))
		footer := disktest.Read(t, path)[:512] // a dynamic disk begins with a copy
		want := Geometry{Cylinders: binary.BigEndian.Uint16(footer[56:]), Heads: footer[58], SectorsPerTrack: footer[59]}
		whole := uint64(want.Cylinders) * uint64(want.Heads) * uint64(want.SectorsPerTrack)
		if got := geometry(whole); got != want {
			t.Errorf("%d sectors: got %v, want %v", whole, got, want)
		}
	}
	if got := largest(); got != (Geometry{65535, 16, 255}) {
		t.Errorf("largest: got %v, want 65535/16/255", got)
	}
}

// TestGeometryLimits: the appendix's pseudo-code, run in Python, for the last
// size with one length of track and the first with the next.
func TestGeometryLimits(t *testing.T) {
	for sectors, want := range map[uint64]Geometry{
		1:         {0, 4, 17},
		68:        {1, 4, 17},
		69631:     {1023, 4, 17},
		69632:     {140, 16, 31}, // 4096 tracks of 17 fill 4 heads with 1024 cylinders
		69649:     {819, 5, 17},
		261120:    {526, 16, 31},
		261137:    {960, 16, 17},
		278527:    {1023, 16, 17},
		278528:    {561, 16, 31},
		507903:    {1023, 16, 31},
		507904:    {503, 16, 63},
		66059279:  {65534, 16, 63},
		66059280:  {16191, 16, 255},
		267382799: {65534, 16, 255},
		267382800: {65535, 16, 255},
		1 << 40:   {65535, 16, 255},
	} {
		if got := geometry(sectors); got != want {
			t.Errorf("%d sectors: got %v, want %v", sectors, got, want)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, size := range []int{0, 512, mib + 512, mib - 512} {
		err := Encode(&bytes.Buffer{}, bytes.NewReader(make([]byte, size)), [16]byte{})
		if err == nil || !strings.Contains(err.Error(), "writing VHD: disk size") {
			t.Errorf("size %d: got error %v", size, err)
		}
	}
	for _, room := range []int{0, 1000, mib, mib + 511} {
		if err := Encode(&failing{room}, bytes.NewReader(make([]byte, mib)), [16]byte{}); err == nil {
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

// TestDamage changes one field of a footer and puts its checksum right.
func TestDamage(t *testing.T) {
	good := encode(t, appliance(t))
	at := len(good) - 512
	tests := map[string]struct {
		off  int
		with string // hexadecimal
		want string
	}{
		"features":        {8, "00000000", "features: got 0x0, want 0x2"},
		"version":         {12, "00010001", "file format version: got 0x10001"},
		"data offset":     {16, "0000000000000200", "data offset: got 0x200"},
		"too small":       {48, "0000000002200000", "current size: got 35651584, want 36700160, all but the footer"},
		"too large":       {48, "0000000002300200", "current size: got 36700672"},
		"cylinders":       {56, "0001", "disk geometry: got 1/"},
		"sectors":         {59, "3f", "disk geometry: got "},
		"dynamic":         {60, "00000003", "disk type: got 3 (dynamic)"},
		"differencing":    {60, "00000004", "disk type: got 4 (differencing"},
		"no type":         {60, "00000000", "disk type: got 0, want 2"},
		"saved state":     {84, "01", "saved state and reserved bytes"},
		"reserved":        {511, "01", "saved state and reserved bytes"},
		"time":            {24, "12345678", ""},
		"creator":         {28, "71656d32000500034d616320", ""},
		"original size":   {40, "0000000000000000", ""},
		"identity":        {68, "00", ""},
		"as by qemu":      {56, "ffff10ff", ""},
		"another cookie":  {0, "63", ""},
		"cookie is wrong": {0, "43", `cookie: got "Conectix", want "conectix"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := bytes.Clone(good)
			with, err := hex.DecodeString(tt.with)
			if err != nil {
				t.Fatal(err)
			}
			copy(b[at+tt.off:], with)
			binary.BigEndian.PutUint32(b[at+64:], checksum(b[at:]))
			if tt.want == "" {
				if _, err := Open(bytes.NewReader(b), int64(len(b))); err != nil {
					t.Error(err)
				}
				return
			}
			refuses(t, b, tt.want)
		})
	}
	for off := range 512 {
		good[at+off] ^= 0x40
		if _, err := Open(bytes.NewReader(good), int64(len(good))); err == nil {
			t.Errorf("byte %d of the footer changed: got no error", off)
		}
		good[at+off] ^= 0x40
	}
	refuses(t, good[:at], "cookie: got")
	refuses(t, good[:at+511], "cookie: got")
	refuses(t, good[at:], "file size: got 512, want more than 512")
	refuses(t, good[mib:], "current size: got 36700160, want 35651584")
	refuses(t, nil, "file size: got 0")
}

func refuses(t *testing.T, b []byte, want string) {
	t.Helper()
	if _, err := Open(bytes.NewReader(b), int64(len(b))); err == nil || !strings.Contains(err.Error(), "parsing VHD footer: "+want) {
		t.Errorf("got error %v, want one with %q", err, want)
	}
}

// TestForeign: what qemu-img makes by other options is no disk for Azure.
func TestForeign(t *testing.T) {
	for options, want := range map[string]string{
		"subformat=fixed":                 "current size: got 67125248, want a multiple of 1048576",
		"subformat=dynamic,force_size=on": "disk type: got 3 (dynamic)",
		"subformat=fixed,force_size=on":   "",
	} {
		path := filepath.Join(t.TempDir(), "vhd")
		disktest.Run(t, "qemu-img", "create", "-q", "-f", "vpc", "-o", options, path, "64M")
		b := disktest.Read(t, path)
		if want != "" {
			refuses(t, b, want)
		} else if _, err := Open(bytes.NewReader(b), int64(len(b))); err != nil {
			t.Errorf("%s: %v", options, err)
		}
	}
}

// FuzzOpen takes a footer behind a disk of 1 MiB: one that is accepted is laid
// out as it was read.
func FuzzOpen(f *testing.F) {
	for _, options := range []string{"subformat=fixed,force_size=on", "subformat=fixed", "subformat=dynamic"} {
		path := filepath.Join(f.TempDir(), "vhd")
		disktest.Run(f, "qemu-img", "create", "-q", "-f", "vpc", "-o", options, path, "1M")
		b := disktest.Read(f, path)
		f.Add(b[len(b)-512:])
	}
	raw := make([]byte, mib)
	f.Fuzz(func(t *testing.T, footer []byte) {
		b := append(bytes.Clone(raw), footer...)
		im, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		if im.Size() != mib || !bytes.Equal(im.Footer.encode(), footer) {
			t.Errorf("got %d bytes, footer %x, want %x", im.Size(), im.Footer.encode(), footer)
		}
	})
}
