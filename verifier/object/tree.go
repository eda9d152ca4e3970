package object

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Labels of key derivation (specs/runtime.md, section B3).
const (
	labelRoot  = "safebox/v1/root"
	labelTree  = "safebox/v1/tree"
	labelChunk = "safebox/v1/chunk\x00"
)

// okmSize is what is derived for a chunk: key, nonce, commitment.
const okmSize = 32 + 12 + 32

// Node is a node of the key tree: who holds it can derive the keys of all
// chunks below it, and of no other. The key tree is binary and has Depth
// levels below its root; the path to chunk i is the bits of i from the highest.
type Node struct {
	Depth  uint8  // 0 is the root, 32 is a chunk's
	Prefix uint32 // the first Depth bits of the indices below, as a number
	Key    [32]byte
}

// ChunkKey is what one chunk is sealed with.
type ChunkKey struct {
	Key    [32]byte // AES-256-GCM; encrypts exactly one message ever
	Nonce  [12]byte
	Commit [32]byte // must equal the commitment in the chunk's leaf
}

// RootNode derives the root from an object's secret.
func RootNode(fs, oid [32]byte, suite uint8) Node {
	return Node{Key: mac(fs[:], labelRoot, oid[:], []byte{suite})}
}

func mac(key []byte, label string, parts ...[]byte) [32]byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(label))
	for _, p := range parts {
		h.Write(p)
	}
	var out [32]byte
	h.Sum(out[:0])
	return out
}

// child gives the left (0) or right (1) child.
func (n Node) child(bit uint32) Node {
	return Node{Depth: n.Depth + 1, Prefix: n.Prefix<<1 | bit, Key: mac(n.Key[:], labelTree, []byte{byte(bit)})}
}

// Covers reports whether chunk i is below the node.
func (n Node) Covers(i uint32) bool {
	return n.Depth <= Depth && uint64(i)>>(Depth-n.Depth) == uint64(n.Prefix)
}

// Chunk derives the keys of chunk i, which must be below the node.
func (n Node) Chunk(oid [32]byte, i uint32) (ChunkKey, error) {
	if !n.Covers(i) {
		return ChunkKey{}, fmt.Errorf("deriving keys of chunk %d: not below the node at depth %d with prefix %d", i, n.Depth, n.Prefix)
	}
	for n.Depth < Depth {
		n = n.child(i >> (Depth - 1 - n.Depth) & 1)
	}
	info := append([]byte(labelChunk), oid[:]...)
	okm, err := hkdf.Expand(sha256.New, n.Key[:], string(binary.BigEndian.AppendUint32(info, i)), okmSize)
	if err != nil {
		return ChunkKey{}, fmt.Errorf("deriving keys of chunk %d: %w", i, err)
	}
	k := ChunkKey{Key: [32]byte(okm[:32]), Nonce: [12]byte(okm[32:44]), Commit: [32]byte(okm[44:])}
	clear(okm)
	return k, nil
}

// Cover gives the smallest set of nodes below n that covers the ranges and
// nothing else, in ascending order.
func (n Node) Cover(r Ranges) ([]Node, error) {
	nodes, err := cover(r)
	if err != nil {
		return nil, fmt.Errorf("covering chunks: %w", err)
	}
	if n.Depth > Depth {
		return nil, fmt.Errorf("covering chunks %s: node at depth %d, want at most %d", r, n.Depth, Depth)
	}
	// path[d] is the node at depth d on the way to the node before; what two
	// neighbours share is derived once.
	var path [Depth + 1]Node
	path[n.Depth] = n
	known := n.Depth
	for i, want := range nodes {
		if want.Depth < n.Depth || want.Prefix>>(want.Depth-n.Depth) != n.Prefix {
			return nil, fmt.Errorf("covering chunks %s: not below the node at depth %d with prefix %d", r, n.Depth, n.Prefix)
		}
		for d := n.Depth + 1; d <= want.Depth; d++ {
			prefix := want.Prefix >> (want.Depth - d)
			if d > known || path[d].Prefix != prefix {
				path[d] = path[d-1].child(prefix & 1)
				known = d
			}
		}
		nodes[i] = path[want.Depth]
	}
	return nodes, nil
}

// cover is the shape of the smallest cover, without keys: at each place the
// largest aligned power of two that fits.
func cover(r Ranges) ([]Node, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("ranges: %w", err)
	}
	var nodes []Node
	for _, p := range r {
		for a, b := uint64(p[0]), uint64(p[1]); a < b; {
			height := bits.Len64(b-a) - 1
			if a > 0 {
				height = min(height, bits.TrailingZeros64(a))
			}
			nodes = append(nodes, Node{Depth: uint8(Depth - height), Prefix: uint32(a >> height)})
			a += 1 << height
		}
	}
	return nodes, nil
}

// ChunkKeys derives chunk keys from the nodes of a grant, or from the root.
type ChunkKeys struct {
	oid   [32]byte
	nodes []Node
}

// NewChunkKeys keeps the nodes; it does not copy them.
func NewChunkKeys(oid [32]byte, nodes []Node) *ChunkKeys {
	return &ChunkKeys{oid: oid, nodes: nodes}
}

// Chunk gives the keys of chunk i if a node covers it.
func (k *ChunkKeys) Chunk(i uint32) (key [32]byte, nonce [12]byte, commit [32]byte, err error) {
	for _, n := range k.nodes {
		if n.Covers(i) {
			c, err := n.Chunk(k.oid, i)
			return c.Key, c.Nonce, c.Commit, err
		}
	}
	return key, nonce, commit, fmt.Errorf("deriving keys of chunk %d: no node covers it", i)
}
