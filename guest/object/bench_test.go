package object

import (
	"bytes"
	"context"
	"crypto/sha256"
	"testing"

	"safebox/measure/benchtest"
	"safebox/verifier/object"
)

// benchSize is two stripes of profile default.
const benchSize = 20 * object.ChunkSize

// discard is a store that keeps nothing: what is measured is sealing.
type discard struct{}

func (discard) Put(context.Context, [32]byte, []byte) error { return nil }

// BenchmarkChunk compares reading a chunk with what no reader can do without:
// hash the shard with SHA-256 and open it with AES-256-GCM, on one processor.
func BenchmarkChunk(b *testing.B) {
	s := newSealed(b, "default", benchSize)
	r := s.reader(b)
	dst := make([]byte, object.ChunkSize)
	var i uint32
	read := func() {
		if _, err := r.Chunk(b.Context(), i%s.Geometry.Chunks, dst); err != nil {
			b.Fatal(err)
		}
		i++
	}
	shard := s.store.shards[s.object.Leaf(0).ShardRoot]
	key, nonce, _, err := s.keys.Chunk(0)
	if err != nil {
		b.Fatal(err)
	}
	bound := func() {
		sum := sha256.Sum256(shard)
		aead, err := newAEAD(key[:])
		if err != nil || sum == [32]byte{} {
			b.Fatal(err)
		}
		if _, err := aead.Open(dst[:0], nonce[:], shard, s.object.AAD(0)); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("healthy", func(b *testing.B) {
		benchtest.Ratio(b, "x-of-SHA-256+AES-GCM", read, bound)
	})
	b.Run("rebuilt", func(b *testing.B) {
		// Four of fourteen are gone, among them the chunk that is read: ten
		// other shards are fetched and hashed for it.
		s.store.healthy(s.object)
		for _, leaf := range []int{0, 1, 2, 3} {
			s.store.spoil[leaf] = gone
		}
		benchtest.Ratio(b, "x-of-SHA-256+AES-GCM", func() { i = 0; read() }, bound)
	})
}

// BenchmarkPut compares sealing two stripes with encrypting their bytes and
// hashing what is stored, on all processors.
func BenchmarkPut(b *testing.B) {
	p, err := object.ParseProfile("default")
	if err != nil {
		b.Fatal(err)
	}
	plain := benchtest.Bytes(benchSize)
	shards := make([][]byte, 28)
	for i := range shards {
		shards[i] = make([]byte, object.ShardSize)
	}
	benchtest.Ratio(b, "x-of-SHA-256+AES-GCM", func() {
		if _, err := Put(b.Context(), bytes.NewReader(plain), benchSize, Options{Profile: p}, discard{}); err != nil {
			b.Fatal(err)
		}
	}, func() {
		err := parallel(b.Context(), len(shards), func(_ context.Context, i int) error {
			if i < 20 {
				aead, err := newAEAD(make([]byte, 32))
				if err != nil {
					return err
				}
				aead.Seal(shards[i][:0], make([]byte, 12), plain[i*object.ChunkSize:][:object.ChunkSize], nil)
			}
			if sha256.Sum256(shards[i]) == [32]byte{} {
				return errFull
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	})
}
