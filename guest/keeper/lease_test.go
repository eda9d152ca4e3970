package keeper

import (
	"errors"
	"sync"
	"testing"
	"time"

	"safebox/guest/wire"
	"safebox/measure/tpm/golden"
	"safebox/verifier/guestapi"
)

// TestLease: when the time is over, nothing more is read or let out.
func TestLease(t *testing.T) {
	s, o := newObject(t), newOwner(t)
	g, _ := bootFake(t, s.shards)
	for name, program := range map[string]func(c *wire.Client){
		"before a chunk": func(c *wire.Client) {
			if _, err := c.Call(wire.OpJob, nil); err != nil {
				t.Error(err)
			}
			g.skew.Add(int64(time.Hour))
			var p *guestapi.Problem
			if _, err := c.Call(wire.OpChunk, wire.Chunk{}.Encode()); !errors.As(err, &p) || p.ID != ProblemGrantLease {
				t.Errorf("got %v, want %s", err, ProblemGrantLease)
			}
			if _, err := c.Call(wire.OpLog, []byte{0}); !errors.As(err, &p) || p.ID != ProblemGrantLease {
				t.Errorf("a line: got %v, want %s", err, ProblemGrantLease)
			}
		},
		"before the end": func(c *wire.Client) {
			if err := tryCopy(c); err != nil {
				t.Error(err)
			}
			g.skew.Add(int64(time.Hour))
		},
	} {
		g.program = program
		id, _ := g.run(t, s, o)
		if got := g.failure(t, id); got != ProblemGrantLease {
			t.Errorf("%s: %s", name, got)
		}
		g.clean(t, 0)
	}
}

// TestLeaseWhileSealing: what is sealed when the time runs out stays here. The
// keeper asks for the time of day when it begins to seal.
func TestLeaseWhileSealing(t *testing.T) {
	s, o := newObject(t), newOwner(t)
	g, _ := bootFake(t, s.shards)
	job := g.visit(t, o).order(t, s, chunks01()).seal(t)
	times := 0
	g.asked = func() {
		if times++; times == 2 { // the first was for the grant
			g.skew.Add(int64(time.Hour))
		}
	}
	if got := g.failure(t, g.submit(t, job)); got != ProblemGrantLease {
		t.Errorf("got %s", got)
	}
	g.clean(t, 0)
}

// TestLeaseTimer: keys go when the time is over, even while the way to shards
// hangs, which is the host's to do.
func TestLeaseTimer(t *testing.T) {
	s, o := newObject(t), newOwner(t)
	g, _ := bootFake(t, s.shards)
	hang, hung := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.shards.fetch = func([32]byte) {
		once.Do(func() { close(hung) })
		<-hang
	}
	job := g.visit(t, o).order(t, s, chunks01())
	job.doc.NotAfter = time.Now().Unix() + 2
	id := g.submit(t, job.seal(t))
	<-hung
	if !g.holds(job.nodes) {
		t.Error("no node in the arena while the job runs")
	}
	for end := time.Now().Add(10 * time.Second); g.holds(job.nodes); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the nodes outlive the lease")
		}
	}
	close(hang)
	if got := g.failure(t, id); got != ProblemGrantLease {
		t.Errorf("got %s", got)
	}
	g.clean(t, 0)
}

// TestLeaseDuringFetch: a shard that the host gives when the time is over is
// not decrypted any more. Neither clock of the lease has to be right for that.
func TestLeaseDuringFetch(t *testing.T) {
	s, o := newObject(t), newOwner(t)
	g, _ := bootFake(t, s.shards)
	over := func() { g.skew.Add(int64(time.Hour)) }
	s.shards.fetch = func([32]byte) { over() }
	got := make(chan error, 1)
	g.program = func(c *wire.Client) {
		if _, err := c.Call(wire.OpJob, nil); err != nil {
			t.Error(err)
		}
		_, err := c.Call(wire.OpChunk, wire.Chunk{}.Encode())
		got <- err
	}
	id, _ := g.run(t, s, o)
	var p *guestapi.Problem
	if err := <-got; !errors.As(err, &p) || p.ID != ProblemGrantLease {
		t.Errorf("got %v, want %s", err, ProblemGrantLease)
	}
	if got := g.failure(t, id); got != ProblemGrantLease {
		t.Errorf("got %s", got)
	}
	g.clean(t, 0)
}

// slowDevice is a TPM that takes its time for an extension: the clock goes on.
type slowDevice struct {
	*device
	before func()
}

func (d slowDevice) Extend(digest func(golden.Bank) golden.Digest) error {
	d.before()
	return d.device.Extend(digest)
}

// TestLeaseWhileTPMWaits: the time that the host's TPM takes is the lease's.
func TestLeaseWhileTPMWaits(t *testing.T) {
	s, o := newObject(t), newOwner(t)
	g := &guest{shards: s.shards}
	wait := time.Duration(0)
	g.start(t, slowDevice{newDevice(), func() { g.skew.Add(int64(wait)) }}, []byte("log"))
	job := g.visit(t, o).order(t, s, chunks01())
	job.doc.NotAfter = time.Now().Unix() + 600
	file := job.seal(t)
	wait = time.Hour
	hang := make(chan struct{})
	g.program = func(*wire.Client) { <-hang }
	defer close(hang)
	g.submit(t, file)
	for end := time.Now().Add(5 * time.Second); g.holds(job.nodes); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the nodes outlive the lease")
		}
	}
}

// TestAfterClose: what comes after the end is refused, and finds no key.
func TestAfterClose(t *testing.T) {
	s, o := newObject(t), newOwner(t)
	g, _ := bootFake(t, s.shards)
	job := g.visit(t, o).order(t, s, chunks01()).seal(t)
	c, err := newChallenge(o).Encode()
	if err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	for op, body := range map[uint8][]byte{wire.OpSubmit: job, wire.OpEvidence: c} {
		if _, err := g.Handle(op, body); !errors.Is(err, errClosed) {
			t.Errorf("operation %#02x: got %v, want %v", op, err, errClosed)
		}
	}
}

// TestClose wipes what a job under way holds.
func TestClose(t *testing.T) {
	s, o := newObject(t), newOwner(t)
	g, _ := bootFake(t, s.shards)
	began := make(chan struct{})
	g.program = func(c *wire.Client) {
		if _, err := c.Call(wire.OpJob, nil); err != nil {
			t.Error(err)
		}
		close(began)
		for { // until it is killed
			if _, err := c.Call(wire.OpLog, []byte{0}); err != nil {
				var p *guestapi.Problem
				if !errors.As(err, &p) {
					return
				}
			}
		}
	}
	id, job := g.run(t, s, o)
	<-began
	if got := g.refused(t, wire.OpSubmit, g.visit(t, o).order(t, s, chunks01()).seal(t)); got != ProblemJobBusy {
		t.Errorf("a second job: %s", got)
	}
	if got := g.refused(t, wire.OpResult, id[:]); got != ProblemRunning {
		t.Errorf("result of a running job: %s", got)
	}
	g.mu.Lock()
	g.jobs.stop()
	g.mu.Unlock()
	if got := g.failure(t, id); got != ProblemGrantLease {
		t.Errorf("stopped: %s", got)
	}
	if g.clean(t, 1); g.holds(job.nodes) {
		t.Error("a node is still in the arena")
	}
}
