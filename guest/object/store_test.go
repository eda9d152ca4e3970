package object

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"safebox/verifier/guestapi"
	"safebox/verifier/object"
)

var errGone = errors.New("no such shard")

// memory is a store in memory. What it gives can be spoilt by leaf: each leaf
// stands for a provider of its own, so that copies with one name (profile
// tiny) are spoilt one by one.
type memory struct {
	mu     sync.Mutex
	shards map[[32]byte][]byte
	leaves map[[32]byte][]int          // which providers have the shard
	spoil  map[int]func([]byte) []byte // by leaf; nil as the result is gone
	asked  int
}

func newMemory() *memory {
	return &memory{shards: map[[32]byte][]byte{}, leaves: map[[32]byte][]int{}, spoil: map[int]func([]byte) []byte{}}
}

func (m *memory) Put(_ context.Context, root [32]byte, shard []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shards[root] = bytes.Clone(shard)
	return nil
}

// Fetch asks the providers of the name in turn.
func (m *memory) Fetch(_ context.Context, root [32]byte, limit int) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	b, ok := m.shards[root]
	if !ok || len(b) > limit {
		return nil, errGone
	}
	if providers := m.leaves[root]; len(providers) > 0 {
		m.leaves[root] = append(providers[1:len(providers):len(providers)], providers[0])
		if change := m.spoil[providers[0]]; change != nil {
			if b = change(bytes.Clone(b)); b == nil {
				return nil, errGone
			}
		}
	}
	return b, nil
}

// healthy forgets every damage.
func (m *memory) healthy(o *object.Object) {
	m.asked = 0
	clear(m.spoil)
	clear(m.leaves)
	for i := range o.Geometry.Leaves() {
		root := o.Leaf(i).ShardRoot
		m.leaves[root] = append(m.leaves[root], i)
	}
}

func gone([]byte) []byte { return nil }

func flip(b []byte) []byte { b[len(b)/2] ^= 0x10; return b }

// pattern is a file of which byte i is i mod 251.
func pattern(size int64) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}

// sealed is an object for tests with its keys and store.
type sealed struct {
	*Sealed
	plain  []byte
	store  *memory
	object *object.Object
	keys   Keys
}

func newSealed(t testing.TB, profile string, size int64) *sealed {
	t.Helper()
	p, err := object.ParseProfile(profile)
	if err != nil {
		t.Fatal(err)
	}
	s := &sealed{plain: pattern(size), store: newMemory()}
	s.Sealed, err = Put(t.Context(), bytes.NewReader(s.plain), size, Options{Profile: p, Time: 1700000000}, s.store)
	if err != nil {
		t.Fatal(err)
	}
	s.open(t)
	return s
}

func (s *sealed) open(t testing.TB) {
	t.Helper()
	o, err := object.OpenManifest(s.Envelope, s.CID, s.Leaves)
	if err != nil {
		t.Fatal(err)
	}
	s.object = o
	s.keys = object.NewChunkKeys(s.Keys.OID, []object.Node{s.Keys.Root()})
	s.store.healthy(o)
}

func (s *sealed) reader(t testing.TB) *Reader {
	t.Helper()
	r, err := NewReader(s.object, s.keys, s.store)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// chunk is what chunk i must give.
func (s *sealed) chunk(i uint32) []byte {
	start := int64(i) * object.ChunkSize
	return s.plain[start : start+int64(s.object.Geometry.PlainLen(i))]
}

// wantProblem fails unless err is that problem and says so.
func wantProblem(t testing.TB, err error, id string) {
	t.Helper()
	var p *guestapi.Problem
	if !errors.As(err, &p) || p.ID != id {
		t.Errorf("got error %v, want %s", err, id)
	}
}

// slow gives its bytes a few at a time and then an error, if there is one.
type slow struct {
	r   io.Reader
	err error
}

func (s *slow) Read(b []byte) (int, error) {
	n, err := s.r.Read(b[:min(len(b), 1000)])
	if errors.Is(err, io.EOF) && s.err != nil {
		err = s.err
	}
	return n, err
}
