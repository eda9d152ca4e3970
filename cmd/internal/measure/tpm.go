package measure

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/disk/container"
	"safebox/image/inspect"
	"safebox/measure/eventlog"
	"safebox/measure/tpm"
	"safebox/measure/tpm/varstore"
)

// tpmFlags are the flags of `measure tpm`.
type tpmFlags struct {
	disk, uki, firmware, boot, bank string
	vars                            string
	profile                         int
	vcpus                           int
	memory                          string
	log                             string
	json, trace                     bool
	explain                         []string
}

func tpmCommand() *cobra.Command {
	var f tpmFlags
	c := &cobra.Command{
		Use:   "tpm (--disk FILE | --uki FILE --boot esp|kernel)",
		Short: "Compute the PCRs of a TPM from artifacts alone",
		Long: `Computes the PCRs after an appliance has booted, without booting it: from a
disk, or from a unified kernel image and the way it is booted. PCR 0 needs the
firmware too. One "name value" a line; registers that are not predicted
(PCR 1 and 10: the host's; PCR 5 without a disk) are left out.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.OutOrStdout(), c.ErrOrStderr()) },
	}
	c.Flags().StringVar(&f.disk, "disk", "", "disk image, booted from its EFI system partition")
	c.Flags().StringVar(&f.uki, "uki", "", "unified kernel image")
	c.Flags().StringVar(&f.boot, "boot", "", "how the UKI is booted: esp or kernel (QEMU -kernel)")
	c.Flags().StringVar(&f.firmware, "firmware", "", "firmware image (OVMF_CODE_4M.fd), for PCR 0")
	c.Flags().StringVar(&f.bank, "bank", "sha256", "PCR bank: sha256 or sha384")
	c.Flags().StringVar(&f.vars, "vars", "", "variable store of the firmware (OVMF_VARS_4M.fd) with Secure Boot keys; without it there are none")
	c.Flags().IntVar(&f.vcpus, "vcpus", 0, "CPUs of the machine: for PCR 0 of firmware with Secure Boot")
	c.Flags().StringVar(&f.memory, "memory", "", "memory of the machine, such as 1G: for PCR 0 of firmware with Secure Boot")
	c.Flags().IntVar(&f.profile, "profile", 0, "profile of the UKI that its load options choose")
	c.Flags().StringVar(&f.log, "log", "", "event log of a boot: say where its events differ, exit code 1 if they do")
	c.Flags().BoolVar(&f.trace, "trace", false, "print every event that goes into a register")
	c.Flags().StringArrayVar(&f.explain, "explain", nil, "pcr4=HEX that a TPM reported: search for what explains it; may be given several times")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}

func (f *tpmFlags) run(stdout, stderr io.Writer) error {
	bank, err := tpm.ParseBank(f.bank)
	if err != nil {
		return cli.Usage(err, "")
	}
	in, err := f.input()
	if err != nil {
		return err
	}
	log, err := f.readLog()
	if err != nil {
		return err
	}
	if len(f.explain) > 0 {
		return f.explainRegisters(stdout, in, bank, log)
	}
	p, err := tpm.Predict(in, bank)
	if err != nil {
		return cli.Usage(fmt.Errorf("%s: %w", f.files(), err), "see what safebox inspect says about the file")
	}
	if p.PCRs[0].Rule == tpm.Missing {
		cli.Say(stderr, "hint: %s", f.missingFirmware())
	}
	if p.PCRs[5].Rule == tpm.Missing {
		cli.Say(stderr, "hint: pcr5 needs --disk FILE")
	}
	if f.json {
		err = cli.WriteJSON(stdout, predictionJSON(p))
	} else {
		_, err = io.WriteString(stdout, f.text(p))
	}
	if err != nil || log == nil {
		return err
	}
	return f.compareLog(stderr, p, log)
}

// missingFirmware says why PCR 0 is not predicted.
func (f *tpmFlags) missingFirmware() string {
	switch {
	case f.firmware == "":
		return "pcr0 needs --firmware FILE"
	case f.vcpus == 0 || f.memory == "":
		return "pcr0 of this firmware depends on the machine: give --vcpus and --memory"
	}
	return fmt.Sprintf("pcr0 of this firmware on a machine of %d CPUs and %s was not seen", f.vcpus, f.memory)
}

// readLog reads --log, nil if it is not given.
func (f *tpmFlags) readLog() (*eventlog.Log, error) {
	if f.log == "" {
		return nil, nil
	}
	b, err := cli.ReadInput(f.log, eventlog.MaxSize)
	if err != nil {
		return nil, err
	}
	log, err := eventlog.Decode(b)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("%s: %w", f.log, err), "")
	}
	return log, nil
}

// compareLog names the first event of each register that differs, and the
// registers that could not be compared.
func (f *tpmFlags) compareLog(stderr io.Writer, p *tpm.Prediction, log *eventlog.Log) error {
	differences, err := p.CompareLog(log)
	if err != nil {
		return cli.Usage(fmt.Errorf("%s: %w", f.log, err), "")
	}
	var all []string
	first := -1
	for _, d := range differences {
		if d.Rule == tpm.Missing {
			cli.Say(stderr, "hint: pcr%d was not compared: what it is computed from was not given", d.PCR)
			continue
		}
		if first < 0 {
			first = d.PCR
		}
		all = append(all, d.String())
	}
	if len(all) == 0 {
		return nil
	}
	return cli.Failed(fmt.Errorf("%s: %s", f.log, strings.Join(all, "; ")), fmt.Sprintf("--explain pcr%d=VALUE searches for a reason", first))
}

// text gives a line for each register that has a value, with --trace its
// events below it.
func (f *tpmFlags) text(p *tpm.Prediction) string {
	var b strings.Builder
	for i, r := range p.PCRs {
		if r.Value != nil {
			fmt.Fprintf(&b, "pcr%d %v\n", i, r.Value)
		}
		for _, e := range r.Events {
			if f.trace {
				fmt.Fprintf(&b, "  %v %v %s\n", e.Digest, e.Type, e.Description)
			}
		}
	}
	return b.String()
}

// files names the artifacts, for errors.
func (f *tpmFlags) files() string {
	names := slices.DeleteFunc([]string{f.disk, f.uki, f.firmware}, func(s string) bool { return s == "" })
	return strings.Join(names, " with ")
}

// input reads the files and refuses what does not go together.
func (f *tpmFlags) input() (tpm.Input, error) {
	const hint = "give --disk FILE, or --uki FILE --boot esp|kernel"
	var in tpm.Input
	switch {
	case (f.disk == "") == (f.uki == ""):
		return in, cli.Usage(errors.New("want one of --disk and --uki"), hint)
	case f.disk != "" && f.boot != "" && f.boot != tpm.ESP.String():
		return in, cli.Usage(fmt.Errorf("a disk is booted by its ESP, not by %q", f.boot), hint)
	case f.uki != "" && f.boot == "":
		return in, cli.Usage(errors.New("--uki without --boot"), hint)
	}
	if f.firmware != "" {
		b, err := cli.ReadInput(f.firmware, inspect.MaxSize)
		if err != nil {
			return in, err
		}
		in.Firmware = b
	}
	if f.firmware == "" && (f.vcpus != 0 || f.memory != "") {
		return in, cli.Usage(errors.New("--vcpus and --memory do nothing without --firmware"), "")
	}
	in.Profile, in.VCPUs = f.profile, f.vcpus
	if f.memory != "" {
		memory, err := parseMemory(f.memory)
		if err != nil {
			return in, err
		}
		in.Memory = int64(memory)
	}
	if f.vars != "" {
		if err := f.readVars(&in); err != nil {
			return in, err
		}
	}
	if f.disk != "" {
		b, err := cli.ReadInput(f.disk, inspect.MaxSize)
		if err != nil {
			return in, err
		}
		disk, err := container.Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return in, cli.Usage(fmt.Errorf("%s: %w", f.disk, err), "see what safebox inspect says about the file")
		}
		in.Boot, in.Disk, in.DiskSize = tpm.ESP, disk, disk.Size()
		return in, nil
	}
	boot, err := tpm.ParseBoot(f.boot)
	if err != nil {
		return in, cli.Usage(err, hint)
	}
	b, err := cli.ReadInput(f.uki, inspect.MaxSize)
	if err != nil {
		return in, err
	}
	in.Boot, in.UKI = boot, b
	return in, nil
}

// readVars reads the state of Secure Boot out of a variable store.
func (f *tpmFlags) readVars(in *tpm.Input) error {
	b, err := cli.ReadInput(f.vars, varstore.MaxSize)
	if err != nil {
		return err
	}
	store, err := varstore.Decode(b)
	if err == nil {
		in.SecureBoot, err = tpm.NewSecureBoot(store)
	}
	if err != nil {
		return cli.Usage(fmt.Errorf("%s: %w", f.vars, err), "")
	}
	return nil
}

// jsonRegister is one register of `measure tpm --json`.
type jsonRegister struct {
	Name   string      `json:"name"`
	Rule   string      `json:"rule"`
	Value  string      `json:"value"`
	Events []jsonEvent `json:"events"`
}

type jsonEvent struct {
	Type        string `json:"type"`
	Description string `json:"description"`
	Digest      string `json:"digest"`
}

type jsonPrediction struct {
	Bank      string         `json:"bank"`
	Registers []jsonRegister `json:"registers"`
}

func predictionJSON(p *tpm.Prediction) jsonPrediction {
	out := jsonPrediction{Bank: p.Bank.String()}
	for i, r := range p.PCRs {
		if r.Rule == tpm.Unlisted {
			continue
		}
		reg := jsonRegister{Name: fmt.Sprintf("pcr%d", i), Rule: r.Rule.String(), Value: r.Value.String(), Events: []jsonEvent{}}
		for _, e := range r.Events {
			reg.Events = append(reg.Events, jsonEvent{Type: e.Type.String(), Description: e.Description, Digest: e.Digest.String()})
		}
		out.Registers = append(out.Registers, reg)
	}
	return out
}
