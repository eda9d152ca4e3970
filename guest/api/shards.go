package api

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"safebox/guest/wire"
	"safebox/verifier/guestapi"
)

// Limits of the shard channel.
const (
	maxShard    = 1 << 20          // verifier/object.ShardSize, as in package wire
	fetchTime   = 20 * time.Second // for one answer
	channelWait = 5 * time.Second  // for the host to open a channel again
	attempts    = 2                // on a channel each
)

// IDs of problems with shards.
const (
	problemShard   = "shard-missing" // the host has no such shard, or one that is too long
	problemChannel = "shard-channel" // the host has no channel open, or it failed
)

// Shards asks the host for shards, over a connection that the host has opened
// for that: the guest opens none, and a host behind whatever network needs to
// accept none. What comes is a claim; the keeper checks it.
type Shards struct {
	fetching sync.Mutex // one request at a time

	mu      sync.Mutex // guards what follows
	current *channel
	arrived chan struct{} // closed when current becomes another
}

// NewShards gives a Shards without a channel.
func NewShards() *Shards { return &Shards{arrived: make(chan struct{})} }

// Use takes a connection for requests from now on. The newest one counts: a
// host opens another when the last is dead, and often knows before the guest.
func (s *Shards) Use(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil {
		hangUp(s.current.conn)
	}
	s.current = newChannel(conn)
	close(s.arrived)
	s.arrived = make(chan struct{})
}

// Serve is the handler of wire.OpFetch.
func (s *Shards) Serve(op uint8, body []byte) ([]byte, error) {
	if op != wire.OpFetch {
		return nil, fmt.Errorf("operation %#02x, want %#02x", op, wire.OpFetch)
	}
	f, err := wire.DecodeFetch(body)
	if err != nil {
		return nil, err
	}
	return s.Fetch(f.Root, f.Limit)
}

// Fetch gives what the host says is the shard with that root, of 1 to limit
// bytes. A request that the channel's end interrupted is repeated once.
func (s *Shards) Fetch(root [32]byte, limit uint32) ([]byte, error) {
	if limit < 1 || limit > maxShard {
		return nil, fmt.Errorf("fetching shard: limit %d, want 1 to %d", limit, maxShard)
	}
	s.fetching.Lock()
	defer s.fetching.Unlock()
	err := errors.New("the host has none open")
	for range attempts {
		c := s.await(channelWait)
		if c == nil {
			break
		}
		var b []byte
		if b, err = c.fetch(root, int64(limit)); err == nil {
			return b, nil
		}
		var p *guestapi.Problem
		if errors.As(err, &p) {
			return nil, p
		}
		s.drop(c)
	}
	return nil, &guestapi.Problem{ID: problemChannel, Detail: fmt.Sprintf("shard %x: channel: %v", root, err)}
}

// await gives the channel, and waits for one if there is none; nil if none
// comes.
func (s *Shards) await(wait time.Duration) *channel {
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for {
		s.mu.Lock()
		c, arrived := s.current, s.arrived
		s.mu.Unlock()
		if c != nil {
			return c
		}
		select {
		case <-arrived:
		case <-timeout.C:
			return nil
		}
	}
}

// drop closes a channel of no more use, unless another has replaced it.
func (s *Shards) drop(c *channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == c { // else it was closed when it was replaced
		hangUp(c.conn)
		s.current = nil
	}
}
