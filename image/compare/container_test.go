package compare

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"safebox/image/disk"
	"safebox/image/disk/container"
	"safebox/image/disk/disktest"
	"safebox/image/disk/gcp"
	"safebox/image/disk/qcow2"
	"safebox/image/disk/sparse"
	"safebox/image/disk/vhd"
)

// file puts the build's disk into a file of a format.
func (b build) file(t testing.TB, f container.Format) []byte {
	t.Helper()
	content, err := f.Content(append([]disk.File{{Path: disk.Boot, Data: b.uki(t)}}, b.esp...), b.seed)
	if err != nil {
		t.Fatal(err)
	}
	return pack(t, f, content, b.seed)
}

func pack(t testing.TB, f container.Format, content sparse.Disk, seed string) []byte {
	t.Helper()
	var out bytes.Buffer
	var err error
	switch f {
	case container.QCOW2:
		err = qcow2.Encode(&out, content)
	case container.VHD:
		err = vhd.Encode(&out, content, disk.UUID(seed, "vhd"))
	case container.GCP:
		err = gcp.Encode(&out, content)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// patched is a disk with one byte changed.
type patched struct {
	sparse.Disk

	off int64
}

func (p patched) ReadAt(b []byte, off int64) (int, error) {
	n, err := p.Disk.ReadAt(b, off)
	if i := p.off - off; i >= 0 && i < int64(n) {
		b[i] ^= 1
	}
	return n, err
}

// Extents are those of the disk and the one that was changed.
func (p patched) Extents() []sparse.Extent {
	list := append(slices.Clone(p.Disk.(sparse.Mapped).Extents()), sparse.Extent{Offset: p.off, Size: 1})
	slices.SortFunc(list, func(a, b sparse.Extent) int { return int(a.Offset - b.Offset) })
	return list
}

// TestDiskFiles: in each format, the sentence about the content is the one
// that raw disks lead to.
func TestDiskFiles(t *testing.T) {
	good := newBuild(t)
	const esp, mib = `f: content: partition "esp": `, 1 << 20
	for _, f := range []container.Format{container.QCOW2, container.VHD, container.GCP} {
		image := good.file(t, f)
		with := func(change func(*build)) []byte {
			b := newBuild(t)
			change(&b)
			return b.file(t, f)
		}
		opened, err := container.Open(bytes.NewReader(image), int64(len(image)))
		if err != nil {
			t.Fatal(err)
		}
		content := opened.Disk
		if f == container.VHD { // it has no map
			content = mapped{content}
		}
		flipped := func(off int64) []byte {
			return pack(t, f, patched{content, (off + content.Size()) % content.Size()}, good.seed)
		}
		tests := map[string]struct {
			a    []byte
			want string
		}{
			"equal":         {good.file(t, f), ""},
			"init":          {with(func(b *build) { b.init = flip(b.init, 7) }), esp + "EFI/BOOT/BOOTX64.EFI: section .initrd: entry /init: byte 7: 0x02, want 0x03"},
			"cmdline":       {with(func(b *build) { b.cmdline += "0" }), esp + `EFI/BOOT/BOOTX64.EFI: section .cmdline: ...`},
			"file extra":    {with(func(b *build) { b.esp = []disk.File{{Path: "EFI/x", Data: []byte("x")}} }), esp + "EFI/x: 1 byte, want none"},
			"seed":          {with(func(b *build) { b.seed = "other" }), "f: content: GPT header: DiskGUID: ..."},
			"protective":    {flipped(440), "f: content: protective MBR: byte 440: 0x01, want 0x00"},
			"entry 2":       {flipped(1024 + 128 + 48), "f: content: GPT entry 2: Attributes: 0x1, want 0x0 ..."},
			"header crc":    {flipped(512 + 16), "f: content: GPT header: HeaderCRC32: ..."},
			"backup header": {flipped(-512 + 56), "f: content: backup GPT header: DiskGUID: ..."},
			"volume serial": {flipped(mib + 67), esp + "FAT boot sector: BS_VolID: ..."},
			"gap":           {flipped(36*mib - 2*mib + 8), "f: content: byte 35651592: 0x01, want 0x00"},
		}
		for name, tt := range tests {
			t.Run(f.String()+"/"+name, func(t *testing.T) { check(t, tt.a, image, tt.want) })
		}
	}
}

// TestCutDisk: a disk that ends early lacks the end of its table.
func TestCutDisk(t *testing.T) {
	b := newBuild(t).file(t, container.VHD)
	cut := pack(t, container.VHD, bytes.NewReader(b[:34<<20]), "test")
	check(t, cut, b, "f: content: backup GPT entry 1: PartitionTypeGUID: none, want c12a7328-f81f-11d2-ba4b-00a0c93ec93b (the first can't be read: parsing GPT: ...")
	check(t, b, cut, "f: content: backup GPT entry 1: PartitionTypeGUID: c12a7328-f81f-11d2-ba4b-00a0c93ec93b, want none (the second can't be read: parsing GPT: ...")
	// A damaged header besides: no table says what is missing.
	b[512+16] ^= 1
	check(t, cut, b, "f: content: byte 528: ...")
	check(t, pack(t, container.VHD, bytes.NewReader(b[:33<<20]), "test"), pack(t, container.VHD, bytes.NewReader(b[:34<<20]), "test"), "f: content: size: 34603008 bytes, want 35651584 bytes (neither can be read: ...")
}

// mapped says of a disk without a map that data is everywhere.
type mapped struct{ sparse.Disk }

func (m mapped) Extents() []sparse.Extent { return []sparse.Extent{{Size: m.Size()}} }

// TestFormats: files of different formats differ in that.
func TestFormats(t *testing.T) {
	good := newBuild(t)
	image := good.file(t, container.QCOW2)
	check(t, good.disk(t), image, "f: format: disk, want qcow2 disk")
	check(t, good.file(t, container.VHD), image, "f: format: VHD disk, want qcow2 disk")
	check(t, image, good.file(t, container.GCP), "f: format: qcow2 disk, want GCP disk")
}

// TestFields: where the disks are equal, the first field of the file that
// differs is named.
func TestFields(t *testing.T) {
	const equal = " (the disks are equal, only the files differ)"
	good := newBuild(t)
	set := func(b []byte, off int, with string) []byte {
		b = slices.Clone(b)
		copy(b[(off+len(b))%len(b):], with)
		return b
	}
	q, v, g := good.file(t, container.QCOW2), good.file(t, container.VHD), good.file(t, container.GCP)
	footer := len(v) - 512
	seal := func(b []byte) []byte { // the specification: one's complement of the sum
		var sum uint32
		for i, c := range b[footer:] {
			if i < 64 || i >= 68 {
				sum += uint32(c)
			}
		}
		binary.BigEndian.PutUint32(b[footer+64:], ^sum)
		return b
	}
	byGNU := tarball(t, v[:footer]) // with no hole before the end of the small disk
	large, err := gcp.Open(bytes.NewReader(byGNU), int64(len(byGNU)))
	if err != nil {
		t.Fatal(err)
	}
	otherID := pack(t, container.VHD, bytes.NewReader(v[:footer]), "other")
	tests := map[string]struct {
		a, b []byte
		want string
	}{
		"qcow2 clusters":   {convert(t, v[:footer], "qcow2", "cluster_size=4096"), q, "f: header: cluster_bits: 0xc, want 0x10" + equal},
		"qcow2 by qemu":    {convert(t, v[:footer], "qcow2", "cluster_size=65536"), q, "f: header: header_length: 0x70, want 0x68" + equal},
		"qcow2 version":    {set(q, 7, "\x04"), q, "f: header: version: 0x4, want 0x3 (the first can't be read: opening disk: parsing qcow2: header: version: got 4, want 3)"},
		"qcow2 features":   {q, set(q, 79, "\x01"), "f: header: incompatible_features: 0x0, want 0x1 (the second can't be read: ..."},
		"qcow2 extensions": {set(q, 300, "x"), q, "f: header extensions: byte 196: 0x78, want 0x00 (the first can't be read: ..."},
		"qcow2 L1":         {set(q, 3<<16+7, "\x01"), q, "f: L1 table: byte 7: 0x01, want 0x00 (the first can't be read: ..."},
		"qcow2 counts":     {set(q, 1<<16, "\x01"), q, "f: refcount table: byte 0: 0x01, want 0x00 ..."},
		"qcow2 count":      {set(q, 2<<16, "\x01"), q, "f: byte 131072: 0x01, want 0x00 (the first can't be read: ..."},
		"neither qcow2":    {set(q, 7, "\x04"), set(q, 7, "\x05"), "f: header: version: 0x4, want 0x5 (neither can be read: ..."},

		"VHD identity": {otherID, v, "f: footer: unique ID: byte 0: ..."},
		"VHD time":     {seal(set(v, footer+24, "\x12\x34\x56\x78")), v, "f: footer: time stamp: 0x12345678, want 0x0" + equal},
		"VHD creator":  {seal(set(v, footer+28, "qem2")), v, `f: footer: creator application: "qem2", want "win"` + equal},
		"VHD by qemu":  {convert(t, v[:footer], "vpc", "subformat=fixed,force_size=on"), v, "f: footer: time stamp: ..."},
		"VHD checksum": {set(v, footer+67, "\x00"), v, "f: footer: checksum: ..."},
		"VHD damaged":  {set(v, footer+63, "\x03"), v, "f: footer: disk type: 0x3, want 0x2 (the first can't be read: opening disk: parsing VHD footer: checksum: ..."},

		"gzip time":    {set(g, 4, "\x01"), g, "f: gzip header: MTIME: 0x1, want 0x0" + equal},
		"gzip system":  {set(g, 9, "\x03"), g, "f: gzip header: OS: 0x3, want 0xff" + equal},
		"tar owner":    {tarball(t, v[:footer], "--owner=7"), byGNU, `f: tar header: uid: "0000007", want "0000000"` + equal},
		"tar time":     {tarball(t, v[:footer], "--mtime=@8"), byGNU, `f: tar header: mtime: "00000000010", want "00000000000"` + equal},
		"tar holes":    {byGNU, regzip(t, pack(t, container.GCP, large, "")), `f: tar header: size: "00214000000", want ...`},
		"gzip damaged": {set(g, -1, "x"), g, "f: byte ..."},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { check(t, tt.a, tt.b, tt.want) })
	}
}

// convert lets qemu-img make a file of a raw disk.
func convert(t testing.TB, raw []byte, format, options string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	disktest.Run(t, "qemu-img", "convert", "-f", "raw", "-O", format, "-o", options, disktest.Save(t, "raw", raw), out)
	return disktest.Read(t, out)
}

// tarball lets GNU tar make an archive of the start of a disk of 1 GiB, which
// nobody could start from. The last of two options counts.
func tarball(t testing.TB, raw []byte, options ...string) []byte {
	t.Helper()
	in := disktest.Save(t, "disk.raw", raw)
	if err := os.Truncate(in, 1<<30); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	args := append([]string{"--format=oldgnu", "-S", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0", "--mode=0644", "-I", "gzip -1n"}, options...)
	disktest.Run(t, "tar", append(args, "-C", filepath.Dir(in), "-cf", out, "disk.raw")...)
	return disktest.Read(t, out)
}

// regzip compresses as tarball does.
func regzip(t testing.TB, b []byte) []byte {
	t.Helper()
	path := disktest.Save(t, "tar.gz", b)
	disktest.Run(t, "gzip", "-d", path)
	disktest.Run(t, "gzip", "-1n", filepath.Join(filepath.Dir(path), "tar"))
	return disktest.Read(t, path)
}
