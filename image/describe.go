package image

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"safebox/guest/boot/cmdline"
	"safebox/image/lock"
	"safebox/image/sbom"
	"safebox/measure/tpm"
	"safebox/verifier/release"
)

// describe adds the bill of materials and the description of everything. The
// measurements are computed from the finished artifacts, as an auditor would.
func describe(a *Artifacts, o Options, l *lock.Lock, in *inputs) error {
	measurements, err := measure(a)
	if err != nil {
		return err
	}
	starts, err := launches(a, o, l)
	if err != nil {
		return err
	}
	files := a.list()
	bill, err := sbom.Encode(in.packages, files, a.File("safebox-init"))
	if err != nil {
		return err
	}
	a.add(SBOM, bill)
	files = append(files, Describe(SBOM, bill))
	slices.SortFunc(files, func(x, y release.Artifact) int { return strings.Compare(x.Name, y.Name) })
	a.Release = &release.Release{
		Type:         release.Type,
		Toolchain:    release.Toolchain{Go: l.Go, Module: l.Toolchain.Path + "@" + l.Toolchain.Version, Sum: l.Toolchain.Sum},
		Epoch:        l.Epoch,
		LockSHA256:   hexSHA256(o.Lock),
		Kernel:       string(o.Kernel),
		Inputs:       in.packages,
		Artifacts:    files,
		Measurements: measurements,
		Launches:     starts,
	}
	for _, f := range cmdline.Forms(cmdline.PlatformVTPM, o.Kernel) {
		a.Release.CommandLines = append(a.Release.CommandLines,
			release.CommandLine{Platform: cmdline.PlatformVTPM, Form: f.Name, Text: f.Text})
	}
	return nil
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
