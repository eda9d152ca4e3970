// Package sandbox is the worker of the guest (specs/protocol.md 7): it runs one
// WASM program over the chunks that a grant names, and ends. It holds no key:
// plaintext comes from the keeper chunk by chunk, and outputs go back to it.
//
// A program gets two import modules and nothing else, both written here:
//
//   - safebox_v1: specs/runtime.md A5, of which in_count, in_info, in_read,
//     in_release, ev_get, out_open, out_write, out_close, now, rand, hash, log
//     and abort exist so far. A program that imports another one is refused.
//   - wasi_snapshot_preview1: what programs compiled by stock Go, Rust and C
//     import to start (WASI preview 1, witx/wasi_snapshot_preview1.witx). There
//     is no file, no socket, no environment, no entropy and no clock behind it.
//
// Everything a program can observe follows from its module, its parameters and
// the granted bytes: two runs give the same outputs.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"

	"safebox/guest/wire"
	"safebox/verifier/guestapi"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"
)

// Traps: why a program did not run to its end, as receipts say it.
const (
	TrapInvalid = "module-invalid" // not WASM, or of a feature that is not accepted
	TrapLimit   = "module-limit"   // too many functions, locals, tables or table entries
	TrapImport  = "module-import"  // imports what is not there
	TrapEntry   = "module-entry"   // exports no entry point
	TrapMemory  = "module-memory"  // wants more memory than the limit at its start
	TrapCrash   = "trap"           // a WASM trap: unreachable, out of bounds, stack, ...
	TrapCalls   = "host-calls"     // more than maxCalls calls
	TrapAbort   = "abort"          // called abort; the code is the exit code
)

// Limits of a run (specs/runtime.md A4). What a run may put out, its memory and
// its time come with the job.
const (
	maxCalls   = 100_000
	maxOutputs = 64
	maxLog     = 4 << 10
	pageSize   = 64 << 10
)

// Keeper is what a worker asks for while it runs. An error ends the run: the
// keeper knows why and says so itself.
type Keeper interface {
	// Chunk gives a chunk's plaintext. The caller wipes it.
	Chunk(input, index uint32) ([]byte, error)
	Output(slot uint32, kind string, data []byte) error
	Log(level uint8, text string) error
}

// errHost marks an error of the keeper that has to end the run.
var errHost = errors.New("the keeper ended the run")

// Run runs a job to its end. An error means that the run has no outcome of its
// own: the surroundings failed.
func Run(ctx context.Context, job *wire.Job, k Keeper) (wire.Done, error) {
	config, err := engine(job.Info)
	if err != nil {
		return wire.Done{}, fmt.Errorf("reading the job: %w", err)
	}
	if err := checkInfo(job.Info); err != nil {
		return wire.Done{}, fmt.Errorf("reading the job: %w", err)
	}
	m, err := newMemory(job.Info.Memory)
	if err != nil {
		return wire.Done{}, err
	}
	p := &program{info: job.Info, keeper: k, memory: m, random: newRandom(job.Info.Seed)}
	ctx = experimental.WithMemoryAllocator(ctx, m)
	r := wazero.NewRuntimeWithConfig(ctx, config)
	done, err := p.run(ctx, r, job.Module)
	done.MemoryPeak = int64(m.used)
	p.wipe()
	if err := errors.Join(err, r.Close(ctx), m.close()); err != nil {
		return wire.Done{}, err
	}
	return done, nil
}

// checkInfo wants what the arithmetic of host functions relies on.
func checkInfo(info wire.Info) error {
	for n, in := range info.Inputs {
		if in.ChunkSize < 1 || in.Size < 0 || in.Size/in.ChunkSize > math.MaxUint32 {
			return fmt.Errorf("input %d: %d bytes in chunks of %d, want chunks that 32 bits can number", n, in.Size, in.ChunkSize)
		}
	}
	if info.Output < 0 {
		return fmt.Errorf("output: got %d bytes, want at least 0", info.Output)
	}
	if info.Time < 0 || info.Time > lastTime/1_000_000 {
		return fmt.Errorf("time: got %d ms, want 0 to %d", info.Time, int64(lastTime/1_000_000))
	}
	return nil
}

// engine is the configuration of wazero. WebAssembly 2.0 is the newest that it
// accepts; threads, tail calls and the like are off (specs/runtime.md A2).
// Cancelling is left off too: it is slow and can be evaded, and the process is
// killed from outside at its time limit.
func engine(info wire.Info) (wazero.RuntimeConfig, error) {
	if info.Memory < pageSize || info.Memory%pageSize != 0 || info.Memory > 1<<32 {
		return nil, fmt.Errorf("memory of %d bytes, want whole pages of %d, up to 4 GiB", info.Memory, pageSize)
	}
	var config wazero.RuntimeConfig
	switch info.Engine {
	case "compiler":
		config = wazero.NewRuntimeConfigCompiler()
	case "interpreter":
		config = wazero.NewRuntimeConfigInterpreter()
	default:
		return nil, fmt.Errorf("engine %q, want compiler or interpreter", info.Engine)
	}
	return config.WithCoreFeatures(api.CoreFeaturesV2).
		WithMemoryLimitPages(uint32(info.Memory / pageSize)).
		WithCustomSections(false).
		WithDebugInfoEnabled(false), nil
}

// program is a run under way.
type program struct {
	info    wire.Info
	keeper  Keeper
	memory  *memory
	random  *random
	clock   virtualClock
	inputs  inputs
	outputs outputs
	calls   int
	logged  int
	failed  error  // of the keeper
	trap    string // that a host function raised
}

func (p *program) run(ctx context.Context, engine wazero.Runtime, module []byte) (wire.Done, error) {
	m, trap := admit(ctx, engine, module, uint32(p.info.Memory/pageSize))
	if trap != "" {
		return wire.Done{Trap: trap}, nil
	}
	if err := p.link(ctx, engine); err != nil {
		return wire.Done{}, err
	}
	// wazero calls no entry point: that is done below, where its end is
	// understood. What it does run is the start function of the module itself
	// (WebAssembly Core Specification 2.0, section 5.5.11): it ends the run as
	// any other function does.
	instance, err := engine.InstantiateModule(ctx, m.code, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return p.end(err, 0)
	}
	var results []uint64
	for _, name := range m.calls {
		if results, err = instance.ExportedFunction(name).Call(ctx); err != nil {
			return p.end(err, 0)
		}
	}
	if len(results) == 0 {
		return p.end(nil, 0)
	}
	return p.end(nil, int64(api.DecodeI32(results[0])))
}

// end turns the way in which a call came back into the run's outcome. Exit is
// what sb_handle returned, signed; what a program leaves with is unsigned, as
// WASI has it.
func (p *program) end(err error, exit int64) (wire.Done, error) {
	var fault runtime.Error
	if p.failed != nil {
		return wire.Done{}, p.failed
	}
	if errors.As(err, &fault) {
		return wire.Done{}, fmt.Errorf("fault of a host function: %w", fault)
	}
	return p.outcome(err, exit), nil
}

func (p *program) outcome(err error, exit int64) wire.Done {
	var left *sys.ExitError
	exited := errors.As(err, &left)
	switch {
	case p.trap == TrapAbort && exited:
		return wire.Done{Exit: int64(left.ExitCode()), Trap: TrapAbort}
	case p.trap != "":
		return wire.Done{Trap: p.trap}
	case exited:
		return wire.Done{Exit: int64(left.ExitCode())}
	case err != nil:
		return wire.Done{Trap: TrapCrash}
	}
	return wire.Done{Exit: exit}
}

// wipe clears the plaintext that the worker held outside the program's memory.
func (p *program) wipe() {
	p.inputs.wipe()
	p.outputs.wipe()
	clear(p.info.Params)
}

// refused tells the keeper's answer to a chunk that was not granted from the
// failure of one that was.
func refused(err error) bool {
	var problem *guestapi.Problem
	return errors.As(err, &problem) && problem.ID == "chunk-key"
}
