package e2e

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"safebox/host/vmm"
	"safebox/image"
	"safebox/image/kernel"
	"safebox/initrd/layout"
	"safebox/verifier/bootreport"
)

// logInit tells of the kernel's log and of where the kernel lies, and reports
// refusals.
const logInit = "./guest/boot/boottest/kernellog"

// logRelease has our kernel.
var logRelease = sync.OnceValues(func() (*built, error) { //nolint:gochecknoglobals // test fixture, built once
	return buildRelease(shared.dir, "kernellog", logInit, layout.Source)
})

func ourRelease(t *testing.T) *built {
	t.Helper()
	b, err := logRelease()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// memorySize is that of the machines (machine.shape).
const memorySize = 1 << 30

// Addresses in the memory map of a q35 with this firmware and memorySize. The
// test holds them against what the booted kernel says.
const (
	somewhere   = 0x50000  // RAM that the kernel leaves alone: below 1 MiB
	lowRAMEnd   = 0xa0000  // then the hole for video memory and option ROMs
	highRAM     = 0x100000 // where the hole ends
	nvsEnd      = 0x808000 // between ACPI's memory and RAM
	configSpace = 0xe0000000
)

// variants are other ways into memory than the search for the kernel. That
// nearly all pass under the distribution's kernel shows that they are real.
func variants() []variant {
	both, one := [2]bool{true, true}, [2]bool{true, false}
	region := func(at uint64) string {
		return fmt.Sprintf("OperationRegion (SPAN, SystemMemory, %#x, 16) Field (SPAN, DWordAcc, NoLock, Preserve) { Offset (8), WORD, 32 }", at)
	}
	read := func(width string, at uint64) string { return fmt.Sprintf("RD%s (%#x)", width, at) }
	return []variant{
		{name: "ACPI's own memory", body: read("DW", nvsEnd-4), wants: both},
		// Vendor and device of the q35's host bridge (PCI configuration space,
		// offset 0; Intel 82G33 datasheet: 8086, 29c0).
		{name: "device", body: "If (" + read("DW", configSpace) + " != 0x29c08086) { Return }", wants: both},
		{name: "reading RAM", body: read("DW", somewhere), wants: one, refused: access(somewhere, 4)},
		{name: "writing RAM", body: fmt.Sprintf("WRDW (%#x)", somewhere+8), wants: one, refused: access(somewhere+8, 4)},
		{name: "RAM that the kernel set aside", body: read("DW", 0x100), wants: one, refused: access(0x100, 4)},
		{
			name: "region from ACPI's memory into RAM", outside: region(nvsEnd - 8),
			body: "Local0 = WORD", wants: one, refused: access(nvsEnd, 4),
		},
		{
			name: "region from a hole into RAM", outside: region(highRAM - 8),
			body: "Local0 = WORD", wants: one, refused: access(highRAM, 4),
		},
		// Linux itself maps no two kinds of memory at once; here the access is
		// refused before anything is mapped.
		{name: "access from ACPI's memory into RAM", body: read("QW", nvsEnd-4), refused: access(nvsEnd-4, 8)},
		{name: "access from a hole into RAM", body: read("QW", highRAM-4), refused: access(highRAM-4, 8)},
		{name: "access from RAM into a hole", body: read("QW", lowRAMEnd-4), wants: one, refused: access(lowRAMEnd-4, 8)},
		{
			name:    "bytes of a table",
			outside: `DataTableRegion (TABL, "FACP", "", "") Field (TABL, DWordAcc, NoLock, Preserve) { SIGN, 32 }`,
			body:    "Local0 = SIGN", wants: one, refused: "refused: AML access to a table",
		},
	}
}

// TestHostileAML: a host adds a table whose AML searches all of memory for the
// kernel and overwrites the release that uname(2) gives. No register says so:
// neither a TPM nor SEV-SNP measures what a table does. The distribution's kernel
// runs it and reports the host's text. Ours refuses each access.
func TestHostileAML(t *testing.T) {
	t.Run("distribution", func(t *testing.T) {
		t.Parallel()
		b := release(t, image.InitPackage)
		table := hostileTable(t, b)
		o, ends := bootTable(t, b, table)
		if o.report == nil {
			t.Fatalf("powered off: %v", o.named(bootreport.PowerOff))
		}
		if o.report.Kernel != hostText {
			t.Errorf("the kernel calls itself %q, want the host's %q", o.report.Kernel, hostText)
		}
		compareVariants(t, table.variants, ends, 0)
		search := ends[len(table.variants):]
		wrote := slices.Index(search, tellWrote)
		if wrote < 0 || slices.Contains(search, 0) || slices.Contains(search[wrote+1:], tellWrote) {
			t.Fatalf("the search ended as %q, want one hit and no refusal", search)
		}
		t.Logf("changed: the host wrote over kernel memory at %#x: kernel %q", table.candidates[wrote], o.report.Kernel)
	})
	t.Run("ours", func(t *testing.T) {
		t.Parallel()
		b := ourRelease(t)
		table := hostileTable(t, b)
		o, ends := bootTable(t, b, table)
		if o.report == nil {
			t.Fatalf("powered off: %v", o.named(bootreport.PowerOff))
		}
		if want := releaseName(t, b); o.report.Kernel != want {
			t.Errorf("the kernel calls itself %q, want %q", o.report.Kernel, want)
		}
		compareVariants(t, table.variants, ends, 1)
		for i, end := range ends[len(table.variants):] {
			if end != 0 {
				t.Errorf("access to %#x: the AML told %q, want a refusal", table.candidates[i], end)
			}
		}
		compareMap(t, table, o)
		compareRefused(t, table, o)
	})
}

// TestHonestAML: nothing that an honest machine's tables do is refused.
func TestHonestAML(t *testing.T) {
	t.Parallel()
	o := bootMachine(t, machine{release: ourRelease(t).folder, boot: vmm.ESP})
	if o.report == nil {
		t.Fatalf("powered off: %v", o.named(bootreport.PowerOff))
	}
	if got := o.refused(); len(got) != 0 {
		t.Errorf("refused: %q", got)
	}
	// The log was read from its beginning, and holds no error of ACPI.
	summary := o.told("read")
	if len(summary) != 1 || !strings.HasSuffix(summary[0], " first=0 told=0 errors=0") {
		t.Errorf("the log: %q, want all of it, without errors", summary)
	}
}

// hostileTable is the attack on the kernel of a release.
func hostileTable(t *testing.T, b *built) ssdt {
	t.Helper()
	plan := planOf(t, b.artifacts.File("vmlinuz"))
	return ssdt{plan: plan, variants: variants(), candidates: plan.candidates(memorySize)}
}

// bootTable boots a release with the table, and gives how each attempt ended.
func bootTable(t *testing.T, b *built, table ssdt) (*outcome, []byte) {
	t.Helper()
	args, heard := table.qemu(t)
	o := bootMachine(t, machine{release: b.folder, boot: vmm.ESP, extra: args})
	ends := hear(t, heard)
	if want := len(table.variants) + len(table.candidates); len(ends) != want {
		t.Fatalf("the AML made %d attempts, want %d", len(ends), want)
	}
	return o, ends
}

// compareVariants compares how the first attempts ended with what is wanted of a
// kernel: 0 is the distribution's, 1 is ours.
func compareVariants(t *testing.T, list []variant, ends []byte, column int) {
	t.Helper()
	for i, v := range list {
		if passed := ends[i] == tellPassed; passed != v.wants[column] {
			t.Errorf("%s: passed: %v, want %v", v.name, passed, v.wants[column])
		}
	}
}

// releaseName is what a release's kernel calls itself in its file.
func releaseName(t *testing.T, b *built) string {
	t.Helper()
	name, err := kernel.Release(b.artifacts.File("vmlinuz"))
	if err != nil {
		t.Fatal(err)
	}
	return name
}
