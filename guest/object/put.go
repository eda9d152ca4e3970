// Package object writes and reads sealed objects as streams (specs/runtime.md,
// sections B2 to B7): it cuts, encrypts and codes what is put, and fetches,
// checks, repairs and decrypts what is got. The formats are those of
// verifier/object. Where shards come from and go to is not its business: that
// side may lose or change anything, and nothing that it does makes a wrong
// byte.
//
// The guest reads objects here, with keys from a grant; the owner's commands
// seal and open here.
package object

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"safebox/verifier/dsse"
	"safebox/verifier/object"
)

// Store takes shards. Put is called from several goroutines at once, and the
// shard is valid only during the call.
type Store interface {
	Put(ctx context.Context, root [32]byte, shard []byte) error
}

// Options of Put.
type Options struct {
	Profile  object.Profile
	Time     int64            // seconds since 1970, for the manifest
	Prev     string           // identifier of the version before, empty for none
	Policy   []byte           // upload policy, of which the manifest names the hash; empty for none
	Progress func(done int64) // called after each stripe with the bytes sealed so far; nil for none
}

// Sealed is a new object without its shards.
type Sealed struct {
	CID      string
	Envelope []byte // the signed manifest
	Leaves   []byte // the leaf table
	Keys     *object.Keys
	Geometry object.Geometry
}

// errLength says that the input is not as long as announced.
var errLength = errors.New("the input does not have the length announced")

// secrets of one object. They are drawn anew for every Put and can't be
// given: a key that seals twice protects nothing.
type secrets struct {
	fs, oid [32]byte
	seed    [ed25519.SeedSize]byte
}

// Put seals the size bytes that r gives and stores the shards, stripe by
// stripe: it holds k+m shards in memory. When it fails, what was stored is of
// no use to anybody.
func Put(ctx context.Context, r io.Reader, size int64, o Options, s Store) (*Sealed, error) {
	var secret secrets
	for _, b := range [][]byte{secret.fs[:], secret.oid[:], secret.seed[:]} {
		if _, err := rand.Read(b); err != nil {
			return nil, fmt.Errorf("sealing: drawing secrets: %w", err)
		}
	}
	return put(ctx, r, size, o, s, &secret)
}

func put(ctx context.Context, r io.Reader, size int64, o Options, s Store, secret *secrets) (*Sealed, error) {
	w, err := newWriter(size, o.Profile, s, secret)
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	for i := range w.geometry.Stripes {
		st := w.geometry.Stripe(i)
		if err := w.stripe(ctx, r, st); err != nil {
			return nil, fmt.Errorf("sealing stripe %d of %d: %w", i, w.geometry.Stripes, err)
		}
		if o.Progress != nil {
			o.Progress(min(size, (int64(st.FirstChunk)+int64(st.Data))*object.ChunkSize))
		}
	}
	if _, err := io.ReadFull(r, make([]byte, 1)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("sealing: after %d bytes: want the end of the input: %w", size, errors.Join(errLength, err))
	}
	return w.finish(o)
}

// finish makes what names and opens the object.
func (w *writer) finish(o Options) (*Sealed, error) {
	key := ed25519.NewKeyFromSeed(w.secret.seed[:])
	g := w.geometry
	m := object.Manifest{
		Type: object.ManifestType, Suite: object.Suite, OID: w.secret.oid, Size: g.Size, Pad: object.PadNone,
		Chunk: object.ChunkSize, Chunks: g.Chunks, K: g.Profile.K, M: g.Profile.M, Depth: object.Depth,
		Root: object.Root(w.leaves), Policy: sha256.Sum256(o.Policy), Writer: object.Octets(key[ed25519.SeedSize:]), Time: o.Time,
	}
	if o.Prev != "" {
		m.Prev = &o.Prev
	}
	manifest, err := m.Encode()
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	cid := object.CID(manifest)
	return &Sealed{
		CID:      cid,
		Envelope: dsse.Sign(dsse.TypeManifest, manifest, key),
		Leaves:   object.EncodeLeaves(w.leaves),
		Keys:     &object.Keys{Type: object.KeysType, FS: w.secret.fs, OID: w.secret.oid, RootCID: cid, WriterSeed: w.secret.seed},
		Geometry: g,
	}, nil
}
