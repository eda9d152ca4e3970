package object

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"safebox/verifier/object"
)

// readAll reads every chunk, the last first, into one buffer.
func (s *sealed) readAll(t testing.TB, r *Reader) {
	t.Helper()
	dst := make([]byte, 0, object.ChunkSize)
	for i := s.object.Geometry.Chunks; i > 0; i-- {
		got, err := r.Chunk(t.Context(), i-1, dst)
		if err != nil {
			t.Fatalf("chunk %d: %v", i-1, err)
		}
		if !bytes.Equal(got, s.chunk(i-1)) {
			t.Fatalf("chunk %d: wrong bytes", i-1)
		}
		if len(got) > 0 && &got[0] != &dst[:1][0] {
			t.Errorf("chunk %d: not in the memory given", i-1)
		}
	}
}

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		profile string
		size    int64
	}{
		{"tiny", 0},
		{"tiny", 1},
		{"tiny", 200_000},
		{"small", 0},
		{"small", object.ChunkSize - 1},
		{"small", object.ChunkSize},
		{"small", object.ChunkSize + 1},
		{"small", 4 * object.ChunkSize},
		{"small", 9*object.ChunkSize + 12345},
		{"default", 11*object.ChunkSize + 7},
		{"archive", 300},
		{"archive", 10*object.ChunkSize + 7},
	} {
		s := newSealed(t, tt.profile, tt.size)
		r := s.reader(t)
		s.readAll(t, r)
		if s.store.asked != int(s.object.Geometry.Chunks) || len(r.Blames()) > 0 {
			t.Errorf("%s %d: %d fetches and %d blames for %d healthy chunks",
				tt.profile, tt.size, s.store.asked, len(r.Blames()), s.object.Geometry.Chunks)
		}
		// The first m shards of every stripe are gone, or the first data shard
		// and all parity but one: everything still reads.
		for _, fromEnd := range []bool{false, true} {
			s.store.healthy(s.object)
			for i := range s.object.Geometry.Stripes {
				st := s.object.Geometry.Stripe(i)
				for j := range st.Parity {
					leaf := st.FirstLeaf + j
					if fromEnd && j > 0 {
						leaf = st.FirstLeaf + st.Data + st.Parity - j
					}
					s.store.spoil[leaf] = gone
				}
			}
			r := s.reader(t)
			s.readAll(t, r)
			if len(r.Blames()) == 0 {
				t.Errorf("%s %d: nobody is blamed", tt.profile, tt.size)
			}
		}
	}
}

// TestLoss: whichever m shards of a stripe are lost or rotten, its chunks
// read; with any m+1 of which one is the chunk's own they are refused by name.
func TestLoss(t *testing.T) {
	s := newSealed(t, "small", 7*object.ChunkSize+99) // the last stripe has four chunks, the last of them short
	g := s.object.Geometry
	for first := range 6 {
		for second := range first {
			s.store.healthy(s.object)
			st := g.Stripe(1)
			s.store.spoil[st.FirstLeaf+first], s.store.spoil[st.FirstLeaf+second] = flip, gone
			r := s.reader(t)
			s.readAll(t, r)
			for _, b := range r.Blames() {
				switch {
				case b.Leaf == st.FirstLeaf+first && b.Kind == BlameHash, b.Leaf == st.FirstLeaf+second && b.Kind == BlameMissing:
				default:
					t.Errorf("blamed leaf %d for %s (%s)", b.Leaf, b.Kind, b.Detail)
				}
			}
			for third := range second {
				s.store.spoil[st.FirstLeaf+third] = gone
				r := s.reader(t)
				if third < st.Data {
					got, err := r.Chunk(t.Context(), st.FirstChunk+uint32(third), nil)
					wantProblem(t, err, ProblemHash)
					if got != nil || !strings.Contains(err.Error(), "at most 2 may be") {
						t.Errorf("got %d bytes, %v", len(got), err)
					}
					if n := len(r.Blames()); n != 3 {
						t.Errorf("got %d blames, want 3", n)
					}
				}
				if got, err := r.Chunk(t.Context(), 0, nil); err != nil || !bytes.Equal(got, s.chunk(0)) {
					t.Errorf("the other stripe: %v", err)
				}
				delete(s.store.spoil, st.FirstLeaf+third)
			}
		}
	}
	for j := range 3 {
		s.store.healthy(s.object)
		s.store.spoil[0], s.store.spoil[1+j], s.store.spoil[5] = gone, gone, gone
		_, err := s.reader(t).Chunk(t.Context(), 0, nil)
		wantProblem(t, err, ProblemMissing)
	}
}

// TestRandomCorruption spoils random shards in random ways: what comes is
// always right, and refused only when more than m shards of a stripe are bad.
func TestRandomCorruption(t *testing.T) {
	const rounds = 4000
	random := rand.New(rand.NewPCG(3, 4))
	var objects []*sealed
	for _, p := range object.Profiles() {
		objects = append(objects, newSealed(t, p.Name, 3000), newSealed(t, p.Name, 0))
	}
	objects = append(objects, newSealed(t, "small", 4*object.ChunkSize+1000)) // two stripes, the second of one short chunk
	other := newSealed(t, "small", 3000)
	ways := []func(b []byte) []byte{
		gone,
		func(b []byte) []byte { b[random.IntN(len(b))] ^= 1 << random.IntN(8); return b },
		func(b []byte) []byte { return b[:random.IntN(len(b))] },
		func(b []byte) []byte { return append(b, 0) },
		func(b []byte) []byte { clear(b); return b },
		func(b []byte) []byte { slices.Reverse(b); return b },
		func(b []byte) []byte { // shard of another object
			for _, foreign := range other.store.shards {
				return foreign
			}
			return nil
		},
		func(b []byte) []byte { // bytes swapped within a block
			i, j := random.IntN(len(b)), random.IntN(len(b))
			if b[i] == b[j] {
				b[i]++
			}
			b[i], b[j] = b[j], b[i]
			return b
		},
		func([]byte) []byte { return []byte{} },
	}
	read, refused := 0, 0
	for n := range rounds {
		s := objects[n%len(objects)]
		g := s.object.Geometry
		s.store.healthy(s.object)
		i := random.Uint32N(g.Chunks)
		st := g.Stripe(i / uint32(g.Profile.K))
		bad := random.IntN(st.Data + st.Parity + 1)
		for _, j := range random.Perm(st.Data + st.Parity)[:bad] {
			s.store.spoil[st.FirstLeaf+j] = ways[random.IntN(len(ways))]
		}
		got, err := s.reader(t).Chunk(t.Context(), i, nil)
		switch {
		case err == nil && !bytes.Equal(got, s.chunk(i)):
			t.Fatalf("round %d: profile %s, %d bad shards: wrong bytes", n, g.Profile.Name, bad)
		case err != nil && (bad <= st.Parity || got != nil):
			t.Fatalf("round %d: profile %s, %d of %d shards bad: %v", n, g.Profile.Name, bad, st.Data+st.Parity, err)
		case err != nil:
			refused++
		default:
			read++
		}
	}
	if t.Logf("%d read, %d refused, no wrong byte", read, refused); read < rounds/4 || refused < rounds/20 {
		t.Error("one side is hardly tested")
	}
}

// wrongKeys gives other keys than the object's.
type wrongKeys struct {
	Keys
	change func(key *[32]byte, nonce *[12]byte, commit *[32]byte)
}

func (w wrongKeys) Chunk(i uint32) (key [32]byte, nonce [12]byte, commit [32]byte, err error) {
	key, nonce, commit, err = w.Keys.Chunk(i)
	w.change(&key, &nonce, &commit)
	return key, nonce, commit, err
}

func TestChunkRefuses(t *testing.T) {
	s := newSealed(t, "small", 2*object.ChunkSize)
	grant, err := s.Keys.Root().Cover(object.Ranges{{0, 1}})
	if err != nil {
		t.Fatal(err)
	}
	granted := object.NewChunkKeys(s.Keys.OID, grant)
	foreign := newSealed(t, "small", 2*object.ChunkSize)
	for name, tt := range map[string]struct {
		keys Keys
		i    uint32
		id   string
	}{
		"beyond the end":         {s.keys, 2, ProblemKey},
		"outside the grant":      {granted, 1, ProblemKey},
		"keys of another object": {foreign.keys, 0, ProblemCommitment},
		"other commitment":       {wrongKeys{s.keys, func(_ *[32]byte, _ *[12]byte, c *[32]byte) { c[31] ^= 1 }}, 0, ProblemCommitment},
		"other key":              {wrongKeys{s.keys, func(k *[32]byte, _ *[12]byte, _ *[32]byte) { k[0] ^= 1 }}, 0, ProblemOpen},
		"other nonce":            {wrongKeys{s.keys, func(_ *[32]byte, n *[12]byte, _ *[32]byte) { n[0] ^= 1 }}, 0, ProblemOpen},
	} {
		r, err := NewReader(s.object, tt.keys, s.store)
		if err != nil {
			t.Fatal(err)
		}
		dst := make([]byte, 0, object.ChunkSize)
		got, err := r.Chunk(t.Context(), tt.i, dst)
		wantProblem(t, err, tt.id)
		if got != nil || !bytes.Equal(dst[:cap(dst)], make([]byte, cap(dst))) {
			t.Errorf("%s: something of the chunk came out", name)
		}
	}
	r, err := NewReader(s.object, granted, s.store)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.Chunk(t.Context(), 0, nil); err != nil || !bytes.Equal(got, s.chunk(0)) {
		t.Errorf("granted chunk: %v", err)
	}
	if s.store.healthy(s.object); s.store.asked != 0 {
		t.Fatal("unreachable")
	}
	_, err = r.Chunk(t.Context(), 1, nil)
	wantProblem(t, err, ProblemKey)
	if s.store.asked != 0 {
		t.Error("a shard was fetched for a chunk without key")
	}
}

// revoked gives keys until it is told not to.
type revoked struct {
	Keys
	over bool
}

func (r *revoked) Chunk(i uint32) (key [32]byte, nonce [12]byte, commit [32]byte, err error) {
	if r.over {
		return key, nonce, commit, errors.New("the time is over")
	}
	return r.Keys.Chunk(i)
}

// fetchThen does something after each shard that came.
type fetchThen struct {
	Fetcher
	do func()
}

func (f fetchThen) Fetch(ctx context.Context, root [32]byte, limit int) ([]byte, error) {
	defer f.do()
	return f.Fetcher.Fetch(ctx, root, limit)
}

// TestKeyGoesDuringFetch: a key that is taken back while the shard is on its
// way opens nothing.
func TestKeyGoesDuringFetch(t *testing.T) {
	s := newSealed(t, "small", object.ChunkSize)
	keys := &revoked{Keys: s.keys}
	r, err := NewReader(s.object, keys, fetchThen{s.store, func() { keys.over = true }})
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Chunk(t.Context(), 0, nil)
	wantProblem(t, err, ProblemKey)
	if got != nil {
		t.Error("the chunk came out")
	}
}

// TestLyingUploader: a writer who signs what is not so. The leaf table and the
// manifest are consistent with each other; only the checks of the read itself
// can see it.
func TestLyingUploader(t *testing.T) {
	for name, tt := range map[string]struct {
		lie func(s *sealed, leaves []object.Leaf)
		id  string
	}{
		// Two keys for one ciphertext: the commitment decides.
		"commitment": {func(_ *sealed, l []object.Leaf) { l[0].Commit[0] ^= 1 }, ProblemCommitment},
		// Chunk 1's shard in the place of chunk 0.
		"swapped chunks": {func(_ *sealed, l []object.Leaf) { l[0].ShardRoot, l[1].ShardRoot = l[1].ShardRoot, l[0].ShardRoot }, ProblemOpen},
		// Parity that is not this data's, found when it is needed.
		"wrong parity": {func(s *sealed, l []object.Leaf) {
			junk := pattern(object.ShardSize)
			l[4].ShardRoot = object.ShardRoot(junk)
			s.store.shards[l[4].ShardRoot] = junk
			s.store.shards[l[0].ShardRoot] = nil
		}, ProblemHash},
	} {
		s := newSealed(t, "small", 4*object.ChunkSize)
		leaves, err := object.DecodeLeaves(s.Leaves)
		if err != nil {
			t.Fatal(err)
		}
		tt.lie(s, leaves)
		w := &writer{geometry: s.Geometry, leaves: leaves, secret: &secrets{fs: s.Keys.FS, oid: s.Keys.OID, seed: s.Keys.WriterSeed}}
		if s.Sealed, err = w.finish(Options{}); err != nil {
			t.Fatal(err)
		}
		s.open(t)
		got, err := s.reader(t).Chunk(t.Context(), 0, nil)
		if wantProblem(t, err, tt.id); got != nil {
			t.Errorf("%s: got %d bytes", name, len(got))
		}
	}
}

func TestCopy(t *testing.T) {
	s := newSealed(t, "small", 9*object.ChunkSize+5)
	s.store.spoil[1], s.store.spoil[7] = flip, gone
	for _, tt := range []struct{ ranges, want string }{{"0-9", ""}, {"9", ""}, {"0,2-7,9", ""}} {
		ranges, err := object.ParseRanges(tt.ranges)
		if err != nil {
			t.Fatal(err)
		}
		var want, got bytes.Buffer
		for i := range s.object.Geometry.Chunks {
			if ranges.Contains(i) {
				want.Write(s.chunk(i))
			}
		}
		var last int64
		if err := s.reader(t).Copy(t.Context(), &got, ranges, func(done int64) { last = done }); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want.Bytes()) || last != int64(want.Len()) {
			t.Errorf("%s: got %d other bytes, progress %d, want %d", tt.ranges, got.Len(), last, want.Len())
		}
	}
	err := s.reader(t).Copy(t.Context(), &bytes.Buffer{}, object.Ranges{{0, 11}}, nil)
	wantProblem(t, err, ProblemKey)
	s.store.spoil[8], s.store.spoil[9] = gone, gone
	err = s.reader(t).Copy(t.Context(), &bytes.Buffer{}, object.Ranges{{0, 10}}, nil)
	wantProblem(t, err, ProblemMissing)
}

// interrupting cancels the context during a fetch.
type interrupting struct{ stop context.CancelFunc }

func (i interrupting) Fetch(ctx context.Context, _ [32]byte, _ int) ([]byte, error) {
	i.stop()
	return nil, ctx.Err()
}

// TestInterrupted: an interrupted read blames nobody.
func TestInterrupted(t *testing.T) {
	s := newSealed(t, "small", 100)
	ctx, stop := context.WithCancel(t.Context())
	r, err := NewReader(s.object, s.keys, interrupting{stop})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Chunk(ctx, 0, nil)
	if !errors.Is(err, context.Canceled) || len(r.Blames()) != 0 {
		t.Errorf("got error %v and %d blames", err, len(r.Blames()))
	}
}

// TestFirstBlame: the first fault of a shard is the one that is told, however
// often a store repeats it.
func TestFirstBlame(t *testing.T) {
	r := &Reader{blames: map[int]Blame{}}
	r.blame(Blame{Leaf: 3, Kind: BlameMissing})
	r.blame(Blame{Leaf: 3, Kind: BlameHash})
	if got := r.Blames(); len(got) != 1 || got[0].Kind != BlameMissing {
		t.Errorf("got %+v", got)
	}
}
