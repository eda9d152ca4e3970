package sparse

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// disk is one with a map. Reads are counted.
type disk struct {
	data    []byte
	extents []Extent
	read    int64
	fails   bool
}

func (d *disk) Size() int64       { return int64(len(d.data)) }
func (d *disk) Extents() []Extent { return d.extents }

func (d *disk) ReadAt(b []byte, off int64) (int, error) {
	if d.fails {
		return 0, errors.New("broken")
	}
	d.read += int64(len(b))
	return bytes.NewReader(d.data).ReadAt(b, off)
}

// marked is a disk of size bytes with one byte set at each place.
func marked(size int, places ...int) []byte {
	b := make([]byte, size)
	for _, at := range places {
		b[at] = 1
	}
	return b
}

func TestRuns(t *testing.T) {
	tests := map[string]struct {
		data    []byte
		extents []Extent
		block   int64
		want    []Extent
	}{
		"empty":             {marked(0), nil, 512, nil},
		"zeros":             {marked(200_000), []Extent{{0, 200_000}}, 512, nil},
		"one":               {marked(200_000, 70_000), []Extent{{70_000, 1}}, 512, []Extent{{69632, 512}}},
		"last block is cut": {marked(1000, 999), []Extent{{0, 1000}}, 512, []Extent{{512, 488}}},
		"joined":            {marked(4096, 511, 512, 1024, 2048), []Extent{{0, 4096}}, 512, []Extent{{0, 1536}, {2048, 512}}},
		"joined over units": {marked(1<<17, 65535, 65536), []Extent{{0, 1 << 17}}, 4096, []Extent{{61440, 8192}}},
		"whole units":       {marked(3<<16, 0, 2<<16), []Extent{{0, 3 << 16}}, 1 << 16, []Extent{{0, 1 << 16}, {2 << 16, 1 << 16}}},
		"extents in a unit": {marked(1<<16, 10, 5000, 60_000), []Extent{{10, 1}, {5000, 1}, {60_000, 1}}, 4096, []Extent{{0, 8192}, {57344, 4096}}},
		"extent over units": {marked(3<<16, 1, 2<<16), []Extent{{1, 2 << 16}}, 4096, []Extent{{0, 4096}, {2 << 16, 4096}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for what, d := range map[string]Disk{"with a map": &disk{data: tt.data, extents: tt.extents}, "without": bytes.NewReader(tt.data)} {
				got, err := Runs(d, tt.block)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%s: (-want +got):\n%s", what, diff)
				}
			}
		})
	}
}

// TestRunsReadLittle: holes are not read, and nothing is read twice.
func TestRunsReadLittle(t *testing.T) {
	d := &disk{data: marked(1<<24, 5, 1<<23), extents: []Extent{{5, 1}, {100, 3}, {1 << 23, 4096}}}
	if _, err := Runs(d, 4096); err != nil {
		t.Fatal(err)
	}
	if d.read != 2<<16 {
		t.Errorf("got %d bytes read, want two units of 64 KiB", d.read)
	}
}

func TestRunsRefuses(t *testing.T) {
	for _, block := range []int64{0, -512, 1000, 1 << 17} {
		if _, err := Runs(bytes.NewReader(nil), block); err == nil {
			t.Errorf("block of %d: got no error", block)
		}
	}
	if _, err := Runs(&disk{data: marked(10), extents: []Extent{{0, 10}}, fails: true}, 512); err == nil || !strings.Contains(err.Error(), "reading 10 bytes at 0x0: broken") {
		t.Errorf("failing disk: got %v", err)
	}
}

func TestZero(t *testing.T) {
	for _, n := range []int{0, 1, 2, 511, 65536} {
		b := make([]byte, n)
		if !Zero(b) {
			t.Errorf("%d zeros: got false", n)
		}
		for _, at := range []int{0, n / 2, n - 1} {
			if at < 0 || at >= n {
				continue
			}
			b[at] = 0x80
			if Zero(b) {
				t.Errorf("%d bytes, one set at %d: got true", n, at)
			}
			b[at] = 0
		}
	}
	if Zero(bytes.Repeat([]byte{1}, 100)) {
		t.Error("100 ones: got true")
	}
}

func TestDiffer(t *testing.T) {
	whole := []Extent{{0, 1 << 18}}
	tests := map[string]struct {
		a, b     []byte
		extA     []Extent
		extB     []Extent
		off, end int64
		want     int64
	}{
		"same":             {marked(1<<18, 9), marked(1<<18, 9), whole, whole, 0, 1 << 18, -1},
		"first":            {marked(1<<18, 0), marked(1 << 18), []Extent{{0, 1}}, nil, 0, 1 << 18, 0},
		"other side":       {marked(1 << 18), marked(1<<18, 200_000), nil, []Extent{{199_999, 5}}, 0, 1 << 18, 200_000},
		"last":             {marked(1<<18, 1<<18-1), marked(1 << 18), whole, nil, 0, 1 << 18, 1<<18 - 1},
		"before the range": {marked(1<<18, 5), marked(1 << 18), whole, whole, 6, 1 << 18, -1},
		"at its start":     {marked(1<<18, 6), marked(1 << 18), whole, whole, 6, 1 << 18, 6},
		"behind the range": {marked(1<<18, 600), marked(1 << 18), whole, whole, 6, 600, -1},
		"the earlier one":  {marked(1<<18, 150_000), marked(1<<18, 100_000), []Extent{{150_000, 1}}, []Extent{{100_000, 1}}, 0, 1 << 18, 100_000},
		"nested extents":   {marked(1<<18, 70_000), marked(1 << 18), whole, []Extent{{10, 5}}, 0, 1 << 18, 70_000},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Differ(&disk{data: tt.a, extents: tt.extA}, &disk{data: tt.b, extents: tt.extB}, tt.off, tt.end)
			if err != nil || got != tt.want {
				t.Errorf("got %d, %v, want %d", got, err, tt.want)
			}
		})
	}
	good, broken := &disk{data: marked(10), extents: []Extent{{0, 10}}}, &disk{data: marked(10), extents: []Extent{{0, 10}}, fails: true}
	for _, pair := range [][2]Disk{{good, broken}, {broken, good}} {
		if _, err := Differ(pair[0], pair[1], 0, 10); err == nil {
			t.Error("failing disk: got no error")
		}
	}
}

func TestBounds(t *testing.T) {
	tests := []struct {
		n         int
		off, size int64
		want      int
		err       bool
	}{
		{10, 0, 100, 10, false},
		{10, 90, 100, 10, false},
		{10, 91, 100, 9, true},
		{10, 100, 100, 0, true},
		{10, 1 << 62, 100, 0, true},
		{10, -1, 100, 0, true},
		{0, 5, 100, 0, false},
	}
	for _, tt := range tests {
		got, err := Bounds(make([]byte, tt.n), tt.off, tt.size)
		if len(got) != tt.want || (err != nil) != tt.err {
			t.Errorf("%+v: got %d, %v", tt, len(got), err)
		}
	}
}
