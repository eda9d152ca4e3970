// Package accept computes what a release reports on a machine of any shape:
// the set of values that a verifier accepts. It needs release.json alone, no
// artifact, because the launches in it hold what every machine has in common
// (docs/format-release.md, "Launches").
package accept

import (
	"encoding/hex"
	"errors"
	"fmt"

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
	eip := l.SNP.ResetEIP
	fw := snp.Firmware{
		Seed: &seed, ResetEIP: &eip,
		HashTable: &ovmf.Area{GPA: uint32(l.SNP.HashTable.GPA), Size: uint32(l.SNP.HashTable.Size)},
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
// order.
func SNP(l release.Launch, m SNPMachine, limit int) ([]snp.Digest, error) {
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

	// ACPI holds the tables that the machine's QEMU hands out. Without them
	// RTMR0 has no value.
	ACPI *tdx.ACPI
}

// TDX computes the registers of a machine. MRTD, RTMR1, RTMR2 and RTMR3 are the
// release's own: they are the same on every machine.
func TDX(l release.Launch, m TDXMachine) (*tdx.Prediction, error) {
	in, err := tdxInput(l, m)
	if err != nil {
		return nil, err
	}
	p, err := tdx.Predict(in)
	if err != nil {
		return nil, fmt.Errorf("launch tdx: %w", err)
	}
	for i, want := range l.TDX.Registers {
		reg := &p.Registers[i]
		if reg.Name != want.Name {
			return nil, fmt.Errorf("launch tdx: register %d: got %s, want %s", i, want.Name, reg.Name)
		}
		if want.Rule == release.RuleShape {
			continue
		}
		var value tdx.Digest
		if err := decode(value[:], want.Name, want.Value); err != nil {
			return nil, fmt.Errorf("launch tdx: %w", err)
		}
		// What can be computed here must be what the release says.
		if reg.Value != nil && *reg.Value != value {
			return nil, fmt.Errorf("launch tdx: %s: got %s, want %v, to which its own parts lead", want.Name, want.Value, reg.Value)
		}
		reg.Value, reg.Missing = &value, ""
	}
	return p, nil
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
	if m.Memory == 0 {
		return in, errors.New("machine: memory: got 0 bytes, want its size: the hand-off blocks in RTMR0 tell it")
	}
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
