package tlog

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	sumdb "golang.org/x/mod/sumdb/tlog"

	"safebox/verifier/tlog"
)

// TestTree: roots and proofs of every size up to 20 are those of package
// verifier/tlog, which keeps no hashes but the leaves.
func TestTree(t *testing.T) {
	tree := newTree()
	var leaves [][32]byte
	for size := int64(0); size <= 20; size++ {
		root, err := tree.root(size)
		if err != nil || root != tlog.RootHash(leaves) {
			t.Errorf("root of %d: got %x, %v, want %x", size, root, err, tlog.RootHash(leaves))
		}
		for i := range size {
			got, err := tree.inclusion(i, size)
			want := tlog.Inclusion(leaves, i)
			if d := cmp.Diff(want, got); err != nil || len(want)+len(got) > 0 && d != "" {
				t.Errorf("leaf %d of %d: %v: %s", i, size, err, d)
			}
			got, err = tree.consistency(i, size)
			want = tlog.Consistency(leaves, i)
			if d := cmp.Diff(want, got); err != nil || len(want)+len(got) > 0 && d != "" {
				t.Errorf("from %d to %d: %v: %s", i, size, err, d)
			}
		}
		leaf := tlog.LeafHash([]byte{byte(size)})
		if err := tree.add(leaf); err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leaf)
	}
	// A leaf that comes again keeps its first index.
	if err := tree.add(leaves[3]); err != nil {
		t.Fatal(err)
	}
	if got := tree.first[sumdb.Hash(leaves[3])]; got != 3 || tree.size != 22 {
		t.Errorf("leaf 3 again: index %d in a tree of %d, want 3 in 22", got, tree.size)
	}
	before := tree.prefix()
	if err := tree.add(leaves[4]); err != nil {
		t.Fatal(err)
	}
	if before.size != 22 || len(before.hashes) == len(tree.hashes) {
		t.Error("a prefix grew")
	}
}

func TestTreeRefuses(t *testing.T) {
	tree := newTree()
	for i := range 3 {
		if err := tree.add(sumdb.Hash{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tree.root(4); err == nil {
		t.Error("the root of more leaves than there are")
	}
	for _, tt := range [][2]int64{{0, 4}, {3, 3}, {-1, 3}} {
		if p, err := tree.inclusion(tt[0], tt[1]); err == nil {
			t.Errorf("leaf %d of %d: %x", tt[0], tt[1], p)
		}
	}
	for _, tt := range [][2]int64{{1, 4}, {3, 2}, {-1, 3}} {
		if p, err := tree.consistency(tt[0], tt[1]); err == nil {
			t.Errorf("from %d to %d: %x", tt[0], tt[1], p)
		}
	}
	if _, err := tree.ReadHashes([]int64{-1}); err == nil {
		t.Error("hash -1")
	}
	if _, err := tree.ReadHashes([]int64{4}); err == nil {
		t.Error("hash 4 of 4")
	}
}
