package measure

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/measure/nitro"
	"safebox/measure/tpm"
)

func nitroTPMCommand() *cobra.Command {
	f := tpmFlags{boot: tpm.ESP.String()}
	c := &cobra.Command{
		Use:   "nitrotpm (--disk FILE | --uki FILE)",
		Short: "Compute the PCRs of an EC2 instance's NitroTPM that follow from its image",
		Long: `Computes PCR 4, 7, 9, 11 and 12 of an instance that boots a unified kernel
image from its volume, in the SHA-384 bank of its attestation documents. PCR 0
and 1 are AWS's firmware, 5 moves when a volume is resized.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.runNitro(c.OutOrStdout()) },
	}
	c.Flags().StringVar(&f.disk, "disk", "", "disk image, booted from its EFI system partition")
	c.Flags().StringVar(&f.uki, "uki", "", "unified kernel image")
	c.Flags().StringVar(&f.vars, "vars", "", "variable store with the instance's Secure Boot keys; without it there are none")
	c.Flags().BoolVar(&f.trace, "trace", false, "print every event that goes into a register")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}

func (f *tpmFlags) runNitro(stdout io.Writer) error {
	if f.disk != "" {
		f.boot = "" // said by the disk itself
	}
	in, err := f.input()
	if err != nil {
		return err
	}
	list, err := nitro.PredictTPM(in)
	if err != nil {
		return cli.Usage(fmt.Errorf("%s: %w", f.files(), err), "see what safebox inspect says about the file")
	}
	p := &tpm.Prediction{Bank: tpm.SHA384}
	for _, r := range list {
		p.PCRs[r.PCR] = r.Register
	}
	if f.json {
		return cli.WriteJSON(stdout, predictionJSON(p))
	}
	_, err = io.WriteString(stdout, f.text(p))
	return err
}
