package measure

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/measure/eif"
	"safebox/measure/nitro"
)

// nitroFlags are the flags of `measure nitro`.
type nitroFlags struct {
	eif, kernel         string
	cmdline             commandLine
	ramdisks            []string
	signingCert         string
	roleARN, instanceID string
	noRole, debug       bool
	trace, json         bool
	explain             []string
}

func nitroCommand() *cobra.Command {
	var f nitroFlags
	c := &cobra.Command{
		Use:   "nitro (--eif FILE | --kernel FILE --cmdline-file FILE --ramdisk FILE...)",
		Short: "Compute the PCRs of an AWS Nitro enclave",
		Long: `Computes PCR0 to PCR4 and PCR8 of an enclave, from an image or from what one
is made of. PCR3 needs --role-arn or --no-role, PCR4 --instance-id. A signed
image is verified; for an unsigned one --signing-cert gives PCR8.

Registers of a NitroTPM: safebox measure nitrotpm.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			f.cmdline.given = c.Flags().Changed("cmdline")
			return f.run(c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&f.eif, "eif", "", "enclave image file")
	c.Flags().StringVar(&f.kernel, "kernel", "", "kernel")
	c.Flags().StringVar(&f.cmdline.text, "cmdline", "", "kernel command line, exactly")
	c.Flags().StringVar(&f.cmdline.file, "cmdline-file", "", "file with the kernel command line, exactly (nitro-cli drops white space around it)")
	c.Flags().StringArrayVar(&f.ramdisks, "ramdisk", nil, "ramdisk; given once for each, in order")
	c.Flags().StringVar(&f.signingCert, "signing-cert", "", "certificate (PEM) of the key that signs the image")
	c.Flags().StringVar(&f.roleARN, "role-arn", "", "IAM role of the parent instance, for PCR3")
	c.Flags().BoolVar(&f.noRole, "no-role", false, "the parent instance has no IAM role: PCR3 is zero")
	c.Flags().StringVar(&f.instanceID, "instance-id", "", "ID of the parent instance, for PCR4")
	c.Flags().BoolVar(&f.debug, "debug", false, "the enclave is started in debug mode: PCR0, PCR1, PCR2 and PCR8 are zero")
	c.Flags().BoolVar(&f.trace, "trace", false, "print what goes into a register")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	c.Flags().StringArrayVar(&f.explain, "explain", nil, "PCR0=HEX that a document reported: search for what explains it; may be given several times")
	return c
}

func (f *nitroFlags) run(stdout, stderr io.Writer) (err error) {
	in, closeAll, err := f.input(stderr)
	defer func() {
		if closed := closeAll(); err == nil {
			err = closed
		}
	}()
	if err != nil {
		return err
	}
	if len(f.explain) > 0 {
		return f.explainRegisters(stdout, in)
	}
	p, err := nitro.Predict(in)
	if err != nil {
		return cli.Usage(err, "see what safebox inspect says about the image")
	}
	for i, r := range p.PCRs {
		if r.Rule == nitro.Missing {
			cli.Say(stderr, "hint: pcr%d has no value: %s", i, r.Note)
		}
	}
	if f.json {
		return cli.WriteJSON(stdout, newNitroResult(p))
	}
	_, err = io.WriteString(stdout, f.text(p))
	return err
}

// input opens the files, which are read piece by piece. What is returned
// closes them, on errors too.
func (f *nitroFlags) input(stderr io.Writer) (in nitro.Input, closeAll func() error, err error) {
	var files []*os.File
	closeAll = func() error {
		var all []error
		for _, file := range files {
			all = append(all, file.Close())
		}
		return errors.Join(all...)
	}
	open := func(path string) (*os.File, error) {
		file, err := os.Open(path)
		if err != nil {
			return nil, cli.Usage(err, "")
		}
		files = append(files, file)
		return file, nil
	}
	in = nitro.Input{RoleARN: f.roleARN, NoRole: f.noRole, InstanceID: f.instanceID, Debug: f.debug, Sections: f.trace || f.json}
	if f.signingCert != "" {
		pem, err := cli.ReadInput(f.signingCert, 1<<20)
		if err != nil {
			return in, closeAll, err
		}
		if in.Certificate, err = eif.ParseCertificate(pem); err != nil {
			return in, closeAll, cli.Usage(fmt.Errorf("%s: %w", f.signingCert, err), "")
		}
	}
	const hint = "give --eif FILE, or --kernel FILE, a command line and --ramdisk FILE"
	switch parts := f.kernel != "" || f.cmdline.isGiven() || len(f.ramdisks) > 0; {
	case (f.eif != "") == parts:
		return in, closeAll, cli.Usage(errors.New("want either an image or its parts"), hint)
	case parts && (f.kernel == "" || !f.cmdline.isGiven() || len(f.ramdisks) == 0):
		return in, closeAll, cli.Usage(errors.New("want --kernel, --cmdline or --cmdline-file, and --ramdisk: an image has them all"), hint)
	case parts:
		in.Parts, err = f.parts(stderr, open)
		return in, closeAll, err
	}
	in.Image, err = f.image(open)
	return in, closeAll, err
}

func (f *nitroFlags) image(open func(string) (*os.File, error)) (*eif.File, error) {
	file, err := open(f.eif)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, cli.Usage(err, "")
	}
	image, err := eif.Open(file, info.Size())
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("%s: %w", f.eif, err), "")
	}
	return image, nil
}

func (f *nitroFlags) parts(stderr io.Writer, open func(string) (*os.File, error)) (*nitro.Parts, error) {
	kernel, err := open(f.kernel)
	if err != nil {
		return nil, err
	}
	text, remark, err := f.cmdline.read()
	if err != nil {
		return nil, err
	}
	if remark != "" {
		cli.Say(stderr, "hint: %s; nitro-cli drops it", remark)
	}
	parts := &nitro.Parts{Kernel: kernel, CommandLine: []byte(text)}
	for _, path := range f.ramdisks {
		file, err := open(path)
		if err != nil {
			return nil, err
		}
		parts.Ramdisks = append(parts.Ramdisks, file)
	}
	return parts, nil
}

// text is a line for each register, with --trace what goes into it below.
func (f *nitroFlags) text(p *nitro.Prediction) string {
	var b strings.Builder
	for i, r := range p.PCRs {
		if r.Rule == nitro.Missing {
			continue
		}
		fmt.Fprintf(&b, "pcr%d %v\n", i, r.Value)
		if !f.trace {
			continue
		}
		for _, line := range traceNitro(r) {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	return b.String()
}

func traceNitro(r nitro.Register) (lines []string) {
	if r.Event != nil {
		for _, item := range r.Event.Content {
			line := fmt.Sprintf("%s, %d bytes", item.Name, item.Size)
			if item.SHA384 != nil {
				line = item.SHA384.String() + " " + line
			}
			lines = append(lines, line)
		}
		if r.Event.Digest != nil {
			lines = append(lines, r.Event.Digest.String()+" all of it")
		}
	}
	if r.Note != "" {
		lines = append(lines, r.Note)
	}
	return lines
}

// nitroResult is what `measure nitro --json` prints.
type nitroResult struct {
	Platform  string          `json:"platform"`
	Debug     bool            `json:"debug"`
	Registers []nitroRegister `json:"registers"`
}

type nitroRegister struct {
	Name    string      `json:"name"`
	Rule    string      `json:"rule"`
	Value   string      `json:"value"` // empty under the rule missing
	Note    string      `json:"note,omitempty"`
	Content []nitroItem `json:"content,omitempty"`
	Digest  string      `json:"digest,omitempty"` // of the content, which is extended; absent: the content itself is
}

type nitroItem struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA384 string `json:"sha384,omitempty"`
}

func newNitroResult(p *nitro.Prediction) *nitroResult {
	result := &nitroResult{Platform: "nitro", Debug: p.Debug}
	for i, r := range p.PCRs {
		reg := nitroRegister{Name: fmt.Sprintf("pcr%d", i), Rule: r.Rule.String(), Note: r.Note}
		if r.Rule != nitro.Missing {
			reg.Value = r.Value.String()
		}
		if r.Event != nil {
			for _, item := range r.Event.Content {
				entry := nitroItem{Name: item.Name, Size: item.Size}
				if item.SHA384 != nil {
					entry.SHA384 = item.SHA384.String()
				}
				reg.Content = append(reg.Content, entry)
			}
			if r.Event.Digest != nil {
				reg.Digest = r.Event.Digest.String()
			}
		}
		result.Registers = append(result.Registers, reg)
	}
	return result
}
