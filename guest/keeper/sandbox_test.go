package keeper

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"safebox/guest/sandbox"
	"safebox/guest/wire"
	verifierobject "safebox/verifier/object"
)

// calls makes a worker's calls for the sandbox.
type calls struct{ c *wire.Client }

func (w calls) Chunk(input, index uint32) ([]byte, error) {
	return w.c.Call(wire.OpChunk, wire.Chunk{Input: input, Index: index}.Encode())
}

func (w calls) Output(slot uint32, kind string, data []byte) error {
	b, err := wire.Output{Slot: slot, Kind: kind, Data: data}.Encode()
	if err != nil {
		return err
	}
	_, err = w.c.Call(wire.OpOutput, b)
	return err
}

func (w calls) Log(level uint8, text string) error {
	_, err := w.c.Call(wire.OpLog, wire.Log{Level: level, Text: text}.Encode())
	return err
}

// TestSandbox: a WASI program by stock Go, in the real sandbox, over the
// granted chunks.
func TestSandbox(t *testing.T) {
	path := filepath.Join(t.TempDir(), "textstat.wasm")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w -buildid=", "-o", path, "safebox/guest/sandbox/example/textstat")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the example: %v\n%s", err, out)
	}
	module, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Lines of 16 bytes: chunk 0 has ChunkSize/16 = 65535 of them, two words each.
	const line = "safebox counted\n"
	s, o := seal(t, []byte(strings.Repeat(line, 2*verifierobject.ChunkSize/len(line)))), newOwner(t)
	g, _ := bootFake(t, s.shards)
	g.program = func(c *wire.Client) {
		if err := work(c); err != nil {
			t.Error(err)
		}
	}
	job := g.visit(t, o).order(t, s, verifierobject.Ranges{{0, 1}})
	job.job.Module, job.job.Params = module, []byte(`{"top":1}`)
	job.doc.Module, job.doc.Params = sha256.Sum256(module), sha256.Sum256(job.job.Params)
	result := g.collect(t, g.submit(t, job.seal(t)))
	r := openReceipt(t, result, job)
	if r.Trap != "" || r.Exit != 0 || len(r.Outputs) != 1 {
		t.Fatalf("got trap %q, exit %d, %d outputs", r.Trap, r.Exit, len(r.Outputs))
	}
	var got struct{ Bytes, Lines, Words, Distinct int }
	if err := json.Unmarshal(openOutput(t, o, r.Grant, result.Outputs[0].Sealed[0]), &got); err != nil {
		t.Fatal(err)
	}
	if got.Bytes != 1048560 || got.Lines != 65535 || got.Words != 131070 || got.Distinct != 2 {
		t.Errorf("got %+v", got)
	}
	g.clean(t, 0)
}

// TestWorkerTraps: the traps that the keeper takes from a worker are those that
// the sandbox has, as its source says.
func TestWorkerTraps(t *testing.T) {
	source, err := os.ReadFile("../sandbox/sandbox.go")
	if err != nil {
		t.Fatal(err)
	}
	var traps []string
	for _, m := range regexp.MustCompile(`(?m)^\tTrap[A-Z]\w+ += "([a-z-]+)"`).FindAllSubmatch(source, -1) {
		traps = append(traps, string(m[1]))
	}
	if n := strings.Count(string(source), "\n\tTrap"); n != len(traps) || n == 0 {
		t.Fatalf("understood %d of %d traps", len(traps), n)
	}
	if !slices.Equal(traps, workerTraps()) || sandbox.TrapAbort != trapAbort {
		t.Errorf("the sandbox has %q, the keeper takes %q", traps, workerTraps())
	}
}

// work is what a worker process does.
func work(c *wire.Client) error {
	b, err := c.Call(wire.OpJob, nil)
	if err != nil {
		return err
	}
	j, err := wire.DecodeJob(b)
	if err != nil {
		return err
	}
	done, err := sandbox.Run(context.Background(), j, calls{c})
	if err != nil {
		return err
	}
	return finish(c, done)
}
