package object

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/klauspost/reedsolomon"
	"golang.org/x/sync/errgroup"

	"safebox/verifier/object"
)

// writer seals one object.
type writer struct {
	geometry object.Geometry
	secret   *secrets
	root     object.Node
	code     reedsolomon.Encoder
	store    Store
	leaves   []object.Leaf
	buffers  [][]byte // one for each position of a stripe
}

func newWriter(size int64, p object.Profile, s Store, secret *secrets) (*writer, error) {
	g, err := object.NewGeometry(size, p)
	if err != nil {
		return nil, err
	}
	code, err := newCode(p)
	if err != nil {
		return nil, err
	}
	w := &writer{
		geometry: g, secret: secret, root: object.RootNode(secret.fs, secret.oid, object.Suite), code: code, store: s,
		leaves: make([]object.Leaf, g.Leaves()), buffers: make([][]byte, p.K+p.M),
	}
	for i := range w.buffers {
		w.buffers[i] = make([]byte, g.Stripe(0).ShardLen) // no stripe has longer shards than the first
	}
	return w, nil
}

// stripe reads, seals, codes and stores one stripe.
func (w *writer) stripe(ctx context.Context, r io.Reader, st object.Stripe) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for j := range st.Data {
		plain := w.buffers[j][:w.geometry.PlainLen(st.FirstChunk+uint32(j))]
		if _, err := io.ReadFull(r, plain); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = errors.Join(errLength, io.ErrUnexpectedEOF)
			}
			return fmt.Errorf("reading chunk %d: %w", st.FirstChunk+uint32(j), err)
		}
	}
	if err := parallel(ctx, st.Data, func(_ context.Context, j int) error { return w.seal(st, j) }); err != nil {
		return err
	}
	shards := make([][]byte, len(w.buffers))
	for i := range shards {
		shards[i] = w.buffers[i][:st.ShardLen]
		if i >= st.Data && i < w.geometry.Profile.K {
			clear(shards[i])
		}
	}
	if err := w.code.Encode(shards); err != nil {
		return fmt.Errorf("coding: %w", err)
	}
	return parallel(ctx, st.Data+st.Parity, func(ctx context.Context, j int) error {
		leaf := &w.leaves[st.FirstLeaf+j]
		if j >= st.Data {
			leaf.Type, leaf.StoredLen = object.LeafParity, uint32(st.ShardLen)
		}
		shard := shards[position(st, w.geometry.Profile, j)][:leaf.StoredLen]
		leaf.ShardRoot = object.ShardRoot(shard)
		return w.store.Put(ctx, leaf.ShardRoot, shard)
	})
}

// seal encrypts the stripe's chunk j where it lies, so that its plaintext is
// gone afterwards, and extends it with zeros.
func (w *writer) seal(st object.Stripe, j int) error {
	i := st.FirstChunk + uint32(j)
	k, err := w.root.Chunk(w.secret.oid, i)
	if err != nil {
		return err
	}
	aead, err := newAEAD(k.Key[:])
	if err != nil {
		return fmt.Errorf("sealing chunk %d: %w", i, err)
	}
	buffer := w.buffers[j][:st.ShardLen]
	plain := buffer[:w.geometry.PlainLen(i)]
	sealed := aead.Seal(plain[:0], k.Nonce[:], plain, w.geometry.AAD(w.secret.oid, i))
	clear(buffer[len(sealed):])
	w.leaves[st.FirstLeaf+j] = object.Leaf{Type: object.LeafData, StoredLen: uint32(len(sealed)), Commit: k.Commit}
	return nil
}

// newAEAD is the cipher of suite 1: AES-256-GCM.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// parallel does n things on all processors and gives the first error.
func parallel(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		g.Go(func() error { return do(ctx, i) })
	}
	return g.Wait()
}
