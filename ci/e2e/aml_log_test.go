package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// access is how our kernel names a refused access.
func access(at uint64, size int) string {
	return fmt.Sprintf("refused: AML or ACPI register access at %#x, %d bytes", at, size)
}

// told gives what the test's init said about a subject.
func (o *outcome) told(subject string) []string {
	var list []string
	for _, line := range o.console {
		if text, ok := strings.CutPrefix(line, "test: "+subject+" "); ok {
			list = append(list, text)
		}
	}
	return list
}

// refused gives what the kernel itself wrote to the console about refusals.
func (o *outcome) refused() []string {
	var list []string
	for _, line := range o.console {
		if i := strings.Index(line, "refused:"); i >= 0 && !strings.HasPrefix(line, "test: ") && !strings.HasPrefix(line, "safebox: ") {
			list = append(list, strings.TrimSpace(line[i:]))
		}
	}
	return list
}

// maxLogged is how many refusals of a kind the kernel logs at a time (Linux,
// include/linux/ratelimit_types.h, DEFAULT_RATELIMIT_BURST).
const maxLogged = 10

// compareRefused wants the log to name each access that was refused, as far as
// the kernel logs so many: the variants, then the first of the search.
func compareRefused(t *testing.T, table ssdt, o *outcome) {
	t.Helper()
	var accesses, others []string
	for _, v := range table.variants {
		switch {
		case v.refused == "":
		case strings.Contains(v.refused, " at 0x"):
			accesses = append(accesses, v.refused)
		default:
			others = append(others, v.refused)
		}
	}
	for _, at := range table.candidates {
		accesses = append(accesses, access(at, 4))
	}
	got := o.refused()
	t.Logf("refused: %d lines of the kernel, the first: %q", len(got), got[:min(len(got), 1)])
	compareSaid(t, append(accesses[:maxLogged], others...), got)
}

// compareSaid wants each line to be among what the kernel said.
func compareSaid(t *testing.T, want, got []string) {
	t.Helper()
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("the kernel did not say %q; it said %q", line, got)
		}
	}
}

// span is a line of /proc/iomem.
type span struct {
	first, last uint64
	name        string
}

// memoryMap gives /proc/iomem as the test's init told it.
func (o *outcome) memoryMap(t *testing.T) []span {
	t.Helper()
	var list []span
	for _, line := range o.told("memory") {
		place, name, ok := strings.Cut(strings.TrimSpace(line), " : ")
		var s span
		if _, err := fmt.Sscanf(place, "%x-%x", &s.first, &s.last); err != nil || !ok {
			t.Fatalf("/proc/iomem: %q", line)
		}
		s.name = name
		list = append(list, s)
	}
	return list
}

// compareMap holds what the attempts rest on against the kernel's own account:
// the search came by the place where the kernel lay, and each variant reached
// for the memory that its name says.
func compareMap(t *testing.T, table ssdt, o *outcome) {
	t.Helper()
	spans := o.memoryMap(t)
	// at gives the outermost kind of memory: it is listed first.
	at := func(address uint64) string {
		for _, s := range spans {
			if s.first <= address && address <= s.last {
				return s.name
			}
		}
		return ""
	}
	const ram, nvs = "System RAM", "ACPI Non-volatile Storage"
	for address, want := range map[uint64]string{
		somewhere: ram, lowRAMEnd - 1: ram, highRAM: ram, nvsEnd - 1: nvs, nvsEnd: ram, nvsEnd + 3: ram,
	} {
		if got := at(address); got != want {
			t.Errorf("at %#x: memory of the kind %q, want %q: the test's addresses are of another machine", address, got, want)
		}
	}
	for _, address := range []uint64{lowRAMEnd, highRAM - 1, configSpace} {
		if got := at(address); got == ram || got == nvs {
			t.Errorf("at %#x: memory of the kind %q, want none", address, got)
		}
	}
	i := slices.IndexFunc(spans, func(s span) bool { return s.name == "Kernel code" })
	if i < 0 {
		t.Fatalf("/proc/iomem names no kernel: %v", spans)
	}
	lay := spans[i].first + table.plan.release[0]
	if !slices.Contains(table.candidates, lay) {
		t.Errorf("the release lay at %#x, where the search did not come by", lay)
	}
	t.Logf("refused: the kernel lay at %#x, the release at %#x, one of the %d places of the search", spans[i].first, lay, len(table.candidates))
}
