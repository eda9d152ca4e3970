package measure

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/acpi"
	"safebox/measure/eventlog"
	"safebox/measure/ovmf"
	"safebox/measure/tdx"
	"safebox/measure/tdx/tdvf"
	"safebox/measure/tpm"
)

// tdxFlags are the flags of `measure tdx`.
type tdxFlags struct {
	firmware, kernel, initrd string
	cmdline                  commandLine
	disk, uki, boot          string
	memory                   string
	gceMachine               string
	acceptAll                bool
	vcpus                    int
	order, layout            string
	acpiTables, qemu         string
	qemuArgs                 []string
	physBits                 int
	log                      string
	acpiFromLog              bool
	patched, noMeasuring     bool
	trace, json              bool
	explain                  []string
	secureBoot               bool
	others, otherACPI        []string
	otherVars                []string
}

func tdxCommand() *cobra.Command {
	var f tdxFlags
	c := &cobra.Command{
		Use:   "tdx --firmware FILE [--kernel FILE --initrd FILE --cmdline TEXT | --disk FILE] --memory SIZE",
		Short: "Compute the registers of an Intel TDX guest",
		Long: `Computes MRTD and RTMR0 to RTMR3. A register for which something is missing
has no value; a line on stderr says what is.

RTMR0 needs the memory size and the ACPI tables that QEMU hands to this very
machine: from a folder (--acpi-tables), or asked from QEMU itself (--qemu), which
must be the version and have the devices of the machine to be measured. A digest
that is taken from the machine's own log (--acpi-from-log) is marked "from-log":
it proves nothing about that machine.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			f.cmdline.given = c.Flags().Changed("cmdline")
			return f.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f.addBoot(c)
	f.addMachine(c)
	c.Flags().StringVar(&f.log, "log", "", "event log of a TD (CCEL): say where its events differ, exit code 1 if they do")
	c.Flags().BoolVar(&f.acpiFromLog, "acpi-from-log", false, "take the digests of the ACPI tables from --log, with the layout intel also those of two files of which it is not known what is measured")
	c.Flags().BoolVar(&f.trace, "trace", false, "print every event that goes into a register")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	c.Flags().StringArrayVar(&f.explain, "explain", nil, "rtmr1=HEX that a TD reported: search for what explains it; may be given several times")
	c.Flags().StringArrayVar(&f.others, "other-firmware", nil, "with --explain: another image to try; may be given several times")
	c.Flags().StringArrayVar(&f.otherACPI, "other-acpi-tables", nil, "with --explain: another folder of ACPI tables to try; may be given several times")
	c.Flags().StringArrayVar(&f.otherVars, "other-vars", nil, "with --explain and an image that is code alone: variable store to put before it; may be given several times")
	return c
}

// addBoot adds what says what is booted.
func (f *tdxFlags) addBoot(c *cobra.Command) {
	c.Flags().StringVar(&f.firmware, "firmware", "", "firmware image, variables and code in one file (OVMF.fd)")
	c.Flags().StringVar(&f.kernel, "kernel", "", "kernel for direct boot")
	c.Flags().StringVar(&f.initrd, "initrd", "", "initrd for direct boot")
	c.Flags().StringVar(&f.cmdline.text, "cmdline", "", "kernel command line, exactly")
	c.Flags().StringVar(&f.cmdline.file, "cmdline-file", "", "file with the kernel command line, exactly")
	c.Flags().StringVar(&f.disk, "disk", "", "disk image, booted from its EFI system partition")
	c.Flags().StringVar(&f.uki, "uki", "", "unified kernel image")
	c.Flags().StringVar(&f.boot, "boot", "", "how the UKI is booted: esp or kernel (QEMU -kernel)")
	c.Flags().StringVar(&f.order, "mrtd-order", tdvf.SinglePass.String(), "order of MRTD: "+names(tdvf.Orders()))
	c.Flags().BoolVar(&f.secureBoot, "secure-boot", false, "the firmware image comes with Secure Boot keys: measure the variables in it")
	c.Flags().StringVar(&f.layout, "rtmr-layout", "", "events of the firmware: "+names(tdx.Layouts())+" (default: by the firmware's hash)")
	c.Flags().BoolVar(&f.patched, "kernel-patched", false, "QEMU before 10.1 with firmware before 2025.02: the kernel's setup header was changed before it was measured")
	c.Flags().BoolVar(&f.noMeasuring, "kernel-measures-nothing", false, "Linux before 6.9: no event of the kernel in RTMR2")
}

// addMachine adds what says on what machine.
func (f *tdxFlags) addMachine(c *cobra.Command) {
	c.Flags().StringVar(&f.memory, "memory", "", "memory of the machine, such as 2G")
	c.Flags().StringVar(&f.gceMachine, "gce-machine", "", "machine type of Google Compute Engine instead of --memory, such as c3-standard-4")
	c.Flags().BoolVar(&f.acceptAll, "accept-all-early", false, "with --gce-machine: all memory is accepted before the operating system starts")
	c.Flags().IntVar(&f.vcpus, "vcpus", 0, "number of vCPUs, for --qemu")
	c.Flags().StringVar(&f.acpiTables, "acpi-tables", "", "folder with etc_table-loader.bin, etc_acpi_rsdp.bin and etc_acpi_tables.bin")
	c.Flags().StringVar(&f.qemu, "qemu", "", "QEMU program (10 or newer, unmodified) to ask for the ACPI tables")
	c.Flags().StringArrayVar(&f.qemuArgs, "qemu-arg", nil, "with --qemu: one more argument of the machine, such as a device; may be given several times")
	c.Flags().IntVar(&f.physBits, "phys-bits", 0, "with --qemu: physical address bits that the firmware uses (46 with four-level page tables), where a device has a 64-bit BAR")
}

func (f *tdxFlags) run(ctx context.Context, stdout, stderr io.Writer) error {
	in, log, err := f.input(ctx, stderr)
	if err != nil {
		return err
	}
	if len(f.explain) > 0 {
		return f.explainRegisters(stdout, in, log)
	}
	var pages []tdvf.Page
	if f.trace {
		in.Trace = func(p tdvf.Page) { pages = append(pages, p) }
	}
	p, err := tdx.Predict(in)
	if err != nil {
		return cli.Usage(err, "see what safebox inspect says about the files")
	}
	for _, r := range p.Registers {
		if r.Missing != "" {
			cli.Say(stderr, "hint: %s has no value: %s", r.Name, r.Missing)
		}
	}
	result := newTDXResult(p, pages)
	if f.json {
		err = cli.WriteJSON(stdout, result)
	} else {
		_, err = io.WriteString(stdout, result.text(f.trace))
	}
	if err != nil || log == nil {
		return err
	}
	return f.compareLog(p, log)
}

// compareLog names the first event of each register that differs.
func (f *tdxFlags) compareLog(p *tdx.Prediction, log *eventlog.CCLog) error {
	differences, err := p.CompareLog(log)
	if err != nil {
		return cli.Usage(fmt.Errorf("%s: %w", f.log, err), "")
	}
	if len(differences) == 0 {
		return nil
	}
	var all []string
	for _, d := range differences {
		all = append(all, d.String())
	}
	return cli.Failed(fmt.Errorf("%s: %s", f.log, strings.Join(all, "; ")), "--explain "+differences[0].Name+"=VALUE searches for a reason")
}

// input reads the files.
func (f *tdxFlags) input(ctx context.Context, stderr io.Writer) (in tdx.Input, log *eventlog.CCLog, err error) {
	// An image that is not whole has no MRTD, but there is something to explain.
	im, err := readFirmware(f.firmware, len(f.explain) > 0)
	if err != nil {
		return in, nil, err
	}
	in.Firmware = im
	if in.Order, err = tdvf.ParseOrder(f.order); err != nil {
		return in, nil, cli.Usage(err, "")
	}
	if in.Layout, err = f.parseLayout(im, stderr); err != nil {
		return in, nil, err
	}
	if f.secureBoot {
		if in.Variables, err = tdx.ReadVariables(im); err != nil {
			return in, nil, cli.Usage(fmt.Errorf("%s: %w", f.firmware, err), "")
		}
	}
	if err := f.readMemory(&in); err != nil {
		return in, nil, err
	}
	if err := f.readBoot(&in, stderr); err != nil {
		return in, nil, err
	}
	if in.ACPI, err = f.readACPI(ctx, in.Memory, stderr); err != nil {
		return in, nil, err
	}
	if f.log != "" {
		b, err := cli.ReadInput(f.log, eventlog.MaxSize)
		if err != nil {
			return in, nil, err
		}
		if log, err = eventlog.DecodeCCEL(b); err != nil {
			return in, nil, cli.Usage(fmt.Errorf("%s: %w", f.log, err), "")
		}
	}
	if f.acpiFromLog {
		if log == nil || in.ACPI != nil {
			return in, nil, cli.Usage(errors.New("--acpi-from-log wants --log, and neither --acpi-tables nor --qemu"), "")
		}
		take := in.Digests.ACPIFromLog
		if in.Layout == tdx.Intel {
			take = in.Digests.IntelFromLog
		}
		if err := take(log); err != nil {
			return in, nil, cli.Usage(fmt.Errorf("%s: %w", f.log, err), "")
		}
	}
	return in, log, nil
}

// readMemory reads how much memory the machine has, and where.
func (f *tdxFlags) readMemory(in *tdx.Input) (err error) {
	switch {
	case in.Order == tdvf.TDHOBBug && f.gceMachine == "":
		return cli.Usage(fmt.Errorf("--mrtd-order %v wants --gce-machine: no other machine has this order", in.Order), "")
	case f.memory != "" && f.gceMachine != "":
		return cli.Usage(errors.New("want one of --memory and --gce-machine"), "")
	case f.memory != "":
		in.Memory, err = parseMemory(f.memory)
		return err
	case f.gceMachine == "":
		return nil
	}
	machine, err := tdvf.ParseGCEMachine(f.gceMachine)
	if err != nil {
		return cli.Usage(err, "")
	}
	early := tdvf.EarlyAcceptLow
	if f.acceptAll {
		early = tdvf.EarlyAcceptAll
	}
	if in.HOB, err = tdvf.GCEHOB(in.Firmware, machine, early); err != nil {
		return cli.Usage(err, "")
	}
	return nil
}

// parseLayout reads --rtmr-layout, or looks the firmware up. Without either the
// RTMRs that depend on it are missing.
func (f *tdxFlags) parseLayout(im *ovmf.Image, stderr io.Writer) (tdx.Layout, error) {
	if f.layout != "" {
		l, err := tdx.ParseLayout(f.layout)
		if err != nil {
			return 0, cli.Usage(err, "")
		}
		return l, nil
	}
	if f.memory == "" && f.gceMachine == "" && f.kernel == "" && f.disk == "" && f.uki == "" {
		return 0, nil // no register that depends on it can have a value
	}
	l, ok := tdx.KnownLayout(sha256.Sum256(im.Bytes))
	if !ok {
		cli.Say(stderr, "hint: this firmware is not known: --rtmr-layout says which events it measures")
	}
	return l, nil
}

// readBoot reads what is booted, if anything is said about it.
func (f *tdxFlags) readBoot(in *tdx.Input, stderr io.Writer) error {
	given := 0
	for _, path := range []string{f.kernel, f.disk, f.uki} {
		if path != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return cli.Usage(errors.New("want one of --kernel, --disk and --uki"), "")
	case f.gceMachine != "" && (f.kernel != "" || f.boot == tpm.Kernel.String()):
		return cli.Usage(errors.New("--gce-machine with a kernel from outside: Google Compute Engine boots from disks only"), "")
	case f.boot != "" && f.uki == "":
		return cli.Usage(errors.New("--boot without --uki: a disk is booted by its ESP"), "")
	case f.kernel == "" && (f.initrd != "" || f.cmdline.isGiven()):
		return cli.Usage(errors.New("--initrd or a command line without --kernel"), "")
	case f.kernel != "":
		return f.readDirect(in, stderr)
	case f.disk != "":
		b, err := cli.ReadInput(f.disk, maxDisk)
		if err != nil {
			return err
		}
		in.UKI = &tdx.UKI{Boot: tpm.ESP, Disk: bytes.NewReader(b), DiskSize: int64(len(b))}
	case f.uki != "":
		boot, err := tpm.ParseBoot(f.boot)
		if err != nil {
			return cli.Usage(err, "give --boot esp or --boot kernel")
		}
		b, err := cli.ReadInput(f.uki, maxDisk)
		if err != nil {
			return err
		}
		in.UKI = &tdx.UKI{Boot: boot, Image: b}
	}
	return nil
}

// maxDisk bounds disks and unified kernel images, which are held in memory.
const maxDisk = 1 << 30

func (f *tdxFlags) readDirect(in *tdx.Input, stderr io.Writer) error {
	kernel, err := cli.ReadInput(f.kernel, maxKernel)
	if err != nil {
		return err
	}
	text, remark, err := f.cmdline.read()
	if err != nil {
		return err
	}
	if remark != "" {
		cli.Say(stderr, "hint: %s", remark)
	}
	in.Direct = &tdx.Direct{Kernel: kernel, CommandLine: text, Patched: f.patched, Silent: f.noMeasuring}
	if f.initrd == "" {
		return nil
	}
	h := sha512.New384()
	size, err := hashFile(f.initrd, h)
	if err != nil {
		return err
	}
	sum := [48]byte(h.Sum(nil))
	in.Direct.InitrdSHA384, in.Direct.InitrdSize = &sum, uint64(size)
	return nil
}

// readACPI gives the tables of a folder or of QEMU, nil if neither is named.
func (f *tdxFlags) readACPI(ctx context.Context, memory uint64, stderr io.Writer) (*tdx.ACPI, error) {
	switch {
	case f.vcpus != 0 && f.qemu == "":
		return nil, cli.Usage(errors.New("--vcpus does nothing without --qemu"), "")
	case f.acpiTables != "" && f.qemu != "":
		return nil, cli.Usage(errors.New("want one of --acpi-tables and --qemu"), "")
	case f.acpiTables != "":
		return readACPIFolder(f.acpiTables)
	case f.qemu == "":
		return nil, nil
	}
	args, err := acpi.MachineArgs(f.vcpus, memory, f.qemuArgs...)
	if err != nil {
		return nil, cli.Usage(err, "--qemu wants --vcpus and --memory")
	}
	cli.Say(stderr, "asking %s for the ACPI tables", f.qemu)
	answer, err := askQEMU(ctx, f.qemu, args, f.physBits)
	if err != nil {
		return nil, err
	}
	cli.Say(stderr, "%s", answer.QEMU.Text)
	return &answer.ACPI, nil
}

// askQEMU asks a QEMU for the tables of a machine, whose 64-bit BARs lie where
// OVMF puts them on a CPU with so many physical address bits; 0: it has none.
func askQEMU(ctx context.Context, qemu string, args []string, physBits int) (*acpi.Answer, error) {
	var o acpi.Options
	if physBits != 0 {
		aperture, err := acpi.Aperture(physBits)
		if err != nil {
			return nil, cli.Usage(fmt.Errorf("--phys-bits: %w", err), "")
		}
		o.Aperture = aperture
	}
	return acpi.Read(ctx, qemu, args, o)
}

func readACPIFolder(dir string) (*tdx.ACPI, error) {
	files, err := acpi.ReadFolder(dir)
	if err != nil {
		return nil, cli.Usage(err, "the files are those that QEMU hands to the firmware, not those that a kernel shows")
	}
	return files, nil
}
