package object

import "fmt"

// Geometry says which bytes lie where. It follows from size and profile alone
// (specs/runtime.md, section B2): every chunk but the last holds ChunkSize
// bytes, and k chunks in a row are a stripe. The last stripe may have fewer.
// An empty file is one chunk of no bytes, so that its end is authenticated as
// well.
type Geometry struct {
	Size    int64 // bytes of plaintext
	Profile Profile
	Chunks  uint32
	Stripes uint32
}

// NewGeometry computes the geometry, and refuses an object whose leaf table
// would be above MaxLeafTable.
func NewGeometry(size int64, p Profile) (Geometry, error) {
	if known, ok := profileOf(p.K, p.M); !ok || known != p {
		return Geometry{}, fmt.Errorf("geometry: profile: got %q with k %d and m %d, want one of %v", p.Name, p.K, p.M, Profiles())
	}
	if size < 0 || size > maxSize(p) {
		return Geometry{}, fmt.Errorf("geometry: size: got %d bytes, want 0 to %d for profile %s", size, maxSize(p), p.Name)
	}
	chunks := max(1, (size+ChunkSize-1)/ChunkSize)
	stripes := (chunks + int64(p.K) - 1) / int64(p.K)
	return Geometry{Size: size, Profile: p, Chunks: uint32(chunks), Stripes: uint32(stripes)}, nil
}

// maxSize is the size of as many whole stripes as the leaf table has room for.
func maxSize(p Profile) int64 {
	return int64(maxLeaves/(p.K+p.M)) * int64(p.K) * ChunkSize
}

// Leaves is the number of shards that are stored: one for each chunk, and m
// for each stripe. The positions that a short last stripe lacks are not
// stored.
func (g Geometry) Leaves() int { return int(g.Chunks) + int(g.Stripes)*g.Profile.M }

// PlainLen is the length of chunk i in plaintext; 0 if there is no such chunk.
func (g Geometry) PlainLen(i uint32) int {
	return int(max(0, min(ChunkSize, g.Size-int64(i)*ChunkSize)))
}

// Last reports whether chunk i is the last one.
func (g Geometry) Last(i uint32) bool { return i == g.Chunks-1 }

// Stripe is one stripe's part of the geometry.
type Stripe struct {
	Index      uint32
	FirstChunk uint32
	Data       int // data shards: k, in the last stripe 1 to k
	Parity     int // parity shards: m
	FirstLeaf  int // data leaves from here, then the parity leaves
	ShardLen   int // length at which shards are coded; parity is stored at it, data unextended
}

// Stripe gives stripe s, which must be below Stripes.
func (g Geometry) Stripe(s uint32) Stripe {
	k, m := uint32(g.Profile.K), g.Profile.M
	st := Stripe{Index: s, FirstChunk: s * k, Parity: m, FirstLeaf: int(s) * (int(k) + m)}
	st.Data = int(min(k, g.Chunks-st.FirstChunk))
	// The first chunk of a stripe is its longest: only the object's last is short.
	st.ShardLen = (g.PlainLen(st.FirstChunk) + TagSize + align - 1) / align * align
	return st
}

// Leaf is the index of chunk i's leaf.
func (g Geometry) Leaf(i uint32) int {
	st := g.Stripe(i / uint32(g.Profile.K))
	return st.FirstLeaf + int(i-st.FirstChunk)
}
