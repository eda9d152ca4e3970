package snp

import (
	"fmt"
	"strings"
)

// VMM is a virtual machine monitor, with the host kernel below it where that
// makes a difference.
type VMM uint8

// Monitors whose launches are known.
const (
	QEMU       VMM = iota + 1 // with KVM_SEV_INIT2 virtual machines: Linux 6.10 and later
	QEMULegacy                // before that, and SEV-ES of the default virtual machine type
	EC2
	EC2Legacy // as tools computed it until sev-snp-measure followed AWS
	GCE
	KRUN // as virtee/sev computes it; libkrun's own launch was never compared
)

// VMMs lists all monitors.
func VMMs() []VMM { return []VMM{QEMU, QEMULegacy, EC2, EC2Legacy, GCE, KRUN} }

// String is the name that ParseVMM reads.
func (v VMM) String() string {
	switch v {
	case QEMU:
		return "qemu"
	case QEMULegacy:
		return "qemu-legacy"
	case EC2:
		return "ec2"
	case EC2Legacy:
		return "ec2-legacy"
	case GCE:
		return "gce"
	case KRUN:
		return "krun"
	}
	return fmt.Sprintf("monitor %d", uint8(v))
}

// ParseVMM gives the monitor of a name.
func ParseVMM(name string) (VMM, error) {
	var names []string
	for _, v := range VMMs() {
		if v.String() == name {
			return v, nil
		}
		names = append(names, v.String())
	}
	return 0, fmt.Errorf("parsing monitor: got %q, want one of %s", name, strings.Join(names, ", "))
}

// What RDX may hold at reset.
const (
	RDXSignature = 1 << 32 // stands for Launch.CPU, as a processor has it
	RDXNone      = 0
	RDXFixed     = 0x600 // whatever the processor
)

// Profile is what differs between monitors. Segment attributes are in the form
// of the save area: 0x9b is present, code, readable, accessed.
type Profile struct {
	CS    [2]uint16 // of the first virtual processor and of the others
	SS    uint16
	TR    uint16
	GPAT  uint64
	RDX   uint64 // RDXSignature, or the value
	MXCSR uint32
	FCW   uint16

	SecMem    PageType // of SNP_SEC_MEM sections
	CPUIDLast bool     // CPUID sections are measured after all others
	NoKernel  bool     // no kernel hashes
}

// Memory types of the page attribute table: at reset (AMD 24593, section
// 7.8.2), and as Google's monitor starts.
const (
	patReset = 0x0007040600070406
	patGCE   = 0x0000000000070106
)

// Profile returns what is known of a monitor; false if it is unknown. Sources:
// sev-snp-measure 0.0.13 vmsa.py for qemu, ec2 and gce; Linux 6.10, commit
// message of KVM_SEV_INIT2, for qemu-legacy (KVM leaves the floating-point
// state out for virtual machines of the default type); sev-snp-measure before
// 4a02bf0 and sev-snp-measure-go for ec2-legacy; virtee/sev vmsa.rs for krun.
func (v VMM) Profile() (Profile, bool) {
	const sig, fix = RDXSignature, RDXFixed
	z, u := PageZero, PageUnmeasured
	switch v {
	//                           CS     AP    SS    TR    GPAT      RDX  MXCSR   FCW SecMem CPUIDLast NoKernel
	case QEMU:
		return Profile{[2]uint16{0x9b, 0x9b}, 0x93, 0x8b, patReset, sig, 0x1f80, 0x37f, z, false, false}, true
	case QEMULegacy:
		return Profile{[2]uint16{0x9b, 0x9b}, 0x93, 0x8b, patReset, sig, 0, 0, z, false, false}, true
	case EC2:
		return Profile{[2]uint16{0x9a, 0x9b}, 0x92, 0x83, patReset, fix, 0, 0, z, true, false}, true
	case EC2Legacy:
		return Profile{[2]uint16{0x9a, 0x9b}, 0x92, 0x83, patReset, RDXNone, 0, 0, z, true, false}, true
	case GCE:
		return Profile{[2]uint16{0x9b, 0x9b}, 0x93, 0x8b, patGCE, fix, 0, 0, u, false, true}, true
	case KRUN:
		return Profile{[2]uint16{0x9a, 0x9a}, 0x92, 0x83, patReset, RDXNone, 0, 0, z, false, false}, true
	}
	return Profile{}, false
}

// profile is that of the launch.
func (l *Launch) profile() (Profile, error) {
	p, ok := l.VMM.Profile()
	if !ok {
		return Profile{}, fmt.Errorf("monitor: got %d, want one of %v", uint8(l.VMM), VMMs())
	}
	if l.Profile == nil {
		return p, nil
	}
	if t := l.Profile.SecMem; t != PageZero && t != PageUnmeasured {
		return Profile{}, fmt.Errorf("profile: page type of SNP_SEC_MEM: got %v, want %v or %v", t, PageZero, PageUnmeasured)
	}
	if l.Profile.RDX > RDXSignature {
		return Profile{}, fmt.Errorf("profile: RDX: got %#x, want at most %#x", l.Profile.RDX, uint64(RDXSignature-1))
	}
	return *l.Profile, nil
}

// PhysBitsVMSAGPA is the address of save areas as Google's gce-tcb-verifier has
// it: the last page below the machine's physical address width, 48 bits on
// Milan, 52 on Genoa. With 48 bits it is that of KVM. Widths of 13 to 52 bits
// have one.
func PhysBitsVMSAGPA(bits uint8) uint64 { return (1<<bits - 1) &^ (pageSize - 1) }
