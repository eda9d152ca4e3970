package acpi

import "fmt"

// Bounds of where 64-bit BARs lie: above what 32 bits reach, and within what a
// processor can address (Intel SDM, CPUID leaf 0x80000008: at most 52 bits).
const (
	minAddress = 1 << 32
	maxAddress = 1 << 52
)

// Aperture gives the start of the window in which OVMF places 64-bit memory
// BARs: the top eighth of the address space (EDK II, PlatformInitLib,
// PlatformDynamicMmioWindow).
//
// The physical address bits are those that OVMF works with, which are not
// always those that the processor reports (PlatformAddressWidthFromCpuid). On a
// TDX host that reports 52, OVMF uses 46: with four-level page tables it takes
// at most 46. With five-level page tables, which it must be built for, it takes
// at most 48. It does not believe a processor of Intel's with 40 or fewer
// bits, other than 39.
//
// Two things move the window further, and the caller must know its start then:
// memory that reaches into it, and a reservation in it, which QEMU makes for
// AMD processors below 1 TiB.
func Aperture(physBits int) (uint64, error) {
	switch {
	case physBits > 48 && physBits <= 52:
		return 0, fmt.Errorf("physical address bits: got %d, want the number that the firmware uses of them: 46 with four-level page tables, 48 with five", physBits)
	case physBits != 39 && (physBits < 41 || physBits > 48):
		return 0, fmt.Errorf("physical address bits: got %d, want 39 or 41 to 48", physBits)
	}
	return 1<<physBits - 1<<(physBits-3), nil
}
