package object

import (
	"context"
	"crypto/subtle"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/reedsolomon"

	"safebox/verifier/guestapi"
	"safebox/verifier/object"
)

// Identifiers of the reasons why a chunk can't be read.
const (
	ProblemMissing    = "shard-missing"    // more shards of the stripe are gone than parity makes up for
	ProblemHash       = "shard-hash"       // the same, and at least one of them came and was not what its name says
	ProblemCommitment = "chunk-commitment" // the key is not the one that the object commits to
	ProblemOpen       = "chunk-open"       // the ciphertext does not open
	ProblemKey        = "chunk-key"        // there is no such chunk, or no key for it
)

// Fetcher gets shards from wherever they are. It is called from several
// goroutines at once, and bounds its own time. What it returns is only read,
// and only until the call of the Reader that asked returns. A shard longer
// than limit bytes is an error; one that is not what root says is found out
// here.
type Fetcher interface {
	Fetch(ctx context.Context, root [32]byte, limit int) ([]byte, error)
}

// Keys gives the keys of chunks: object.ChunkKeys does.
type Keys interface {
	Chunk(i uint32) (key [32]byte, nonce [12]byte, commit [32]byte, err error)
}

// Reader reads chunks of one object. It may be used from several goroutines
// if its Keys may.
type Reader struct {
	object  *object.Object
	keys    Keys
	fetcher Fetcher
	code    reedsolomon.Encoder

	mu     sync.Mutex // guards blames
	blames map[int]Blame
}

// NewReader makes a reader. Every error of its methods that is not the
// context's is a *guestapi.Problem.
func NewReader(o *object.Object, k Keys, f Fetcher) (*Reader, error) {
	code, err := newCode(o.Geometry.Profile)
	if err != nil {
		return nil, fmt.Errorf("reading object %s: %w", o.CID, err)
	}
	return &Reader{object: o, keys: k, fetcher: f, code: code, blames: map[int]Blame{}}, nil
}

func problem(id, format string, args ...any) error {
	return &guestapi.Problem{ID: id, Detail: fmt.Sprintf(format, args...)}
}

// Chunk gives chunk i in plaintext. It uses dst's memory when that has room
// (object.ChunkSize bytes always has); what dst held is lost, and after an
// error it holds nothing of the chunk. In order:
//
//  1. whether there is a key for the chunk,
//  2. its shard, the root checked; else the shard rebuilt from k others, each
//     root checked before, the rebuilt shard's after,
//  3. the key, anew: a copy would have waited for whoever stores the shard, and
//     outlived a lease that ends meanwhile,
//  4. the key commitment in the leaf,
//  5. decryption with authentication of index, length and end.
func (r *Reader) Chunk(ctx context.Context, i uint32, dst []byte) ([]byte, error) {
	g := r.object.Geometry
	if i >= g.Chunks {
		return nil, problem(ProblemKey, "chunk %d: the object has %d", i, g.Chunks)
	}
	key, _, _, err := r.keys.Chunk(i)
	clear(key[:])
	if err != nil {
		return nil, problem(ProblemKey, "chunk %d: %v", i, err)
	}
	shard, err := r.shard(ctx, i)
	if err != nil {
		return nil, err
	}
	key, nonce, commit, err := r.keys.Chunk(i)
	if err != nil {
		return nil, problem(ProblemKey, "chunk %d: %v", i, err)
	}
	defer clear(key[:])
	want := r.object.Leaf(g.Leaf(i)).Commit
	if subtle.ConstantTimeCompare(commit[:], want[:]) != 1 {
		return nil, problem(ProblemCommitment, "chunk %d: key commitment: got %x, want %x", i, commit, want)
	}
	aead, err := newAEAD(key[:])
	if err != nil {
		return nil, problem(ProblemOpen, "chunk %d: %v", i, err)
	}
	plain, err := aead.Open(dst[:0], nonce[:], shard, r.object.AAD(i))
	if err != nil {
		return nil, problem(ProblemOpen, "chunk %d: %v", i, err)
	}
	return plain, nil
}

// copyChunks is how many chunks Copy works on at once.
const copyChunks = 4

// Copy writes the chunks of the ranges to w, in order. It calls progress, if
// it is not nil, with the bytes written so far. What was written before an
// error is right but not all.
func (r *Reader) Copy(ctx context.Context, w io.Writer, ranges object.Ranges, progress func(done int64)) error {
	if err := ranges.Check(r.object.Geometry.Chunks); err != nil {
		return problem(ProblemKey, "%v", err)
	}
	var buffers, plain [copyChunks][]byte
	for i := range buffers {
		buffers[i] = make([]byte, min(object.ChunkSize, r.object.Geometry.Size))
	}
	defer func() {
		for _, b := range buffers {
			clear(b)
		}
	}()
	var done int64
	for _, span := range ranges {
		for first := span[0]; first < span[1]; first += copyChunks {
			n := int(min(copyChunks, span[1]-first))
			err := parallel(ctx, n, func(ctx context.Context, j int) (err error) {
				plain[j], err = r.Chunk(ctx, first+uint32(j), buffers[j])
				return err
			})
			if err != nil {
				return err
			}
			for _, p := range plain[:n] {
				if _, err := w.Write(p); err != nil {
					return err
				}
				done += int64(len(p))
			}
			if progress != nil {
				progress(done)
			}
		}
	}
	return nil
}
