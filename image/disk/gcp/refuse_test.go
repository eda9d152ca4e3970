package gcp

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"safebox/image/disk/disktest"
	"safebox/image/disk/sparse"
)

// store is gzip without compression, as tests need it quick.
func store(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func refuses(t *testing.T, b []byte, want string) {
	t.Helper()
	if _, err := Open(bytes.NewReader(b), int64(len(b))); err == nil || !strings.Contains(err.Error(), "parsing GCP disk: ") || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want one with %q", err, want)
	}
}

// sum puts the checksum of a header right.
func sum(b []byte) []byte {
	copy(b[148:], fmt.Sprintf("%06o\x00 ", checksum(b[:512])))
	return b
}

// TestDamage changes one thing of a tar with six extents, of which four are in
// the header and two in the block behind it.
func TestDamage(t *testing.T) {
	good := gunzip(t, encode(t, stripes(GiB, 5, true)))
	const block, data = 512, 1024
	set := func(off int, with string) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[off:], with); return sum(b) }
	}
	tests := map[string]struct {
		change func([]byte) []byte
		want   string
	}{
		"empty":              {func([]byte) []byte { return nil }, "tar header: unexpected EOF"},
		"cut in the header":  {func(b []byte) []byte { return b[:511] }, "tar header: unexpected EOF"},
		"cut in the map":     {func(b []byte) []byte { return b[:block+511] }, "tar header: map: unexpected EOF"},
		"cut in the data":    {func(b []byte) []byte { return b[:data+5000] }, "disk.raw: at 0x"},
		"no end":             {func(b []byte) []byte { return b[:data+10*4096] }, "end of the tar: behind 40960 bytes of disk.raw: got 0 bytes, want 1024 to 65536 zeros"},
		"one block of end":   {func(b []byte) []byte { return b[:data+10*4096+512] }, "got 512 bytes"},
		"part of a block":    {func(b []byte) []byte { return b[:data+10*4096+1025] }, "got 1025 bytes"},
		"long end":           {func(b []byte) []byte { return append(b, make([]byte, 70_000)...) }, "end of the tar: behind"},
		"second file":        {func(b []byte) []byte { copy(b[data+10*4096:], "disk2"); return b }, "end of the tar: behind"},
		"name":               {set(0, "./disk.raw"), `name: got "./disk.raw", want "disk.raw"`},
		"name with more":     {set(9, "x"), `name: got "disk.raw\x00x"`},
		"checksum":           {func(b []byte) []byte { b[100]++; return b }, "checksum: got"},
		"end of checksum":    {func(b []byte) []byte { b[155] = 0; return b }, "checksum: got"},
		"size":               {set(124, "00000120001"), "size: got 40961, want 40960, the sum of the map"},
		"size in base 256":   {set(124, "\x80\x00\x00\x00"), `size: got "\x80\x00\x00\x00`},
		"size not octal":     {set(124, "0000012000x"), "size: got"},
		"negative size":      {set(124, "-0000012000"), "size: got"},
		"size without end":   {set(135, " "), "size: got"},
		"mode":               {set(100, "9"), `mode: got "9000644\x00", want octal digits and a NUL`},
		"owner":              {set(108, "\x80"), "owner: got"},
		"group":              {set(116, " "), "group: got"},
		"time":               {set(147, "0"), "time: got"},
		"link":               {set(156, "1"), `type: got '1'`},
		"folder":             {set(156, "5"), `type: got '5'`},
		"extended header":    {set(156, "x"), `type: got 'x'`},
		"regular with map":   {set(156, "0"), "map: got one"},
		"link name":          {set(157, "x"), "link name, times or padding: got data"},
		"POSIX":              {set(257, "ustar\x0000"), `magic: got "ustar\x0000", want "ustar  \x00", the old GNU format`},
		"access time":        {set(345, "1"), "link name, times or padding"},
		"long names":         {set(385, "1"), "link name, times or padding"},
		"behind the header":  {set(511, "1"), "link name, times or padding"},
		"not 1 GiB":          {set(483, "07777777000"), "tar header: "},
		"half a GiB more":    {set(483, "14000000000"), "disk size: got 1610612736, want a multiple of 1073741824"},
		"no real size":       {set(483, "\x00\x00\x00"), "real size: got"},
		"8 GiB":              {set(483, "77777777777"), "disk size: got 8589934591"},
		"flag for more":      {set(482, "\x02"), "map: flag for more: got 2"},
		"no flag for more":   {set(482, "\x00"), "size: got 40960, want 28672"},
		"more than there is": {set(block+504, "\x01"), "map: block after 25 entries: got no entry"},
		"behind the map":     {set(block+505, "\x01"), "map: block after 4 entries"},
		"gap in the map":     {set(block, strings.Repeat("\x00", 24)), "map: block after 4 entries"},
		"gap in the header":  {set(386+24, strings.Repeat("\x00", 24)), `map: entry 1: offset: got "\x00`},
		"order":              {set(386+24, "00000000000"), "map: entry 1: got 8192 bytes at 0"},
		"overlap":            {set(386+12, "00000050001"), "map: entry 0: got 20481 bytes at 0, want whole blocks from 0 to 1073741824"},
		"overlap by blocks":  {set(386+12, "00000051000"), "map: entry 1: got 8192 bytes at 20480, want whole blocks from 20992"},
		"part of a sector":   {set(386, "00000000001"), "map: entry 0: got 4096 bytes at 1"},
		"beyond the end":     {set(block+24, "10000000000"), "map: entry 5: got 4096 bytes at 1073741824"},
		"over the end":       {set(block+24+12, "00000020000"), "map: entry 5: got 8192 bytes at 1073737728"},
		"end in the middle":  {set(386+24, "10000000000\x0000000000000"), "map: entry 2: got one behind the end"},
		"no data in between": {set(386+12, "00000000000"), "map: entry 0: got 0 bytes at 0"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { refuses(t, store(t, tt.change(bytes.Clone(good))), tt.want) })
	}
	for name, change := range map[string]func([]byte) []byte{
		"another time, owner and mode": func(b []byte) []byte {
			copy(b[100:], "0000600\x000001750\x000001750")
			copy(b[136:], "14720143352")
			copy(b[265:], "user")
			return sum(b)
		},
		"shortest end": func(b []byte) []byte { return b[:data+10*4096+1024] },
	} {
		b := store(t, change(bytes.Clone(good)))
		im, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := (Owner{Mode: 0o600, UID: 1000, GID: 1000, ModTime: 1732298474}); im.Owner != want && im.Owner != (Owner{Mode: 0o644}) {
			t.Errorf("%s: got %+v, want %+v", name, im.Owner, want)
		}
	}
}

// TestGzipDamage: what is wrong with the file around the tar.
func TestGzipDamage(t *testing.T) {
	good := encode(t, stripes(GiB, 5, true))
	change := func(off int, with byte) []byte {
		b := bytes.Clone(good)
		b[(off+len(b))%len(b)] = with
		return b
	}
	refuses(t, nil, "gzip header: unexpected EOF")
	refuses(t, good[:5], "gzip header: unexpected EOF")
	refuses(t, change(0, 0), "gzip header: gzip: invalid header")
	refuses(t, good[:len(good)-1], "end of the tar: unexpected EOF")
	refuses(t, change(-8, good[len(good)-8]^1), "end of the tar: gzip: invalid checksum")
	refuses(t, change(-1, 1), "end of the tar: gzip: invalid checksum")
	refuses(t, append(bytes.Clone(good), 0), "behind the gzip: got more data")
	refuses(t, append(bytes.Clone(good), good...), "behind the gzip: got more data")
}

// TestForeign: archives by GNU tar that Google refuses, or that hold more than
// a disk.
func TestForeign(t *testing.T) {
	dir := filepath.Dir(stripes(GiB, 3, true).file(t))
	for _, size := range []int64{GiB + 512, 1 << 20} {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(size)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(dir, fmt.Sprint(size)), size); err != nil {
			t.Fatal(err)
		}
	}
	rename := func(name string) []string { return []string{"--transform", "s/.*/disk.raw/", name} }
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"POSIX":       {[]string{"--format=posix", "-S", "disk.raw"}, "tar header: "},
		"ustar":       {append([]string{"--format=ustar"}, rename("1048576")...), "tar header: magic"},
		"version 7":   {append([]string{"--format=v7"}, rename("1048576")...), "tar header: magic"},
		"with folder": {[]string{"--format=oldgnu", "-S", "./disk.raw"}, `name: got "./disk.raw"`},
		"not 1 GiB":   {append([]string{"--format=oldgnu", "-S"}, rename(fmt.Sprint(GiB+512))...), "disk size: got 1073742336"},
		"1 MiB":       {append([]string{"--format=oldgnu"}, rename("1048576")...), "disk size: got 1048576"},
		"two files":   {[]string{"--format=oldgnu", "-S", "disk.raw", "1048576"}, "end of the tar: "},
		"other file":  {[]string{"--format=oldgnu", "-S", "1048576"}, `name: got "1048576"`},
	} {
		out := filepath.Join(t.TempDir(), "tar.gz")
		disktest.Run(t, "tar", append([]string{"-C", dir, "-I", "gzip -1", "-cf", out}, tt.args...)...)
		t.Run(name, func(t *testing.T) { refuses(t, disktest.Read(t, out), tt.want) })
	}
}

// TestBounded: an archive that claims more than a reader holds is refused
// when the limit is reached, and a map without end at its own.
func TestBounded(t *testing.T) {
	im := &Image{size: GiB, kept: MaxData - 3*chunk}
	if err := im.load(endless{}, []sparse.Extent{{Offset: 0, Size: 3 * chunk}}); err != nil {
		t.Errorf("as much data as is allowed: %v", err)
	}
	if err := im.load(endless{}, []sparse.Extent{{Offset: 3 * chunk, Size: 1}}); err == nil || !strings.Contains(err.Error(), "at 0x30000: got more than 536870912 bytes") {
		t.Errorf("too much data: got error %v", err)
	}
	e := &entry{raw: header(GiB, nil)}
	e.raw[482] = 1
	if err := e.readMap(endless{}); err == nil || !strings.Contains(err.Error(), "and at most 65536 entries") {
		t.Errorf("endless map: got error %v", err)
	}
}

// endless is a file of ones, which is also a map without end.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 0
	}
	if len(b) == blockSize {
		b[0], b[504] = 1, 1
		return len(b), nil
	}
	b[0] = 1
	return len(b), nil
}

// FuzzOpen takes a tar and stores it in a gzip, whose checksum would keep the
// fuzzer out. What is accepted is the same disk after it was written anew.
func FuzzOpen(f *testing.F) {
	dir := filepath.Dir(stripes(GiB, 3, true).file(f))
	for _, options := range [][]string{{"--format=oldgnu", "-S"}, {"--format=posix", "-S"}} {
		out := filepath.Join(f.TempDir(), "tar")
		disktest.Run(f, "tar", append(options, "-b1", "-C", dir, "-cf", out, "disk.raw")...)
		f.Add(disktest.Read(f, out))
	}
	f.Add(gunzip(f, encode(f, &memory{size: GiB})))
	f.Fuzz(func(t *testing.T, b []byte) { roundTrip(t, store(t, b), int64(len(b))) })
}

// FuzzGzip takes the file itself.
func FuzzGzip(f *testing.F) {
	f.Add(encode(f, &memory{size: GiB}))
	f.Add(pack(f, gunzip(f, encode(f, stripes(GiB, 1, true)))))
	f.Fuzz(func(t *testing.T, b []byte) { roundTrip(t, b, MaxData) })
}

// roundTrip opens a file that may hold up to most bytes of data, and if it is
// accepted writes it anew.
func roundTrip(t *testing.T, b []byte, most int64) {
	im, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return
	}
	var kept int64
	for _, e := range im.Extents() {
		kept += e.Size
	}
	if kept > most {
		t.Fatalf("got %d bytes in memory, want at most %d", kept, most)
	}
	again := encode(t, im)
	other, err := Open(bytes.NewReader(again), int64(len(again)))
	if err != nil {
		t.Fatal(err)
	}
	if at, err := sparse.Differ(im, other, 0, im.Size()); at >= 0 || err != nil || im.Size() != other.Size() {
		t.Fatalf("differ at %d, %v", at, err)
	}
}
