package object

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// LeafSize is the length of a record of the leaf table in bytes.
const LeafSize = 1 + 4 + sha256.Size + sha256.Size

// MaxLeafTable bounds the leaf table in bytes, and so an object: 173 000
// chunks, 181 GB, in profile default.
const MaxLeafTable = 16 << 20

// Types of leaves (specs/runtime.md, section B5).
const (
	LeafData   = 1
	LeafParity = 2
)

// Leaf describes one shard (specs/runtime.md, section B5):
//
//	0   1   type: 1 data, 2 parity
//	1   4   length of the shard as stored, u32be
//	5   32  key commitment of the chunk; zero for parity
//	37  32  root of the shard
type Leaf struct {
	Type      byte
	StoredLen uint32
	Commit    [32]byte
	ShardRoot [32]byte
}

// EncodeLeaves writes the leaf table: the records one after the other.
func EncodeLeaves(leaves []Leaf) []byte {
	b := make([]byte, 0, len(leaves)*LeafSize)
	for _, l := range leaves {
		b = append(b, l.Type)
		b = binary.BigEndian.AppendUint32(b, l.StoredLen)
		b = append(b, l.Commit[:]...)
		b = append(b, l.ShardRoot[:]...)
	}
	return b
}

// DecodeLeaves reads a leaf table. Whether it belongs to an object is seen by
// OpenManifest alone.
func DecodeLeaves(b []byte) ([]Leaf, error) {
	if len(b) > MaxLeafTable {
		return nil, fmt.Errorf("decoding leaf table: got %d bytes, want at most %d", len(b), MaxLeafTable)
	}
	if len(b) == 0 || len(b)%LeafSize != 0 {
		return nil, fmt.Errorf("decoding leaf table: got %d bytes, want a multiple of %d", len(b), LeafSize)
	}
	leaves := make([]Leaf, 0, len(b)/LeafSize)
	for ; len(b) > 0; b = b[LeafSize:] {
		l := Leaf{
			Type:      b[0],
			StoredLen: binary.BigEndian.Uint32(b[1:]),
			Commit:    [32]byte(b[5:37]),
			ShardRoot: [32]byte(b[37:69]),
		}
		if err := l.check(); err != nil {
			return nil, fmt.Errorf("decoding leaf table: leaf %d: %w", len(leaves), err)
		}
		leaves = append(leaves, l)
	}
	return leaves, nil
}

func (l Leaf) check() error {
	switch {
	case l.Type != LeafData && l.Type != LeafParity:
		return fmt.Errorf("type: got %d, want %d or %d", l.Type, LeafData, LeafParity)
	case l.StoredLen < TagSize || l.StoredLen > ShardSize:
		return fmt.Errorf("stored length: got %d, want %d to %d", l.StoredLen, TagSize, ShardSize)
	case l.Type == LeafParity && l.Commit != [32]byte{}:
		return fmt.Errorf("commitment of parity: got %x, want zeros", l.Commit)
	}
	return nil
}

// Root is the Merkle tree hash over the records, which the manifest names.
func Root(leaves []Leaf) [32]byte {
	hashes := make([][32]byte, len(leaves))
	b := EncodeLeaves(leaves)
	for i := range hashes {
		hashes[i] = leafHash(b[i*LeafSize:][:LeafSize])
	}
	return treeHash(hashes)
}

// checkGeometry compares the leaves with what size and profile demand: how
// many, of which type, how long.
func checkGeometry(leaves []Leaf, g Geometry) error {
	if len(leaves) != g.Leaves() {
		return fmt.Errorf("got %d leaves, want %d", len(leaves), g.Leaves())
	}
	for s := range g.Stripes {
		st := g.Stripe(s)
		for j := range st.Data + st.Parity {
			wantType, wantLen := byte(LeafParity), st.ShardLen
			if j < st.Data {
				wantType, wantLen = LeafData, g.PlainLen(st.FirstChunk+uint32(j))+TagSize
			}
			l := leaves[st.FirstLeaf+j]
			if l.Type != wantType || int(l.StoredLen) != wantLen {
				return fmt.Errorf("leaf %d: got type %d and stored length %d, want %d and %d",
					st.FirstLeaf+j, l.Type, l.StoredLen, wantType, wantLen)
			}
		}
	}
	return nil
}
