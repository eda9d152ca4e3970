package disk

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/image/disk/sparse"
)

// TestReadAt: reading in pieces of many sizes gives what WriteTo wrote, and
// what lies outside of the extents is zeros.
func TestReadAt(t *testing.T) {
	im, err := AssembleSize(rich(), seed, 40<<20)
	if err != nil {
		t.Fatal(err)
	}
	want := build(t, rich(), 40<<20)
	for _, n := range []int{1, 511, 512, 100_000, len(want)} {
		for off := 0; off < len(want); off += 3*n + len(want)/64 {
			b := bytes.Repeat([]byte{0xa5}, n)
			got, err := im.ReadAt(b, int64(off))
			if wantN := min(n, len(want)-off); got != wantN || (got < n) != errors.Is(err, io.EOF) || !bytes.Equal(b[:got], want[off:off+got]) {
				t.Fatalf("reading %d bytes at %d: got %d, %v", n, off, got, err)
			}
		}
	}
	for _, off := range []int64{-1, im.Size()} {
		if n, err := im.ReadAt(make([]byte, 1), off); n != 0 || err == nil {
			t.Errorf("reading at %d: got %d, %v, want an error", off, n, err)
		}
	}

	end := int64(0)
	for _, e := range append(im.Extents(), sparse.Extent{Offset: im.Size()}) {
		if e.Offset < end || !sparse.Zero(want[end:e.Offset]) {
			t.Errorf("extent at %d: got data between %d and it, or an overlap", e.Offset, end)
		}
		end = e.End()
	}
	runs, err := sparse.Runs(im, 512)
	if err != nil {
		t.Fatal(err)
	}
	without, err := sparse.Runs(bytes.NewReader(want), 512)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(without, runs); diff != "" {
		t.Errorf("runs by the map (-without +with):\n%s", diff)
	}
}
