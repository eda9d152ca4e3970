package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"safebox/guest/wire"
	"safebox/verifier/guestapi"

	"golang.org/x/sys/unix"
)

// conversation is the keeper's side of a worker, that notes what is said.
type conversation struct {
	job     *wire.Job
	text    string
	refuse  uint8 // operation to answer with a problem
	ops     []byte
	chunks  []wire.Chunk
	outputs []wire.Output
	done    []wire.Done
}

func (v *conversation) handle(op uint8, b []byte) (answer []byte, err error) {
	v.ops = append(v.ops, op)
	if op == v.refuse {
		return nil, &guestapi.Problem{ID: "job-output", Detail: "not today"}
	}
	switch op {
	case wire.OpJob:
		return v.job.Encode()
	case wire.OpChunk:
		c, err := wire.DecodeChunk(b)
		if err != nil {
			return nil, err
		}
		v.chunks = append(v.chunks, c)
		if c.Index == 2 { // granted by the job, and the keeper knows better
			return nil, &guestapi.Problem{ID: "chunk-key", Detail: "not granted"}
		}
		return []byte(v.text[10*c.Index:][:10]), nil
	case wire.OpOutput:
		o, err := wire.DecodeOutput(b)
		o.Data = bytes.Clone(o.Data)
		v.outputs = append(v.outputs, o)
		return nil, err
	case wire.OpDone:
		d, err := wire.DecodeDone(b)
		v.done = append(v.done, d)
		return nil, err
	case wire.OpLog:
		_, err := wire.DecodeLog(b)
		return nil, err
	}
	return nil, errors.New("unknown operation")
}

// talk lets a worker and the keeper talk over a socket pair, as PID 1 makes it.
func (v *conversation) talk(t *testing.T) (workErr, serveErr error) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "keeper"), os.NewFile(uintptr(pair[1]), "worker")
	served := make(chan error)
	go func() {
		err := wire.Serve(ours, wire.MaxRequestWorker, v.handle)
		served <- errors.Join(err, ours.Close())
	}()
	workErr = work(wire.NewClient(theirs, wire.MaxReplyWorker))
	return workErr, <-served
}

func TestWork(t *testing.T) {
	for _, engine := range engines() {
		v := &conversation{text: "one two\n3 four five\n", job: &wire.Job{
			Module: module(t, textstat),
			Info: wire.Info{
				Engine: engine, Memory: 64 << 20, Output: 1 << 20, Params: []byte(`{"top":1}`),
				Inputs: []wire.Input{{ChunkSize: 10, Chunks: 2, Size: 20, Ranges: [][2]uint32{{0, 2}}, Root: "r"}},
			},
		}}
		if workErr, serveErr := v.talk(t); workErr != nil || serveErr != nil {
			t.Fatalf("worker: %v; keeper: %v", workErr, serveErr)
		}
		if want := []byte{wire.OpJob, wire.OpChunk, wire.OpChunk, wire.OpOutput, wire.OpDone}; !bytes.Equal(v.ops, want) {
			t.Errorf("operations %x, want %x", v.ops, want)
		}
		if v.chunks[0] != (wire.Chunk{}) || v.chunks[1] != (wire.Chunk{Index: 1}) {
			t.Errorf("chunks %v", v.chunks)
		}
		var statistics struct{ Words, Lines int }
		if err := json.Unmarshal(v.outputs[0].Data, &statistics); err != nil || statistics.Words != 5 || statistics.Lines != 2 {
			t.Errorf("output %s, %v", v.outputs[0].Data, err)
		}
		if d := v.done[0]; d.Exit != 0 || d.Trap != "" || d.MemoryPeak == 0 {
			t.Errorf("done: %+v", d)
		}
	}
}

// TestWorkFails: a worker without an outcome says nothing about one.
func TestWorkFails(t *testing.T) {
	info := wire.Info{Engine: "interpreter", Memory: 1 << 20, Output: 100}
	good := assemble([]imported{{"safebox_v1", "out_open", "iii>l"}, {"safebox_v1", "out_close", "i>l"}},
		join(i32(0), i32(0), i32(0), []byte{opCall, 0, opDrop}, i32(0), []byte{opCall, 1, opDrop}))
	bad := info
	bad.Engine = "native"
	tests := []struct {
		name   string
		info   wire.Info
		refuse uint8
		want   string // in the error
		done   int
	}{
		{"good", info, 0, "", 1},
		{"no job", info, wire.OpJob, "asking for the job", 0},
		{"job refused", bad, 0, "engine", 0},
		{"output refused", info, wire.OpOutput, "the keeper ended the run", 0},
		{"end refused", info, wire.OpDone, "not today", 0},
	}
	for _, test := range tests {
		v := &conversation{job: &wire.Job{Info: test.info, Module: good}, refuse: test.refuse}
		workErr, serveErr := v.talk(t)
		if serveErr != nil || len(v.done) != test.done || (workErr == nil) != (test.want == "") {
			t.Errorf("%s: worker %v, keeper %v, done %v", test.name, workErr, serveErr, v.done)
		}
		if workErr != nil && !strings.Contains(workErr.Error(), test.want) {
			t.Errorf("%s: %v, want %s", test.name, workErr, test.want)
		}
	}
}

// TestWorkRefusedChunk: the keeper's refusal of a chunk reaches the program.
func TestWorkRefusedChunk(t *testing.T) {
	v := &conversation{text: strings.Repeat("x", 40), job: &wire.Job{
		Module: module(t, probe),
		Info: wire.Info{
			Engine: "compiler", Memory: 64 << 20, Output: 1 << 20, Params: []byte("inputs"),
			Inputs: []wire.Input{{ChunkSize: 10, Chunks: 4, Size: 35, Ranges: [][2]uint32{{1, 4}}, Root: "r"}},
		},
	}}
	if workErr, serveErr := v.talk(t); workErr != nil || serveErr != nil {
		t.Fatalf("worker: %v; keeper: %v", workErr, serveErr)
	}
	if got := string(v.outputs[0].Data); !strings.Contains(got, `0 at 20: "" errno 13`) || !strings.Contains(got, `1 at 10: "x" <nil>`) {
		t.Errorf("got %s", got)
	}
}
