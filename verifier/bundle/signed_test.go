package bundle

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// signed is a bundle of so many parts. The bundle does not look into any.
func signed(rebuilds, entries, collateral int) *Bundle {
	b := &Bundle{Release: []byte(content), Record: []byte("record"), Proof: []byte("proof")}
	for i := range rebuilds {
		b.Rebuilds = append(b.Rebuilds, Rebuild{Record: fmt.Appendf(nil, "rebuild %d", i), Proof: fmt.Appendf(nil, "proof %d", i)})
	}
	for i := range entries {
		b.Entries = append(b.Entries, fmt.Appendf(nil, "entry %d", i))
	}
	for i := range collateral {
		b.Collateral = append(b.Collateral, File{Name: fmt.Sprintf("file-%02d.crl", i), Bytes: []byte("list")})
	}
	return b
}

func mustEncode(t testing.TB, b *Bundle) []byte {
	t.Helper()
	out, err := Encode(b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestNames: names are those of docs/format-bundle.md, and widths those of C2SP tlog-tiles,
// "Log Entries": written by hand.
func TestNames(t *testing.T) {
	for _, c := range []struct {
		rebuilds, entries, collateral int
		want                          []string
	}{
		{0, 1, 0, []string{"release.json", "release.dsse", "release.tlog-proof", "tile/entries/000.p/1"}},
		{2, 255, 0, []string{
			"release.json", "release.dsse", "release.tlog-proof", "rebuild/001.dsse", "rebuild/001.tlog-proof",
			"rebuild/002.dsse", "rebuild/002.tlog-proof", "tile/entries/000.p/255",
		}},
		{0, 256, 1, []string{"release.json", "release.dsse", "release.tlog-proof", "tile/entries/000", "collateral/file-00.crl"}},
		{0, 257, 0, []string{"release.json", "release.dsse", "release.tlog-proof", "tile/entries/000", "tile/entries/001.p/1"}},
		{0, 512, 2, []string{
			"release.json", "release.dsse", "release.tlog-proof", "tile/entries/000", "tile/entries/001",
			"collateral/file-00.crl", "collateral/file-01.crl",
		}},
	} {
		b := signed(c.rebuilds, c.entries, c.collateral)
		file := mustEncode(t, b)
		r := tar.NewReader(bytes.NewReader(file))
		var got []string
		for {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, h.Name)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("got %q, want %q", got, c.want)
		}
		again, err := Decode(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(b, again); diff != "" {
			t.Errorf("%d, %d, %d: (-want +got)\n%s", c.rebuilds, c.entries, c.collateral, diff)
		}
	}
}

// TestSignedEqualsGNUTar: GNU tar, given the files in the order of
// docs/format-bundle.md, writes the same bytes.
func TestSignedEqualsGNUTar(t *testing.T) {
	b := signed(16, 300, 3)
	dir := t.TempDir()
	list := []string{"release.json", "release.dsse", "release.tlog-proof"}
	contents := [][]byte{b.Release, b.Record, b.Proof}
	for i, r := range b.Rebuilds {
		list = append(list, fmt.Sprintf("rebuild/%03d.dsse", i+1), fmt.Sprintf("rebuild/%03d.tlog-proof", i+1))
		contents = append(contents, r.Record, r.Proof)
	}
	// C2SP tlog-tiles, "Log Entries": each entry after its length in two bytes.
	var tile []byte
	for _, e := range b.Entries {
		tile = append(binary.BigEndian.AppendUint16(tile, uint16(len(e))), e...)
	}
	full := 256*(2+len("entry 100")) - 10*2 - 90*1 // entries 0 to 9 and 10 to 99 have shorter names
	list = append(list, "tile/entries/000", "tile/entries/001.p/44")
	contents = append(contents, tile[:full], tile[full:])
	for _, f := range b.Collateral {
		list, contents = append(list, "collateral/"+f.Name), append(contents, f.Bytes)
	}
	for i, name := range list {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, contents[i])
	}
	if !bytes.Equal(mustEncode(t, b), gnuTar(t, dir, append(oneForm(), list...)...)) {
		t.Error("differs from GNU tar's")
	}
}

// entry is an entry of a tar by package archive/tar, with the values of a
// bundle's.
type entry struct {
	name    string
	content []byte
}

func makeTar(t testing.TB, list ...entry) []byte {
	t.Helper()
	var out []byte
	for _, e := range list {
		h := newHeader(e.name, int64(len(e.content)))
		out = append(append(out, h[:]...), e.content...)
		out = append(out, make([]byte, (512-len(e.content)%512)%512)...)
	}
	return append(out, make([]byte, 1024)...)
}

// tile makes an entry bundle of n entries of one byte.
func tile(n int) []byte { return bytes.Repeat([]byte{0, 1, 'x'}, n) }

func TestSignedRefuses(t *testing.T) {
	release, record := entry{"release.json", []byte("r")}, entry{"release.dsse", []byte("d")}
	proof, entries := entry{"release.tlog-proof", []byte("p")}, entry{"tile/entries/000.p/1", tile(1)}
	rebuild, rebuildProof := entry{"rebuild/001.dsse", []byte("d")}, entry{"rebuild/001.tlog-proof", []byte("p")}
	file := func(name string) entry { return entry{"collateral/" + name, []byte("c")} }
	var rebuilds []entry
	for i := range 17 {
		rebuilds = append(rebuilds, entry{fmt.Sprintf("rebuild/%03d.dsse", i+1), []byte("d")}, entry{fmt.Sprintf("rebuild/%03d.tlog-proof", i+1), []byte("p")})
	}
	var tiles []entry
	for i := range 16 {
		tiles = append(tiles, entry{fmt.Sprintf("tile/entries/%03d", i), tile(256)})
	}
	var files []entry
	for i := range 65 {
		files = append(files, file(fmt.Sprintf("%02d", i)))
	}
	all := func(more ...entry) []entry { return append([]entry{release, record, proof, entries}, more...) }
	if _, err := Decode(makeTar(t, slices.Concat([]entry{release, record, proof}, rebuilds[:32], tiles, files[:64])...)); err != nil {
		t.Fatalf("largest: %v", err)
	}
	for name, c := range map[string]struct {
		want string
		list []entry
	}{
		"record alone":              {"entry 3 at byte 2048: got no entry, want release.tlog-proof", []entry{release, record}},
		"no entries":                {"entry 4 at byte 3072: got no entry, want tile/entries/000", []entry{release, record, proof}},
		"entries alone":             {`name: got "tile/entries/000.p/1", want "release.dsse"`, []entry{release, entries}},
		"no record":                 {`name: got "release.tlog-proof", want "release.dsse"`, []entry{release, proof, entries}},
		"collateral alone":          {`name: got "collateral/a", want "release.dsse"`, []entry{release, file("a")}},
		"rebuild without proof":     {`name: got "tile/entries/000.p/1", want "rebuild/001.tlog-proof"`, []entry{release, record, proof, rebuild, entries}},
		"proof without rebuild":     {`name: got "rebuild/001.tlog-proof", want "tile/entries/000"`, []entry{release, record, proof, rebuildProof, entries}},
		"rebuilds from 2 on":        {`name: got "rebuild/002.dsse"`, []entry{release, record, proof, rebuilds[2], rebuilds[3], entries}},
		"rebuild after the entries": {`unexpected name "rebuild/001.dsse"`, all(rebuild, rebuildProof)},
		"17 rebuilds":               {`name: got "rebuild/017.dsse", want "tile/entries/000"`, slices.Concat([]entry{release, record, proof}, rebuilds, []entry{entries})},
		"empty record":              {"release.dsse: got 0 bytes", []entry{release, {"release.dsse", nil}, proof, entries}},
		"large record":              {"release.dsse: got 61441 bytes, want 1 to 61440", []entry{release, {"release.dsse", make([]byte, 61441)}, proof, entries}},
		"large proof":               {"release.tlog-proof: got 65537 bytes, want 1 to 65536", []entry{release, record, {"release.tlog-proof", make([]byte, 65537)}, entries}},
		"entries from 1 on":         {`name: got "tile/entries/001.p/1", want "tile/entries/000"`, []entry{release, record, proof, {"tile/entries/001.p/1", tile(1)}}},
		"entries after a part":      {`unexpected name "tile/entries/001.p/1"`, all(entry{"tile/entries/001.p/1", tile(1)})},
		"width 2 with 1":            {"tile/entries/000.p/2: got 1 entries", []entry{release, record, proof, {"tile/entries/000.p/2", tile(1)}}},
		"width 01":                  {"tile/entries/000.p/01: got 1 entries", []entry{release, record, proof, {"tile/entries/000.p/01", tile(1)}}},
		"width 256":                 {"tile/entries/000.p/256: got 256 entries", []entry{release, record, proof, {"tile/entries/000.p/256", tile(256)}}},
		"full with 255":             {"tile/entries/000: got 255 entries", []entry{release, record, proof, {"tile/entries/000", tile(255)}}},
		"full with 257":             {"got more than 256 entries", []entry{release, record, proof, {"tile/entries/000", tile(257)}}},
		"cut entry":                 {"decoding entry bundle", []entry{release, record, proof, {"tile/entries/000.p/1", []byte{0, 2, 'x'}}}},
		"4097 entries":              {"got more than 4096 entries", slices.Concat([]entry{release, record, proof}, tiles, []entry{{"tile/entries/016.p/1", tile(1)}})},
		"unsorted collateral":       {`"a" after "b": want names ascending`, all(file("b"), file("a"))},
		"collateral twice":          {`"a" after "a": want names ascending`, all(file("a"), file("a"))},
		"65 files":                  {"got more than 64 files", all(files...)},
		"large file":                {"collateral/a: got 1048577 bytes", all(entry{"collateral/a", make([]byte, 1048577)})},
		"empty file":                {"collateral/a: got 0 bytes", all(entry{"collateral/a", nil})},
		"file of a folder":          {`name: got "a/b"`, all(file("a/b"))},
		"file above":                {"begins with a dot", all(file(".."))},
		"file without a name":       {"got 0 bytes", all(file(""))},
		"long name":                 {"got 65 bytes", all(file(strings.Repeat("a", 65)))},
		"name of letters":           {`name: got "é"`, all(file("é"))},
		"another file":              {`unexpected name "notes.txt"`, all(entry{"notes.txt", []byte("x")})},
		"release again":             {`unexpected name "release.json"`, all(release)},
	} {
		_, err := Decode(makeTar(t, c.list...))
		if err == nil || !strings.HasPrefix(err.Error(), "decoding bundle: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

// TestEncodeRefusesParts: what Decode would refuse is not written.
func TestEncodeRefusesParts(t *testing.T) {
	for name, change := range map[string]func(b *Bundle){
		"no record":         func(b *Bundle) { b.Record = nil },
		"no proof":          func(b *Bundle) { b.Proof = nil },
		"no entries":        func(b *Bundle) { b.Entries = nil },
		"empty rebuild":     func(b *Bundle) { b.Rebuilds[0].Record = nil },
		"rebuild unproved":  func(b *Bundle) { b.Rebuilds[0].Proof = nil },
		"17 rebuilds":       func(b *Bundle) { *b = *signed(17, 1, 0) },
		"4097 entries":      func(b *Bundle) { *b = *signed(1, 4097, 0) },
		"65 files":          func(b *Bundle) { *b = *signed(1, 1, 65) },
		"entry of 64 KiB":   func(b *Bundle) { b.Entries[0] = make([]byte, 1<<16) },
		"unsorted files":    func(b *Bundle) { b.Collateral[0].Name = "z" },
		"name with a slash": func(b *Bundle) { b.Collateral[0].Name = "a/b" },
		"too large in all": func(b *Bundle) {
			for i := range b.Collateral {
				b.Collateral[i].Bytes = make([]byte, 1<<20)
			}
		},
	} {
		b := signed(2, 3, 17)
		change(b)
		if out, err := Encode(b); err == nil || out != nil || !strings.HasPrefix(err.Error(), "encoding bundle: ") {
			t.Errorf("%s: got %d bytes, %v", name, len(out), err)
		}
	}
}

// TestSignedEveryHeaderByte: one bit anywhere but in a content.
func TestSignedEveryHeaderByte(t *testing.T) {
	b := signed(1, 2, 1)
	good := mustEncode(t, b)
	for i := range good {
		changed := bytes.Clone(good)
		changed[i] ^= 1
		again, err := Decode(changed)
		if err != nil {
			continue
		}
		if out := mustEncode(t, again); !bytes.Equal(out, changed) || cmp.Equal(b, again) {
			t.Errorf("byte %d changed: read as the same", i)
		}
	}
}

// TestSigned tells the two forms apart.
func TestSigned(t *testing.T) {
	if (&Bundle{Release: []byte("x")}).Signed() || !signed(0, 1, 0).Signed() {
		t.Error("wrong")
	}
	for _, b := range []*Bundle{
		{Record: []byte("x")},
		{Proof: []byte("x")},
		{Rebuilds: []Rebuild{{}}},
		{Entries: [][]byte{{}}},
		{Collateral: []File{{}}},
	} {
		if !b.Signed() {
			t.Errorf("%+v is more than release.json", b)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	s := signed(3, 0, 0)
	for range 1000 {
		s.Entries = append(s.Entries, bytes.Repeat([]byte("x"), 1200))
	}
	file := mustEncode(b, s)
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		if _, err := Decode(file); err != nil {
			b.Fatal(err)
		}
	}
}
