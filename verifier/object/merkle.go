package object

import "crypto/sha256"

// Prefixes of RFC 6962, section 2.1: a leaf can't be taken for a node.
const (
	leafPrefix = 0x00
	nodePrefix = 0x01
)

// ShardRoot is a shard's name: the Merkle tree hash over its blocks of
// BlockSize bytes, the last one as short as it is. A shard is hashed once.
func ShardRoot(shard []byte) [sha256.Size]byte {
	h := sha256.New()
	prefix := []byte{leafPrefix}
	hashes := make([][sha256.Size]byte, 0, maxBlocks)
	for len(shard) > 0 {
		n := min(BlockSize, len(shard))
		h.Reset()
		h.Write(prefix)
		h.Write(shard[:n])
		shard = shard[n:]
		hashes = hashes[:len(hashes)+1]
		h.Sum(hashes[len(hashes)-1][:0])
	}
	return treeHash(hashes)
}

// leafHash is the hash of one leaf of the tree.
func leafHash(b []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write([]byte{leafPrefix})
	h.Write(b)
	return [sha256.Size]byte(h.Sum(nil))
}

// treeHash is the Merkle tree hash over leaf hashes, which it overwrites.
// Pairing level by level and passing on an odd last one gives the tree of RFC
// 6962: its left part is always the largest power of two below the number of
// leaves.
func treeHash(level [][sha256.Size]byte) [sha256.Size]byte {
	if len(level) == 0 {
		return sha256.Sum256(nil)
	}
	var pair [1 + 2*sha256.Size]byte
	pair[0] = nodePrefix
	for len(level) > 1 {
		for i := 0; i+1 < len(level); i += 2 {
			copy(pair[1:], level[i][:])
			copy(pair[1+sha256.Size:], level[i+1][:])
			level[i/2] = sha256.Sum256(pair[:])
		}
		if len(level)%2 == 1 {
			level[len(level)/2] = level[len(level)-1]
		}
		level = level[:(len(level)+1)/2]
	}
	return level[0]
}
