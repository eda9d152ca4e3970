package keeper

import (
	"sync"

	"safebox/verifier/object"
)

// keys are the nodes of one grant, in the arena.
type keys struct {
	oid [32]byte

	mu    sync.Mutex // nodes are wiped while a chunk may be read
	nodes []node
}

// node is a node of the key tree whose key is in the arena.
type node struct {
	depth  uint8
	prefix uint32
	key    slot
}

// newKeys copies the nodes; the caller wipes its own.
func (k *Keeper) newKeys(oid [32]byte, nodes []object.Node) (*keys, error) {
	kept := &keys{oid: oid}
	for i := range nodes {
		s, err := k.arena.alloc()
		if err != nil {
			kept.wipe()
			return nil, err
		}
		copy(s.bytes(), nodes[i].Key[:])
		kept.nodes = append(kept.nodes, node{nodes[i].Depth, nodes[i].Prefix, s})
	}
	return kept, nil
}

// Chunk derives the keys of one chunk. It gives none after wipe.
func (k *keys) Chunk(i uint32) (key [32]byte, nonce [12]byte, commit [32]byte, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, n := range k.nodes {
		at := object.Node{Depth: n.depth, Prefix: n.prefix}
		if !at.Covers(i) {
			continue
		}
		copy(at.Key[:], n.key.bytes())
		c, err := at.Chunk(k.oid, i)
		clear(at.Key[:])
		return c.Key, c.Nonce, c.Commit, err
	}
	return key, nonce, commit, problem(ProblemGrantLease, "chunk %d: no key, or no more", i)
}

// wipe forgets the nodes. A second time it does nothing.
func (k *keys) wipe() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, n := range k.nodes {
		n.key.wipe()
	}
	k.nodes = nil
}
