package tlog_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"
	xtlog "golang.org/x/mod/sumdb/tlog"

	"safebox/verifier/tlog"
)

// The roots of the test trees of Certificate Transparency, by
// transparency-dev/merkle v0.0.2, testonly/constants.go.
func TestRootHash(t *testing.T) {
	var hashes [][32]byte
	for n, want := range testonly.RootHashes() {
		if got := tlog.RootHash(hashes); !bytes.Equal(got[:], want) {
			t.Errorf("root of %d: got %x, want %x", n, got, want)
		}
		if n < len(testonly.LeafInputs()) {
			hashes = append(hashes, tlog.LeafHash(testonly.LeafInputs()[n]))
		}
	}
}

// The log of another implementation: entries, leaf hashes and the roots that
// it signed.
func TestTesseraLog(t *testing.T) {
	entries, err := tlog.DecodeEntries(read(t, "tessera/entries.15"))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 15 {
		t.Fatalf("got %d entries, want 15", len(entries))
	}
	var hashes [][32]byte
	var tile []byte
	for _, e := range entries {
		h := tlog.LeafHash(e)
		hashes, tile = append(hashes, h), append(tile, h[:]...)
	}
	if want := read(t, "tessera/tile.15"); !bytes.Equal(tile, want) {
		t.Errorf("leaf hashes: got %x, want %x", tile, want)
	}
	last := mustDecode(t, read(t, "tessera/checkpoint.15"))
	for _, n := range []int64{0, 1, 2, 7, 8, 15} {
		c := mustDecode(t, read(t, fmt.Sprintf("tessera/checkpoint.%d", n)))
		if got := tlog.RootHash(hashes[:n]); c.Size != n || got != c.Root {
			t.Errorf("root of %d: got %x, want %x at size %d", n, got, c.Root, c.Size)
		}
		if err := tlog.CheckConsistency(tlog.Consistency(hashes, n), n, c.Root, last.Size, last.Root); err != nil {
			t.Errorf("consistency from %d: %v", n, err)
		}
	}
}

// A known consistency proof and its roots: transparency-dev/witness at
// 2e1c6971d19e, witness/witness_test.go, mInit, mNext and consProof.
func TestKnownConsistency(t *testing.T) {
	old := mustDecode(t, []byte("monkeys\n5\n41smjBUiAU70EtKlT6lIOIYtRTYxYXsDB+XHfcvu/BE=\n\n— monkeys 202fftzGl3LVoqjXfwCFZZXs8I+5G22+Ek2K0AOyBuSJ/8/CZawNF+6fNlTKOCd622pbzJNkkJFWuw9DbicZCkEx9AY=\n"))
	next := mustDecode(t, []byte("monkeys\n8\nV8K9aklZ4EPB+RMOk1/8VsJUdFZR77GDtZUQq84vSbo=\n\n— monkeys 202ffoUEboiQYpHzICeaFmoy3RNviHTpAxYrq/eO4QQVQMvu9UebKBMX2MJC76NLthZaKsnKbCA8GxrjePZhvDCH7Ag=\n"))
	var known [][32]byte
	for _, h := range []string{
		"b9e1d62618f7fee8034e4c5010f727ab24d8e4705cb296c374bf2025a87a10d2",
		"aac66cd7a79ce4012d80762fe8eec3a77f22d1ca4145c3f4cee022e7efcd599d",
		"89d0f753f66a290c483b39cd5e9eafb12021293395fad3d4a2ad053cfbcfdc9e",
		"29e40bb79c966f4c6fe96aff6f30acfce5f3e8d84c02215175d6e018a5dee833",
	} {
		b, err := hex.DecodeString(h)
		if err != nil {
			t.Fatal(err)
		}
		known = append(known, [32]byte(b))
	}
	if err := tlog.CheckConsistency(known, 5, old.Root, 8, next.Root); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"sizes 4 and 8":   tlog.CheckConsistency(known, 4, old.Root, 8, next.Root),
		"sizes 5 and 9":   tlog.CheckConsistency(known, 5, old.Root, 9, next.Root),
		"roots swapped":   tlog.CheckConsistency(known, 5, next.Root, 8, old.Root),
		"another old":     tlog.CheckConsistency(known, 5, next.Root, 8, next.Root),
		"another new":     tlog.CheckConsistency(known, 5, old.Root, 8, old.Root),
		"a hash less":     tlog.CheckConsistency(known[:3], 5, old.Root, 8, next.Root),
		"a hash more":     tlog.CheckConsistency(append(known[:4:4], known[0]), 5, old.Root, 8, next.Root),
		"no hash":         tlog.CheckConsistency(nil, 5, old.Root, 8, next.Root),
		"backwards":       tlog.CheckConsistency(known, 8, next.Root, 5, old.Root),
		"negative":        tlog.CheckConsistency(nil, -1, old.Root, 8, next.Root),
		"fork":            tlog.CheckConsistency(nil, 8, old.Root, 8, next.Root),
		"same, with hash": tlog.CheckConsistency(known[:1], 8, next.Root, 8, next.Root),
		"from nothing":    tlog.CheckConsistency(nil, 0, [32]byte{}, 8, next.Root),
		"from 0, hash":    tlog.CheckConsistency(known[:1], 0, tlog.RootHash(nil), 8, next.Root),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	wantError(t, "backwards", tlog.CheckConsistency(nil, 8, next.Root, 5, old.Root), "old size")
	wantError(t, "negative", tlog.CheckConsistency(nil, -1, old.Root, 8, next.Root), "old size")
	if err := tlog.CheckConsistency(nil, 8, next.Root, 8, next.Root); err != nil {
		t.Errorf("the same tree: %v", err)
	}
	if err := tlog.CheckConsistency(nil, 0, tlog.RootHash(nil), 8, next.Root); err != nil {
		t.Errorf("from the empty tree: %v", err)
	}
}

// oracle turns our hashes into the library's slices.
func oracle(hashes [][32]byte) [][]byte {
	var out [][]byte
	for _, h := range hashes {
		out = append(out, bytes.Clone(h[:]))
	}
	return out
}

// Every tree of up to 70 leaves: root, every inclusion proof and every
// consistency proof are those of transparency-dev/merkle.
func TestProofsAgainstLibrary(t *testing.T) {
	const most = 70
	all := leaves(most)
	tree := testonly.New(rfc6962.DefaultHasher)
	tree.Append(oracle(all)...)
	for size := range int64(most + 1) {
		hashes := all[:size]
		root := tlog.RootHash(hashes)
		if want := tree.HashAt(uint64(size)); !bytes.Equal(root[:], want) {
			t.Fatalf("root of %d: got %x, want %x", size, root, want)
		}
		for i := range size {
			got := tlog.Inclusion(hashes, i)
			want, err := tree.InclusionProof(uint64(i), uint64(size))
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) || len(want) > 0 && !cmp.Equal(want, oracle(got)) {
				t.Fatalf("inclusion of %d in %d: got %x, want %x", i, size, got, want)
			}
			if err := tlog.CheckInclusion(got, i, hashes[i], size, root); err != nil {
				t.Errorf("inclusion of %d in %d: %v", i, size, err)
			}
		}
		for old := range size + 1 {
			got := tlog.Consistency(hashes, old)
			want, err := tree.ConsistencyProof(uint64(old), uint64(size))
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) || len(want) > 0 && !cmp.Equal(want, oracle(got)) {
				t.Fatalf("consistency from %d to %d: got %x, want %x", old, size, got, want)
			}
			if err := tlog.CheckConsistency(got, old, tlog.RootHash(all[:old]), size, root); err != nil {
				t.Errorf("consistency from %d to %d: %v", old, size, err)
			}
		}
	}
	for _, i := range []int64{-1, 70, 1 << 62} {
		if got := tlog.Inclusion(all, i); got != nil {
			t.Errorf("inclusion of %d: got %x", i, got)
		}
		if got := tlog.Consistency(all, i); got != nil {
			t.Errorf("consistency from %d: got %x", i, got)
		}
	}
	if tlog.Inclusion(nil, 0) != nil || tlog.Consistency(nil, 0) != nil {
		t.Error("proofs of nothing: got some")
	}
}

// Proofs with one change are refused, and where the tree could be another
// too, exactly as by two libraries.
func TestChangedProofs(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	all := leaves(40)
	for range 20000 {
		size := 1 + random.Int64N(40)
		i, root := random.Int64N(size), tlog.RootHash(all[:size])
		hashes := tlog.Inclusion(all[:size], i)
		index, of, leaf := i, size, all[i]
		switch random.IntN(6) {
		case 0:
			index = random.Int64N(42) - 1
		case 1:
			of = random.Int64N(70)
		case 2:
			if len(hashes) > 0 {
				hashes[random.IntN(len(hashes))][random.IntN(32)] ^= 1
			}
		case 3:
			hashes = append(hashes, [32]byte{})
		case 4:
			if len(hashes) > 0 {
				hashes = hashes[:len(hashes)-1]
			}
		case 5:
			leaf[0] ^= 1
		}
		got := tlog.CheckInclusion(hashes, index, leaf, of, root)
		want := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(index), uint64(of), leaf[:], oracle(hashes), root[:])
		if (got == nil) != (want == nil) {
			t.Fatalf("index %d of %d, %d hashes: got %v, merkle %v", index, of, len(hashes), got, want)
		}
	}
}

// A proof in a larger tree is none in a smaller one, though its hashes lead to
// the root.
func TestProofsOfLargerTrees(t *testing.T) {
	all := leaves(8)
	err := tlog.CheckInclusion([][32]byte{all[0]}, 0, all[1], 1, tlog.RootHash(all[:2]))
	wantError(t, "entry 1 of 2 as 0 of 1", err, "want fewer")
	err = tlog.CheckInclusion(tlog.Inclusion(all, 6), 2, all[6], 4, tlog.RootHash(all))
	wantError(t, "entry 6 of 8 as 2 of 4", err, "want fewer")
	err = tlog.CheckConsistency(tlog.Consistency(all, 7), 3, tlog.RootHash(all[:7]), 4, tlog.RootHash(all))
	wantError(t, "from 7 to 8 as from 3 to 4", err, "want fewer")
}

func FuzzCheckInclusion(f *testing.F) {
	f.Add(int64(3), int64(7), []byte{1, 2, 3}, byte(3))
	f.Add(int64(1<<62), int64(1<<63-1), bytes.Repeat([]byte{7}, 64), byte(63))
	f.Add(int64(0), int64(1), []byte{}, byte(0))
	f.Fuzz(func(t *testing.T, index, size int64, data []byte, n byte) {
		hashes := spread(data, n)
		leaf := [32]byte{9}
		theirs, err := proof.RootFromInclusionProof(rfc6962.DefaultHasher, uint64(index), uint64(size), leaf[:], oracle(hashes))
		if index < 0 || size < 0 {
			if tlog.CheckInclusion(hashes, index, leaf, size, leaf) == nil {
				t.Errorf("accepted index %d of %d", index, size)
			}
			return
		}
		if err != nil {
			if tlog.CheckInclusion(hashes, index, leaf, size, leaf) == nil {
				t.Errorf("accepted; merkle: %v", err)
			}
			return
		}
		root := [32]byte(theirs)
		if err := tlog.CheckInclusion(hashes, index, leaf, size, root); err != nil {
			t.Errorf("merkle accepts: %v", err)
		}
		root[0] ^= 1
		if tlog.CheckInclusion(hashes, index, leaf, size, root) == nil {
			t.Error("accepted another root")
		}
	})
}

// spread makes n hashes, at most 70, of data.
func spread(data []byte, n byte) [][32]byte {
	var hashes [][32]byte
	for i := range int(n) % 71 {
		var h [32]byte
		if len(data) > 0 {
			copy(h[:], data[i%len(data):])
		}
		hashes = append(hashes, h)
	}
	return hashes
}

func FuzzCheckConsistency(f *testing.F) {
	f.Add(int64(3), int64(7), []byte{1, 2, 3}, byte(4), uint16(3), uint16(7))
	f.Add(int64(4), int64(8), []byte{}, byte(1), uint16(4), uint16(200))
	f.Add(int64(1<<61), int64(1<<63-1), []byte{1}, byte(63), uint16(255), uint16(256))
	f.Fuzz(func(t *testing.T, old, size int64, data []byte, n byte, small, large uint16) {
		hashes, a, b := spread(data, n), [32]byte{1}, [32]byte{2}
		// Both say the same of nonsense, but of the empty tree, whose root the library does not look at.
		if old > 0 && size > 0 {
			got := tlog.CheckConsistency(hashes, old, a, size, b)
			want := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(old), uint64(size), oracle(hashes), a[:], b[:])
			if (got == nil) != (want == nil) {
				t.Errorf("from %d to %d, %d hashes: got %v, merkle %v", old, size, len(hashes), got, want)
			}
		}
		// And what is right is right for x/mod as well.
		from, to := int64(small%300), int64(large%300)
		if from > to || from == 0 {
			return
		}
		all := leaves(int(to))
		good, r1, r2 := tlog.Consistency(all, from), tlog.RootHash(all[:from]), tlog.RootHash(all)
		if err := tlog.CheckConsistency(good, from, r1, to, r2); err != nil {
			t.Errorf("from %d to %d: %v", from, to, err)
		}
		var theirs xtlog.TreeProof
		for _, h := range good {
			theirs = append(theirs, xtlog.Hash(h))
		}
		if err := xtlog.CheckTree(theirs, to, xtlog.Hash(r2), from, xtlog.Hash(r1)); err != nil {
			t.Errorf("x/mod, from %d to %d: %v", from, to, err)
		}
	})
}
