package measure

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/measure/igvm"
	"safebox/measure/snp"
)

// igvmFlags are the flags of `measure igvm`.
type igvmFlags struct {
	file, platform              string
	zero, shared, insert, large string
	qemu, trace, json           bool
}

// igvmChoices are the values of the flags on which loaders differ, what the
// format says first. The order is that of the constants of package igvm.
func igvmChoices() (zero, shared, insert, large []string) {
	return []string{"normal", "native"}, []string{"skipped", "measured"}, []string{"all", "first"}, []string{"refused", "split"}
}

func igvmCommand() *cobra.Command {
	var f igvmFlags
	c := &cobra.Command{
		Use:   "igvm --file FILE [--platform snp|tdx]",
		Short: "Compute what a platform measures of an IGVM file",
		Long: `Computes the launch digest of SEV-SNP, or MRTD of TDX, of a guest that is
loaded from an IGVM file.

Loaders differ in what they make of a file; without flags it is what the format
says. --qemu is what QEMU 10.1 does with SEV-SNP: the same as --shared measured
--large split, and it refuses a file that KVM would measure in another order.

If the file has an ID block, its signatures and its launch digest must be right.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.OutOrStdout()) },
	}
	zero, shared, insert, large := igvmChoices()
	c.Flags().StringVar(&f.file, "file", "", "IGVM file")
	c.Flags().StringVar(&f.platform, "platform", "snp", "platform of the file: snp or tdx")
	c.Flags().StringVar(&f.zero, "zero-pages", zero[0], "a page without data is measured as a "+strings.Join(zero, " or a ")+" page")
	c.Flags().StringVar(&f.shared, "shared", shared[0], "pages shared with the host are "+strings.Join(shared, " or "))
	c.Flags().StringVar(&f.insert, "insert", insert[0], "pages of a parameter area that are measured: "+strings.Join(insert, " or "))
	c.Flags().StringVar(&f.large, "large", large[0], "pages of 2 MiB are "+strings.Join(large, " or "))
	c.Flags().BoolVar(&f.qemu, "qemu", false, "as QEMU 10.1 does")
	c.Flags().BoolVar(&f.trace, "trace", false, "snp: print every page with its type, its address and the digest after it")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}

// igvmResult is what `measure igvm` prints.
type igvmResult struct {
	Platform     string       `json:"platform"`
	LaunchDigest string       `json:"launch_digest,omitempty"`
	MRTD         string       `json:"mrtd,omitempty"`
	ID           *idResult    `json:"id_block,omitempty"`
	Pages        []pageResult `json:"pages,omitempty"`
}

func (f *igvmFlags) run(stdout io.Writer) error {
	o, err := f.options()
	if err != nil {
		return err
	}
	if f.file == "" {
		return cli.Usage(errors.New("--file is missing"), "")
	}
	b, err := cli.ReadInput(f.file, igvm.MaxSize)
	if err != nil {
		return err
	}
	file, err := igvm.Decode(b)
	if err != nil {
		return cli.Usage(fmt.Errorf("%s: %w", f.file, err), "")
	}
	r := &igvmResult{Platform: f.platform}
	if f.platform == "tdx" {
		digest, err := igvm.MeasureTDX(file, o)
		if err != nil {
			return cli.Usage(fmt.Errorf("%s: %w", f.file, err), "see what safebox inspect says about the file")
		}
		r.MRTD = digest.String()
	} else if err := f.snp(r, file, o); err != nil {
		return err
	}
	if f.json {
		return cli.WriteJSON(stdout, r)
	}
	_, err = io.WriteString(stdout, r.text())
	return err
}

// snp measures for SEV-SNP and checks the ID block.
func (f *igvmFlags) snp(r *igvmResult, file *igvm.File, o igvm.Options) error {
	if f.trace {
		o.Trace = func(p snp.Page) {
			r.Pages = append(r.Pages, pageResult{p.Type.String(), fmt.Sprintf("%#x", p.GPA), p.Origin, p.LD.String()})
		}
	}
	digest, err := igvm.MeasureSNP(file, o)
	if err != nil {
		return cli.Usage(fmt.Errorf("%s: %w", f.file, err), "see what safebox inspect says about the file")
	}
	r.LaunchDigest = digest.String()
	if !slices.ContainsFunc(file.Structures, func(s igvm.Structure) bool { return s.Type == igvm.SNPIDBlockType }) {
		return nil
	}
	block, policy, err := file.OpenIDBlock()
	if err != nil {
		return cli.Failed(fmt.Errorf("%s: ID block: %w", f.file, err), "the file was changed after it was signed")
	}
	if block.LaunchDigest != digest {
		return cli.Failed(fmt.Errorf("%s: ID block: launch digest: got %v, want %v", f.file, block.LaunchDigest, digest),
			"the secure processor refuses to launch this guest, unless the loader differs: see --zero-pages, --shared, --insert, --large")
	}
	r.ID = newIDResult(block.Block(policy), &block.Auth)
	return nil
}

// options reads the choices.
func (f *igvmFlags) options() (o igvm.Options, err error) {
	if f.platform != "snp" && f.platform != "tdx" {
		return o, cli.Usage(fmt.Errorf("--platform: got %q, want snp or tdx", f.platform), "")
	}
	if f.platform == "tdx" && (f.qemu || f.trace) {
		return o, cli.Usage(errors.New("--qemu and --trace are for platform snp"), "")
	}
	var zero, shared, insert, large int
	z, s, i, l := igvmChoices()
	for _, c := range []struct {
		flag, text string
		from       []string
		to         *int
	}{{"--zero-pages", f.zero, z, &zero}, {"--shared", f.shared, s, &shared}, {"--insert", f.insert, i, &insert}, {"--large", f.large, l, &large}} {
		if *c.to = slices.Index(c.from, c.text); *c.to < 0 {
			return o, cli.Usage(fmt.Errorf("%s: got %q, want %s", c.flag, c.text, strings.Join(c.from, " or ")), "")
		}
		if f.qemu && *c.to != 0 {
			return o, cli.Usage(fmt.Errorf("want one of --qemu and %s %s", c.flag, c.text), "")
		}
	}
	if f.qemu {
		return igvm.QEMU(), nil
	}
	return igvm.Options{
		Zero: igvm.ZeroPages(zero), Shared: igvm.SharedPages(shared), Insert: igvm.InsertedPages(insert), Large: igvm.LargePages(large),
	}, nil
}

// text is one line a page, if they were asked for, then the digest.
func (r *igvmResult) text() string {
	var b strings.Builder
	for _, p := range r.Pages {
		fmt.Fprintf(&b, "page %s %s %s %s\n", p.Type, p.GPA, p.LaunchDigest, p.Origin)
	}
	if r.MRTD != "" {
		fmt.Fprintf(&b, "mrtd %s\n", r.MRTD)
		return b.String()
	}
	fmt.Fprintf(&b, "launch_digest %s\n", r.LaunchDigest)
	if r.ID != nil {
		b.WriteString(r.ID.text())
	}
	return b.String()
}
