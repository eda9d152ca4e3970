package object

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestGeometry: the numbers are counted by hand from docs/format-object.md,
// "Geometry"; 1048576 is a full shard, 64 bytes the unit of coding.
func TestGeometry(t *testing.T) {
	tests := []struct {
		name    string
		size    int64
		profile string
		chunks  uint32
		leaves  int
		last    Stripe
		plain   int // of the last chunk
	}{
		{"empty", 0, "small", 1, 3, Stripe{0, 0, 1, 2, 0, 64}, 0},
		{"one byte", 1, "tiny", 1, 3, Stripe{0, 0, 1, 2, 0, 64}, 1},
		{"48 bytes fill 64", 48, "tiny", 1, 3, Stripe{0, 0, 1, 2, 0, 64}, 48},
		{"49 bytes do not", 49, "tiny", 1, 3, Stripe{0, 0, 1, 2, 0, 128}, 49},
		{"a chunk", 1048560, "small", 1, 3, Stripe{0, 0, 1, 2, 0, 1048576}, 1048560},
		{"a chunk and a byte", 1048561, "small", 2, 4, Stripe{0, 0, 2, 2, 0, 1048576}, 1},
		{"a stripe", 4 * 1048560, "small", 4, 6, Stripe{0, 0, 4, 2, 0, 1048576}, 1048560},
		{"a stripe and 100 bytes", 4*1048560 + 100, "small", 5, 9, Stripe{1, 4, 1, 2, 6, 128}, 100},
		{"two stripes less one", 19 * 1048560, "default", 19, 27, Stripe{1, 10, 9, 4, 14, 1048576}, 1048560},
		{"archive", 11*1048560 - 1, "archive", 11, 31, Stripe{1, 10, 1, 10, 20, 1048576}, 1048559},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := ParseProfile(tt.profile)
			if err != nil {
				t.Fatal(err)
			}
			g, err := NewGeometry(tt.size, p)
			if err != nil {
				t.Fatal(err)
			}
			if g.Chunks != tt.chunks || g.Leaves() != tt.leaves || g.PlainLen(g.Chunks-1) != tt.plain {
				t.Errorf("got %d chunks, %d leaves, last of %d bytes, want %d, %d, %d",
					g.Chunks, g.Leaves(), g.PlainLen(g.Chunks-1), tt.chunks, tt.leaves, tt.plain)
			}
			if diff := cmp.Diff(tt.last, g.Stripe(g.Stripes-1)); diff != "" {
				t.Errorf("last stripe (-want +got)\n%s", diff)
			}
			if !g.Last(g.Chunks-1) || g.Last(g.Chunks) || g.PlainLen(g.Chunks) != 0 {
				t.Error("the object does not end at its last chunk")
			}
			var sum int64
			seen := map[int]bool{}
			for i := range g.Chunks {
				sum += int64(g.PlainLen(i))
				seen[g.Leaf(i)] = true
			}
			if sum != tt.size || len(seen) != int(g.Chunks) {
				t.Errorf("chunks hold %d bytes in %d leaves, want %d in %d", sum, len(seen), tt.size, g.Chunks)
			}
		})
	}
}

func TestGeometryRefuses(t *testing.T) {
	for name, f := range map[string]func() error{
		"negative": func() error { _, err := NewGeometry(-1, Profiles()[1]); return err },
		"too large": func() error {
			_, err := NewGeometry(maxSize(Profiles()[2])+1, Profiles()[2])
			return err
		},
		"k and m":      func() error { _, err := NewGeometry(1, Profile{"small", 4, 3}); return err },
		"name":         func() error { _, err := NewGeometry(1, Profile{"huge", 4, 2}); return err },
		"zero":         func() error { _, err := NewGeometry(1, Profile{}); return err },
		"profile name": func() error { _, err := ParseProfile("Small"); return err },
		"no name":      func() error { _, err := ParseProfile(""); return err },
	} {
		if err := f(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, p := range Profiles() {
		g, err := NewGeometry(maxSize(p), p)
		if err != nil || g.Leaves()*LeafSize > MaxLeafTable || (g.Leaves()+p.K+p.M)*LeafSize <= MaxLeafTable {
			t.Errorf("%s: the largest object has a table of %d bytes, %v", p.Name, g.Leaves()*LeafSize, err)
		}
	}
}
