// Package accept computes what a release reports on a machine of any shape:
// the set of values that a verifier accepts. It needs release.json alone, no
// artifact, because the launches in it hold what every machine has in common
// (docs/format-release.md, "Launches").
package accept

import (
	"encoding/hex"
	"fmt"
	"math"

	"safebox/measure/eventlog"
	"safebox/measure/ovmf"
	"safebox/measure/snp"
	"safebox/measure/tdx"
	"safebox/measure/tdx/tdvf"
	"safebox/verifier/release"
)

// SNPLaunch is how SEV-SNP starts the release. VMM, CPU, VCPUs and Features are
// the machine's and still to be filled in.
func SNPLaunch(l release.Launch) (snp.Launch, error) {
	if l.SNP == nil {
		return snp.Launch{}, fmt.Errorf("launch %s: not one of SEV-SNP", l.Platform)
	}
	var kernel snp.KernelHashes
	var seed snp.Digest
	for _, d := range []struct {
		name string
		to   []byte
		from string
	}{
		{"seed", seed[:], l.SNP.Seed},
		{"kernel_sha256", kernel.Kernel[:], l.SNP.KernelSHA256},
		{"initrd_sha256", kernel.Initrd[:], l.SNP.InitrdSHA256},
	} {
		if err := decode(d.to, d.name, d.from); err != nil {
			return snp.Launch{}, fmt.Errorf("launch snp: %w", err)
		}
	}
	kernel.CommandLine = snp.HashCommandLine(l.CommandLine)
	table := l.SNP.HashTable
	if table.GPA > math.MaxUint32 || table.Size > math.MaxUint32 {
		return snp.Launch{}, fmt.Errorf("launch snp: hash table: got %#x bytes at %#x, want it below 4 GiB", table.Size, table.GPA)
	}
	eip := l.SNP.ResetEIP
	fw := snp.Firmware{
		Seed: &seed, ResetEIP: &eip,
		HashTable: &ovmf.Area{GPA: uint32(table.GPA), Size: uint32(table.Size)},
	}
	for _, s := range l.SNP.Sections {
		fw.Sections = append(fw.Sections, ovmf.SEVSection{GPA: s.GPA, Size: s.Size, Type: ovmf.SEVType(s.Type)})
	}
	return snp.Launch{Firmware: fw, Kernel: &kernel}, nil
}

// SNPMachine is the shape of a machine with SEV-SNP.
type SNPMachine struct {
	VMM      snp.VMM
	CPU      uint32 // signature
	Features uint64 // SEV_FEATURES
}

// SNP computes the launch digests of a machine with 1 to limit vCPUs, in this
// order, after Check.
func SNP(l release.Launch, m SNPMachine, limit int) ([]snp.Digest, error) {
	if err := checkShapes(l); err != nil {
		return nil, err
	}
	return digests(l, m, limit)
}

func digests(l release.Launch, m SNPMachine, limit int) ([]snp.Digest, error) {
	launch, err := SNPLaunch(l)
	if err != nil {
		return nil, err
	}
	launch.VMM, launch.CPU, launch.Features = m.VMM, m.CPU, m.Features
	return snp.MeasureUpTo(launch, limit)
}

// TDXMachine is the shape of a TDX machine.
type TDXMachine struct {
	Memory uint64 // bytes

	// ACPI holds the tables that the machine's QEMU hands out, and Log is a log
	// of the machine itself, from which the digests of its tables are taken
	// instead: they are then whatever its host chose. Without either RTMR0 has
	// no value.
	ACPI *tdx.ACPI
	Log  *eventlog.CCLog
}

// TDX computes the registers of a machine. RTMR1, RTMR2 and RTMR3, the same on
// every machine, must be what the release says. MRTD, which only the firmware
// tells, is what the release says, whatever its Source.
func TDX(l release.Launch, m TDXMachine) (*tdx.Prediction, error) {
	in, err := tdxInput(l, m)
	if err != nil {
		return nil, err
	}
	p, err := tdx.Predict(in)
	if err != nil {
		return nil, fmt.Errorf("launch tdx: %w", err)
	}
	if got, want := len(l.TDX.Registers), len(p.Registers); got != want {
		return nil, fmt.Errorf("launch tdx: registers: got %d, want %d", got, want)
	}
	for i, said := range l.TDX.Registers {
		if err := compare(&p.Registers[i], said, i); err != nil {
			return nil, fmt.Errorf("launch tdx: register %d: %w", i, err)
		}
	}
	return p, nil
}

// compare wants a computed register to be what the release says of it.
func compare(reg *tdx.Register, said release.Register, index int) error {
	shape := index == tdx.RTMR0
	if said.Name != reg.Name || shape != (said.Rule == release.RuleShape) {
		return fmt.Errorf("got %s with rule %s, want %s, rtmr0 with rule %s and no other", said.Name, said.Rule, reg.Name, release.RuleShape)
	}
	if shape {
		return nil
	}
	var value tdx.Digest
	if err := decode(value[:], said.Name, said.Value); err != nil {
		return err
	}
	switch {
	case index == tdx.MRTD:
		reg.Value, reg.Missing = &value, ""
	case reg.Value == nil:
		return fmt.Errorf("%s: got %s, which cannot be checked: %s", said.Name, said.Value, reg.Missing)
	case *reg.Value != value:
		return fmt.Errorf("%s: got %s, want %v, to which the launch's own parts lead", said.Name, said.Value, reg.Value)
	}
	return nil
}

// tdxInput is what a launch and a machine measure, given by digests.
func tdxInput(l release.Launch, m TDXMachine) (tdx.Input, error) {
	t := l.TDX
	if t == nil {
		return tdx.Input{}, fmt.Errorf("launch %s: not one of TDX", l.Platform)
	}
	layout, err := tdx.ParseLayout(t.Layout)
	if err != nil {
		return tdx.Input{}, fmt.Errorf("launch tdx: %w", err)
	}
	in := tdx.Input{Layout: layout, Memory: m.Memory, ACPI: m.ACPI}
	if m.Log != nil {
		if err := in.Digests.ACPIFromLog(m.Log); err != nil {
			return in, fmt.Errorf("launch tdx: %w", err)
		}
	}
	var initrd [48]byte
	cfv, kernel := &tdx.Measurement{Source: tdx.Given}, &tdx.Measurement{Source: tdx.Given}
	for _, d := range []struct {
		name string
		to   []byte
		from string
	}{
		{"cfv_sha384", cfv.Digest[:], t.CFVSHA384},
		{"kernel_pe_sha384", kernel.Digest[:], t.KernelPESHA384},
		{"initrd_sha384", initrd[:], t.InitrdSHA384},
	} {
		if err := decode(d.to, d.name, d.from); err != nil {
			return in, fmt.Errorf("launch tdx: %w", err)
		}
	}
	in.Digests.CFV, in.Digests.Kernel = cfv, kernel
	in.Direct = &tdx.Direct{InitrdSHA384: &initrd, CommandLine: l.CommandLine}
	in.HOB, err = hob(t, m.Memory)
	return in, err
}

func hob(t *release.TDX, memory uint64) ([]byte, error) {
	ram, err := tdvf.Q35RAM(memory)
	if err != nil {
		return nil, err
	}
	var accepted []tdvf.Range
	for _, a := range t.Accepted {
		accepted = append(accepted, tdvf.Range{Start: a.GPA, Length: a.Size})
	}
	return tdvf.HOB(ram, t.TDHOB.GPA, accepted)
}

// decode reads hex into to, all of it.
func decode(to []byte, name, text string) error {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(to) {
		return fmt.Errorf("%s: got %.120q, want %d bytes in hex", name, text, len(to))
	}
	copy(to, b)
	return nil
}
