package image

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"

	"safebox/guest/boot/cmdline"
	"safebox/image/lock"
	"safebox/measure/ovmf"
	"safebox/measure/pe"
	"safebox/measure/snp"
	"safebox/measure/tdx"
	"safebox/measure/tdx/tdvf"
	"safebox/verifier/accept"
	"safebox/verifier/release"
)

// launches describes how each platform of confidential VMs starts the release.
func (o *Options) launches(a *Artifacts, l *lock.Lock) ([]release.Launch, error) {
	var list []release.Launch
	for _, one := range []struct {
		platform string
		role     lock.Role
	}{
		{release.PlatformSNP, lock.FirmwareSNP},
		{release.PlatformTDX, lock.FirmwareTDX},
	} {
		if !o.builds(one.platform) {
			continue
		}
		file, err := l.File(one.role)
		if err != nil {
			return nil, err
		}
		launch, err := Launch(release.Launch{
			Platform: one.platform, Firmware: firmwareName(file.File.Path),
			Kernel: "vmlinuz", Initrd: "initrd.cpio.zst", CommandLine: cmdline.Text(o.Kernel),
		}, a.File)
		if err != nil {
			return nil, err
		}
		list = append(list, launch)
	}
	return list, nil
}

// Launch fills in what a platform measures of the artifacts that l names: the
// finished files, reduced to what every machine's registers are computed from.
// An auditor who has the files gets the same launch as the release.
func Launch(l release.Launch, file func(name string) []byte) (release.Launch, error) {
	im, err := ovmf.Open(file(l.Firmware))
	if err != nil {
		return l, fmt.Errorf("launch %s: %s: %w", l.Platform, l.Firmware, err)
	}
	switch l.Platform {
	case release.PlatformSNP:
		l.SNP, err = describeSNP(l, im, file)
	case release.PlatformTDX:
		l.TDX, err = describeTDX(l, im, file)
	default:
		err = errors.New("want snp or tdx")
	}
	if err != nil {
		return l, fmt.Errorf("launch %s: %w", l.Platform, err)
	}
	return l, nil
}

// describeSNP fills in what SEV-SNP measures, with the digests of a few
// machines as examples.
func describeSNP(l release.Launch, im *ovmf.Image, file func(string) []byte) (*release.SNP, error) {
	seed, err := snp.OVMFHash(im.Bytes)
	if err != nil {
		return nil, err
	}
	if im.HashTable == nil || im.ResetEIP == nil {
		return nil, fmt.Errorf("%s: no table of kernel hashes or no reset block: it is not made for direct boot", l.Firmware)
	}
	s := &release.SNP{
		Seed: seed.String(), ResetEIP: *im.ResetEIP,
		HashTable:    release.Area{GPA: uint64(im.HashTable.GPA), Size: uint64(im.HashTable.Size)},
		KernelSHA256: hexSHA256(file(l.Kernel)),
		InitrdSHA256: hexSHA256(file(l.Initrd)),
	}
	for _, section := range im.SEV {
		s.Sections = append(s.Sections, release.Section{GPA: section.GPA, Size: section.Size, Type: uint32(section.Type)})
	}
	l.SNP = s
	s.Shapes, err = snpShapes(l)
	return s, err
}

// snpShapes are the machines that people ask for most: QEMU on the processors
// that have SEV-SNP. Any other is computed from the rest of the launch.
func snpShapes(l release.Launch) ([]release.SNPMachine, error) {
	var list []release.SNPMachine
	for _, name := range []string{"EPYC-Milan", "EPYC-Genoa", "EPYC-Turin"} {
		signature, err := snp.ParseCPU(name)
		if err != nil {
			return nil, err
		}
		m := accept.SNPMachine{VMM: snp.QEMU, CPU: signature, Features: snp.SNPActive}
		const most = 8
		digests, err := accept.SNP(l, m, most)
		if err != nil {
			return nil, err
		}
		for n := 1; n <= most; n *= 2 {
			list = append(list, release.SNPMachine{
				Name: accept.ShapeName(m.VMM, name, n), VMM: m.VMM.String(), VCPUs: n,
				CPUSignature: signature, GuestFeatures: m.Features, LaunchDigest: digests[n-1].String(),
			})
		}
	}
	return list, nil
}

// describeTDX fills in what TDX measures. RTMR0 depends on the machine.
func describeTDX(l release.Launch, im *ovmf.Image, file func(string) []byte) (*release.TDX, error) {
	layout, ok := tdx.KnownLayout(sha256.Sum256(im.Bytes))
	if !ok {
		return nil, fmt.Errorf("%s: SHA-256 %s: no firmware whose events in RTMR0 are known", l.Firmware, hexSHA256(im.Bytes))
	}
	kernel, initrd := file(l.Kernel), file(l.Initrd)
	sum := sha512.Sum384(initrd)
	p, err := tdx.Predict(tdx.Input{
		Firmware: im, Layout: layout,
		Direct: &tdx.Direct{Kernel: kernel, InitrdSHA384: &sum, InitrdSize: uint64(len(initrd)), CommandLine: l.CommandLine},
	})
	if err != nil {
		return nil, err
	}
	t := &release.TDX{Layout: layout.String(), InitrdSHA384: hex.EncodeToString(sum[:])}
	if err := describeFirmware(t, im); err != nil {
		return nil, err
	}
	image, err := pe.Decode(kernel)
	if err != nil {
		return nil, err
	}
	t.KernelPESHA384 = hex.EncodeToString(image.Authenticode(sha512.New384()))
	for i, rule := range []string{
		tdx.MRTD: release.RuleExact, tdx.RTMR0: release.RuleShape, tdx.RTMR1: release.RuleExact,
		tdx.RTMR2: release.RuleExact, tdx.RTMR3: release.RuleZero,
	} {
		reg := release.Register{Name: p.Registers[i].Name, Rule: rule}
		if rule != release.RuleShape {
			if p.Registers[i].Value == nil {
				return nil, fmt.Errorf("%s: %s", reg.Name, p.Registers[i].Missing)
			}
			reg.Value = p.Registers[i].Value.String()
		}
		t.Registers = append(t.Registers, reg)
	}
	return t, nil
}

// describeFirmware fills in what the firmware's TDX metadata tells a monitor.
func describeFirmware(t *release.TDX, im *ovmf.Image) error {
	cfv, err := tdvf.CFV(im)
	if err != nil {
		return err
	}
	sum := sha512.Sum384(cfv)
	t.CFVSHA384 = hex.EncodeToString(sum[:])
	for _, s := range im.TDX {
		area := release.Area{GPA: s.GPA, Size: s.MemSize}
		switch s.Type {
		case ovmf.TDHOB:
			t.TDHOB = area
			t.Accepted = append(t.Accepted, area)
		case ovmf.TempMem:
			t.Accepted = append(t.Accepted, area)
		default: // in flash: part of MRTD, or the configuration volume
		}
	}
	return nil
}
