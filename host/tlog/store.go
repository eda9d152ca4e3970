package tlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	sumdb "golang.org/x/mod/sumdb/tlog"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/storage/posix"

	"safebox/verifier/tlog"
)

const (
	// batchSize is the most entries that go to disk together. It must stay below
	// a tile's 256: tessera 1.0.4 reads a full tile where it expects none when
	// the tree ends on a tile's edge, and a batch of 256 that was killed half-way
	// leaves such a tile behind.
	batchSize = 255
	// batchAge is how long tessera waits for more of a batch, which the feeder
	// gives it at once.
	batchAge = time.Millisecond

	_ = uint(layout.TileWidth - 1 - batchSize) // does not compile otherwise

	// never is longer than any clock and any file time can be apart: tessera
	// publishes no checkpoint, because we do (see publisher).
	never = 200 * 365 * 24 * time.Hour
)

// store is tessera's POSIX driver: the order of the entries, entry bundles and
// tiles on disk. When Add's future gives an index, entries, tiles and tree
// state are written with O_SYNC under temporary names, renamed, and their
// folders synced, in this order (tessera 1.0.4, storage/posix).
type store struct {
	add    func(entry []byte) tessera.IndexFuture
	reader tessera.LogReader
}

// openStore opens or starts the log in dir. ctx ends its work.
func openStore(ctx context.Context, dir, origin string) (*store, error) {
	driver, err := posix.New(ctx, posix.Config{Path: dir})
	if err != nil {
		return nil, err
	}
	o := tessera.NewAppendOptions().
		WithCheckpointSigner(noSigner(origin)).
		WithCheckpointInterval(never).
		WithCheckpointRepublishInterval(0).
		WithBatching(batchSize, batchAge)
	a, _, reader, err := tessera.NewAppender(ctx, driver, o)
	if err != nil {
		return nil, err
	}
	add := func(entry []byte) tessera.IndexFuture { return a.Add(ctx, tessera.NewEntry(entry)) }
	return &store{add: add, reader: reader}, nil
}

// noSigner stands where tessera wants a signer, and signs nothing.
type noSigner string

// Name implements note.Signer.
func (s noSigner) Name() string { return string(s) }

// KeyHash implements note.Signer.
func (noSigner) KeyHash() uint32 { return 0 }

// Sign implements note.Signer.
func (noSigner) Sign([]byte) ([]byte, error) {
	return nil, errors.New("tessera wants a checkpoint signed: only the publisher does that")
}

// size is how many entries are integrated, on disk.
func (s *store) size(ctx context.Context) (int64, error) {
	n, err := s.reader.IntegratedSize(ctx)
	return int64(n), err
}

// leaves gives the hashes of the entries from index from up to size, read from
// the entry bundles as any static file server would give them.
func (s *store) leaves(ctx context.Context, from, size int64) ([]sumdb.Hash, error) {
	list := make([]sumdb.Hash, 0, size-from)
	for at := from; at < size; {
		bundle := at / layout.EntryBundleWidth
		entries, err := s.bundle(ctx, bundle, size)
		if err != nil {
			return nil, err
		}
		for _, e := range entries[at%layout.EntryBundleWidth:] {
			list = append(list, sumdb.Hash(tlog.LeafHash(e)))
			at++
		}
	}
	return list, nil
}

// bundle reads the entry bundle n of a tree of that size.
func (s *store) bundle(ctx context.Context, n, size int64) ([][]byte, error) {
	width := min(size-n*layout.EntryBundleWidth, layout.EntryBundleWidth)
	b, err := s.reader.ReadEntryBundle(ctx, uint64(n), uint8(width%layout.EntryBundleWidth))
	if err != nil {
		return nil, fmt.Errorf("reading entry bundle %d of %d entries: %w", n, width, err)
	}
	entries, err := tlog.DecodeEntries(b)
	if err != nil {
		return nil, fmt.Errorf("reading entry bundle %d: %w", n, err)
	}
	if int64(len(entries)) != width {
		return nil, fmt.Errorf("reading entry bundle %d: got %d entries, want %d", n, len(entries), width)
	}
	return entries, nil
}

// checkTiles compares every tile that is new between two sizes with the one
// that the tree in memory has: what is signed is what a static file server
// will give.
func (s *store) checkTiles(ctx context.Context, t *tree, from, size int64) error {
	for _, tile := range sumdb.NewTiles(layout.TileHeight, from, size) {
		want, err := sumdb.ReadTileData(tile, t)
		if err != nil {
			return fmt.Errorf("tile %d/%d: %w", tile.L, tile.N, err)
		}
		got, err := s.reader.ReadTile(ctx, uint64(tile.L), uint64(tile.N), uint8(tile.W%layout.TileWidth))
		if err != nil {
			return fmt.Errorf("reading tile %d/%d of width %d: %w", tile.L, tile.N, tile.W, err)
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("tile %d/%d of width %d: got %d bytes that are not those of the entries", tile.L, tile.N, tile.W, len(got))
		}
	}
	return nil
}
