package e2e

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"safebox/host/vmm"
	"safebox/image/acpi"
	"safebox/measure/tdx"
)

// Places in tables (ACPI 6.5): header 5.2.6, FADT 5.2.9, generic address
// 5.2.3.2, MADT 5.2.12 and 5.2.12.19, RSDT 5.2.7.
const (
	tableRevision = 8 // u8, in every header; a DSDT below 2 has 32-bit integers
	tableHeader   = 36
	fadtReset     = 116 // generic address of the register that resets the machine
	fadtXGPE0     = 220 // the same of the general-purpose event registers

	addressSize   = 12
	addressMemory = 0 // address space

	madtWakeup     = 0x10 // type of entry: multiprocessor wakeup
	madtWakeupSize = 16
)

// forgery is a machine whose monitor makes ACPI tables of its own. QEMU is kept
// from making any, and hands these to the firmware in their place.
type forgery struct {
	tables *tdx.ACPI
	list   []acpi.Table
}

// newForgery begins with QEMU's own tables for the machine.
func newForgery(t *testing.T, cpus int) *forgery {
	t.Helper()
	tools, err := vmm.FindTools()
	if err != nil {
		t.Fatalf("%v: run ci/setup", err)
	}
	args := strings.Fields("-nodefaults -no-user-config -display none -machine q35,smm=off,vmport=off,sata=off,usb=off,smbus=off,i8042=off")
	args = append(args, "-smp", "cpus="+strconv.Itoa(cpus), "-m", fmt.Sprintf("size=%dM", memorySize>>20))
	answer, err := acpi.Read(t.Context(), tools.QEMU, args, acpi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	list, err := acpi.Decode(answer.ACPI.Tables)
	if err != nil {
		t.Fatal(err)
	}
	return &forgery{tables: &answer.ACPI, list: list}
}

// table gives the bytes of one table.
func (f *forgery) table(t *testing.T, signature string) []byte {
	t.Helper()
	return f.tables.Tables[f.offset(t, signature):][:f.at(t, signature).Size]
}

func (f *forgery) offset(t *testing.T, signature string) int {
	t.Helper()
	return f.at(t, signature).Offset
}

func (f *forgery) at(t *testing.T, signature string) acpi.Table {
	t.Helper()
	for _, x := range f.list {
		if x.Signature == signature {
			return x
		}
	}
	t.Fatalf("QEMU has no table %s", signature)
	return acpi.Table{}
}

// widen gives AML 64-bit integers, and so all addresses.
func (f *forgery) widen(t *testing.T) { f.table(t, "DSDT")[tableRevision] = 2 }

// register says that a register of the FADT lies in memory, at an address.
func (f *forgery) register(t *testing.T, field int, address uint64, size int) {
	t.Helper()
	a := f.table(t, "FACP")[field:][:addressSize]
	a[0], a[1], a[2], a[3] = addressMemory, byte(8*size), 0, 1
	binary.LittleEndian.PutUint64(a[4:], address)
}

// mailbox says that processors are started through words at an address. The
// entry takes the place of the last interrupt override and the NMI's entry.
func (f *forgery) mailbox(t *testing.T, address uint64) {
	t.Helper()
	m := f.table(t, "APIC")
	e := m[len(m)-madtWakeupSize:]
	if e[0] != 2 || e[1] != 10 || e[10] != 4 || e[11] != 6 {
		t.Fatalf("the last entries of QEMU's MADT are % x, want an override and an NMI", e)
	}
	clear(e)
	e[0], e[1] = madtWakeup, madtWakeupSize
	binary.LittleEndian.PutUint64(e[8:], address)
}

// add puts a table in the place of WAET, which says nothing that Linux needs: the
// loader's commands stay as they are, and the RSDT leads to the new bytes.
func (f *forgery) add(t *testing.T, table []byte) {
	t.Helper()
	last := f.at(t, "RSDT")
	to := (last.Offset + last.Size + 63) / 64 * 64
	if to+len(table) > len(f.tables.Tables) {
		t.Fatalf("table of %d bytes: no space behind QEMU's", len(table))
	}
	copy(f.tables.Tables[to:], table)
	rsdt, waet := f.table(t, "RSDT"), f.offset(t, "WAET")
	for e := rsdt[tableHeader:]; len(e) >= 4; e = e[4:] {
		if binary.LittleEndian.Uint32(e) == uint32(waet) {
			binary.LittleEndian.PutUint32(e, uint32(to))
			return
		}
	}
	t.Fatal("QEMU's RSDT does not lead to WAET")
}

// qemu gives the arguments of the host.
func (f *forgery) qemu(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	args := []string{"-machine", "acpi=off"}
	for name, b := range map[string][]byte{"etc/acpi/tables": f.tables.Tables, "etc/acpi/rsdp": f.tables.RSDP, "etc/table-loader": f.tables.Loader} {
		file := filepath.Join(dir, filepath.Base(name))
		writeFile(t, file, b)
		args = append(args, "-fw_cfg", "name="+name+",file="+file)
	}
	return args
}

// far are accesses beyond the physical addresses and around the end of the
// address space, for AML with 64-bit integers.
func far() []variant {
	const (
		end = 1<<64 - 4
		// Linux masks such a bit off when it maps (Linux, page_64_types.h,
		// __PHYSICAL_MASK_SHIFT: addresses have 52 bits at most).
		alias = 1<<52 | somewhere
	)
	both := fmt.Sprintf("OperationRegion (SPAN, SystemMemory, %#x, 16) Field (SPAN, DWordAcc, NoLock, Preserve) { LAST, 32, NEXT, 32 }", uint64(end))
	return []variant{
		{name: "RAM with a bit too many", body: fmt.Sprintf("RDDW (%#x)", uint64(alias)), refused: access(alias, 4)},
		{name: "across the end of the address space", body: fmt.Sprintf("RDQW (%#x)", uint64(end)), refused: access(end, 8)},
		{name: "up to the end of the address space", outside: both, body: "Local0 = LAST", refused: access(end, 4)},
		{name: "beyond the end of the address space", outside: both, body: "Local0 = NEXT", refused: access(0, 4)},
	}
}

// TestForgedTables: a monitor that makes its own tables names addresses in RAM
// where the kernel itself, and no AML, reads and writes: registers, and the
// mailbox through which processors are started. The distribution's kernel, tried
// by hand, takes RAM for the event registers, and with the mailbox writes 1, the
// APIC ID and 0x9a130 there and waits for good.
func TestForgedTables(t *testing.T) {
	t.Parallel()
	const events, eventsSize, reset, mailbox, cpus = somewhere + 0x40, 16, somewhere + 0x60, somewhere + 0x1000, 2
	f := newForgery(t, cpus)
	f.widen(t)
	f.register(t, fadtXGPE0, events, eventsSize)
	f.register(t, fadtReset, reset, 1)
	f.mailbox(t, mailbox)
	s := ssdt{variants: far()}
	table, err := os.ReadFile(s.compile(t))
	if err != nil {
		t.Fatal(err)
	}
	f.add(t, table)
	heard := filepath.Join(t.TempDir(), "heard")
	// These tables know of no TPM, so init powers off: but only after it has told.
	extra := append(append(port(heard), f.qemu(t)...), "-smp", fmt.Sprintf("cpus=%d", cpus))
	o := bootMachine(t, machine{release: ourRelease(t).folder, boot: vmm.ESP, extra: extra})
	ends := hear(t, heard)
	if len(ends) != len(s.variants) {
		t.Fatalf("the AML made %d attempts, want %d", len(ends), len(s.variants))
	}
	compareVariants(t, s.variants, ends, 1)
	want := []string{
		access(events, eventsSize), access(reset, 1),
		fmt.Sprintf("refused: mailbox for starting processors at %#x", mailbox),
	}
	for _, v := range s.variants {
		want = append(want, v.refused)
	}
	compareSaid(t, want, o.refused())
	if got := o.told("processors"); len(got) != 1 || got[0] != strconv.Itoa(cpus) {
		t.Errorf("the kernel started %q processors, want %d", got, cpus)
	}
}
