package tlog

import (
	"context"
	"fmt"

	sumdb "golang.org/x/mod/sumdb/tlog"

	"safebox/verifier/tlog"
)

// pending is an entry on its way to the disk.
type pending struct {
	entry []byte
	done  chan struct{}
	index int64
	err   error
}

// Receipt says where an entry is.
type Receipt struct {
	Index int64 `json:"index"` // the first one, of an entry that was there before
	Size  int64 `json:"size"`  // of a published checkpoint's tree that has it
	New   bool  `json:"-"`     // this call put it there
}

// Append puts an entry into the log unless it is there already, and returns
// once a checkpoint that covers it is published. An entry that is not allowed
// is an *EntryError.
func (l *Log) Append(ctx context.Context, entry []byte) (Receipt, error) {
	if err := l.o.admit(entry); err != nil {
		return Receipt{}, err
	}
	index, created, err := l.place(ctx, entry)
	if err != nil {
		return Receipt{}, err
	}
	size, err := l.await(ctx, index)
	return Receipt{Index: index, Size: size, New: created}, err
}

// place finds or gives the entry its index.
func (l *Log) place(ctx context.Context, entry []byte) (index int64, created bool, err error) {
	leaf := sumdb.Hash(tlog.LeafHash(entry))
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return 0, false, ErrStopped
	}
	if i, ok := l.tree.first[leaf]; ok {
		l.mu.Unlock()
		return i, false, nil
	}
	p, ok := l.pending[leaf]
	if !ok {
		p = &pending{entry: entry, done: make(chan struct{})}
		l.pending[leaf] = p
		l.waiting = append(l.waiting, p)
		signal(l.feed)
	}
	l.mu.Unlock()
	select {
	case <-p.done:
		return p.index, !ok, p.err
	case <-l.ctx.Done():
		return 0, false, ErrStopped
	case <-ctx.Done():
		return 0, false, ErrUnpublished
	}
}

// signal tells a goroutine that there is work; it may have been told already.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// await waits for a published checkpoint that covers index.
func (l *Log) await(ctx context.Context, index int64) (size int64, err error) {
	for {
		l.mu.Lock()
		size, news, err := l.published.size, l.news, l.err
		l.mu.Unlock()
		switch {
		case size > index:
			return size, nil
		case err != nil:
			return 0, ErrStopped
		}
		select {
		case <-news:
		case <-ctx.Done():
			return 0, fmt.Errorf("entry %d: %w", index, ErrUnpublished)
		}
	}
}
