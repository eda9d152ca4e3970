// Package witness cosigns the checkpoints of transparency logs: a promise that
// each tree it signed of a log contains all smaller ones it signed before. It
// keeps the latest checkpoint of every log in a folder, on disk before it
// answers, and refuses forks and rollbacks.
//
// Implements the server of C2SP tlog-witness (add-checkpoint) and the
// cosignatures of C2SP tlog-cosignature, Ed25519 (0x04) and ML-DSA-44 (0x06).
package witness

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"safebox/verifier/tlog"
)

// Options are what a witness works with beside its folder.
type Options struct {
	Cosigners []*tlog.Cosigner // at least one; every one signs each checkpoint
	Logs      []string         // vkeys of logs; several keys of one origin are one log
	Now       func() time.Time
	Say       func(format string, args ...any) // tells the operator what needs eyes, one line a call
}

// Witness cosigns for the logs it was opened with. Its methods may be called
// at the same time.
type Witness struct {
	folder    *folder
	lock      *os.File
	logs      map[string]*watched // by origin
	cosigners []*tlog.Cosigner
	now       func() time.Time

	sayMu sync.Mutex
	tell  func(format string, args ...any)
}

// say tells the operator one line.
func (w *Witness) say(format string, args ...any) {
	w.sayMu.Lock()
	defer w.sayMu.Unlock()
	w.tell(format, args...)
}

// watched is one log of the witness.
type watched struct {
	keys []tlog.Key

	mu     sync.Mutex // held from comparing the old size until the new state is on disk
	state  *state
	broken error // the state on disk is in doubt: nothing is signed any more
	told   int64 // when the operator was told of evidence, Unix seconds
}

// ErrNoState says that a log which the witness shall cosign for has no state.
var ErrNoState = errors.New("no state of this log in the folder")

// Open takes the folder for this process and reads the state of every log.
// A state that is missing or damaged is an error: a witness that started from
// nothing again would cosign a fork of what it signed before.
func Open(dir string, o Options) (w *Witness, err error) {
	logs, err := parseLogs(o.Logs)
	if err != nil {
		return nil, err
	}
	if len(logs) == 0 || len(o.Cosigners) == 0 {
		return nil, fmt.Errorf("opening witness: got %d logs and %d keys, want at least one of each", len(logs), len(o.Cosigners))
	}
	if err := distinct(o.Cosigners); err != nil {
		return nil, err
	}
	f, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	lock, err := f.lock()
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	w = &Witness{folder: f, lock: lock, logs: map[string]*watched{}, cosigners: o.Cosigners, now: o.Now, tell: o.Say}
	for origin, keys := range logs {
		s, err := f.load(origin)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: log %q, folder %s", ErrNoState, origin, dir)
		}
		if err != nil {
			return nil, errors.Join(err, w.Close())
		}
		w.logs[origin] = &watched{keys: keys, state: s}
	}
	return w, nil
}

// errClosed is what a request gets that comes after Close.
var errClosed = errors.New("the witness is closed")

// Close gives the folder free, after requests under way; later ones get an
// error.
func (w *Witness) Close() error {
	for _, l := range w.logs {
		l.mu.Lock()
		l.broken = errClosed
		l.mu.Unlock()
	}
	return errors.Join(w.folder.close(), w.lock.Close())
}

// Add makes the folder if it is not there, and in it the first state of a log:
// nothing cosigned yet. It refuses a log that has a state. A witness may run
// on the folder at the same time; it does not see the log until it is opened
// with it.
func Add(dir, vkey string) (origin string, err error) {
	logs, err := parseLogs([]string{vkey})
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return "", fmt.Errorf("making state folder: %w", err)
	}
	f, err := openFolder(dir)
	if err != nil {
		return "", err
	}
	for origin = range logs {
		if err = f.create(newState(origin)); err != nil {
			err = fmt.Errorf("adding log %q to %s: %w", origin, dir, err)
		}
	}
	return origin, errors.Join(err, f.close())
}

// Status is what the witness holds of a log.
type Status struct {
	Origin       string
	Size         int64 // 0: nothing was cosigned yet
	Root         [32]byte
	Time         int64 // of the latest cosignature, Unix seconds; 0 for none
	Forks        int   // files of evidence
	Inconsistent int   // files of evidence
}

// List reads the states in a folder, sorted by origin. A witness may work on
// the folder at the same time.
func List(dir string) (list []Status, err error) {
	f, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	states, err := f.list()
	if err != nil {
		return nil, err
	}
	for _, s := range states {
		forks, err := f.countEvidence(kindFork, s.origin)
		if err != nil {
			return nil, err
		}
		others, err := f.countEvidence(kindInconsistent, s.origin)
		if err != nil {
			return nil, err
		}
		list = append(list, Status{s.origin, s.size, s.root, s.time, forks, others})
	}
	slices.SortFunc(list, func(a, b Status) int { return strings.Compare(a.Origin, b.Origin) })
	return list, nil
}
