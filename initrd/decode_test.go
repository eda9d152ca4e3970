package initrd

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func readTestdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustDecode(t *testing.T, b []byte) []Entry {
	t.Helper()
	entries, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// TestDecodeGNU expects what GNU cpio lists for its own archive, see
// testdata/README.md.
func TestDecodeGNU(t *testing.T) {
	type row struct {
		Mode, NLink uint32
		Size        int
		Name        string
	}
	want := []row{
		{0o040755, 2, 0, "etc"},
		{0o100644, 2, 0, "etc/hostname"},
		{0o100644, 2, 8, "etc/twin"},
		{0o100755, 1, 12, "init"},
		{0o040755, 3, 0, "lib"},
		{0o020644, 1, 0, "lib/console"},
		{0o040755, 2, 0, "lib/empty"},
		{0o104750, 1, 0, "lib/nothing"},
		{0o010644, 1, 0, "lib/pipe"},
		{0o120777, 1, 12, "name"},
	}
	for _, file := range []string{"gnu.cpio", "gnu.cpio.zst"} {
		t.Run(file, func(t *testing.T) {
			var got []row
			for _, e := range mustDecode(t, readTestdata(t, file)) {
				got = append(got, row{e.Mode, e.NLink, len(e.Data), e.Name})
				if e.MTime != 1767225600 {
					t.Errorf("%s: time: got %d, want 1767225600", e.Name, e.MTime)
				}
				if console := e.Name == "lib/console"; console != (e.RdevMajor == 5 && e.RdevMinor == 1) {
					t.Errorf("%s: device: got %d,%d", e.Name, e.RdevMajor, e.RdevMinor)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-cpio -itv +Decode):\n%s", diff)
			}
		})
	}
}

// stubPart is what systemd-stub adds for one file below /.extra (image.md
// section 2.2, read from a booted stub): lower-case digits, nlink 1, a trailer
// of 124 bytes.
func stubPart(file, content string) []byte {
	record := func(ino, mode, size, nameSize string) string {
		return "070701" + ino + mode + zeros(2) + "00000001" + zeros(1) + size + zeros(4) + nameSize + zeros(1)
	}
	var b bytes.Buffer
	b.WriteString(record("00000001", "0000416d", zeros(1), "00000007") + ".extra\x00")
	pad(&b)
	name := ".extra/" + file + "\x00"
	b.WriteString(record("00000002", "00008124", hex8(len(content)), hex8(len(name))) + name)
	pad(&b)
	b.WriteString(content)
	pad(&b)
	b.WriteString(record(zeros(1), zeros(1), zeros(1), "0000000b") + "TRAILER!!!\x00")
	b.Write(make([]byte, 3))
	return b.Bytes()
}

func zeros(n int) string { return strings.Repeat("00000000", n) }

func hex8(n int) string {
	return hex.EncodeToString([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

func pad(b *bytes.Buffer) {
	for b.Len()%4 != 0 {
		b.WriteByte(0)
	}
}

// TestDecodeConcatenated reads what the kernel gets from systemd-stub: our
// frame, padded to 4 bytes, and two parts of the stub.
func TestDecodeConcatenated(t *testing.T) {
	frame, err := Compress(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	b.Write(frame)
	pad(&b)
	b.Write(stubPart("os-release", "ID=safebox\n"))
	b.Write(stubPart("profile", "x"))
	got := mustDecode(t, b.Bytes())

	want := mustDecode(t, sample(t))
	for i, file := range []string{"os-release", "profile"} {
		want = append(
			want,
			Entry{Archive: i + 1, Name: ".extra", Ino: 1, Mode: 0o40555, NLink: 1, Data: []byte{}},
			Entry{Archive: i + 1, Name: ".extra/" + file, Ino: 2, Mode: 0o100444, NLink: 1, Data: []byte([]string{"ID=safebox\n", "x"}[i])},
		)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCompress(t *testing.T) {
	archive := slices.Concat(sample(t), make([]byte, 9<<20)) // more than one window
	frame, err := Compress(archive)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Compress(archive)
	if err != nil || !bytes.Equal(frame, again) {
		t.Errorf("compressing again: %v, equal: %t", err, bytes.Equal(frame, again))
	}
	// RFC 8878, section 3.1.1.1: magic number; descriptor with a content
	// size of 4 bytes (2<<6), no single segment, a checksum (1<<2); window
	// of 8 MiB (exponent 13); the size.
	size := len(archive)
	want := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x84, 13 << 3, byte(size), byte(size >> 8), byte(size >> 16), byte(size >> 24)}
	if !bytes.HasPrefix(frame, want) {
		t.Errorf("frame: got %x, want %x", frame[:len(want)], want)
	}
	if diff := cmp.Diff(mustDecode(t, archive), mustDecode(t, frame)); diff != "" {
		t.Errorf("entries (-plain +compressed):\n%s", diff)
	}
	if _, err := Compress(nil); err == nil {
		t.Error("empty archive: got no error")
	}
}

// TestCompressPinned notices that the encoder writes other bytes. The digest is
// that of our own output, klauspost/compress v1.20.3: it says nothing about
// what is right, zstd(1) reads both. Other bytes are another PCR 4, 9 and 11
// of every release: whoever changes it writes a BREAKING line into NEWS.md.
func TestCompressPinned(t *testing.T) {
	var numbers bytes.Buffer // `seq 1 200000`
	for i := range 200_000 {
		fmt.Fprintln(&numbers, i+1)
	}
	frame, err := Compress(numbers.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%x", sha256.Sum256(frame)), "7df068645f732c2f76b50820aa59d98c9a9418fcab187de5fb2930aad3aa3a9d"; got != want {
		t.Errorf("SHA-256 of %d bytes: got %s, want %s", len(frame), got, want)
	}
}

// field is the position of header field i of the first record.
func field(i int) int { return len(magic) + i*fieldSize }

func TestDecodeErrors(t *testing.T) {
	frame, err := Compress(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	plain := sample(t)
	set := func(pos int, s string) []byte {
		b := slices.Clone(plain)
		copy(b[pos:], s)
		return b
	}
	trailer := bytes.Index(plain, []byte(trailerName)) - headerSize
	tests := map[string]struct {
		b    []byte
		want string
	}{
		"empty":              {nil, "size: got 0"},
		"zeros":              {make([]byte, 512), "got only zeros"},
		"text":               {[]byte(strings.Repeat("x", 200)), `archive 0: entry 0 at 0x0: magic: got "xxxxxx", want "070701"`},
		"crc format":         {set(0, "070702"), `magic: got "070702"`},
		"sign in number":     {set(field(fieldUID), "+0000000"), `header field 2: got "+0000000"`},
		"check":              {set(field(fieldCheck), "00000001"), "check: got 0x1, want 0"},
		"name size 0":        {set(field(fieldNameSize), "00000000"), "name size: got 0, want 2 to 4096"},
		"name too long":      {set(field(fieldNameSize), "00001001"), "name size: got 4097"},
		"name without NUL":   {set(field(fieldNameSize), "00000003"), "name: got \"dev\", want one NUL"},
		"name with two NUL":  {set(headerSize, "d\x00v\x00"), "want one NUL, at its end"},
		"absolute":           {set(headerSize, "/ev\x00"), `"/ev": name: want a relative path`},
		"parent":             {set(bytes.Index(plain, []byte("modules/00")), "../ules/00"), "name: want a relative path"},
		"padding":            {set(bytes.Index(plain, []byte("init\x00"))+5, "x"), `"init": padding at`},
		"size past the end":  {set(field(fieldFileSize), "ffffffff"), `"dev": size: got 4294967295, want at most`},
		"directory content":  {set(field(fieldFileSize), "00000004"), `"dev": size: got 4, want 0`},
		"type":               {set(field(fieldMode), "00003fff"), `"dev": mode: got 037777`},
		"mode bits":          {set(field(fieldMode), "000141ed"), `"dev": mode: got 0240755`},
		"rdev":               {set(field(fieldRminor), "00000001"), `"dev": device: got 0,1, want 0,0`},
		"trailer with owner": {set(trailer+field(fieldUID), "00000001"), "trailer at"},
		"no trailer":         {plain[:trailer], "entry 9 at"},
		"cut in trailer":     {plain[:len(plain)-1], "padding at"},
		"after the trailer":  {append(slices.Clone(plain), "junk"...), "archive 1: entry 0"},
		"twice":              {set(bytes.Index(plain, []byte("proc\x00")), "init"), `"init": is there twice`},
		"file twice":         {slices.Concat(plain, plain), `archive 1: entry 1`},
		"unaligned archive":  {slices.Concat(plain, []byte{0}, plain), "want a multiple of 4"},
		"frame cut":          {frame[:len(frame)-1], "zstd: checksum"},
		"frame cut early":    {frame[:20], "zstd: block"},
		"frame checksum":     {append(slices.Clone(frame[:len(frame)-1]), frame[len(frame)-1]^1), "zstd: "},
		"content size":       {slices.Concat(frame[:5], []byte{0xff, 0xff}, frame[7:]), "zstd: "},
		"huge content size":  {[]byte("\x28\xb5\x2f\xfd\xa0\x00\x00\x00\x0f\x01\x00\x00"), "content size: got 251658240, want at most 131072 in its blocks"},
		"junk after frame":   {append(slices.Clone(frame), 'x'), "archive 1 at"},
		"gzip":               {append([]byte{0x1f, 0x8b, 8}, make([]byte, 200)...), "magic: got"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Decode(tt.b)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "parsing initrd: ") {
				t.Errorf("got %v, want parsing initrd: .. %s", err, tt.want)
			}
		})
	}
}

// TestDecodeBounds gives two small frames, of 100 MiB and 200 MiB, that expand
// to more than the limit together.
func TestDecodeBounds(t *testing.T) {
	frame, err := Compress(append(sample(t), make([]byte, 100<<20)...))
	if err != nil {
		t.Fatal(err)
	}
	more, err := Compress(append(stubPart("a", "b"), make([]byte, 200<<20)...))
	if err != nil {
		t.Fatal(err)
	}
	for len(frame)%4 != 0 {
		frame = append(frame, 0)
	}
	_, err = Decode(append(frame, more...))
	if err == nil || !strings.Contains(err.Error(), "zstd") {
		t.Errorf("got %v, want an error of zstd", err)
	}
}

// FuzzDecode checks that an accepted initrd has clean names, and that the
// kernel's idea of it (a concatenation) is ours: two copies of an accepted
// archive decode only when there is nothing but directories in it.
func FuzzDecode(f *testing.F) {
	frame, err := Compress(sample(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sample(f))
	f.Add(frame)
	f.Add(readTestdata(f, "gnu.cpio"))
	f.Add(readTestdata(f, "gnu.cpio.zst"))
	f.Add(slices.Concat(readTestdata(f, "gnu.cpio"), stubPart("os-release", "ID=safebox\n"), stubPart("profile", "x")))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := Decode(b)
		if err != nil {
			return
		}
		type key struct {
			archive int
			name    string
		}
		seen := map[key]bool{}
		for _, e := range entries {
			k := key{e.Archive, e.Name}
			if seen[k] || e.Name == "" || strings.HasPrefix(e.Name, "/") || strings.Contains("/"+e.Name+"/", "/../") {
				t.Errorf("accepted %q", e.Name)
			}
			seen[k] = true
		}
		files := slices.ContainsFunc(entries, func(e Entry) bool { return e.Mode&TypeMask != TypeDir })
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
		twice, err := Decode(slices.Concat(b, b))
		if files && err == nil {
			t.Error("the same files twice: got no error")
		}
		if !files && len(b) <= MaxSize/2 && len(twice) != 2*len(entries) {
			t.Errorf("the same directories twice: got %d entries (%v), want %d", len(twice), err, 2*len(entries))
		}
	})
}
