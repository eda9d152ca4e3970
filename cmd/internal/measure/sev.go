package measure

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/measure/ovmf"
	"safebox/measure/snp"
)

// sevFlags are the flags of `measure snp`, `measure sev` and `measure seves`.
type sevFlags struct {
	technology string // "snp", "sev", "seves"

	firmware, kernel, initrd string
	cmdline                  commandLine
	vcpus                    int
	vcpuType, vcpuSig, vmm   string
	features                 string
	svsm                     string
	varsSize                 string
	ovmfHash, vmsaGPA        string
	unknownAsZero            bool
	trace, json              bool
	explain                  string
	others, releases         []string
	id                       idFlags
}

func snpCommand() *cobra.Command {
	f := sevFlags{technology: "snp"}
	c := &cobra.Command{
		Use:   "snp --firmware FILE --vcpus N (--vcpu-type NAME | --vcpu-sig NUMBER)",
		Short: "Compute the launch digest of an AMD SEV-SNP guest",
		Long: `Computes MEASUREMENT of the attestation report: firmware, kernel hashes and
the initial state of every vCPU, as the VMM hands them to the secure processor.

With --id-key an ID block for that digest is signed and written, with
--author-key its author's signature too.`,
	}
	f.add(c)
	c.Flags().StringVar(&f.features, "guest-features", "0x1", "SEV_FEATURES of the vCPUs: 0x1 SNP, 0x21 with DebugSwap")
	c.Flags().StringVar(&f.svsm, "svsm", "", "SVSM image, loaded below the firmware")
	c.Flags().StringVar(&f.varsSize, "vars-size", "", "with --svsm: bytes of the variable store between SVSM and firmware")
	c.Flags().StringVar(&f.ovmfHash, "ovmf-hash", "", "launch digest after the firmware's pages, in hex; --firmware may then be the image's last pages")
	c.Flags().StringVar(&f.vmsaGPA, "vmsa-gpa", "", "guest physical address of the vCPUs' save areas (default: KVM's 0xfffffffff000)")
	c.Flags().BoolVar(&f.unknownAsZero, "unknown-sections-zero", false, "measure SEV metadata sections of unknown types as zero pages, as QEMU does, instead of refusing them")
	c.Flags().BoolVar(&f.trace, "trace", false, "print every page with its type, its address and the digest after it")
	c.Flags().StringArrayVar(&f.releases, "other-release", nil, "with --explain: release.json of another release to try; may be given several times")
	f.id.add(c)
	return c
}

func sevCommand() *cobra.Command {
	f := sevFlags{technology: "sev"}
	c := &cobra.Command{
		Use:   "sev --firmware FILE",
		Short: "Compute the launch digest of a plain AMD SEV guest",
		Long: `Computes the digest of firmware and kernel hashes. What LAUNCH_MEASURE
returns to an owner is an HMAC over it, keyed for one session.`,
	}
	f.add(c)
	return c
}

func sevesCommand() *cobra.Command {
	f := sevFlags{technology: "seves"}
	c := &cobra.Command{
		Use:   "seves --firmware FILE --vcpus N (--vcpu-type NAME | --vcpu-sig NUMBER)",
		Short: "Compute the launch digest of an AMD SEV-ES guest",
		Long: `Computes the digest of firmware, kernel hashes and the initial state of every
vCPU. What LAUNCH_MEASURE returns to an owner is an HMAC over it, keyed for one
session.`,
	}
	f.add(c)
	c.Flags().StringVar(&f.features, "guest-features", "0x0", "SEV_FEATURES of the vCPUs: 0x20 where KVM sets DebugSwap")
	return c
}

// add adds what the three have in common.
func (f *sevFlags) add(c *cobra.Command) {
	c.Args = cli.NoArgs
	c.RunE = func(c *cobra.Command, _ []string) error {
		f.cmdline.given = c.Flags().Changed("cmdline")
		return f.run(c.OutOrStdout(), c.ErrOrStderr())
	}
	c.Flags().StringVar(&f.firmware, "firmware", "", "firmware image, variables and code in one file (OVMF.fd)")
	c.Flags().StringVar(&f.kernel, "kernel", "", "kernel for direct boot with kernel-hashes=on")
	c.Flags().StringVar(&f.initrd, "initrd", "", "initrd for direct boot")
	c.Flags().StringVar(&f.cmdline.text, "cmdline", "", "kernel command line, exactly")
	c.Flags().StringVar(&f.cmdline.file, "cmdline-file", "", "file with the kernel command line, exactly")
	remark := ""
	if f.technology == "sev" {
		remark = "; plain SEV doesn't measure it"
	}
	c.Flags().IntVar(&f.vcpus, "vcpus", 0, "number of vCPUs"+remark)
	c.Flags().StringVar(&f.vcpuType, "vcpu-type", "", "CPU type as QEMU names it, such as EPYC-Milan"+remark)
	c.Flags().StringVar(&f.vcpuSig, "vcpu-sig", "", "CPU signature (CPUID leaf 1, EAX), such as 0x00a10f11"+remark)
	c.Flags().StringVar(&f.vmm, "vmm", "qemu", "virtual machine monitor: "+names(snp.VMMs()))
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	c.Flags().StringVar(&f.explain, "explain", "", "digest that a machine reported, in hex: search for what explains it")
	c.Flags().StringArrayVar(&f.others, "other-firmware", nil, "with --explain: another image to try; may be given several times")
}

// names lists values in words.
func names[T fmt.Stringer](list []T) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = v.String()
	}
	return strings.Join(words, ", ")
}

func (f *sevFlags) run(stdout, stderr io.Writer) error {
	l, err := f.launch(stderr)
	if err != nil {
		return err
	}
	if f.explain != "" {
		return f.explainDigest(stdout, l)
	}
	var pages []snp.Page
	if f.trace {
		l.Trace = func(p snp.Page) { pages = append(pages, p) }
	}
	digest, err := f.digest(l)
	if err != nil {
		return cli.Usage(fmt.Errorf("%s: %w", f.firmware, err), "")
	}
	result := newSEVResult(f.technology, l, digest, pages)
	if f.technology == "snp" {
		if result.ID, err = f.id.run(snp.Digest(digest), f.inputs()...); err != nil {
			return err
		}
	}
	if f.json {
		return cli.WriteJSON(stdout, result)
	}
	_, err = io.WriteString(stdout, result.text())
	return err
}

// inputs are the files that are read.
func (f *sevFlags) inputs() []string {
	return []string{f.firmware, f.kernel, f.initrd, f.cmdline.file, f.svsm}
}

// digest measures as the technology does: 48 bytes for SNP, 32 for the others.
func (f *sevFlags) digest(l snp.Launch) ([]byte, error) {
	switch f.technology {
	case "sev":
		d, err := snp.MeasureSEV(l)
		return d[:], err
	case "seves":
		d, err := snp.MeasureSEVES(l)
		return d[:], err
	default:
		d, err := snp.Measure(l)
		return d[:], err
	}
}

// launch reads the files and numbers.
func (f *sevFlags) launch(stderr io.Writer) (snp.Launch, error) {
	var l snp.Launch
	var err error
	if l.VMM, err = snp.ParseVMM(f.vmm); err != nil {
		return l, cli.Usage(err, "")
	}
	if f.technology != "sev" {
		if l.VCPUs, l.CPU, err = f.processors(); err != nil {
			return l, err
		}
		if l.Features, err = parseNumber("--guest-features", f.features, 64); err != nil {
			return l, err
		}
	}
	if f.vmsaGPA != "" {
		if l.VMSAGPA, err = parseNumber("--vmsa-gpa", f.vmsaGPA, 64); err != nil {
			return l, err
		}
	}
	l.UnknownAsZero = f.unknownAsZero
	if l.Firmware, l.SVSM, err = f.images(stderr); err != nil {
		return l, err
	}
	if l.Kernel, err = f.hashes(stderr); err != nil {
		return l, err
	}
	if l.Kernel != nil && f.technology == "snp" && !inKernelHashes(l.Firmware) {
		cli.Say(stderr, "hint: the firmware looks for its kernel hashes outside the page in which they are measured: it would not find them")
	}
	return l, nil
}

// inKernelHashes tells whether the table that the firmware reads lies in the
// section that the monitor fills. The monitor doesn't look.
func inKernelHashes(fw snp.Firmware) bool {
	for _, s := range fw.Sections {
		if s.Type == ovmf.KernelHashes && fw.HashTable != nil && fw.HashTable.GPA-s.GPA < s.Size && fw.HashTable.GPA >= s.GPA {
			return true
		}
	}
	return false
}

// processors reads their number and type.
func (f *sevFlags) processors() (vcpus int, signature uint32, err error) {
	const hint = "give --vcpus N, and --vcpu-type NAME or --vcpu-sig NUMBER"
	if f.vcpus < 1 || f.vcpus > snp.MaxVCPUs {
		return 0, 0, cli.Usage(fmt.Errorf("--vcpus: got %d, want 1 to %d", f.vcpus, snp.MaxVCPUs), hint)
	}
	switch {
	case f.vcpuType != "" && f.vcpuSig != "":
		return 0, 0, cli.Usage(errors.New("want one of --vcpu-type and --vcpu-sig"), hint)
	case f.vcpuType != "":
		signature, err = snp.ParseCPU(f.vcpuType)
		if err != nil {
			err = cli.Usage(err, "")
		}
		return f.vcpus, signature, err
	case f.vcpuSig != "":
		n, err := parseNumber("--vcpu-sig", f.vcpuSig, 32)
		return f.vcpus, uint32(n), err
	}
	if vmm, err := snp.ParseVMM(f.vmm); err == nil {
		if p, ok := vmm.Profile(); ok && p.RDX != snp.RDXSignature {
			return f.vcpus, 0, nil // this monitor's guests don't see it
		}
	}
	return 0, 0, cli.Usage(errors.New("neither --vcpu-type nor --vcpu-sig"), hint)
}

// images reads firmware and SVSM. Where other input stands for pages of the
// firmware, a part of it will do.
func (f *sevFlags) images(stderr io.Writer) (snp.Firmware, *snp.SVSM, error) {
	flash := f.technology != "snp" // may be two devices, of which the code alone is measured
	im, err := readFirmware(f.firmware, flash || f.ovmfHash != "" || f.svsm != "")
	if err != nil {
		return snp.Firmware{}, nil, err
	}
	if flash && im.CheckUnified() != nil {
		cli.Say(stderr, "hint: %s is a part of an image: right for a guest that starts from two flash devices", f.firmware)
	}
	fw := snp.NewFirmware(im)
	if f.ovmfHash != "" {
		seed, err := parseHex("--ovmf-hash", f.ovmfHash, 48)
		if err != nil {
			return snp.Firmware{}, nil, err
		}
		fw.Pages, fw.Seed = nil, (*snp.Digest)(seed)
	}
	if f.svsm == "" {
		if f.varsSize != "" {
			return snp.Firmware{}, nil, cli.Usage(errors.New("--vars-size without --svsm"), "")
		}
		return fw, nil, nil
	}
	svsm, err := f.readSVSM()
	return fw, svsm, err
}

func (f *sevFlags) readSVSM() (*snp.SVSM, error) {
	vars, err := parseNumber("--vars-size", f.varsSize, 32)
	if err != nil {
		return nil, err
	}
	b, err := cli.ReadInput(f.svsm, ovmf.MaxSize)
	if err != nil {
		return nil, err
	}
	im, err := ovmf.Decode(b)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("%s: %w", f.svsm, err), "")
	}
	svsm, err := snp.NewSVSM(im, vars)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("%s: %w", f.svsm, err), "")
	}
	return svsm, nil
}

// hashes are those of kernel, initrd and command line, nil without a kernel.
func (f *sevFlags) hashes(stderr io.Writer) (*snp.KernelHashes, error) {
	if f.kernel == "" {
		if f.initrd != "" || f.cmdline.isGiven() {
			return nil, cli.Usage(errors.New("--initrd or a command line without --kernel"), "")
		}
		return nil, nil
	}
	var k snp.KernelHashes
	text, remark, err := f.cmdline.read()
	if err != nil {
		return nil, err
	}
	if remark != "" {
		cli.Say(stderr, "hint: %s", remark)
	}
	k.CommandLine = snp.HashCommandLine(text)
	if k.Kernel, err = sha256File(f.kernel); err != nil {
		return nil, err
	}
	k.Initrd, err = sha256File(f.initrd)
	return &k, err
}
