package object

import (
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"safebox/measure/benchtest"
)

// transparent is the root that the transparency log of the Go team computes
// over the same records: the oracle of our Merkle trees.
func transparent(t testing.TB, records [][]byte) [32]byte {
	t.Helper()
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var list []tlog.Hash
		for _, i := range indexes {
			list = append(list, stored[i])
		}
		return list, nil
	})
	for n, record := range records {
		hashes, err := tlog.StoredHashes(int64(n), record, reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
	}
	root, err := tlog.TreeHash(int64(len(records)), reader)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func TestShardRoot(t *testing.T) {
	b := benchtest.Bytes(ShardSize)
	for _, n := range []int{1, 16, 4095, 4096, 4097, 8192, 3*4096 + 5, 5 * 4096, 100 * 4096, ShardSize - 1, ShardSize} {
		var blocks [][]byte
		for rest := b[:n]; len(rest) > 0; {
			size := min(4096, len(rest))
			blocks, rest = append(blocks, rest[:size]), rest[size:]
		}
		if got, want := ShardRoot(b[:n]), transparent(t, blocks); got != want {
			t.Errorf("%d bytes: got %x, want %x", n, got, want)
		}
	}
}

func TestRootOfLeaves(t *testing.T) {
	b := benchtest.Bytes(300 * 32)
	for _, n := range []int{1, 2, 3, 6, 7, 64, 65, 299} {
		var leaves []Leaf
		var records [][]byte
		for i := range n {
			leaves = append(leaves, Leaf{Type: LeafData, StoredLen: uint32(16 + i), ShardRoot: [32]byte(b[i*32:])})
			records = append(records, EncodeLeaves(leaves[i:]))
		}
		if got, want := Root(leaves), transparent(t, records); got != want {
			t.Errorf("%d leaves: got %x, want %x", n, got, want)
		}
	}
}
