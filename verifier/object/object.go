// Package object is the format of sealed objects (docs/format-object.md;
// specs/runtime.md, sections B2 to B5): a file cut into chunks that are
// encrypted each under a key of its own, spread over erasure-coded shards, and
// named by one identifier.
//
//	manifest   what the object is; its SHA-256 makes the identifier (rootCid)
//	leaves     one record for each shard; their Merkle root is in the manifest
//	shards     ciphertext of a chunk, or parity; named by their Merkle root
//	key tree   all chunk keys from one secret; a node opens exactly the chunks below it
//
// Merkle trees are those of RFC 6962, section 2.1, with SHA-256; key
// derivation is HMAC (RFC 2104) and HKDF-Expand (RFC 5869) with SHA-256; the
// identifier is a CID version 1. All integers are big-endian.
package object

import (
	"fmt"
	"strings"
)

// Sizes (specs/runtime.md, section B2), in bytes.
const (
	ChunkSize = 1048560                 // plaintext of a chunk
	TagSize   = 16                      // what AES-256-GCM adds (NIST SP 800-38D)
	ShardSize = ChunkSize + TagSize     // the largest shard: 1 MiB
	BlockSize = 4096                    // a leaf of a shard's Merkle tree
	align     = 64                      // a stripe's shards are coded at a multiple of this
	maxBlocks = ShardSize / BlockSize   // 256
	maxLeaves = MaxLeafTable / LeafSize // of one object
)

// Suite is the only suite of this version: AES-256-GCM with SHA-256
// (specs/runtime.md, section B4).
const Suite = 1

// Depth of the key tree: as many levels as an index has bits.
const Depth = 32

// Profile is a way of spreading a stripe: k data shards and m parity shards,
// of which any k give the data back (specs/runtime.md, section B2).
type Profile struct {
	Name string
	K, M int
}

// Profiles lists every profile; there are no others. No k or m is above 10:
// the erasure code's fast kernels end there.
func Profiles() []Profile {
	return []Profile{
		{Name: "tiny", K: 1, M: 2},
		{Name: "small", K: 4, M: 2},
		{Name: "default", K: 10, M: 4},
		{Name: "archive", K: 10, M: 10},
	}
}

// ParseProfile finds a profile by its name.
func ParseProfile(name string) (Profile, error) {
	names := make([]string, 0, len(Profiles()))
	for _, p := range Profiles() {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Profile{}, fmt.Errorf("parsing profile: got %q, want one of %s", name, strings.Join(names, ", "))
}

// profileOf finds the profile with this k and m.
func profileOf(k, m int) (Profile, bool) {
	for _, p := range Profiles() {
		if p.K == k && p.M == m {
			return p, true
		}
	}
	return Profile{}, false
}
