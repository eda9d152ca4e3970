package tlog

import (
	"context"
	"errors"
	"testing"

	"github.com/transparency-dev/tessera"
)

// TestNothingAfterStorageError: what waits while the disk fails is never given to
// it: what a failed write left there is unknown.
func TestNothingAfterStorageError(t *testing.T) {
	broken, given := errors.New("no space left on device"), 0
	l := &Log{
		store: &store{add: func([]byte) tessera.IndexFuture {
			given++
			return func() (tessera.Index, error) { return tessera.Index{}, broken }
		}},
		feed: make(chan struct{}, 1), fed: make(chan struct{}), wake: make(chan struct{}, 1), news: make(chan struct{}),
	}
	l.ctx, l.cancel = context.WithCancel(t.Context())
	for range 3 * batchSize {
		l.waiting = append(l.waiting, &pending{done: make(chan struct{})})
	}
	all := l.waiting
	signal(l.feed)
	l.feeder()
	if given != batchSize || !errors.Is(l.Err(), broken) {
		t.Errorf("given %d entries, %v: want %d, and the error of the disk", given, l.Err(), batchSize)
	}
	for i, p := range all[:batchSize] {
		<-p.done
		if !errors.Is(p.err, ErrStopped) {
			t.Errorf("entry %d: got %v, want %v", i, p.err, ErrStopped)
		}
	}
}
