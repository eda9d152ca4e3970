package tlog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/transparency-dev/tessera/api/layout"

	"safebox/verifier/tlog"
)

const (
	refreshTime = 10 * time.Minute // how old cosignatures get, unless Options say otherwise
	retryTime   = time.Second      // after a quorum that was not reached

	treeState = ".state/treeState" // tessera's record of the integrated tree
)

// load reads what is in the folder. storing ends the store's own work.
func (l *Log) load(storing context.Context) error {
	old, err := l.lastCheckpoint()
	if err != nil {
		return err
	}
	if l.store, err = openStore(storing, l.o.Dir, l.o.Key.Name()); err != nil {
		return err
	}
	size, err := l.store.size(l.ctx)
	if err != nil {
		return err
	}
	if size < old.Size {
		return fmt.Errorf("the tree on disk has %d entries, and a checkpoint of %d was signed", size, old.Size)
	}
	if err := l.absorb(l.ctx, size); err != nil {
		return err
	}
	root, err := l.tree.root(old.Size)
	if err != nil {
		return err
	}
	if root != old.Root {
		return fmt.Errorf("the first %d entries have root %x, and %x was signed", old.Size, root, old.Root)
	}
	l.published.size = old.Size
	if l.witnesses != nil {
		l.witnesses.assume(old.Size)
	}
	return l.store.checkTiles(l.ctx, l.tree, 0, size)
}

// lastCheckpoint opens the checkpoint that lies in the folder.
func (l *Log) lastCheckpoint() (*tlog.Checkpoint, error) {
	raw, err := os.ReadFile(filepath.Join(l.o.Dir, layout.CheckpointPath))
	if err != nil {
		return nil, err
	}
	c, err := tlog.OpenSigned(raw, []tlog.Key{l.o.Key.Key()})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", layout.CheckpointPath, err)
	}
	// Without a tree tessera would begin one.
	if _, err := os.Stat(filepath.Join(l.o.Dir, treeState)); err != nil && c.Size > 0 {
		return nil, fmt.Errorf("a checkpoint of %d entries was signed, and there is no tree: %w", c.Size, err)
	}
	l.published.note = raw
	return c, nil
}

// absorb reads the entries up to size into the tree in memory.
func (l *Log) absorb(ctx context.Context, size int64) error {
	leaves, err := l.store.leaves(ctx, l.tree.size, size) // only this goroutine writes it
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, leaf := range leaves {
		if err := l.tree.add(leaf); err != nil {
			return err
		}
		delete(l.pending, leaf)
	}
	return nil
}

// publisher publishes what is integrated, until the log stops.
func (l *Log) publisher() {
	defer close(l.done)
	short := false // of cosignatures; said once each time
	for l.ctx.Err() == nil {
		err := l.publish()
		var quorum *QuorumError
		switch {
		case err == nil:
			if short {
				l.note("a quorum of witnesses cosigns again")
			}
			short = false
			l.sleep(l.due(time.Now()), l.wake)
		case errors.As(err, &quorum):
			if !short {
				l.note("%v; trying again every %v", err, retryTime)
			}
			short = true
			l.sleep(retryTime, nil)
		default:
			l.fail(fmt.Errorf("publishing a checkpoint: %w", err))
		}
	}
}

// due is how long from now the cosignatures are to be made anew. Where there
// are none, it is any long time.
func (l *Log) due(now time.Time) time.Duration {
	if l.witnesses == nil || l.published.size == 0 {
		return l.o.Refresh
	}
	return l.published.at.Add(l.o.Refresh).Sub(now)
}

// sleep waits, at most until wake or the log's end.
func (l *Log) sleep(d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-l.ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}

// publish signs the tree that is on disk, has it cosigned, and publishes it.
// An error other than *QuorumError is the end of the log.
func (l *Log) publish() error {
	size, err := l.store.size(l.ctx)
	if err != nil {
		return err
	}
	if err := l.absorb(l.ctx, size); err != nil {
		return err
	}
	old := l.published // only this goroutine writes it
	if size == old.size && (l.witnesses == nil || size == 0 || l.due(time.Now()) > 0) {
		return nil
	}
	if err := l.store.checkTiles(l.ctx, l.tree, old.size, size); err != nil {
		return err
	}
	root, err := l.tree.root(size)
	if err != nil {
		return err
	}
	c := &tlog.Checkpoint{Origin: l.o.Key.Name(), Size: size, Root: root}
	note, err := l.o.Key.SignCheckpoint(c)
	if err != nil {
		return err
	}
	at := time.Now()
	if l.witnesses != nil {
		if note, err = l.witnesses.cosign(l.ctx, c, note, l.tree); err != nil {
			return err
		}
	}
	if err := writeWhole(filepath.Join(l.o.Dir, layout.CheckpointPath), note); err != nil {
		return err
	}
	l.announce(published{note: note, size: size, at: at})
	return nil
}

// announce lets those go on who wait for a checkpoint.
func (l *Log) announce(p published) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.published = p
	if l.err == nil {
		close(l.news)
		l.news = make(chan struct{})
	}
}
