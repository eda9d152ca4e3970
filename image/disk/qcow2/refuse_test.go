package qcow2

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"safebox/image/disk/disktest"
)

// TestForeignFeatures: images by qemu-img with each feature that is more than
// a map of clusters are refused, by the name of the feature.
func TestForeignFeatures(t *testing.T) {
	raw := make([]byte, 8*clusterSize)
	for i := range raw[:3*clusterSize] {
		raw[i] = byte(i >> 8)
	}
	in := disktest.Save(t, "raw", raw)
	dir := filepath.Dir(in)
	convert := func(options ...string) []string {
		return append(append([]string{"convert", "-f", "raw", "-O", "qcow2"}, options...), in, "OUT")
	}
	tests := map[string]struct {
		commands [][]string
		want     string
	}{
		"version 2":          {[][]string{convert("-o", "compat=0.10")}, "header: version: got 2, want 3"},
		"backing file":       {[][]string{{"create", "-q", "-f", "qcow2", "-F", "raw", "-b", in, "OUT"}}, "a backing file"},
		"compressed":         {[][]string{convert("-c")}, "compressed cluster"},
		"compressed by zstd": {[][]string{convert("-c", "-o", "compression_type=zstd")}, "bit 3 (compression type)"},
		"snapshot":           {[][]string{convert(), {"snapshot", "-c", "one", "OUT"}}, "nb_snapshots 1"},
		"external data file": {[][]string{convert("-o", "data_file="+filepath.Join(dir, "data"))}, "bit 2 (external data file)"},
		"extended L2":        {[][]string{convert("-o", "extended_l2=on")}, "bit 4 (extended L2 entries)"},
		"lazy refcounts":     {[][]string{convert("-o", "lazy_refcounts=on")}, "compatible_features: got 0x1: bit 0 (lazy refcounts)"},
		"bitmaps":            {[][]string{convert(), {"bitmap", "--add", "OUT", "b"}}, "autoclear_features: got 0x1: bit 0 (bitmaps)"},
		"width of counts":    {[][]string{convert("-o", "refcount_bits=1")}, "refcount_order: got 0, want 4"},
		"encryption": {[][]string{{
			"create", "-q", "-f", "qcow2", "--object", "secret,id=s,data=secret", "-o",
			"encrypt.format=aes,encrypt.key-secret=s", "OUT", "1M",
		}}, "crypt_method: got 1: encryption"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "qcow2")
			for _, c := range tt.commands {
				args := bytes.ReplaceAll([]byte(strings.Join(c, "\x00")), []byte("OUT"), []byte(out))
				disktest.Run(t, "qemu-img", strings.Split(string(args), "\x00")...)
			}
			f := disktest.Open(t, out)
			if _, err := Open(f, f.Size()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestDamage changes one thing of an image. Its clusters are header, table of
// counts, counts, L1, L2, then the data of clusters 0, 2 and 3 of the disk, of
// which the last is cut after one sector.
func TestDamage(t *testing.T) {
	raw := make([]byte, 3*clusterSize+512)
	raw[0], raw[2*clusterSize], raw[3*clusterSize] = 1, 2, 3
	good := encode(t, bytes.NewReader(raw))
	if len(good) != 8*clusterSize {
		t.Fatalf("image: got %d bytes, want 8 clusters", len(good))
	}
	const table, counts, l1, l2, data = 0x10000, 0x20000, 0x30000, 0x40000, 0x50000
	at64 := func(off int, v uint64) func([]byte) []byte {
		return func(b []byte) []byte { put64(b, off, v); return b }
	}
	at32 := func(off int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { put32(b, off, v); return b }
	}
	set := func(off int, v byte) func([]byte) []byte {
		return func(b []byte) []byte { b[off] = v; return b }
	}
	tests := map[string]struct {
		change func([]byte) []byte
		want   string
	}{
		"empty":               {func([]byte) []byte { return nil }, "header: file size: got 0, want at least 112"},
		"cut in the header":   {func(b []byte) []byte { return b[:111] }, "header: file size: got 111"},
		"cut in the tables":   {func(b []byte) []byte { return b[:table+100] }, "refcount table: offset 0x10000"},
		"cut in the data":     {func(b []byte) []byte { return b[:len(b)-1] }, "offset 0x70000"},
		"magic":               {set(3, 0xfa), "header: magic: got 514649fa, want 514649fb"},
		"version":             {at32(4, 4), "version: got 4"},
		"backing offset":      {at64(8, 1), "backing file"},
		"backing size":        {at32(16, 1), "backing file"},
		"small clusters":      {at32(20, 8), "cluster_bits: got 8, want 9 to 21"},
		"large clusters":      {at32(20, 22), "cluster_bits: got 22"},
		"huge clusters":       {at32(20, 64), "cluster_bits: got 64"},
		"no size":             {at64(24, 0), "size: got 0"},
		"part of a sector":    {at64(24, 3*clusterSize+513), "size: got 197121, want a multiple of 512"},
		"huge size":           {at64(24, 1<<40+512), "size: got 1099511628288"},
		"size of another L1":  {at64(24, 1<<29+512), "l1_size: got 1, want 2"},
		"size before the end": {at64(24, 3*clusterSize), "entry 3: got 0x8000000000070000, want 0 behind the end of the disk"},
		"encryption":          {at32(32, 1), "crypt_method: got 1"},
		"L1 size":             {at32(36, 2), "l1_size: got 2, want 1"},
		"L1 unaligned":        {at64(40, l1+512), "L1 table: offset 0x30200"},
		"L1 beyond the end":   {at64(40, 1<<62), "L1 table: offset 0x4000000000000000"},
		"L1 negative":         {at64(40, 1<<63), "L1 table: offset 0x8000000000000000"},
		"L1 in the counts":    {at64(40, counts), "L1 table: cluster at 0x20000: used twice"},
		"L1 in the header":    {at64(40, 0), "L1 table: cluster at 0x0: used twice"},
		"table of counts":     {at64(48, 0), "refcount table: cluster at 0x0: used twice"},
		"length of the table": {at32(56, 0), "refcount_table_clusters: got 0, want 1 to 8"},
		"table too long":      {at32(56, 9), "refcount_table_clusters: got 9"},
		"table into counts":   {at32(56, 2), "refcount table at 0x10000: entry 0: cluster at 0x20000: used twice"},
		"snapshots":           {at32(60, 1), "nb_snapshots 1"},
		"snapshot table":      {at64(64, 0x10000), "snapshots_offset 0x10000"},
		"dirty":               {at64(72, 1), "incompatible_features: got 0x1: bit 0 (dirty)"},
		"corrupt":             {at64(72, 2), "bit 1 (corrupt)"},
		"unknown feature":     {at64(72, 1<<63), "bit 63 (unknown)"},
		"compatible feature":  {at64(80, 2), "compatible_features: got 0x2: bit 1 (unknown)"},
		"raw external data":   {at64(88, 2), "autoclear_features: got 0x2: bit 1 (raw external data)"},
		"refcount order":      {at32(96, 5), "refcount_order: got 5"},
		"header length":       {at32(100, 120), "header_length: got 120, want 104 or 112"},
		"version 2's length":  {at32(100, 72), "header_length: got 72"},
		"compression type":    {func(b []byte) []byte { put32(b, 100, 112); b[104] = 1; return b }, "compression_type: got 0100000000000000"},
		"backing format":      {at64(104, 0xe2792aca<<32|3), "header extension at 0x68: got type 0xe2792aca (backing file format)"},
		"encryption header":   {at64(104, 0x0537be77<<32|16), "(encryption header)"},
		"data file name":      {at64(104, 0x44415441<<32|4), "(external data file)"},
		"other extension":     {at64(104, 0x12345678<<32|8), "type 0x12345678 (unknown)"},
		"names too long":      {at64(104, 0x6803f857<<32|48*1366), "feature name table of 65568 bytes"},
		"names cut":           {at64(104, 0x6803f857<<32|47), "feature name table of 47 bytes"},
		"names twice": {func(b []byte) []byte {
			put64(b, 104, 0x6803f857<<32)
			put64(b, 112, 0x6803f857<<32)
			return b
		}, "header extension at 0x70: feature name table of 0 bytes: want one"},
		"names to the end": {func(b []byte) []byte {
			put64(b, 104, 0x6803f857<<32|(clusterSize-104-8)/48*48)
			return b
		}, "header extension at 0x10000: got 0 bytes, want at least 8"}, // no room for the mark of the end
		"partition table": {set(512, 'E'), "after the header extensions at 0x68: got data, want zeros"},

		"counts elsewhere":        {at64(table, data), "cluster at 0x50000: used twice"},
		"no counts":               {at64(table, 0), "refcount block at 0x0: cluster at 0x0: got count 0, want 1"},
		"reserved bit of a block": {at64(table, counts|1), "refcount table at 0x10000: entry 0: offset 0x20001"},
		"counts for nothing":      {at64(table+8, counts), "refcount table at 0x10000: entry 1: got 0x20000, want 0 behind the end of the file"},
		"count of 2":              {set(counts+1, 2), "refcount block at 0x20000: cluster at 0x0: got count 2, want 1"},
		"count of 0":              {set(counts+2*7+1, 0), "cluster at 0x70000: got count 0, want 1"},
		"count behind the end":    {set(counts+2*8+1, 1), "cluster at 0x80000: got count 1, want 0"},

		"L2 shared":         {at64(l1, 1<<63|counts), "L1 table at 0x30000: entry 0: cluster at 0x20000: used twice"},
		"L2 not copied":     {at64(l1, l2), "entry 0: got 0x40000, want an offset and bit 63"},
		"L2 reserved bits":  {at64(l1, 1<<63|1<<56|l2), "want no reserved bit"},
		"L2 low bits":       {at64(l1, 1<<63|1|l2), "want no reserved bit"},
		"no L2":             {at64(l1, 0), "cluster at 0x40000: got count 1, want 0"},
		"only bit 63":       {at64(l1, 1<<63), "entry 0: got 0x8000000000000000, want an offset"},
		"cluster shared":    {at64(l2+16, 1<<63|data), "L2 table at 0x40000: entry 2: cluster at 0x50000: used twice"},
		"not copied":        {at64(l2, data), "entry 0: got 0x50000, want an offset and bit 63"},
		"compressed":        {at64(l2, 1<<62|data), "entry 0: got 0x4000000000050000: compressed cluster"},
		"zero with space":   {at64(l2, 1<<63|data|1), "zero cluster with space set aside"},
		"reserved bit":      {at64(l2, 1<<63|data|2), "want no reserved bit"},
		"behind the file":   {at64(l2, 1<<63|0x80000), "offset 0x80000"},
		"behind the disk":   {at64(l2+4*8, 1), "entry 4: got 0x1, want 0 behind the end of the disk"},
		"lost cluster":      {at64(l2, 0), "cluster at 0x50000: got count 1, want 0"},
		"data behind a cut": {set(0x70000+512, 1), "cluster at 0x70200: got data behind the end of the disk, want zeros"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := tt.change(bytes.Clone(good))
			_, err := Open(bytes.NewReader(b), int64(len(b)))
			if err == nil || !strings.Contains(err.Error(), "parsing qcow2: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestZeroClusters: a cluster that is marked as zeros is read as such. The
// mark is the specification's, "Standard Cluster Descriptor", bit 0.
func TestZeroClusters(t *testing.T) {
	raw := make([]byte, 4*clusterSize)
	raw[0] = 1
	b := encode(t, bytes.NewReader(raw))
	put64(b, 0x40000+8, 1)
	im, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	disktest.CheckReads(t, im, raw)
}

// FuzzOpen: what is accepted can be read to its end, holds no more in memory
// than the file allows, and is the same disk after it was written anew.
func FuzzOpen(f *testing.F) {
	raw := make([]byte, 4096)
	raw[0], raw[1024], raw[4095] = 1, 2, 3
	in := disktest.Save(f, "raw", raw)
	for _, options := range []string{"cluster_size=512", "cluster_size=1024", "cluster_size=512,extended_l2=off,lazy_refcounts=on"} {
		out := filepath.Join(f.TempDir(), "qcow2")
		disktest.Run(f, "qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-o", options, in, out)
		f.Add(disktest.Read(f, out))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		im, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		if n := int64(len(im.maps)); n*512 > int64(len(b)) {
			t.Fatalf("got %d runs from a file of %d bytes", n, len(b))
		}
		var out bytes.Buffer
		if err := Encode(&out, im); err != nil {
			t.Fatal(err)
		}
		again, err := Open(bytes.NewReader(out.Bytes()), int64(out.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if again.Size() != im.Size() {
			t.Fatalf("size: got %d, want %d", again.Size(), im.Size())
		}
		for _, e := range im.Extents() {
			got, want := make([]byte, e.Size), make([]byte, e.Size)
			if _, err := im.ReadAt(want, e.Offset); err != nil && e.End() != im.Size() {
				t.Fatal(err)
			}
			if _, err := again.ReadAt(got, e.Offset); err != nil && e.End() != im.Size() {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("at 0x%x: got other bytes", e.Offset)
			}
		}
	})
}
