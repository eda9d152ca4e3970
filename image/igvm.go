package image

import (
	"crypto/sha256"
	"errors"

	"safebox/image/igvm"
	"safebox/image/lock"
	reader "safebox/measure/igvm"
	"safebox/measure/ovmf"
	"safebox/measure/snp"
	"safebox/verifier/release"
)

// The one machine that the IGVM file is for: it fixes their number and kind of
// processors. Every processor with SEV-SNP runs the guest of a Milan.
const (
	igvmVCPUs  = 1
	igvmCPU    = "EPYC-Milan"
	igvmPolicy = 0x30000 // SMT allowed, bit 17 always one (AMD 56860, "Guest Policy")
)

// addIGVM adds the IGVM file for QEMU with SEV-SNP. Its launch digest is another
// than that of the same machine without the file (docs/measurements.md).
func (o *Options) addIGVM(a *Artifacts, l *lock.Lock) error {
	if !o.IGVM {
		return nil
	}
	file, err := l.File(lock.FirmwareSNP)
	if err != nil {
		return err
	}
	firmware := firmwareName(file.File.Path)
	im, err := ovmf.Open(a.File(firmware))
	if err != nil {
		return err
	}
	cpu, err := snp.ParseCPU(igvmCPU)
	if err != nil {
		return err
	}
	b, _, err := igvm.SNP(igvm.Guest{
		Launch: snp.Launch{
			Firmware: snp.NewFirmware(im), VCPUs: igvmVCPUs, CPU: cpu, VMM: snp.QEMU, Features: snp.SNPActive,
			Kernel: &snp.KernelHashes{
				Kernel: sha256.Sum256(a.File(vmlinuz)), Initrd: sha256.Sum256(a.File(ramdiskName)),
				CommandLine: snp.HashCommandLine(string(a.File(commandLine))),
			},
		},
		Policy: igvmPolicy, Zero: reader.ZeroAsNormal,
	})
	if err != nil {
		return err
	}
	a.add(igvm.FileName, b, firmware, vmlinuz, ramdiskName, commandLine)
	return nil
}

// checkIGVM refuses an IGVM file without the platform that it is for.
func (o *Options) checkIGVM() error {
	if o.IGVM && !o.builds(release.PlatformSNP) {
		return errors.New("an IGVM file wants platform snp, which it is for")
	}
	return nil
}
