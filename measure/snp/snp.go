// Package snp computes what an AMD secure processor measures of a guest at
// launch: the launch digest of SEV-SNP, page by page, and those of plain SEV
// and SEV-ES. A report's MEASUREMENT is compared with it.
//
// It implements AMD 56860 (SEV Secure Nested Paging Firmware ABI), section
// 8.17.2 (PAGE_INFO and the chain of SNP_LAUNCH_UPDATE), AMD 55766 (SEV API),
// section 6.5 (LAUNCH_MEASURE), the save area of AMD 24593 (AMD64 Architecture
// Programmer's Manual, Volume 2), table B-4, and what the virtual machine
// monitors put into pages and in which order: QEMU 10.0 target/i386/sev.c and
// its table of kernel hashes, KVM, EC2, Google Compute Engine, libkrun. Where
// no document says what a monitor does, the programs named in profile.go do.
package snp

import (
	"encoding/hex"
	"errors"
	"fmt"

	"safebox/measure/ovmf"
)

// MaxVCPUs bounds a launch. The bound is ours: x2AVIC, the interrupt hardware
// of Zen 4, serves 512 virtual processors a guest (Linux,
// X2AVIC_MAX_PHYSICAL_ID 0x1ff), and no SEV-SNP machine on offer has more.
const MaxVCPUs = 512

// MaxMeasured bounds the bytes of all pages of a launch but those of its
// processors: firmware, SVSM and sections. The largest launch seen has 5 MiB.
const MaxMeasured = 128 << 20

// VMSAGPA is the address that KVM gives the firmware with the save area of
// every virtual processor: the last page that 48 address bits reach.
const VMSAGPA = 0xffff_ffff_f000

// addressEnd is behind the addresses that page tables can hold (AMD 24593,
// section 5.1: 52 bits).
const addressEnd = 1 << 52

// Digest is a launch digest, or a link of the chain that leads to it.
type Digest [48]byte

// String is lower-case hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Launch is everything that a launch digest depends on. HOST_DATA, the policy
// and the ID block aren't here: they are in the report, but not in its
// MEASUREMENT.
type Launch struct {
	Firmware Firmware
	Kernel   *KernelHashes // nil: no kernel was given to the monitor
	VCPUs    int           // 1 to MaxVCPUs
	CPU      uint32        // signature, see ParseCPU; only for profiles that measure it
	VMM      VMM
	Features uint64 // SEV_FEATURES; bit 0 (SNPActive) always for SEV-SNP, never for SEV-ES
	VMSAGPA  uint64 // 0: that of KVM, see PhysBitsVMSAGPA
	SVSM     *SVSM  // nil: none

	// Profile replaces that of VMM, row by row, so that another tool's or an
	// older host's values can be explained. Nil: VMM.Profile.
	Profile *Profile

	// UnknownAsZero measures SEV metadata sections of unknown types as zero
	// pages, as QEMU does. Otherwise they are refused.
	UnknownAsZero bool

	// Trace gets every page of an SEV-SNP launch in order, if not nil.
	Trace func(Page)
}

// Measure computes the launch digest of SEV-SNP.
func Measure(l Launch) (Digest, error) {
	var ld Digest
	err := l.measure(l.VCPUs, func(d Digest) { ld = d })
	return ld, err
}

// MeasureUpTo computes the launch digests with 1 to limit virtual processors,
// in this order, at the cost of one launch: each processor adds a page at the
// end. Launch.VCPUs plays no part.
func MeasureUpTo(l Launch, limit int) ([]Digest, error) {
	var list []Digest
	if err := l.measure(limit, func(d Digest) { list = append(list, d) }); err != nil {
		return nil, err
	}
	return list, nil
}

// measure runs a launch and gives the digest after every processor.
func (l *Launch) measure(vcpus int, each func(Digest)) error {
	p, err := l.profile()
	if err != nil {
		return fmt.Errorf("measuring SEV-SNP launch: %w", err)
	}
	if err := l.check(p, vcpus); err != nil {
		return fmt.Errorf("measuring SEV-SNP launch: %w", err)
	}
	c := Chain{Trace: l.Trace}
	if err := l.measureMemory(&c, p); err != nil {
		return fmt.Errorf("measuring SEV-SNP launch: %w", err)
	}
	l.measureVCPUs(&c, p, vcpus, each)
	return nil
}

// measureMemory measures firmware, SVSM and sections: all that precedes the
// processors (QEMU, sev_snp_launch_finish).
func (l *Launch) measureMemory(c *Chain, p Profile) error {
	sections := l.Firmware.Sections
	if l.Firmware.Seed != nil {
		c.seed(*l.Firmware.Seed)
	} else {
		c.Normal(l.Firmware.GPA, l.Firmware.Pages, "firmware")
	}
	if l.SVSM != nil {
		c.Normal(l.SVSM.gpa(l.Firmware), l.SVSM.Pages, "SVSM")
		sections = l.SVSM.Sections
	}
	return l.measureSections(c, p, sections)
}

// check refuses what no machine would launch as it is described, and what
// would leave a part of the digest to chance.
func (l *Launch) check(p Profile, vcpus int) error {
	if err := l.Firmware.check(); err != nil {
		return err
	}
	if l.SVSM != nil {
		if err := l.checkSVSM(); err != nil {
			return err
		}
	}
	if err := l.checkSections(); err != nil {
		return err
	}
	if err := l.checkKernel(p); err != nil {
		return err
	}
	if l.Features&SNPActive == 0 {
		return fmt.Errorf("guest features: got %#x, want bit 0 (SNPActive) set", l.Features)
	}
	if l.VMSAGPA%pageSize != 0 {
		return fmt.Errorf("VMSA address: got %#x, want a multiple of %d", l.VMSAGPA, pageSize)
	}
	if l.VMSAGPA >= addressEnd {
		return fmt.Errorf("VMSA address: got %#x, want it below %#x", l.VMSAGPA, uint64(addressEnd))
	}
	return l.checkVCPUs(p, vcpus)
}

func (l *Launch) checkVCPUs(p Profile, vcpus int) error {
	if vcpus < 1 || vcpus > MaxVCPUs {
		return fmt.Errorf("virtual processors: got %d, want 1 to %d", vcpus, MaxVCPUs)
	}
	if p.RDX == RDXSignature && l.CPU == 0 {
		return errors.New("CPU signature: got none, want that of the guest's CPU type: it is in the measurement")
	}
	if vcpus > 1 && l.Firmware.ResetEIP == nil && l.SVSM == nil {
		return fmt.Errorf("virtual processors: got %d, want 1: the firmware has no SEV-ES reset block (%s), "+
			"so the others have nowhere to start", vcpus, resetBlock)
	}
	return nil
}

// checkKernel: hashes need a place in the firmware and a monitor that fills it.
func (l *Launch) checkKernel(p Profile) error {
	if l.Kernel == nil {
		return nil
	}
	if l.SVSM != nil {
		return errors.New("kernel: got its hashes and an SVSM: no monitor is known to measure a kernel below an SVSM")
	}
	if p.NoKernel {
		return fmt.Errorf("kernel: %v boots from disk and measures no kernel hashes", l.VMM)
	}
	for _, s := range l.Firmware.Sections {
		if s.Type == ovmf.KernelHashes && s.Size != 0 {
			return l.Firmware.checkHashTable()
		}
	}
	return fmt.Errorf("kernel: the firmware's SEV metadata has no SNP_KERNEL_HASHES section (type %#x), "+
		"so it would not check the kernel: want firmware built for it, such as OVMF.amdsev.fd", uint32(ovmf.KernelHashes))
}
