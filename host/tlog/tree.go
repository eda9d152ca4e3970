package tlog

import (
	"fmt"
	"slices"

	sumdb "golang.org/x/mod/sumdb/tlog"
)

// tree is the Merkle tree of the entries in memory: what is signed and proved
// comes from here, computed from the entry bundles on disk by another
// implementation than the one that wrote the tiles. It takes about 130 bytes
// for each entry. It has no lock of its own.
type tree struct {
	size   int64
	hashes []sumdb.Hash         // in the order of sumdb.StoredHashIndex
	first  map[sumdb.Hash]int64 // leaf hash to the first index that has it
}

func newTree() *tree { return &tree{first: map[sumdb.Hash]int64{}} }

// add appends one leaf.
func (t *tree) add(leaf sumdb.Hash) error {
	h, err := sumdb.StoredHashesForRecordHash(t.size, leaf, t)
	if err != nil {
		return fmt.Errorf("adding leaf %d: %w", t.size, err)
	}
	t.hashes = append(t.hashes, h...)
	if _, ok := t.first[leaf]; !ok {
		t.first[leaf] = t.size
	}
	t.size++
	return nil
}

// ReadHashes implements sumdb.HashReader.
func (t *tree) ReadHashes(indexes []int64) ([]sumdb.Hash, error) {
	list := make([]sumdb.Hash, len(indexes))
	for i, n := range indexes {
		if n < 0 || n >= int64(len(t.hashes)) {
			return nil, fmt.Errorf("stored hash %d of %d", n, len(t.hashes))
		}
		list[i] = t.hashes[n]
	}
	return list, nil
}

// prefix is the tree as it was with fewer leaves. It is safe to read while the
// tree grows, if it was made under the lock.
func (t *tree) prefix() *tree {
	return &tree{size: t.size, hashes: slices.Clip(t.hashes)}
}

// root is the root hash over the first size leaves.
func (t *tree) root(size int64) ([32]byte, error) {
	if size > t.size {
		return [32]byte{}, fmt.Errorf("root of %d leaves: only %d are there", size, t.size)
	}
	return sumdb.TreeHash(size, t)
}

// inclusion proves leaf index in the tree of size leaves.
func (t *tree) inclusion(index, size int64) ([][32]byte, error) {
	if size > t.size {
		return nil, fmt.Errorf("proof in a tree of %d leaves: only %d are there", size, t.size)
	}
	p, err := sumdb.ProveRecord(size, index, t)
	return plain(p), err
}

// consistency proves that the tree of size leaves begins with that of old.
func (t *tree) consistency(old, size int64) ([][32]byte, error) {
	switch {
	case old < 0 || old > size || size > t.size:
		return nil, fmt.Errorf("consistency proof from %d to %d leaves: %d are there", old, size, t.size)
	case old == 0 || old == size:
		return nil, nil // RFC 6962, section 2.1.2 has no proof for these
	}
	p, err := sumdb.ProveTree(size, old, t)
	return plain(p), err
}

func plain(hashes []sumdb.Hash) [][32]byte {
	list := make([][32]byte, len(hashes))
	for i, h := range hashes {
		list[i] = h
	}
	return list
}
