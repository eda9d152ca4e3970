package tlog

import (
	"fmt"

	"github.com/transparency-dev/tessera"
)

// feeder gives the store what waits, a batch at a time, until the log stops.
// While one batch goes to disk the next one gathers: the more wait, the more
// share an fsync. (Tessera's own queue flushes by the clock alone.)
func (l *Log) feeder() {
	defer close(l.fed)
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-l.feed:
		}
		for batch := l.take(); len(batch) > 0; batch = l.take() {
			if err := l.write(batch); err != nil {
				// What a failed fsync left on disk is unknown, and so is what
				// memory says of it: the log stops, and reads the disk when it
				// is opened again.
				l.fail(fmt.Errorf("storing an entry: %w", err))
			}
			signal(l.wake)
		}
	}
}

// take takes a batch from those that wait; none when the log has stopped.
func (l *Log) take() []*pending {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil
	}
	n := min(len(l.waiting), batchSize)
	batch := l.waiting[:n]
	l.waiting = l.waiting[n:]
	return batch
}

// write integrates a batch and tells those who wait for it.
func (l *Log) write(batch []*pending) error {
	futures := make([]tessera.IndexFuture, len(batch))
	for i, p := range batch {
		futures[i] = l.store.add(p.entry)
	}
	var failed error
	for i, p := range batch {
		at, err := futures[i]()
		if err != nil {
			failed, p.err = err, ErrStopped
		}
		p.index = int64(at.Index)
		close(p.done)
	}
	return failed
}
