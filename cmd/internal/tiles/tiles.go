// Package tiles reads all of a transparency log that somebody publishes as
// static files (C2SP tlog-tiles, sections "Checkpoints" and "Log entries"),
// from a server or a folder, and gives it only if the entries are those of the
// checkpoint: the tree is computed again from them.
//
// Who signed the checkpoint is not looked at here. A log that lies gives a log
// that nobody accepts.
package tiles

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"safebox/verifier/tlog"
)

// Limits bound what is read of a log.
type Limits struct {
	Entries int64
	Bytes   int64 // of all entries together
}

// Names and sizes of C2SP tlog-tiles.
const (
	checkpointName = "checkpoint"
	maxCheckpoint  = 60 << 10                           // bytes: with the path of an entry it must fit a bundle's proof
	maxBundle      = tlog.BundleWidth * (2 + 1<<16 - 1) // bytes: each entry has a length of two
)

// Log is the content of a log at a checkpoint.
type Log struct {
	Checkpoint []byte           // the signed note, as it was read
	Tree       *tlog.Checkpoint // what it says
	Entries    [][]byte         // all of them
}

// Read reads the log whose files lie below a URL or in a folder.
func Read(ctx context.Context, where string, l Limits) (*Log, error) {
	p, err := openPlace(where)
	if err != nil {
		return nil, fmt.Errorf("opening log: %w", err)
	}
	log, err := read(ctx, p, l)
	if err != nil {
		return nil, fmt.Errorf("reading log %s: %w", p, err)
	}
	return log, nil
}

func read(ctx context.Context, p place, l Limits) (*Log, error) {
	note, err := p.read(ctx, checkpointName, maxCheckpoint)
	if err != nil {
		return nil, err
	}
	tree, err := tlog.DecodeCheckpoint(note)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", checkpointName, err)
	}
	if tree.Size > l.Entries {
		return nil, fmt.Errorf("%s: size %d: %w", checkpointName, tree.Size, &LimitError{l.Entries, "entries"})
	}
	log := &Log{Checkpoint: note, Tree: tree}
	left := l.Bytes
	for n := int64(0); n*tlog.BundleWidth < tree.Size; n++ {
		entries, err := readBundle(ctx, p, n, min(tlog.BundleWidth, tree.Size-n*tlog.BundleWidth))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			left -= int64(len(e))
		}
		if left < 0 {
			return nil, &LimitError{l.Bytes, "bytes"}
		}
		log.Entries = append(log.Entries, entries...)
	}
	return log, log.check()
}

// readBundle reads width entries: from the partial bundle of that width, or,
// when the log has gone on and removed that, from the full one (C2SP
// tlog-tiles, section "Partial Tiles").
func readBundle(ctx context.Context, p place, n, width int64) ([][]byte, error) {
	entries, err := readExactly(ctx, p, n, width)
	if !errors.Is(err, fs.ErrNotExist) || width == tlog.BundleWidth {
		return entries, err
	}
	full, err2 := readExactly(ctx, p, n, tlog.BundleWidth)
	switch {
	case errors.Is(err2, fs.ErrNotExist):
		return nil, err // about the file that should be there
	case err2 != nil:
		return nil, err2
	}
	return full[:width], nil
}

func readExactly(ctx context.Context, p place, n, want int64) ([][]byte, error) {
	name, err := tlog.EntryBundlePath(n, int(want))
	if err != nil {
		return nil, err
	}
	b, err := p.read(ctx, name, maxBundle)
	if err != nil {
		return nil, err
	}
	entries, err := tlog.DecodeEntries(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if int64(len(entries)) != want {
		return nil, fmt.Errorf("%s: got %d entries, want %d", name, len(entries), want)
	}
	return entries, nil
}

// check computes the tree again.
func (l *Log) check() error {
	leaves := l.Leaves()
	if root := tlog.RootHash(leaves); root != l.Tree.Root {
		return fmt.Errorf("the entries are not those of the checkpoint: root of %d entries: got %x, want %x", len(leaves), root, l.Tree.Root)
	}
	return nil
}

// Leaves are the leaf hashes of all entries.
func (l *Log) Leaves() [][32]byte {
	leaves := make([][32]byte, len(l.Entries))
	for i, e := range l.Entries {
		leaves[i] = tlog.LeafHash(e)
	}
	return leaves
}
