package boot

import (
	"safebox/guest/boot/cmdline"
	"safebox/initrd/layout"
	"safebox/measure/tpm/golden"
)

// Vtpm is the platform of machines whose root of trust is a TPM.
func Vtpm() Platform {
	return Platform{
		Name:      cmdline.PlatformVTPM,
		Console:   "/dev/ttyS0",
		Forms:     func(k layout.Kernel) []cmdline.Form { return cmdline.Forms(cmdline.PlatformVTPM, k) },
		Registers: vtpmRegisters(),
	}
}

// vtpmRegisters is specs/protocol.md 4 as seen from inside, before PID 1 has
// extended anything. The order is that of naming reasons: first what a host
// adds to the boot, then the firmware, then what other firmware moves as well.
func vtpmRegisters() []Rule {
	zero := func(b golden.Bank) []golden.Digest { return []golden.Digest{b.Zero()} }
	separator := func(b golden.Bank) []golden.Digest { return []golden.Digest{golden.Separator(b)} }
	return []Rule{
		{12, "pcr12-injected", zero}, // command line, credentials, add-ons that systemd-stub took
		{13, "pcr13-extension", zero},
		{14, "pcr14-shim", zero}, // shim's own keys: there is no shim
		{8, "pcr8-grub", zero},   // GRUB's commands: there is no GRUB
		{15, "pcr15-runtime", zero},
		{2, "pcr2-option-rom", separator},
		{3, "pcr3-option-rom-data", separator},
		{6, "pcr6-host-platform", separator},
		{0, "pcr0-firmware", knownFirmware},
		{7, "pcr7-secure-boot", func(b golden.Bank) []golden.Digest {
			return []golden.Digest{golden.SecureBootOff(b)}
		}},
	}
}

func knownFirmware(b golden.Bank) []golden.Digest {
	var all []golden.Digest
	for _, f := range golden.KnownFirmware() {
		all = append(all, f.PCR0(b))
	}
	return all
}
