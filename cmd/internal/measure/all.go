package measure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/acpi"
	"safebox/measure/snp"
	"safebox/measure/tdx"
	"safebox/verifier/accept"
	"safebox/verifier/release"
)

// allFlags are the flags of `measure all`.
type allFlags struct {
	release, vcpus  string
	vcpuTypes, vmms []string
	features        []string
	memory          []string
	qemu            string
	qemuArgs        []string
	physBits        int
	check, json     bool
}

func allCommand() *cobra.Command {
	var f allFlags
	c := &cobra.Command{
		Use:   "all --release FILE",
		Short: "List every value that a release may report",
		Long: `Computes from release.json alone what machines of many shapes report: the
accept-set. One "name value" a line; the name is platform, machine and register.

RTMR0 of TDX depends on the ACPI tables of the machine's own QEMU: with --qemu
they are asked for every number of vCPUs and every memory size; without it RTMR0
is left out.

With --check the launches in release.json are computed again from the artifacts
beside it, as the builder did; exit code 1 if they differ.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&f.release, "release", "", "release.json")
	c.Flags().StringVar(&f.vcpus, "vcpus", "1..64", "numbers of vCPUs: N, N..M, or several with commas")
	c.Flags().StringSliceVar(&f.vcpuTypes, "vcpu-type", []string{"EPYC", "EPYC-Milan", "EPYC-Genoa", "EPYC-Turin"}, "SEV-SNP: CPU types as QEMU names them, or signatures")
	c.Flags().StringSliceVar(&f.vmms, "vmm", []string{"qemu"}, "SEV-SNP: virtual machine monitors, of "+names(snp.VMMs()))
	c.Flags().StringSliceVar(&f.features, "guest-features", []string{"0x1"}, "SEV-SNP: SEV_FEATURES of the vCPUs")
	c.Flags().StringSliceVar(&f.memory, "memory", []string{"1G", "2G", "4G", "8G", "16G"}, "TDX: memory sizes")
	c.Flags().StringVar(&f.qemu, "qemu", "", "TDX: QEMU program (10 or newer, unmodified) to ask for the ACPI tables")
	c.Flags().StringArrayVar(&f.qemuArgs, "qemu-arg", nil, "with --qemu: one more argument of the machine, such as a device; may be given several times")
	c.Flags().IntVar(&f.physBits, "phys-bits", 0, "with --qemu: physical address bits that the firmware uses, where a device has a 64-bit BAR")
	c.Flags().BoolVar(&f.check, "check", false, "compute the launches again from the artifacts and compare")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}

// acceptSet is what `measure all` prints.
type acceptSet struct {
	Release  string          `json:"release"` // SHA-256 of release.json
	Machines []acceptedShape `json:"machines"`
}

// acceptedShape is a machine and its registers. Members that don't matter to
// its platform are absent.
type acceptedShape struct {
	Platform     string             `json:"platform"`
	Boot         string             `json:"boot,omitempty"`
	Bank         string             `json:"bank,omitempty"`
	VMM          string             `json:"vmm,omitempty"`
	CPUType      string             `json:"cpu_type,omitempty"`
	CPUSignature string             `json:"cpu_signature,omitempty"`
	Features     string             `json:"guest_features,omitempty"`
	VCPUs        int                `json:"vcpus,omitempty"`
	Memory       uint64             `json:"memory,omitempty"` // bytes
	Registers    []release.Register `json:"registers"`

	name string // its part of a line's name
}

func (f *allFlags) run(ctx context.Context, stdout, stderr io.Writer) error {
	if f.release == "" {
		return cli.Usage(errors.New("--release is missing"), "give the release.json of a release folder")
	}
	b, err := cli.ReadInput(f.release, release.MaxSize)
	if err != nil {
		return err
	}
	r, err := release.Decode(b)
	if err != nil {
		return cli.Usage(fmt.Errorf("%s: %w", f.release, err), "")
	}
	if f.check {
		if err := checkLaunches(r, filepath.Dir(f.release), stderr); err != nil {
			return err
		}
	}
	for _, l := range r.Launches {
		if err := accept.Check(l); err != nil {
			return cli.Failed(fmt.Errorf("%s: %w", f.release, err), "its values contradict one another: accept no machine by it")
		}
	}
	set := &acceptSet{Release: fmt.Sprintf("%x", release.Digest(b)), Machines: []acceptedShape{}}
	for _, add := range []func(context.Context, *release.Release, *acceptSet, io.Writer) error{f.addVTPM, f.addSNP, f.addTDX} {
		if err := add(ctx, r, set, stderr); err != nil {
			return err
		}
	}
	if len(r.Launches) == 0 {
		cli.Say(stderr, "hint: the release has no launches: it was not built with --platform vtpm,snp,tdx")
	}
	if f.json {
		return cli.WriteJSON(stdout, set)
	}
	_, err = io.WriteString(stdout, set.text())
	return err
}

// text is one line a value.
func (s *acceptSet) text() string {
	var b strings.Builder
	for _, m := range s.Machines {
		for _, r := range m.Registers {
			if r.Value != "" {
				fmt.Fprintf(&b, "%s/%s %s\n", m.name, r.Name, r.Value)
			}
		}
	}
	return b.String()
}

// addVTPM adds what is in the release itself: the shape of a machine moves only
// PCR 1, which is not compared.
func (f *allFlags) addVTPM(_ context.Context, r *release.Release, set *acceptSet, _ io.Writer) error {
	for _, m := range r.Measurements {
		set.Machines = append(set.Machines, acceptedShape{
			Platform: m.Platform, Boot: m.Boot, Bank: m.Bank, Registers: m.Registers,
			name: m.Platform + "/" + m.Boot + "/" + m.Bank,
		})
	}
	return nil
}

// addSNP adds a machine for each monitor, CPU type, features and number of
// vCPUs.
func (f *allFlags) addSNP(_ context.Context, r *release.Release, set *acceptSet, _ io.Writer) error {
	launch, ok := r.Launch(release.PlatformSNP)
	if !ok {
		return nil
	}
	vcpus, err := parseCounts("--vcpus", f.vcpus, snp.MaxVCPUs)
	if err != nil {
		return err
	}
	for _, v := range f.vmms {
		vmm, err := snp.ParseVMM(v)
		if err != nil {
			return cli.Usage(err, "")
		}
		for _, name := range f.vcpuTypes {
			signature, err := parseCPU(name)
			if err != nil {
				return err
			}
			for _, text := range f.features {
				features, err := parseNumber("--guest-features", text, 64)
				if err != nil {
					return err
				}
				shape := acceptedShape{
					Platform: release.PlatformSNP, VMM: vmm.String(), CPUType: name,
					CPUSignature: fmt.Sprintf("0x%08x", signature), Features: fmt.Sprintf("%#x", features),
				}
				if err := shape.addDigests(set, launch, accept.SNPMachine{VMM: vmm, CPU: signature, Features: features}, vcpus); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// addDigests adds the shape with each number of vCPUs.
func (shape acceptedShape) addDigests(set *acceptSet, l release.Launch, m accept.SNPMachine, vcpus []int) error {
	digests, err := accept.SNP(l, m, slices.Max(vcpus))
	if err != nil {
		return cli.Usage(err, "")
	}
	for _, n := range vcpus {
		shape.VCPUs = n
		shape.name = fmt.Sprintf("snp/%s/%s/%s/%d", shape.VMM, shape.CPUType, shape.Features, n)
		shape.Registers = []release.Register{{Name: "launch_digest", Rule: release.RuleExact, Value: digests[n-1].String()}}
		set.Machines = append(set.Machines, shape)
	}
	return nil
}

// addTDX adds a machine for each memory size, with --qemu for each number of
// vCPUs too. What no shape changes is said once.
func (f *allFlags) addTDX(ctx context.Context, r *release.Release, set *acceptSet, stderr io.Writer) error {
	launch, ok := r.Launch(release.PlatformTDX)
	if !ok {
		return nil
	}
	common := acceptedShape{Platform: release.PlatformTDX, name: release.PlatformTDX}
	for _, reg := range launch.TDX.Registers {
		if reg.Rule != release.RuleShape {
			common.Registers = append(common.Registers, reg)
		}
	}
	set.Machines = append(set.Machines, common)
	if f.qemu == "" {
		cli.Say(stderr, "hint: rtmr0 of TDX is left out: it needs the ACPI tables of the machine's QEMU, --qemu FILE")
		return nil
	}
	vcpus, err := parseCounts("--vcpus", f.vcpus, 4096)
	if err != nil {
		return err
	}
	for _, text := range f.memory {
		memory, err := parseMemory(text)
		if err != nil {
			return err
		}
		for _, n := range vcpus {
			cli.Say(stderr, "asking %s for the ACPI tables of %d vCPUs and %s", f.qemu, n, text)
			shape, err := f.tdxShape(ctx, launch, memory, n)
			if err != nil {
				return err
			}
			shape.name = fmt.Sprintf("tdx/%s/%d", text, n)
			set.Machines = append(set.Machines, *shape)
		}
	}
	return nil
}

func (f *allFlags) tdxShape(ctx context.Context, l release.Launch, memory uint64, vcpus int) (*acceptedShape, error) {
	args, err := acpi.MachineArgs(vcpus, memory, f.qemuArgs...)
	if err != nil {
		return nil, cli.Usage(err, "")
	}
	answer, err := askQEMU(ctx, f.qemu, args, f.physBits)
	if err != nil {
		return nil, err
	}
	p, err := accept.TDX(l, accept.TDXMachine{Memory: memory, ACPI: &answer.ACPI})
	if err != nil {
		return nil, cli.Usage(err, "")
	}
	rtmr0 := p.Registers[tdx.RTMR0]
	if rtmr0.Value == nil {
		return nil, fmt.Errorf("rtmr0: %s", rtmr0.Missing)
	}
	return &acceptedShape{
		Platform: release.PlatformTDX, VMM: answer.QEMU.Text, VCPUs: vcpus, Memory: memory,
		Registers: []release.Register{{Name: rtmr0.Name, Rule: release.RuleShape, Value: rtmr0.Value.String()}},
	}, nil
}

// parseCPU reads a CPU type's name or a signature.
func parseCPU(text string) (uint32, error) {
	if strings.HasPrefix(text, "0x") {
		n, err := parseNumber("--vcpu-type", text, 32)
		return uint32(n), err
	}
	signature, err := snp.ParseCPU(text)
	if err != nil {
		return 0, cli.Usage(err, "")
	}
	return signature, nil
}

// parseCounts reads "4", "1..64" or several of them with commas, in ascending
// order.
func parseCounts(flag, text string, limit int) ([]int, error) {
	var list []int
	for part := range strings.SplitSeq(text, ",") {
		from, to, ranged := strings.Cut(part, "..")
		if !ranged {
			to = from
		}
		a, err1 := strconv.Atoi(from)
		b, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || a < 1 || b < a || b > limit {
			return nil, cli.Usage(fmt.Errorf("%s: got %q, want numbers from 1 to %d such as 4, 1..64 or 1,2,4", flag, text, limit), "")
		}
		for n := a; n <= b; n++ {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}
