package tlog

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"
)

// The first byte of what is hashed (RFC 6962, section 2.1): it keeps a leaf
// from being taken for a node.
const (
	leafPrefix = 0x00
	nodePrefix = 0x01
)

// LeafHash is the hash of an entry (RFC 6962, section 2.1).
func LeafHash(entry []byte) [32]byte {
	h := sha256.New()
	h.Write([]byte{leafPrefix})
	h.Write(entry)
	return [32]byte(h.Sum(nil))
}

// nodeHash is the hash of two subtrees (RFC 6962, section 2.1).
func nodeHash(left, right [32]byte) [32]byte {
	var b [65]byte
	b[0] = nodePrefix
	copy(b[1:], left[:])
	copy(b[33:], right[:])
	return sha256.Sum256(b[:])
}

// RootHash is the root of the tree over leaf hashes: MTH of RFC 6962, section
// 2.1. That of no leaves is the SHA-256 of nothing.
func RootHash(leaves [][32]byte) [32]byte {
	if len(leaves) == 0 {
		return sha256.Sum256(nil)
	}
	// left holds the roots of the full subtrees so far, largest first.
	left := make([][32]byte, 0, bits.Len(uint(len(leaves))))
	for i, h := range leaves {
		for n := i; n&1 == 1; n >>= 1 {
			h = nodeHash(left[len(left)-1], h)
			left = left[:len(left)-1]
		}
		left = append(left, h)
	}
	root := left[len(left)-1]
	for i := len(left) - 2; i >= 0; i-- {
		root = nodeHash(left[i], root)
	}
	return root
}

// split is k of RFC 6962, section 2.1: the largest power of two below n, which
// is at least 2.
func split(n int) int { return 1 << (bits.Len(uint(n-1)) - 1) }

// Inclusion is the audit path of a leaf, from its sibling up (RFC 6962,
// section 2.1.1). It is nil for a leaf that is not there.
func Inclusion(leaves [][32]byte, index int64) [][32]byte {
	if index < 0 || index >= int64(len(leaves)) || len(leaves) == 1 {
		return nil
	}
	k := split(len(leaves))
	if index < int64(k) {
		return append(Inclusion(leaves[:k], index), RootHash(leaves[k:]))
	}
	return append(Inclusion(leaves[k:], index-int64(k)), RootHash(leaves[:k]))
}

// Consistency is the proof that the tree over the first old leaves is a prefix
// of the tree over all (RFC 6962, section 2.1.2). It is nil for 0 and for as
// many leaves as there are, and where there are fewer.
func Consistency(leaves [][32]byte, old int64) [][32]byte {
	if old <= 0 || old >= int64(len(leaves)) {
		return nil
	}
	return subproof(leaves, int(old), true)
}

// subproof is SUBPROOF of RFC 6962, section 2.1.2.
func subproof(leaves [][32]byte, m int, complete bool) [][32]byte {
	if m == len(leaves) {
		if complete {
			return nil
		}
		return [][32]byte{RootHash(leaves)}
	}
	k := split(len(leaves))
	if m <= k {
		return append(subproof(leaves[:k], m, complete), RootHash(leaves[k:]))
	}
	return append(subproof(leaves[k:], m-k, false), RootHash(leaves[:k]))
}

// CheckInclusion checks that the leaf at index is in the tree (the algorithm
// of RFC 9162, section 2.1.3.2, whose proofs are those of RFC 6962).
func CheckInclusion(proof [][32]byte, index int64, leaf [32]byte, size int64, root [32]byte) error {
	if index < 0 || index >= size {
		return fmt.Errorf("inclusion proof: index: got %d, want one of a tree of %d entries", index, size)
	}
	fn, sn, r := uint64(index), uint64(size-1), leaf
	for _, p := range proof {
		if sn == 0 {
			return fmt.Errorf("inclusion proof: got %d hashes, want fewer", len(proof))
		}
		if fn&1 == 1 || fn == sn {
			r = nodeHash(p, r)
			shift := trailing(fn)
			fn, sn = fn>>shift, sn>>shift
		} else {
			r = nodeHash(r, p)
		}
		fn, sn = fn>>1, sn>>1
	}
	if sn != 0 {
		return fmt.Errorf("inclusion proof: got %d hashes, want more", len(proof))
	}
	if r != root {
		return fmt.Errorf("inclusion proof of entry %d: root: got %x, want %x", index, r, root)
	}
	return nil
}

// trailing counts the zero bits below the lowest one of n, 0 of 0.
func trailing(n uint64) int {
	if n == 0 {
		return 0
	}
	return bits.TrailingZeros64(n)
}

// CheckConsistency checks that the old tree is a prefix of the new one (the
// algorithm of RFC 9162, section 2.1.4.2, whose proofs are those of RFC 6962).
// Trees of one size must have one root. The empty tree is a prefix of every
// tree; its root is RootHash(nil).
func CheckConsistency(proof [][32]byte, oldSize int64, oldRoot [32]byte, newSize int64, newRoot [32]byte) error {
	if oldSize < 0 || oldSize > newSize {
		return fmt.Errorf("consistency proof: old size: got %d, want 0 to %d", oldSize, newSize)
	}
	if oldSize == 0 || oldSize == newSize {
		want := newRoot
		if oldSize == 0 {
			want = RootHash(nil)
		}
		if len(proof) != 0 {
			return fmt.Errorf("consistency proof from %d to %d: got %d hashes, want none", oldSize, newSize, len(proof))
		}
		if oldRoot != want {
			return fmt.Errorf("consistency proof: root at size %d: got %x, want %x", oldSize, want, oldRoot)
		}
		return nil
	}
	return checkConsistency(proof, oldSize, oldRoot, newSize, newRoot)
}

// checkConsistency is CheckConsistency where 0 < oldSize < newSize.
func checkConsistency(proof [][32]byte, oldSize int64, oldRoot [32]byte, newSize int64, newRoot [32]byte) error {
	if len(proof) == 0 {
		return errors.New("consistency proof: got no hashes, want some")
	}
	fn, sn := uint64(oldSize-1), uint64(newSize-1)
	first, rest := proof[0], proof[1:]
	if oldSize&(oldSize-1) == 0 { // a full tree is a node of the new one
		first, rest = oldRoot, proof
	}
	shift := bits.TrailingZeros64(^fn)
	fn, sn = fn>>shift, sn>>shift
	fr, sr := first, first
	for _, c := range rest {
		if sn == 0 {
			return fmt.Errorf("consistency proof: got %d hashes, want fewer", len(proof))
		}
		if fn&1 == 1 || fn == sn {
			fr, sr = nodeHash(c, fr), nodeHash(c, sr)
			shift := trailing(fn)
			fn, sn = fn>>shift, sn>>shift
		} else {
			sr = nodeHash(sr, c)
		}
		fn, sn = fn>>1, sn>>1
	}
	if sn != 0 {
		return fmt.Errorf("consistency proof: got %d hashes, want more", len(proof))
	}
	if fr != oldRoot {
		return fmt.Errorf("consistency proof: root at size %d: got %x, want %x", oldSize, fr, oldRoot)
	}
	if sr != newRoot {
		return fmt.Errorf("consistency proof: root at size %d: got %x, want %x", newSize, sr, newRoot)
	}
	return nil
}
