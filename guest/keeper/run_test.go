package keeper

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"safebox/guest/spawn"
	"safebox/guest/wire"
	"safebox/verifier/canon"
	"safebox/verifier/configuration"
	"safebox/verifier/guestapi"
	verifierobject "safebox/verifier/object"
	"safebox/verifier/receipt"
)

// chunks01 is what most grants here are about.
func chunks01() verifierobject.Ranges { return verifierobject.Ranges{{0, 2}} }

// run submits one more job of a guest.
func (g *guest) run(t *testing.T, s *stored, o *owner) (canon.Octets16, *order) {
	t.Helper()
	job := g.visit(t, o).order(t, s, chunks01())
	return g.submit(t, job.seal(t)), job
}

// open decodes the receipt in a result.
func openReceipt(t *testing.T, r *guestapi.Result, job *order) *receipt.Document {
	t.Helper()
	d, err := receipt.Open(r.Receipt, job.evidence.ReceiptKey)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestShards: what the host does to shards costs at most the result, and is
// named. Profile small has 4 data and 2 parity shards a stripe, leaves in that
// order; the second stripe has 1 and 2.
func TestShards(t *testing.T) {
	whole, other, o := newObject(t), newObject(t), newOwner(t)
	g, _ := bootFake(t, whole.shards)
	leaves, err := verifierobject.DecodeLeaves(whole.Leaves)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := verifierobject.DecodeLeaves(other.Leaves)
	if err != nil {
		t.Fatal(err)
	}
	good := whole.shards.all
	flip := func(b []byte) []byte {
		b = bytes.Clone(b)
		b[len(b)/2] ^= 1
		return b
	}
	for _, c := range []struct {
		name string
		want string // empty: the run succeeds
		do   func(all map[[32]byte][]byte)
	}{
		{"all there", "", func(map[[32]byte][]byte) {}},
		{"two missing", "", func(all map[[32]byte][]byte) {
			delete(all, leaves[0].ShardRoot)
			delete(all, leaves[1].ShardRoot)
		}},
		{"two corrupt", "", func(all map[[32]byte][]byte) {
			for _, l := range leaves[:2] {
				all[l.ShardRoot] = flip(all[l.ShardRoot])
			}
		}},
		{"three missing", "shard-missing", func(all map[[32]byte][]byte) {
			for _, l := range leaves[:3] {
				delete(all, l.ShardRoot)
			}
		}},
		{"three corrupt", "shard-hash", func(all map[[32]byte][]byte) {
			for _, l := range leaves[:3] {
				all[l.ShardRoot] = flip(all[l.ShardRoot])
			}
		}},
		{"another object's", "shard-hash", func(all map[[32]byte][]byte) {
			for i, l := range leaves[:6] {
				all[l.ShardRoot] = other.shards.all[theirs[i].ShardRoot]
			}
		}},
		{"cut", "shard-hash", func(all map[[32]byte][]byte) {
			for _, l := range leaves[:6] {
				all[l.ShardRoot] = all[l.ShardRoot][:1000]
			}
		}},
		{"empty", "shard-hash", func(all map[[32]byte][]byte) {
			for _, l := range leaves[:6] {
				all[l.ShardRoot] = nil
			}
		}},
	} {
		whole.shards.mu.Lock()
		whole.shards.all = map[[32]byte][]byte{}
		for root, b := range good {
			whole.shards.all[root] = b
		}
		c.do(whole.shards.all)
		whole.shards.mu.Unlock()
		id, job := g.run(t, whole, o)
		if c.want == "" {
			g.collect(t, id)
		} else if got := g.failure(t, id); got != c.want {
			t.Errorf("%s: failed as %s, want %s", c.name, got, c.want)
		}
		g.clean(t, 0)
		if g.holds(job.nodes) {
			t.Errorf("%s: a node is still in the arena", c.name)
		}
	}
}

// TestOtherKeys: nodes of another object open nothing.
func TestOtherKeys(t *testing.T) {
	s, other, o := newObject(t), newObject(t), newOwner(t)
	g, _ := bootFake(t, s.shards)
	job := g.visit(t, o).order(t, s, chunks01())
	nodes, err := other.Keys.Root().Cover(chunks01())
	if err != nil {
		t.Fatal(err)
	}
	job.nodes = nodes
	if got := g.failure(t, g.submit(t, job.seal(t))); got != "chunk-commitment" {
		t.Errorf("got %s", got)
	}
	g.clean(t, 0)
}

// TestPrograms: what a worker may try, and what comes of it.
func TestPrograms(t *testing.T) {
	s, o := newObject(t), newOwner(t)
	g, _ := bootFake(t, s.shards)
	refusedAs := func(t *testing.T, err error, want string) {
		t.Helper()
		var p *guestapi.Problem
		if !errors.As(err, &p) || p.ID != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	begin := func(t *testing.T, c *wire.Client) {
		t.Helper()
		if _, err := c.Call(wire.OpJob, nil); err != nil {
			t.Error(err)
		}
	}
	put := func(slot uint32, size int) []byte {
		b, err := wire.Output{Slot: slot, Kind: "object", Data: make([]byte, size)}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, p := range []struct {
		name    string
		program func(t *testing.T, c *wire.Client)
		ending  spawn.Ending
		failure string // ID, or empty
		trap    string
		outputs int
	}{
		{name: "ends at once", trap: trapKilled, program: func(*testing.T, *wire.Client) {}},
		{name: "wall", trap: trapWall, ending: spawn.Ending{Signal: 9, Wall: true}, program: func(*testing.T, *wire.Client) {}},
		{name: "memory", trap: trapMemory, ending: spawn.Ending{Signal: 9, OOM: true}, program: func(*testing.T, *wire.Client) {}},
		{name: "out of order", trap: trapKilled, program: func(t *testing.T, c *wire.Client) {
			_, err := c.Call(wire.OpChunk, wire.Chunk{}.Encode())
			refusedAs(t, err, ProblemRequest)
			begin(t, c)
			_, err = c.Call(wire.OpJob, nil)
			refusedAs(t, err, ProblemRequest)
			_, err = c.Call(wire.OpSubmit, nil)
			refusedAs(t, err, ProblemRequest)
		}},
		{name: "chunks that are not granted", outputs: 1, program: func(t *testing.T, c *wire.Client) {
			begin(t, c)
			for _, x := range []wire.Chunk{{Index: 2}, {Index: 4}, {Index: 5}, {Index: 1 << 31}, {Input: 1}} {
				_, err := c.Call(wire.OpChunk, x.Encode())
				refusedAs(t, err, "chunk-key")
			}
			// It may go on with what it has.
			if _, err := c.Call(wire.OpOutput, put(7, 1)); err != nil {
				t.Error(err)
			}
			if err := finish(c, wire.Done{}); err != nil {
				t.Error(err)
			}
		}},
		{name: "output", outputs: 2, program: func(t *testing.T, c *wire.Client) {
			begin(t, c)
			for _, slot := range []uint32{63, 0} {
				if _, err := c.Call(wire.OpOutput, put(slot, 10)); err != nil {
					t.Error(err)
				}
			}
			_, err := c.Call(wire.OpOutput, put(0, 10))
			refusedAs(t, err, ProblemJobOutput)
			_, err = c.Call(wire.OpOutput, put(1, 16<<20))
			refusedAs(t, err, ProblemJobOutput)
			if err := finish(c, wire.Done{}); err != nil {
				t.Error(err)
			}
			_, err = c.Call(wire.OpOutput, put(2, 1))
			refusedAs(t, err, ProblemRequest)
		}},
		{name: "tells the host", outputs: 0, program: func(t *testing.T, c *wire.Client) {
			begin(t, c)
			for _, o := range []wire.Output{{Kind: "marker"}, {Kind: "object", Slot: 64}, {Kind: "object", Slot: 1 << 31}} {
				b, err := o.Encode()
				if err != nil {
					t.Fatal(err)
				}
				_, err = c.Call(wire.OpOutput, b)
				refusedAs(t, err, ProblemRequest)
			}
			for _, d := range []wire.Done{
				{Trap: "marker"},
				{Trap: trapWall},
				{Trap: trapMemory},
				{Trap: trapKilled},
				{Trap: "trap", Exit: 1},
				{Exit: 1 << 32},
				{Exit: -1<<31 - 1},
				{MemoryPeak: 256<<20 + 65536},
				{MemoryPeak: 1},
			} {
				refusedAs(t, finish(c, d), ProblemRequest)
			}
			if err := finish(c, wire.Done{Exit: 1<<32 - 1, MemoryPeak: 256 << 20}); err != nil {
				t.Error(err)
			}
		}},
		{name: "aborts", trap: "abort", program: func(t *testing.T, c *wire.Client) {
			begin(t, c)
			if err := finish(c, wire.Done{Trap: "abort", Exit: 7}); err != nil {
				t.Error(err)
			}
		}},
		{name: "trap", trap: "trap", program: func(t *testing.T, c *wire.Client) {
			begin(t, c)
			if _, err := c.Call(wire.OpOutput, put(0, 10)); err != nil {
				t.Error(err)
			}
			if err := finish(c, wire.Done{Trap: "trap"}); err != nil {
				t.Error(err)
			}
		}},
		{name: "frame too long", failure: ProblemJobWorker, program: func(t *testing.T, c *wire.Client) {
			begin(t, c)
			if _, err := c.Call(wire.OpOutput, put(0, 16<<20+frameRoom)); err == nil {
				t.Error("accepted")
			}
		}},
		{name: "logs", outputs: 0, program: func(t *testing.T, c *wire.Client) {
			begin(t, c)
			if _, err := c.Call(wire.OpLog, wire.Log{Level: 1, Text: "marker"}.Encode()); err != nil {
				t.Error(err)
			}
			_, err := c.Call(wire.OpLog, nil)
			refusedAs(t, err, ProblemRequest)
			if err := finish(c, wire.Done{Exit: 3}); err != nil {
				t.Error(err)
			}
		}},
		{name: "many lines", outputs: 0, program: func(t *testing.T, c *wire.Client) {
			begin(t, c)
			for n := range 4096 {
				if _, err := c.Call(wire.OpLog, []byte{0}); err != nil {
					t.Fatalf("line %d: %v", n, err)
				}
			}
			_, err := c.Call(wire.OpLog, []byte{0})
			refusedAs(t, err, ProblemRequest)
			if err := finish(c, wire.Done{}); err != nil {
				t.Error(err)
			}
		}},
		{name: "stays", outputs: 0, program: func(t *testing.T, c *wire.Client) {
			begin(t, c)
			if err := finish(c, wire.Done{}); err != nil {
				t.Error(err)
			}
			for { // until it is killed
				if _, err := c.Call(wire.OpLog, []byte{0}); err != nil {
					var p *guestapi.Problem
					if !errors.As(err, &p) {
						return
					}
				}
				time.Sleep(10 * time.Millisecond)
			}
		}},
	} {
		t.Run(p.name, func(t *testing.T) {
			g.program, g.ending = func(c *wire.Client) { p.program(t, c) }, p.ending
			id, job := g.run(t, s, o)
			defer g.clean(t, 0)
			if p.failure != "" {
				if got := g.failure(t, id); got != p.failure {
					t.Errorf("failed as %s, want %s", got, p.failure)
				}
				return
			}
			result := g.collect(t, id)
			r := openReceipt(t, result, job)
			if r.Trap != p.trap || len(r.Outputs) != p.outputs || len(result.Outputs) != p.outputs {
				t.Errorf("trap %q, %d outputs, want %q, %d", r.Trap, len(r.Outputs), p.trap, p.outputs)
			}
		})
	}
}

// TestRefusedOutputIsWiped: what nobody keeps, nobody else will wipe.
func TestRefusedOutputIsWiped(t *testing.T) {
	s, o := newObject(t), newOwner(t)
	g, _ := bootFake(t, s.shards)
	job := g.visit(t, o).order(t, s, chunks01())
	job.seal(t)
	j, err := g.admit(&job.job)
	if err != nil {
		t.Fatal(err)
	}
	x := &session{keeper: g.Keeper, job: j, limits: g.Keeper.limits, ctx: t.Context(), begun: true}
	for kind, wiped := range map[string]bool{"object": false, "marker": true} {
		body, err := wire.Output{Kind: kind, Data: bytes.Repeat([]byte{0xaa}, 1000)}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x.handle(wire.OpOutput, body); (err != nil) != wiped {
			t.Fatalf("%s: %v", kind, err)
		}
		if got := !bytes.Contains(body, []byte{0xaa}); got != wiped {
			t.Errorf("%s: wiped %t, want %t", kind, got, wiped)
		}
	}
}

func TestWorkerStart(t *testing.T) {
	s, o := newObject(t), newOwner(t)
	g, _ := bootFake(t, s.shards)
	g.refuse = errors.New("PID 1 has enough")
	id, job := g.run(t, s, o)
	if got := g.failure(t, id); got != ProblemWorkerStart {
		t.Errorf("got %s", got)
	}
	if g.clean(t, 0); g.holds(job.nodes) {
		t.Error("a node is still in the arena")
	}
	if got := g.refused(t, wire.OpResult, id[:]); got != ProblemWorkerStart {
		t.Errorf("result: %s", got)
	}
}

// TestForget: the last eight jobs are kept.
func TestForget(t *testing.T) {
	s, o := newObject(t), newOwner(t)
	g, _ := bootFake(t, s.shards)
	g.program = func(c *wire.Client) {
		if _, err := c.Call(wire.OpJob, nil); err != nil {
			t.Error(err)
		}
		if err := finish(c, wire.Done{}); err != nil {
			t.Error(err)
		}
	}
	var all []canon.Octets16
	for range maxJobs + 2 {
		id, _ := g.run(t, s, o)
		g.await(t, id)
		all = append(all, id)
	}
	for i, id := range all {
		_, err := g.Handle(wire.OpResult, id[:])
		if forgotten := i < 2; (err != nil) != forgotten {
			t.Errorf("job %d: %v", i, err)
		}
	}
}

// TestKeptBytes: what is kept is bounded in bytes as well; the newest stays.
func TestKeptBytes(t *testing.T) {
	var table jobs
	for i, size := range []int{maxKept / 2, maxKept / 2, 100} {
		table = append(table, &job{id: canon.Octets16{byte(i)}, ended: true, result: make([]byte, size)})
	}
	table.forget()
	var left []byte
	for _, j := range table {
		left = append(left, j.id[0])
	}
	if !slices.Equal(left, []byte{1, 2}) {
		t.Errorf("got jobs %v, want the last two", left)
	}
}

// TestGrantLimit: the runtime log in the evidence has an end.
func TestGrantLimit(t *testing.T) {
	s, o := newObject(t), newOwner(t)
	g, _ := bootFake(t, s.shards)
	g.mu.Lock()
	g.spent = make([]spent, maxGrants)
	g.mu.Unlock()
	if got := g.refused(t, wire.OpSubmit, g.visit(t, o).order(t, s, chunks01()).seal(t)); got != ProblemGrantLimit {
		t.Errorf("got %s", got)
	}
}

// TestRecipients: each gets every output, and nobody else does.
func TestRecipients(t *testing.T) {
	s, o, second := newObject(t), newOwner(t), newOwner(t)
	g, _ := bootFake(t, s.shards)
	job := g.visit(t, o).order(t, s, chunks01())
	job.doc.Recipients = append(job.doc.Recipients, second.recipient.PublicKey().Bytes())
	result := g.collect(t, g.submit(t, job.seal(t)))
	r := openReceipt(t, result, job)
	for i, who := range []*owner{o, second} {
		got := openOutput(t, who, r.Grant, result.Outputs[0].Sealed[i])
		if !bytes.Equal(got, slices.Concat(s.chunk(0), s.chunk(1))) {
			t.Errorf("recipient %d: %d bytes that are not the output", i, len(got))
		}
	}
}

// TestLimits: the configuration's limits reach the worker.
func TestLimits(t *testing.T) {
	s, o := newObject(t), newOwner(t)
	g, _ := bootFake(t, s.shards)
	config := &configuration.Document{Type: configuration.Type, Worker: configuration.Worker{
		Engine: configuration.Interpreter, Memory: 1 << 20, Wall: 7, Output: 1000,
	}}
	document, err := config.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Handle(wire.OpConfigure, document); err != nil {
		t.Fatal(err)
	}
	infos := make(chan wire.Info, 1)
	g.program = func(c *wire.Client) {
		b, err := c.Call(wire.OpJob, nil)
		if err != nil {
			t.Error(err)
		}
		j, err := wire.DecodeJob(b)
		if err != nil {
			t.Error(err)
		}
		infos <- j.Info
	}
	id, job := g.run(t, s, o)
	g.await(t, id)
	info := <-infos
	if info.Time != job.doc.NotBefore*1000 {
		t.Errorf("time: got %d ms, want the grant's %d s", info.Time, job.doc.NotBefore)
	}
	if info.Engine != "interpreter" || info.Memory != 1<<20 || info.Output != 1000 || !bytes.Equal(info.Params, job.job.Params) {
		t.Errorf("got %+v", info)
	}
	in := info.Inputs[0]
	if len(info.Inputs) != 1 || in.Root != s.CID || in.Size != int64(len(s.plain)) || in.Chunks != 5 || in.ChunkSize != verifierobject.ChunkSize || !slices.Equal(in.Ranges, chunks01()) {
		t.Errorf("got %+v", info.Inputs)
	}
	if l := g.limits.Load(); *l != (spawn.Limits{Memory: 1<<20 + workerOverhead, Wall: 7 * time.Second, Engine: "interpreter"}) {
		t.Errorf("got %+v", l)
	}
}
