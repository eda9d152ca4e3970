package keeper

import (
	"fmt"
	"math"
	"slices"

	"safebox/guest/wire"
)

// What a worker says about its run stands in the receipt, which the host
// reads. A worker that was taken over would write what it has read into names
// and numbers there: so they are of a closed vocabulary, and nothing else
// passes.

// kindObject is the one kind of output there is so far.
const kindObject = "object"

// wasmPage is the unit of linear memory (WebAssembly Core Specification 2.0,
// section 4.2.8).
const wasmPage = 64 << 10

// workerTraps are the traps that a worker may name: those of package sandbox.
// The keeper's own (trapWall, trapMemory, trapKilled) are not the worker's to
// claim.
func workerTraps() []string {
	return []string{
		"module-invalid", "module-limit", "module-import", "module-entry", "module-memory",
		"trap", "host-calls", trapAbort,
	}
}

// trapAbort is the one trap that comes with an exit code.
const trapAbort = "abort"

// checkOutput is about everything but the data, which leaves sealed.
func checkOutput(o wire.Output) error {
	switch {
	case o.Kind != kindObject:
		return fmt.Errorf("kind: got %q, want %q", o.Kind, kindObject)
	case o.Slot >= maxOutputs:
		return fmt.Errorf("slot: got %d, want below %d", o.Slot, maxOutputs)
	}
	return nil
}

// checkDone holds what a run says of itself against what it can have been.
func checkDone(d wire.Done, memory int64) error {
	switch {
	case d.Trap != "" && !slices.Contains(workerTraps(), d.Trap):
		return fmt.Errorf("trap: got %q, want none or one of %q", d.Trap, workerTraps())
	case d.Trap != "" && d.Trap != trapAbort && d.Exit != 0:
		return fmt.Errorf("exit: got %d with trap %s, want 0", d.Exit, d.Trap)
	case d.Exit < math.MinInt32 || d.Exit > math.MaxUint32: // i32 of an entry point, u32 of WASI
		return fmt.Errorf("exit: got %d, want 32 bits", d.Exit)
	case d.MemoryPeak > memory || d.MemoryPeak%wasmPage != 0:
		return fmt.Errorf("memory_peak: got %d, want whole pages of %d up to %d", d.MemoryPeak, wasmPage, memory)
	}
	return nil
}
