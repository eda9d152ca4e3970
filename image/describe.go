package image

import (
	"bytes"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"safebox/guest/boot/cmdline"
	"safebox/image/lock"
	"safebox/image/sbom"
	"safebox/initrd/layout"
	"safebox/measure/eif"
	"safebox/measure/nitro"
	"safebox/measure/tpm"
	"safebox/verifier/release"
)

// describe adds the bill of materials and the description of everything. The
// measurements are computed from the finished artifacts, as an auditor would.
func (o *Options) describe(a *Artifacts, l *lock.Lock, in *inputs) error {
	measurements, err := measure(a)
	if err != nil {
		return err
	}
	if enclave := a.File(Enclave); enclave != nil {
		m, err := measureEnclave(enclave)
		if err != nil {
			return err
		}
		measurements = append(measurements, m)
	}
	starts, err := o.launches(a, l)
	if err != nil {
		return err
	}
	toolchain := release.Toolchain{Go: l.Go, Module: l.Toolchain.Path + "@" + l.Toolchain.Version, Sum: l.Toolchain.Sum}
	bill, err := o.bill(a, in, toolchain)
	if err != nil {
		return err
	}
	a.add(SBOM, bill)
	a.Release = &release.Release{
		Type:         release.Type,
		Toolchain:    toolchain,
		Epoch:        l.Epoch,
		LockSHA256:   hexSHA256(o.Lock),
		Kernel:       string(o.Kernel),
		Inputs:       in.packages,
		Artifacts:    a.list(),
		Measurements: measurements,
		Launches:     starts,
	}
	for _, f := range cmdline.Forms(cmdline.PlatformVTPM, o.Kernel) {
		a.Release.CommandLines = append(a.Release.CommandLines,
			release.CommandLine{Platform: cmdline.PlatformVTPM, Form: f.Name, Text: f.Text})
	}
	return nil
}

// bill is the bill of materials of all artifacts so far.
func (o *Options) bill(a *Artifacts, in *inputs, toolchain release.Toolchain) ([]byte, error) {
	b := sbom.Bill{Toolchain: toolchain, Packages: in.packages}
	if o.Kernel == layout.Source {
		files, err := kernelFiles()
		if err != nil {
			return nil, err
		}
		b.Files = files
	}
	for _, f := range a.files {
		listed := sbom.Artifact{Artifact: Describe(f.Name, f.Data), From: f.From}
		if f.Name == initProgram {
			listed.Program = f.Data
		}
		b.Artifacts = append(b.Artifacts, listed)
	}
	return b.Encode()
}

// measureEnclave predicts what an enclave reports of the image. PCR 3 and 4 are
// those of the instance that starts it.
func measureEnclave(b []byte) (release.Measurement, error) {
	f, err := eif.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return release.Measurement{}, err
	}
	p, err := nitro.Predict(nitro.Input{Image: f})
	if err != nil {
		return release.Measurement{}, err
	}
	m := release.Measurement{Platform: release.PlatformNitro, Boot: "enclave", Bank: "sha384"}
	for i, reg := range p.PCRs[:3] {
		if reg.Rule != nitro.Exact {
			return release.Measurement{}, fmt.Errorf("pcr%d of the enclave image: rule %v, want exact", i, reg.Rule)
		}
		m.Registers = append(m.Registers, release.Register{
			Name: fmt.Sprintf("pcr%d", i), Rule: release.RuleExact, Value: reg.Value.String(),
		})
	}
	return m, nil
}

// measure predicts every boot in every bank, the boots at the same time.
func measure(a *Artifacts) ([]release.Measurement, error) {
	disk := a.File(RawDisk)
	inputs := []tpm.Input{
		{Boot: tpm.ESP, Firmware: a.File(FirmwareCode), Disk: bytes.NewReader(disk), DiskSize: int64(len(disk))},
		{Boot: tpm.Kernel, Firmware: a.File(FirmwareCode), UKI: a.File(UKI)},
	}
	lists := make([][]release.Measurement, len(inputs))
	var group errgroup.Group
	for i, in := range inputs {
		group.Go(func() (err error) {
			lists[i], err = measureBoot(in)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(lists...), nil
}

// measureBoot predicts one boot in every bank.
func measureBoot(in tpm.Input) ([]release.Measurement, error) {
	predictions, err := tpm.PredictBanks(in, tpm.SHA256, tpm.SHA384)
	if err != nil {
		return nil, fmt.Errorf("boot %v: %w", in.Boot, err)
	}
	list := make([]release.Measurement, len(predictions))
	for i, p := range predictions {
		if list[i], err = Measurement(p, in.Boot); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Measurement gives a prediction in the form of release.json.
func Measurement(p *tpm.Prediction, boot tpm.Boot) (release.Measurement, error) {
	m := release.Measurement{Platform: cmdline.PlatformVTPM, Boot: boot.String(), Bank: p.Bank.String()}
	for i, reg := range p.PCRs {
		r := release.Register{Name: fmt.Sprintf("pcr%d", i), Value: reg.Value.String()}
		switch reg.Rule {
		case tpm.Unlisted:
			continue
		case tpm.Exact:
			r.Rule = release.RuleExact
		case tpm.Zero:
			r.Rule = release.RuleZero
		case tpm.FixedDisk:
			r.Rule = release.RuleFixedDisk
		case tpm.Configuration:
			r.Rule = release.RuleConfiguration
		case tpm.Any:
			r.Rule = release.RuleAny
		default:
			return release.Measurement{}, fmt.Errorf("register %s: rule %v has no place in a release", r.Name, reg.Rule)
		}
		if r.Rule == release.RuleExact || r.Rule == release.RuleFixedDisk {
			r.Events = events(p.Bank, reg)
		}
		m.Registers = append(m.Registers, r)
	}
	return m, nil
}

// events lists the digests that extend a register. There are none if they do
// not lead to its value: of some firmware only the value is known.
func events(bank tpm.Bank, reg tpm.Register) []string {
	value := bank.Zero()
	list := make([]string, len(reg.Events))
	for i, e := range reg.Events {
		value = bank.Extend(value, e.Digest)
		list[i] = e.Digest.String()
	}
	if !value.Equal(reg.Value) {
		return nil
	}
	return list
}
