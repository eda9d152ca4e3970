package keeper

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"safebox/guest/quote"
	"safebox/guest/quote/quotetest"
	"safebox/guest/spawn"
	"safebox/guest/wire"
	"safebox/verifier/bootreport"
	"safebox/verifier/canon"
	"safebox/verifier/guestapi"
	verifierobject "safebox/verifier/object"
)

// guest is a booted machine as far as the keeper goes: TPM, event log, clocks,
// the way to shards, and what runs as worker.
type guest struct {
	*Keeper
	tpm     *quotetest.TPM
	device  *quote.TPM
	shards  *shards
	skew    atomic.Int64         // of the boot clock
	program func(c *wire.Client) // what a worker does; nil: copyGranted
	ending  spawn.Ending         // that PID 1 reports
	refuse  error                // of PID 1, when asked for a worker
	limits  atomic.Pointer[spawn.Limits]
	asked   func() // called when the time of day is asked for, if not nil
}

func eventLog(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("../../verifier/bootreport/testdata/honest.json")
	if err != nil {
		t.Fatal(err)
	}
	r, err := bootreport.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return r.EventLog
}

// boot starts a guest on a TPM.
func boot(t testing.TB, tpm *quotetest.TPM, s *shards) *guest {
	t.Helper()
	log := eventLog(t)
	tpm.Replay(t, log)
	device, err := quote.New(tpm.Open(t))
	if err != nil {
		t.Fatal(err)
	}
	g := &guest{tpm: tpm, device: device, shards: s}
	g.start(t, device, log)
	return g
}

// start starts a keeper on a device.
func (g *guest) start(t testing.TB, device Device, log []byte) {
	t.Helper()
	ours, theirs := net.Pipe()
	go func() {
		if err := wire.Serve(theirs, wire.MaxRequestFetch, g.shards.handle); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("serving shards: %v", err)
		}
	}()
	client := wire.NewClient(ours, wire.MaxReplyFetch)
	k, err := New(Options{
		Device:   device,
		Workers:  g,
		Shards:   fetcher{client},
		EventLog: log,
		Boottime: func() time.Duration { return boottime() + time.Duration(g.skew.Load()) },
		Now: func() time.Time {
			if g.asked != nil {
				g.asked()
			}
			return time.Now()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	g.Keeper = k
	t.Cleanup(func() {
		if err := errors.Join(k.Close(), client.Close(), theirs.Close()); err != nil {
			t.Error(err)
		}
	})
}

// Start implements Workers: the worker is a goroutine.
func (g *guest) Start(l spawn.Limits) (Worker, error) {
	g.limits.Store(&l)
	if g.refuse != nil {
		return nil, g.refuse
	}
	ours, theirs := net.Pipe()
	w := &goroutine{Conn: ours, ending: g.ending, done: make(chan struct{})}
	program := g.program
	if program == nil {
		program = copyGranted
	}
	go func() {
		defer close(w.done)
		c := wire.NewClient(theirs, wire.MaxReplyWorker)
		program(c)
		if err := c.Close(); err != nil {
			panic(err)
		}
	}()
	return w, nil
}

// goroutine is a worker in this process.
type goroutine struct {
	net.Conn
	ending spawn.Ending
	done   chan struct{}
	killed atomic.Bool
}

// Kill takes the stream away: a program that uses it ends.
func (w *goroutine) Kill() error {
	w.killed.Store(true)
	return w.Conn.Close()
}

// Wait implements Worker.
func (w *goroutine) Wait() spawn.Ending {
	<-w.done
	return w.ending
}

// copyGranted puts out all granted chunks, one behind the other.
func copyGranted(c *wire.Client) {
	if err := tryCopy(c); err != nil {
		return // as a worker: it ends
	}
}

func tryCopy(c *wire.Client) error {
	b, err := c.Call(wire.OpJob, nil)
	if err != nil {
		return err
	}
	j, err := wire.DecodeJob(b)
	if err != nil {
		return err
	}
	var all []byte
	for _, r := range j.Info.Inputs[0].Ranges {
		for i := r[0]; i < r[1]; i++ {
			plain, err := c.Call(wire.OpChunk, wire.Chunk{Index: i}.Encode())
			if err != nil {
				return err
			}
			all = append(all, plain...)
		}
	}
	out, err := wire.Output{Slot: 0, Kind: "object", Data: all}.Encode()
	if err != nil {
		return err
	}
	if _, err := c.Call(wire.OpOutput, out); err != nil {
		return err
	}
	return finish(c, wire.Done{Exit: 0, MemoryPeak: 65536})
}

func finish(c *wire.Client, d wire.Done) error {
	done, err := d.Encode()
	if err != nil {
		return err
	}
	_, err = c.Call(wire.OpDone, done)
	return err
}

// submit submits a job that is to be accepted.
func (g *guest) submit(t testing.TB, job []byte) canon.Octets16 {
	t.Helper()
	b, err := g.Handle(wire.OpSubmit, job)
	if err != nil {
		t.Fatal(err)
	}
	s, err := guestapi.DecodeStatus(b)
	if err != nil {
		t.Fatal(err)
	}
	return s.Job
}

// refused submits a job that is to be refused, and gives the reason.
func (g *guest) refused(t testing.TB, op uint8, body []byte) string {
	t.Helper()
	out, err := g.Handle(op, body)
	if err == nil {
		t.Fatalf("accepted: %.200s", out)
	}
	var p *guestapi.Problem
	if !errors.As(err, &p) {
		t.Fatalf("got %v, want a problem with a name", err)
	}
	if _, err := guestapi.EncodeProblem(p); err != nil {
		t.Error(err)
	}
	return p.ID
}

// await waits for a job's end.
func (g *guest) await(t testing.TB, id canon.Octets16) *guestapi.Status {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		b, err := g.Handle(wire.OpStatus, id[:])
		if err != nil {
			t.Fatal(err)
		}
		s, err := guestapi.DecodeStatus(b)
		if err != nil {
			t.Fatal(err)
		}
		if s.State != guestapi.Running {
			return s
		}
	}
	t.Fatal("the job does not end")
	return nil
}

// failure gives the ID of the problem that ended a job.
func (g *guest) failure(t testing.TB, id canon.Octets16) string {
	t.Helper()
	s := g.await(t, id)
	if s.State != guestapi.Failed {
		t.Fatalf("state %s, want failed", s.State)
	}
	return s.Problem.ID
}

// collect gets the result of a job that is done.
func (g *guest) collect(t testing.TB, id canon.Octets16) *guestapi.Result {
	t.Helper()
	if s := g.await(t, id); s.State != guestapi.Done {
		t.Fatalf("state %s, %v", s.State, s.Problem)
	}
	b, err := g.Handle(wire.OpResult, id[:])
	if err != nil {
		t.Fatal(err)
	}
	r, err := guestapi.DecodeResult(b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// clean fails unless nothing secret is left: of all the arena only the receipt
// key's slot and those of open challenges are in use, all others are zero, and
// the buffer for a chunk is zero.
func (g *guest) clean(t testing.TB, challenges int) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.arena.mu.Lock()
	defer g.arena.mu.Unlock()
	used := 0
	for i, u := range g.arena.used {
		zero := bytes.Equal(g.arena.region.bytes[i*slotSize:][:slotSize], make([]byte, slotSize))
		if u {
			used++
		}
		if u == zero {
			t.Errorf("slot %d: used %t, zero %t", i, u, zero)
		}
	}
	if tail := g.arena.region.bytes[len(g.arena.used)*slotSize:]; len(bytes.TrimLeft(tail, "\x00")) != 0 {
		t.Error("the arena has something behind its slots")
	}
	if want := 1 + challenges; used != want {
		t.Errorf("%d slots in use, want %d", used, want)
	}
	if len(bytes.TrimLeft(g.chunk.bytes, "\x00")) != 0 {
		t.Error("the buffer still holds a chunk")
	}
}

// holds tells whether any of the keys is in the arena.
func (g *guest) holds(nodes []verifierobject.Node) bool {
	g.arena.mu.Lock()
	defer g.arena.mu.Unlock()
	for _, n := range nodes {
		if bytes.Contains(g.arena.region.bytes, n.Key[:]) {
			return true
		}
	}
	return false
}
