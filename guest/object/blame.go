package object

import "slices"

// Kinds of blame.
const (
	BlameMissing = "missing" // the shard did not come
	BlameHash    = "hash"    // what came is not the shard of that name
)

// Blame says that a shard was bad when it was fetched.
type Blame struct {
	Leaf   int // in the leaf table
	Root   [32]byte
	Kind   string
	Detail string // for people
}

// blame keeps the first record about a leaf: a list as long as the leaf table
// is the most that a store can make us remember.
func (r *Reader) blame(b Blame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.blames[b.Leaf]; !known {
		r.blames[b.Leaf] = b
	}
}

// Blames lists the shards that were bad so far, by leaf.
func (r *Reader) Blames() []Blame {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Blame, 0, len(r.blames))
	for _, b := range r.blames {
		list = append(list, b)
	}
	slices.SortFunc(list, func(a, b Blame) int { return a.Leaf - b.Leaf })
	return list
}
