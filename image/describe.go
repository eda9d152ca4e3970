package image

import (
	"bytes"
	"fmt"

	"safebox/guest/boot/cmdline"
	"safebox/image/lock"
	"safebox/image/sbom"
	"safebox/measure/tpm"
	"safebox/verifier/release"
)

// describe adds the bill of materials and the description of everything. The
// measurements are computed from the finished artifacts, as an auditor would.
func describe(a *Artifacts, lockFile []byte, l *lock.Lock, in *inputs) error {
	measurements, err := measure(a)
	if err != nil {
		return err
	}
	bill, err := sbom.Encode(in.packages, a.list(), a.File("safebox-init"))
	if err != nil {
		return err
	}
	a.add(SBOM, bill)
	a.Release = &release.Release{
		Type:         release.Type,
		Toolchain:    release.Toolchain{Go: l.Go, Module: l.Toolchain.Path + "@" + l.Toolchain.Version, Sum: l.Toolchain.Sum},
		Epoch:        l.Epoch,
		LockSHA256:   hexSHA256(lockFile),
		Kernel:       "distro",
		Inputs:       in.packages,
		Artifacts:    a.list(),
		Measurements: measurements,
	}
	for _, f := range cmdline.Forms(cmdline.PlatformVTPM) {
		a.Release.CommandLines = append(a.Release.CommandLines,
			release.CommandLine{Platform: cmdline.PlatformVTPM, Form: f.Name, Text: f.Text})
	}
	return nil
}

// measure predicts every boot in every bank.
func measure(a *Artifacts) ([]release.Measurement, error) {
	disk := a.File(RawDisk)
	var list []release.Measurement
	for _, boot := range []tpm.Boot{tpm.ESP, tpm.Kernel} {
		in := tpm.Input{Boot: boot, Firmware: a.File(FirmwareCode)}
		if boot == tpm.ESP {
			in.Disk, in.DiskSize = bytes.NewReader(disk), int64(len(disk))
		} else {
			in.UKI = a.File(UKI)
		}
		for _, bank := range []tpm.Bank{tpm.SHA256, tpm.SHA384} {
			p, err := tpm.Predict(in, bank)
			if err != nil {
				return nil, fmt.Errorf("boot %v: %w", boot, err)
			}
			m, err := Measurement(p, boot)
			if err != nil {
				return nil, err
			}
			list = append(list, m)
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
		m.Registers = append(m.Registers, r)
	}
	return m, nil
}
