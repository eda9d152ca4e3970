package igvm

import "safebox/measure/snp"

// MaxPages bounds the pages of 4 KiB of a launch: 2 GiB of them.
const MaxPages = 2 << 30 / pageSize

// ZeroPages says how a normal page without data in the file is measured.
type ZeroPages uint8

const (
	// ZeroAsNormal means: as a normal page that holds zeros. So has the format it, and
	// so do igvm-ms and QEMU 10.1, which hands such a page to KVM as a normal one
	// (target/i386/sev.c, cgs_set_guest_state).
	ZeroAsNormal ZeroPages = iota
	// ZeroNative means: as a page that the firmware clears (PAGE_TYPE_ZERO). So do
	// loaders for which igvmmeasure has --native-zero.
	ZeroNative
)

// SharedPages says how a page shared with the host is measured.
type SharedPages uint8

const (
	// SharedSkipped means: not at all. So do the format and igvm-ms.
	SharedSkipped SharedPages = iota
	// SharedMeasured means: as if it were private, by its other flags. So do
	// igvmmeasure and QEMU 10.1, which don't know the flag.
	SharedMeasured
)

// InsertedPages says how many pages of an inserted parameter area are measured.
type InsertedPages uint8

const (
	// InsertAll means: all of them. So do the format, igvm-ms and QEMU.
	InsertAll InsertedPages = iota
	// InsertFirst means: the first one alone. So does igvmmeasure.
	InsertFirst
)

// LargePages says what happens to a page of 2 MiB.
type LargePages uint8

const (
	// LargeRefused means: an error. So does igvm-ms.
	LargeRefused LargePages = iota
	// LargeSplit means: it is measured as 512 pages of 4 KiB. So do igvmmeasure and
	// KVM.
	LargeSplit
)

// Options are the choices on which programs differ. The zero value is what the
// format says.
type Options struct {
	Zero   ZeroPages
	Shared SharedPages
	Insert InsertedPages
	Large  LargePages

	// KVM also checks what must hold for KVM and QEMU to measure in the order of
	// the file: parameter areas are inserted before all pages; save areas are
	// those of consecutive processors from 0 on, behind all pages, at the one
	// address that KVM knows, with SNPActive set. (igvmmeasure's --check-kvm wants
	// a single one, which starts in protected mode.)
	KVM bool

	// Trace gets every page of an SEV-SNP launch in order, if not nil.
	Trace func(snp.Page)
}

// QEMU are the choices of QEMU 10.1 with SEV-SNP on KVM.
func QEMU() Options { return Options{Shared: SharedMeasured, Large: LargeSplit, KVM: true} }
