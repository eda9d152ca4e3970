package tlog_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"

	"safebox/verifier/tlog"
)

func TestDecodeEntries(t *testing.T) {
	want := read(t, "tessera/entries.15")
	entries, err := tlog.DecodeEntries(want)
	if err != nil {
		t.Fatal(err)
	}
	var theirs api.EntryBundle
	if err := theirs.UnmarshalText(want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(theirs.Entries, entries); diff != "" {
		t.Errorf("(-tessera +got):\n%s", diff)
	}
	got, err := tlog.EncodeEntries(entries)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("encoded: got %x, %v, want %x", got, err, want)
	}
	full, err := tlog.EncodeEntries(make([][]byte, tlog.BundleWidth))
	if err != nil {
		t.Fatal(err)
	}
	if entries, err := tlog.DecodeEntries(full); err != nil || len(entries) != tlog.BundleWidth {
		t.Errorf("full bundle: got %d entries, %v", len(entries), err)
	}
	// An entry cannot grow into the next one.
	two, err := tlog.DecodeEntries([]byte{0, 1, 'a', 0, 1, 'b'})
	if err != nil {
		t.Fatal(err)
	}
	if _ = append(two[0], 'x', 'y', 'z'); string(two[1]) != "b" {
		t.Errorf("second entry: got %q", two[1])
	}
}

func TestEntriesRefused(t *testing.T) {
	for name, b := range map[string][]byte{
		"nothing": nil, "half a length": {0}, "cut entry": {0, 2, 'a'}, "length alone": {0, 1},
		"half a length at the end": {0, 1, 'a', 0}, "257 entries": make([]byte, 2*257),
	} {
		_, err := tlog.DecodeEntries(b)
		wantError(t, name, err, "decoding entry bundle")
	}
	_, err := tlog.EncodeEntries(nil)
	wantError(t, "no entries", err, "got 0")
	_, err = tlog.EncodeEntries(make([][]byte, 257))
	wantError(t, "257 entries", err, "got 257")
	_, err = tlog.EncodeEntries([][]byte{make([]byte, 65536)})
	wantError(t, "large entry", err, "65536")
	if b, err := tlog.EncodeEntries([][]byte{make([]byte, 65535)}); err != nil || len(b) != 65537 {
		t.Errorf("largest entry: got %d bytes, %v", len(b), err)
	}
}

func TestEntryBundlePath(t *testing.T) {
	for _, tt := range []struct {
		n     int64
		width int
		want  string
	}{
		{1234067, 256, "tile/entries/x001/x234/067"}, // the number of tlog-tiles, "Merkle Tree"
		{273, 112, "tile/entries/273.p/112"},         // the tree of 70,000 of "Partial Tiles"
		{0, 1, "tile/entries/000.p/1"},
		{0, 256, "tile/entries/000"},
		{999, 255, "tile/entries/999.p/255"},
		{1000, 256, "tile/entries/x001/000"},
		{1<<63 - 1, 256, "tile/entries/x009/x223/x372/x036/x854/x775/807"},
	} {
		got, err := tlog.EntryBundlePath(tt.n, tt.width)
		if err != nil || got != tt.want {
			t.Errorf("%d of width %d: got %q, %v, want %q", tt.n, tt.width, got, err, tt.want)
		}
		if theirs := layout.EntriesPath(uint64(tt.n), uint8(tt.width%256)); theirs != tt.want {
			t.Errorf("%d of width %d: tessera %q, want %q", tt.n, tt.width, theirs, tt.want)
		}
	}
	for _, tt := range []struct {
		n     int64
		width int
	}{{-1, 256}, {0, 0}, {0, 257}, {0, -1}} {
		_, err := tlog.EntryBundlePath(tt.n, tt.width)
		wantError(t, "path", err, "path of entry bundle")
	}
}

func FuzzDecodeEntries(f *testing.F) {
	f.Add(read(f, "tessera/entries.15"))
	f.Add([]byte{0, 0})
	f.Add([]byte{0, 1, 'a', 0, 2, 'b'})
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := tlog.DecodeEntries(b)
		if err != nil {
			return
		}
		if again, err := tlog.EncodeEntries(entries); err != nil || !bytes.Equal(again, b) {
			t.Errorf("got %x, %v, want %x", again, err, b)
		}
		var theirs api.EntryBundle
		if err := theirs.UnmarshalText(b); err != nil || !cmp.Equal(theirs.Entries, entries) {
			t.Errorf("got %x, tessera %x, %v", entries, theirs.Entries, err)
		}
	})
}
