package igvm

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"safebox/measure/snp"
)

// sevFeatures is where a save area has SEV_FEATURES (AMD 24593, table B-4).
const sevFeatures = 0x3b0

// checkKVM: QEMU refuses a file whose save areas are elsewhere (target/i386/
// sev.c, check_vmsa_supported), and KVM measures those of all processors in
// their order.
func (l *launch) checkKVM(v VPContext) error {
	if v.GPA != snp.VMSAGPA {
		return fmt.Errorf("address: got %#x, want %#x, where KVM has all save areas", v.GPA, uint64(snp.VMSAGPA))
	}
	if int(v.Index) != l.vps {
		return fmt.Errorf("processor: got %d, want %d: KVM measures them in order", v.Index, l.vps)
	}
	if f := binary.LittleEndian.Uint64(v.VMSA[sevFeatures:]); f&snp.SNPActive == 0 {
		return fmt.Errorf("SEV_FEATURES: got %#x, want bit 0 (SNPActive) set", f)
	}
	return nil
}

// filled is a range of the guest's memory that a structure fills.
type filled struct {
	start, end uint64
	name       string
}

// areas are all that a launch fills.
type areas []filled

// check: neither technology takes a page twice.
func (list areas) check() error {
	slices.SortFunc(list, func(a, b filled) int { return cmp.Compare(a.start, b.start) })
	for i := 1; i < len(list); i++ {
		if a, b := list[i-1], list[i]; b.start < a.end {
			return fmt.Errorf("%s: got address %#x, want at least %#x, the end of %s", b.name, b.start, a.end, a.name)
		}
	}
	return nil
}
