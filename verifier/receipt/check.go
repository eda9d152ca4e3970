package receipt

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"safebox/verifier/canon"
	"safebox/verifier/object"
)

// check holds each field against its form, in the order of the table in
// docs/format-receipt.md.
func (d *Document) check() error {
	if d.Type != Type {
		return fmt.Errorf("type: got %.100q, want %q", d.Type, Type)
	}
	for _, f := range []struct {
		name  string
		value canon.Octets32
	}{
		{"grant", d.Grant},
		{"module", d.Module},
		{"params", d.Params},
		{"evidence", d.Evidence},
		{"transcript", d.Transcript},
		{"release", d.Release},
	} {
		if f.value == (canon.Octets32{}) {
			return fmt.Errorf("%s: all zero, want a SHA-256", f.name)
		}
	}
	if d.Serial == (canon.Octets16{}) {
		return errors.New("serial: all zero, want that of the grant")
	}
	if err := checkInputs(d.Inputs); err != nil {
		return err
	}
	if err := checkOutputs(d.Outputs); err != nil {
		return err
	}
	return d.checkRun()
}

// checkRun holds the numbers of the run.
func (d *Document) checkRun() error {
	// i32 of an entry point or u32 of a WASI exit code: whichever it was, it
	// fits.
	if d.Exit < math.MinInt32 || d.Exit > math.MaxUint32 {
		return fmt.Errorf("exit: got %d, want 32 bits", d.Exit)
	}
	if d.Trap != "" && !isName(d.Trap) {
		return fmt.Errorf("trap: got %.100q, want nothing or a name", d.Trap)
	}
	for _, f := range []struct {
		name       string
		value, low int64
	}{
		{"memory_peak", d.MemoryPeak, 0},
		{"wall_us", d.WallMicros, 0},
		{"sequence", d.Sequence, 1},
		{"time", d.Time, 0},
	} {
		if f.value < f.low {
			return fmt.Errorf("%s: got %d, want %d or more", f.name, f.value, f.low)
		}
	}
	return nil
}

func checkInputs(inputs []Input) error {
	if n := len(inputs); n < 1 || n > maxInputs {
		return fmt.Errorf("inputs: got %d, want 1 to %d", n, maxInputs)
	}
	for i, in := range inputs {
		if _, err := object.ParseCID(in.Root); err != nil {
			return fmt.Errorf("inputs: entry %d: root: %w", i, err)
		}
		if err := in.Ranges.Check(math.MaxUint32); err != nil {
			return fmt.Errorf("inputs: entry %d: %w", i, err)
		}
	}
	return nil
}

func checkOutputs(outputs []Output) error {
	if outputs == nil {
		return errors.New("outputs: got null, want a list")
	}
	if n := len(outputs); n > maxOutputs {
		return fmt.Errorf("outputs: got %d, want at most %d", n, maxOutputs)
	}
	for i, o := range outputs {
		if i > 0 && o.Slot <= outputs[i-1].Slot {
			return fmt.Errorf("outputs: entry %d: slot %d after %d, want ascending", i, o.Slot, outputs[i-1].Slot)
		}
		if !isName(o.Kind) {
			return fmt.Errorf("outputs: entry %d: kind: got %.100q, want a name", i, o.Kind)
		}
		if o.Size < 0 {
			return fmt.Errorf("outputs: entry %d: size: got %d, want 0 or more", i, o.Size)
		}
		if n := len(o.Sealed); n < 1 || n > maxSealed {
			return fmt.Errorf("outputs: entry %d: sealed: got %d digests, want 1 to %d", i, n, maxSealed)
		}
		if n := len(outputs[0].Sealed); len(o.Sealed) != n {
			return fmt.Errorf("outputs: entry %d: sealed: got %d digests, want %d as in entry 0", i, len(o.Sealed), n)
		}
	}
	return nil
}

// isName accepts one to 32 lower-case letters, digits and hyphens.
func isName(s string) bool {
	return s != "" && len(s) <= maxName && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
