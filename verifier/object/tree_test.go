package object

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func testRoot() (Node, [32]byte) {
	var fs, oid [32]byte
	for i := range fs {
		fs[i], oid[i] = byte(i), byte(200+i)
	}
	return RootNode(fs, oid, Suite), oid
}

// interval is the indices below a node, [lo, hi).
func interval(n Node) (lo, hi uint64) {
	size := uint64(1) << (Depth - n.Depth)
	return uint64(n.Prefix) * size, (uint64(n.Prefix) + 1) * size
}

// bruteCover counts the smallest cover by the definition: of all nodes with
// nothing but granted chunks below, those whose parent has something else
// below. It walks every node of a tree over the first 64 indices.
func bruteCover(r Ranges) []string {
	inside := func(depth uint8, prefix uint32) bool {
		lo, hi := interval(Node{Depth: depth, Prefix: prefix})
		for i := lo; i < hi; i++ {
			if !r.Contains(uint32(i)) {
				return false
			}
		}
		return true
	}
	var list []string
	for i := range uint32(64) { // ascending, each node at the first index below it
		for depth := uint8(26); depth <= Depth; depth++ {
			prefix := i >> (Depth - depth)
			if i != prefix<<(Depth-depth) || !inside(depth, prefix) {
				continue
			}
			if depth == 26 || !inside(depth-1, prefix/2) {
				list = append(list, fmt.Sprintf("%d/%d", depth, prefix))
			}
		}
	}
	return list
}

func TestCoverIsMinimal(t *testing.T) {
	root, oid := testRoot()
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		r := randomRanges(random, 64)
		nodes, err := root.Cover(r)
		if err != nil {
			t.Fatalf("%v: %v", r, err)
		}
		var got []string
		for _, n := range nodes {
			got = append(got, fmt.Sprintf("%d/%d", n.Depth, n.Prefix))
		}
		if diff := cmp.Diff(bruteCover(r), got); diff != "" {
			t.Fatalf("%v: nodes (-want +got)\n%s", r, diff)
		}
	}
	// Every node's key is the one on the way from the root.
	nodes, err := root.Cover(Ranges{{3, 17}, {20, 21}, {1000, 99_999}})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		lo, _ := interval(n)
		got, err := n.Chunk(oid, uint32(lo))
		if err != nil {
			t.Fatal(err)
		}
		want, err := root.Chunk(oid, uint32(lo))
		if err != nil || got != want {
			t.Errorf("node %d/%d: chunk %d: keys differ from the root's, %v", n.Depth, n.Prefix, lo, err)
		}
	}
}

// randomRanges gives ranges in their one form below limit.
func randomRanges(random *rand.Rand, limit uint32) Ranges {
	for {
		var r Ranges
		for a := random.Uint32N(8); a < limit; {
			b := min(limit, a+1+random.Uint32N(20))
			r = append(r, [2]uint32{a, b})
			a = b + 1 + random.Uint32N(12)
		}
		if r.check() == nil {
			return r
		}
	}
}

// TestGrantOpensNothingElse: the nodes of a grant derive the granted chunks
// and no other, and none of them is an ancestor of another chunk.
func TestGrantOpensNothingElse(t *testing.T) {
	root, oid := testRoot()
	const chunks = 300
	for _, r := range []Ranges{
		{{0, 1}},
		{{299, 300}},
		{{0, 10}, {20, 30}},
		{{1, 255}},
		{{7, 9}, {63, 65}, {128, 256}},
		{{0, 300}},
	} {
		nodes, err := root.Cover(r)
		if err != nil {
			t.Fatal(err)
		}
		sent, err := DecodeNodes(EncodeNodes(nodes), r)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range sent {
			for i, end := interval(n); i < end; i++ {
				if !r.Contains(uint32(i)) {
					t.Fatalf("%v: node %d/%d is above chunk %d", r, n.Depth, n.Prefix, i)
				}
			}
		}
		keys := NewChunkKeys(oid, sent)
		indices := []uint32{1 << 20, 1 << 31, 1<<32 - 1}
		for i := range uint32(chunks + 20) {
			indices = append(indices, i)
		}
		for _, i := range indices {
			key, nonce, commit, err := keys.Chunk(i)
			if !r.Contains(i) {
				if err == nil || key != [32]byte{} || nonce != [12]byte{} || commit != [32]byte{} {
					t.Fatalf("%v: chunk %d: got a key, %v", r, i, err)
				}
				for _, n := range sent {
					if k, err := n.Chunk(oid, i); err == nil || k != (ChunkKey{}) {
						t.Fatalf("%v: node %d/%d gives chunk %d", r, n.Depth, n.Prefix, i)
					}
				}
				continue
			}
			want, wantErr := root.Chunk(oid, i)
			if err != nil || wantErr != nil || key != want.Key || nonce != want.Nonce || commit != want.Commit {
				t.Fatalf("%v: chunk %d: not the owner's keys: %v, %v", r, i, err, wantErr)
			}
		}
	}
}

// TestLargestCover: specs/runtime.md, section B3, gives these numbers: one
// range needs at most 62 nodes.
func TestLargestCover(t *testing.T) {
	nodes, err := cover(Ranges{{1, 1<<32 - 1}})
	if err != nil || len(nodes) != 62 {
		t.Errorf("got %d nodes, %v, want 62", len(nodes), err)
	}
	if MaxNodes != 64*62 {
		t.Errorf("MaxNodes: got %d, want 64 ranges of 62", MaxNodes)
	}
}

func TestCoverBelowANode(t *testing.T) {
	root, _ := testRoot()
	n, err := root.Cover(Ranges{{8, 16}})
	if err != nil || len(n) != 1 {
		t.Fatalf("got %d nodes, %v", len(n), err)
	}
	part, err := n[0].Cover(Ranges{{9, 12}})
	if err != nil {
		t.Fatal(err)
	}
	want, err := root.Cover(Ranges{{9, 12}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, part); diff != "" {
		t.Errorf("nodes (-want +got)\n%s", diff)
	}
	for _, r := range []Ranges{{{7, 9}}, {{15, 17}}, {{0, 32}}, {{16, 17}}, {}} {
		if got, err := n[0].Cover(r); err == nil {
			t.Errorf("%v below chunks 8 to 15: got %v", r, got)
		}
	}
}

func TestNodeBelowTheTree(t *testing.T) {
	n := Node{Depth: 33}
	if got, err := n.Cover(Ranges{{0, 1}}); err == nil || n.Covers(0) {
		t.Errorf("a node at depth 33 covers %v", got)
	}
}

func TestDecodeNodesRefuses(t *testing.T) {
	root, _ := testRoot()
	r := Ranges{{0, 10}, {20, 30}}
	nodes, err := root.Cover(r)
	if err != nil {
		t.Fatal(err)
	}
	good := string(EncodeNodes(nodes))
	swapped := append([]Node{nodes[1], nodes[0]}, nodes[2:]...)
	split := append([]Node{nodes[0].child(0), nodes[0].child(1)}, nodes[1:]...)
	for name, bad := range map[string]string{
		"empty":          "",
		"no magic":       "SBG2" + good[4:],
		"short":          good[:len(good)-1],
		"trailing byte":  good + "\x00",
		"one node fewer": string(EncodeNodes(nodes[1:])),
		"twice":          string(EncodeNodes(append(nodes[:1:1], nodes...))),
		"order":          string(EncodeNodes(swapped)),
		"not minimal":    string(EncodeNodes(split)),
		"the root":       string(EncodeNodes([]Node{root})),
		"depth":          good[:6] + "\x20" + good[7:],
		"prefix":         good[:10] + "\x01" + good[11:],
		"count":          good[:5] + "\x00" + good[6:],
	} {
		if _, err := DecodeNodes([]byte(bad), r); err == nil || !strings.HasPrefix(err.Error(), "decoding nodes: ") {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	for _, other := range []Ranges{{{0, 10}}, {{0, 10}, {20, 31}}, {{0, 9}, {20, 30}}, {{64, 74}, {84, 94}}, {{20, 30}, {0, 10}}, {}} {
		if _, err := DecodeNodes([]byte(good), other); err == nil {
			t.Errorf("nodes of %v taken for %v", r, other)
		}
	}
}
