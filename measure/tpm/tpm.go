// Package tpm predicts the PCRs of a vTPM boot from artifacts alone: firmware,
// UKI and disk. It reads finished files, never the builder's memory.
//
// One file per register says what goes into it. The events are those of the
// TCG PC Client Platform Firmware Profile (PFP), Family 2.0, Level 00, Version
// 1.06 Revision 52, as edk2's OVMF 2025.02 logs them; of the UAPI Group's
// Unified Kernel Image specification as systemd-stub 257 and 262 carry it out;
// of the Secure Boot of UEFI 2.10, chapter 32; and of the EFI stub of Linux 6.12.
// SHA-1 banks are never predicted. Every sequence was seen in a real boot
// whose log lies in testdata/boots or ../eventlog/testdata: what was not seen is
// an error here and not a guess.
package tpm

import (
	"fmt"
	"io"

	"safebox/measure/eventlog"
	"safebox/measure/tpm/golden"
)

// Bank is a set of PCRs, named by its hash.
type Bank = golden.Bank

// The banks for which registers are predicted.
const (
	SHA256 = golden.SHA256
	SHA384 = golden.SHA384
)

// Digest is a digest or the value of a register.
type Digest = golden.Digest

// ParseBank reads a bank's name, "sha256" or "sha384".
func ParseBank(s string) (Bank, error) { return golden.ParseBank(s) }

// Algorithm is the bank's name in an event log.
func Algorithm(b Bank) eventlog.Algorithm {
	switch b {
	case SHA256:
		return eventlog.SHA256
	case SHA384:
		return eventlog.SHA384
	}
	return 0
}

// Boot is the way in which firmware comes to the UKI.
type Boot uint8

// The ways of booting.
const (
	ESP    Boot = iota + 1 // \EFI\BOOT\BOOTX64.EFI of a disk's ESP
	Kernel                 // QEMU's -kernel
)

// ParseBoot reads a boot's name, "esp" or "kernel".
func ParseBoot(s string) (Boot, error) {
	for _, b := range []Boot{ESP, Kernel} {
		if s == b.String() {
			return b, nil
		}
	}
	return 0, fmt.Errorf("parsing boot: got %q, want esp or kernel", s)
}

// String returns the name.
func (b Boot) String() string {
	switch b {
	case ESP:
		return "esp"
	case Kernel:
		return "kernel"
	}
	return fmt.Sprintf("boot %d", uint8(b))
}

// Input is what a prediction is made from.
type Input struct {
	Boot Boot

	// UKI is the image that is booted. A boot from a disk takes it from
	// there instead: set one of UKI and Disk.
	UKI []byte

	// Disk is the whole disk, DiskSize bytes long. Without it PCR 5 of a boot
	// from an ESP is not predicted.
	Disk     io.ReaderAt
	DiskSize int64

	// Firmware is the firmware's file. Without it PCR 0 is not predicted.
	Firmware []byte

	// VCPUs and Memory, in bytes, are the machine's. PCR 0 of a firmware that
	// keeps its variables in System Management Mode depends on them, and is
	// predicted for the machines that were seen (golden.SecureBootFirmware).
	// Other firmware does not need them.
	VCPUs  int
	Memory int64

	// SecureBoot is the state that the firmware finds in its variables. Nil:
	// a firmware that was built without Secure Boot, which has none of them.
	SecureBoot *SecureBoot

	// Profile is the profile of the UKI that its load options choose, by
	// "@1" and so on as QEMU's -append. A boot from an ESP passes no load
	// options and has profile 0.
	Profile int
}

// Rule says how a register is to be compared (specs/protocol.md 4).
type Rule uint8

// The rules.
const (
	Unlisted      Rule = iota // not used: nobody looks at it
	Exact                     // the predicted value
	Zero                      // nothing was extended
	FixedDisk                 // the predicted value, for a disk that nobody resizes
	Configuration             // zero until the guest measures its configuration
	Any                       // depends on the machine: not compared
	Missing                   // exact, but what it is computed from was not given
)

// String returns the rule's name.
func (r Rule) String() string {
	names := [...]string{"unlisted", "exact", "zero", "fixed-disk", "configuration", "any", "missing"}
	if int(r) < len(names) {
		return names[r]
	}
	return fmt.Sprintf("rule %d", uint8(r))
}

// Prediction holds what the registers will be.
type Prediction struct {
	Bank Bank
	PCRs [eventlog.PCRs]Register

	// Sequence holds the events of the registers that have a value, in the
	// order in which they stand in the log. On a platform that maps several
	// PCRs to one register, this is the order in which that is extended.
	// PCR 1 and 10 and any Missing register are not in it; of a boot from an
	// ESP without Disk, neither is PCR 5.
	Sequence []PCREvent
}

// PCREvent is an event and the register that it extends.
type PCREvent struct {
	PCR int
	Event
}

// Register is the prediction for one PCR.
type Register struct {
	Rule   Rule
	Value  Digest  // nil if there is none: Unlisted, Any, Missing
	Events []Event // what extends it, in order
}

// Event is one measurement.
type Event struct {
	Type        eventlog.Type
	Description string
	Digest      Digest
}
