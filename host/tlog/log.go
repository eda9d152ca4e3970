// Package tlog runs a transparency log of release records in one folder: C2SP
// tlog-tiles, with checkpoints of C2SP tlog-checkpoint and cosignatures
// gathered by C2SP tlog-witness. The folder is the log: any static file server
// can serve it. Entries are the bytes of DSSE envelopes (package record), and
// nothing is appended that the verifier's strict reader refuses.
//
// What the log acknowledges is on disk, integrated, and under a checkpoint
// that is published and, when witnesses are named, cosigned by a quorum of
// them. Nobody has to trust it: whoever relies on it checks proofs and
// cosignatures (package verifier/published).
//
// The order of entries, bundles and tiles are tessera's; before a root is
// signed it is computed once more, by other code, from the entry bundles on
// disk, and the new tiles are compared with it. Two trees of one size can't be
// signed by one process, whenever it dies: the entries of a size are on disk
// before its root is signed, and are never changed after that.
package tlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	sumdb "golang.org/x/mod/sumdb/tlog"

	"github.com/transparency-dev/tessera/api/layout"

	"safebox/host/lockfile"
	"safebox/verifier/dsse"
	"safebox/verifier/tlog"
)

// lockName is the file in the log's folder that its process locks.
const lockName = ".lock"

// Errors that callers tell apart.
var (
	// ErrExists: there is a log in the folder.
	ErrExists = errors.New("there is a log already")
	// ErrNone: there is none.
	ErrNone = errors.New("no log here")
	// ErrStopped: the log is closed, or broke down; see Log.Err.
	ErrStopped = errors.New("the log has stopped")
	// ErrUnpublished: the entry is kept, or about to be, but no published
	// checkpoint covers it yet, mostly because no quorum of witnesses cosigns.
	// Appending it again gives its index once one does.
	ErrUnpublished = errors.New("no published checkpoint has the entry yet: there is no quorum of witnesses")
)

// Options is how a log is run.
type Options struct {
	Dir string          // the log's folder, of Create
	Key *tlog.LogSigner // its name is the log's origin
	// Policy lists this log, and the witnesses of whom a quorum cosigns a
	// checkpoint before it is published; nil: no witnesses.
	Policy *tlog.Policy
	// Submitters are the keys of which every signature of an entry must be. It is
	// an error if there are none, unless anybody may submit.
	Submitters []dsse.PublicKey
	Anybody    bool
	Refresh    time.Duration // how old cosignatures may get; 0: ten minutes
	Note       func(string)  // is told, in one line, what goes wrong for a while; may be nil
}

// Log is an open log. Its methods may be called at the same time.
type Log struct {
	o         Options
	store     *store
	release   func() error    // ends the store and gives the folder back, once
	witnesses *witnesses      // nil: none
	ctx       context.Context // ends when the log stops
	cancel    context.CancelFunc
	wake      chan struct{} // there may be something to publish
	done      chan struct{} // the publisher is gone
	feed      chan struct{} // there may be something in waiting
	fed       chan struct{} // the feeder is gone

	mu        sync.Mutex
	tree      *tree
	pending   map[sumdb.Hash]*pending // not in tree yet
	waiting   []*pending              // those of them that the store has not been given
	published published
	news      chan struct{} // closed when a checkpoint is published, or all is over
	err       error         // why the log stopped
}

// published is the checkpoint that is out.
type published struct {
	note []byte
	size int64
	at   time.Time // when its cosignatures were gathered
}

// Create makes the folder of a new log, with the checkpoint of the empty tree.
// It is done once in the life of a key: who begins a log anew under the same
// key signs a second tree. A folder that has a log is ErrExists.
func Create(dir string, key *tlog.LogSigner) error {
	if err := create(dir, key); err != nil {
		return fmt.Errorf("creating log %s: %w", dir, err)
	}
	return nil
}

func create(dir string, key *tlog.LogSigner) (err error) {
	if err := makeDir(dir); err != nil {
		return err
	}
	lock, err := lockfile.Try(filepath.Join(dir, lockName))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	path := filepath.Join(dir, layout.CheckpointPath)
	for _, name := range []string{path, filepath.Join(dir, treeState)} {
		if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(ErrExists, err)
		}
	}
	note, err := key.SignCheckpoint(&tlog.Checkpoint{Origin: key.Name(), Root: tlog.RootHash(nil)})
	if err != nil {
		return err
	}
	return writeWhole(path, note)
}

// Open opens the log in a folder and reads all of it: it is an error if the
// entries are not those under the checkpoint that was published last. One
// process at a time has a folder. A folder without a log is ErrNone.
func Open(o Options) (*Log, error) {
	l, err := open(o)
	if err != nil {
		return nil, fmt.Errorf("opening log %s: %w", o.Dir, err)
	}
	go l.feeder()
	go l.publisher()
	return l, nil
}

func open(o Options) (_ *Log, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(o.Dir, layout.CheckpointPath)); errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNone
	}
	lock, err := lockfile.Try(filepath.Join(o.Dir, lockName))
	if err != nil {
		return nil, err
	}
	l := &Log{
		o: o, tree: newTree(), pending: map[sumdb.Hash]*pending{},
		wake: make(chan struct{}, 1), done: make(chan struct{}), news: make(chan struct{}),
		feed: make(chan struct{}, 1), fed: make(chan struct{}),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	storing, endStore := context.WithCancel(context.Background())
	l.release = sync.OnceValue(func() error {
		endStore()
		return lock.Close()
	})
	defer func() {
		if err != nil {
			l.cancel()
			err = errors.Join(err, l.release())
		}
	}()
	if o.Policy != nil {
		if l.witnesses, err = newWitnesses(o.Policy, l.note); err != nil {
			return nil, err
		}
	}
	return l, l.load(storing)
}

func (o *Options) check() error {
	switch {
	case o.Key == nil:
		return errors.New("no key")
	case o.Policy != nil && !slices.ContainsFunc(o.Policy.Logs(), func(k tlog.Key) bool { return k.String() == o.Key.Key().String() }):
		return fmt.Errorf("the policy does not list this log, %s", o.Key.Key())
	case o.Anybody && len(o.Submitters) > 0:
		return errors.New("submitters are listed, and anybody may submit: want one of the two")
	case !o.Anybody && len(o.Submitters) == 0:
		return errors.New("no submitters are listed")
	case o.Refresh < 0:
		return fmt.Errorf("refreshing every %v, want a positive time", o.Refresh)
	}
	if o.Refresh == 0 {
		o.Refresh = refreshTime
	}
	return nil
}

func (l *Log) note(format string, args ...any) {
	if l.o.Note != nil {
		l.o.Note(fmt.Sprintf(format, args...))
	}
}

// Proof gives the tlog-proof of the entry with that leaf hash under the
// published checkpoint; ok is false if that does not cover it.
func (l *Log) Proof(leaf [32]byte) (proof []byte, ok bool, err error) {
	l.mu.Lock()
	index, known := l.tree.first[leaf]
	t, out := l.tree.prefix(), l.published
	l.mu.Unlock()
	if !known || index >= out.size {
		return nil, false, nil
	}
	hashes, err := t.inclusion(index, out.size)
	if err != nil {
		return nil, false, fmt.Errorf("proving entry %d: %w", index, err)
	}
	p := tlog.Proof{Index: index, Hashes: hashes, Checkpoint: out.note}
	return p.Encode(), true, nil
}

// Checkpoint is the published checkpoint, a signed note.
func (l *Log) Checkpoint() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.published.note
}

// fail stops the log.
func (l *Log) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
		close(l.news)
		l.cancel()
	}
}

// Stopped is closed when the log has stopped.
func (l *Log) Stopped() <-chan struct{} { return l.ctx.Done() }

// Err is why the log stopped; nil while it runs and after Close.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.err, errClosed) {
		return nil
	}
	return l.err
}

// errClosed ends a log that nothing is wrong with.
var errClosed = errors.New("closed")

// Close stops the log and gives its folder back. What was not acknowledged by
// then may be in it or not.
func (l *Log) Close() error {
	l.fail(errClosed)
	<-l.done
	<-l.fed // whoever has the folder next is its only writer
	return l.release()
}
