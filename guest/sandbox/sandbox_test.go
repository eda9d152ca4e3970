package sandbox

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"safebox/guest/wire"
	"safebox/verifier/guestapi"
)

// engines are run side by side: what a program does must not depend on which.
func engines() []string { return []string{"compiler", "interpreter"} }

// build compiles a program for the sandbox, once.
func build(pkg string) func() ([]byte, error) {
	return sync.OnceValues(func() ([]byte, error) {
		dir, err := os.MkdirTemp("", "safebox-sandbox-")
		if err != nil {
			return nil, err
		}
		file := filepath.Join(dir, "out.wasm")
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w -buildid=", "-o", file, pkg)
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building %s: %w: %s", pkg, err, out)
		}
		b, err := os.ReadFile(file)
		return b, errors.Join(err, os.RemoveAll(dir))
	})
}

var (
	textstat = build("./example/textstat")
	probe    = build("./testdata/probe")
)

func module(t testing.TB, build func() ([]byte, error)) []byte {
	t.Helper()
	b, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// keeper is what the tests stand in for: it has the object's bytes, and refuses
// what is not granted, as the real one does.
type keeper struct {
	info    wire.Info
	plain   [][]byte // of the inputs
	fail    string   // the call that fails: chunk, output, log
	outputs map[uint32]string
	kinds   map[uint32]string
	logs    []string
	chunks  int
	given   [][]byte // the very slices that Chunk returned
}

var errTest = errors.New("the shards are gone")

func (k *keeper) Chunk(input, index uint32) ([]byte, error) {
	k.chunks++
	if k.fail == "chunk" {
		return nil, errTest
	}
	in := k.info.Inputs[input]
	if !granted(&in, index) {
		return nil, &guestapi.Problem{ID: "chunk-key", Detail: "not granted"}
	}
	from := int64(index) * in.ChunkSize
	b := bytes.Clone(k.plain[input][from:min(from+in.ChunkSize, in.Size)])
	k.given = append(k.given, b)
	return b, nil
}

func (k *keeper) Output(slot uint32, kind string, data []byte) error {
	if k.fail == "output" {
		return errTest
	}
	if _, ok := k.outputs[slot]; ok {
		return fmt.Errorf("slot %d twice", slot)
	}
	k.outputs[slot], k.kinds[slot] = string(data), kind
	return nil
}

func (k *keeper) Log(level uint8, text string) error {
	if k.fail == "log" {
		return errTest
	}
	// The real one decodes strictly: text that is too long or no UTF-8 would
	// end the run.
	if _, err := wire.DecodeLog(wire.Log{Level: level, Text: text}.Encode()); err != nil {
		return err
	}
	k.logs = append(k.logs, text)
	return nil
}

// job is a run to be: the zero value of what is not given is replaced.
type job struct {
	module []byte
	params string
	text   string // of the one input; none if empty
	chunk  int64
	ranges [][2]uint32
	memory int64
	output int64
	fail   string
}

// on runs the job with an engine.
func (j job) on(t testing.TB, engine string) (wire.Done, *keeper, error) {
	t.Helper()
	info := wire.Info{
		Engine: engine, Memory: j.memory, Output: j.output, Params: []byte(j.params),
		Seed: [32]byte{1, 2, 3}, Time: 1_700_000_000_000,
	}
	if info.Memory == 0 {
		info.Memory = 64 << 20
	}
	if info.Output == 0 {
		info.Output = 1 << 20
	}
	k := &keeper{fail: j.fail, outputs: map[uint32]string{}, kinds: map[uint32]string{}}
	if j.chunk > 0 {
		info.Inputs = []wire.Input{{
			ChunkSize: j.chunk, Chunks: (int64(len(j.text)) + j.chunk - 1) / j.chunk,
			Ranges: j.ranges, Root: "root", Size: int64(len(j.text)),
		}}
		k.plain = [][]byte{[]byte(j.text)}
	}
	k.info = info
	done, err := Run(context.Background(), &wire.Job{Info: info, Module: j.module}, k)
	if err == nil {
		if _, err := done.Encode(); err != nil {
			t.Errorf("the keeper would not take %+v: %v", done, err)
		}
	}
	for n, b := range k.given {
		if !bytes.Equal(b, make([]byte, len(b))) {
			t.Errorf("chunk %d was not wiped", n)
		}
	}
	if !bytes.Equal(info.Params, make([]byte, len(info.Params))) {
		t.Error("parameters were not wiped")
	}
	return done, k, err
}

// both runs the job with both engines, wants the same of them, and gives it.
func (j job) both(t testing.TB) (wire.Done, *keeper) {
	t.Helper()
	var first wire.Done
	var firstKeeper *keeper
	for _, engine := range engines() {
		done, k, err := j.on(t, engine)
		if err != nil {
			t.Fatalf("%s: %v", engine, err)
		}
		if firstKeeper == nil {
			first, firstKeeper = done, k
			continue
		}
		if done != first {
			t.Errorf("%s: %+v, the compiler %+v", engine, done, first)
		}
		if got, want := fmt.Sprint(k.outputs, k.logs, k.chunks), fmt.Sprint(firstKeeper.outputs, firstKeeper.logs, firstKeeper.chunks); got != want {
			t.Errorf("%s: outputs, logs and chunks\n%s\nthe compiler\n%s", engine, got, want)
		}
	}
	return first, firstKeeper
}

func TestJobRefused(t *testing.T) {
	good := wire.Info{Engine: "interpreter", Memory: 1 << 20, Output: 1, Inputs: []wire.Input{{ChunkSize: 10, Size: 10}}}
	changes := map[string]func(*wire.Info){
		"engine":            func(i *wire.Info) { i.Engine = "" },
		"no memory":         func(i *wire.Info) { i.Memory = 0 },
		"part of a page":    func(i *wire.Info) { i.Memory = 1<<20 + 1 },
		"too much memory":   func(i *wire.Info) { i.Memory = 1<<32 + 1<<16 },
		"chunks of nothing": func(i *wire.Info) { i.Inputs[0].ChunkSize = 0 },
		"negative size":     func(i *wire.Info) { i.Inputs[0].Size = -1 },
		"too many chunks":   func(i *wire.Info) { i.Inputs[0].Size = 10 << 32 },
		"negative output":   func(i *wire.Info) { i.Output = -1 },
		"negative time":     func(i *wire.Info) { i.Time = -1 },
		"far time":          func(i *wire.Info) { i.Time = 1 << 62 },
	}
	code := assemble(nil, nil)
	if _, err := Run(context.Background(), &wire.Job{Info: good, Module: code}, &keeper{}); err != nil {
		t.Fatal(err)
	}
	for name, change := range changes {
		info := good
		info.Inputs = []wire.Input{good.Inputs[0]}
		change(&info)
		if _, err := Run(context.Background(), &wire.Job{Info: info, Module: code}, &keeper{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestRandom: block n is HMAC-SHA256(seed, u64be n). Expected by
//
//	printf '\0\0\0\0\0\0\0\0' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0102030000..00
//
// and the same with a last byte of 1.
func TestRandom(t *testing.T) {
	const want = "8e2f4acb84bcbd4f43d5358f45ac60f8f3968684d7655e7a3952d46649fed735" + "f516ea10cb978f8e18be74ec0ac890c9074e1542934cbe00faabaa89ba5752ad"
	for _, piece := range []int{1, 7, 32, 64} {
		r := newRandom([32]byte{1, 2, 3})
		var got []byte
		for len(got) < 64 {
			b := make([]byte, min(piece, 64-len(got)))
			r.read(b)
			got = append(got, b...)
		}
		if hex.EncodeToString(got) != want {
			t.Errorf("in pieces of %d: got %x, want %s", piece, got, want)
		}
	}
}
