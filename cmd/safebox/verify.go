package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/output"
	"safebox/verifier"
)

// verifyFlags are the flags of `verify`.
type verifyFlags struct {
	evidence evidenceFlags
	writePin string
	output   outputFlags
}

func verifyCommand() *cobra.Command {
	var f verifyFlags
	c := &cobra.Command{
		Use:   "verify --evidence FILE --bundle FILE --policy FILE --challenge FILE",
		Short: "Decide offline whether a machine may be trusted",
		Long: `Checks the evidence of a machine against the release that should run, your
challenge and your policy, and prints every check with what it found. Nothing
but the files, the clock (or --at) and this program decides: no network is used.

Unless the policy says release = "unsigned", the bundle must prove that the release
was published: signed, rebuilt by others, in a witnessed log, revoked by nobody.

On SEV-SNP and TDX the vendors' certificates and revocation lists are needed:
machine or bundle may bring them, or --collateral names them. --memory keeps the
newest numbers and times and the log's tree that were seen, so that old documents
and a log that forks are noticed.

On a machine with a TPM alone the attestation key must be shown to live in a TPM: by the answer to a
challenge that was made with --enroll, or by the pin (--ak) that --write-ak
wrote at such a verification.

Exit code 0: every check passed. 1: refused; the last line names the checks.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.OutOrStdout()) },
	}
	f.evidence.add(c)
	c.Flags().StringVar(&f.writePin, "write-ak", "", "write a pin of the attestation key, after an activation")
	f.output.add(c)
	c.AddCommand(verifyQuoteCommand())
	return c
}

func (f *verifyFlags) run(stdout io.Writer) error {
	inputs, err := f.evidence.inputs()
	if err != nil {
		return err
	}
	if err := checkOutputs([]string{f.writePin, f.output.html, f.evidence.vendor.memory}, inputs...); err != nil {
		return err
	}
	in, err := f.evidence.read(true)
	if err != nil {
		return err
	}
	r := verifier.Verify(in)
	if err := f.evidence.vendor.remember(r); err != nil { // r has no memory of a refusal
		return err
	}
	if err := f.output.print(stdout, r); err != nil {
		return err
	}
	if !r.Verdict.OK || r.Claims == nil {
		return refused(r.Verdict)
	}
	if f.writePin == "" {
		return nil
	}
	if r.Pin == nil {
		return cli.Failed(fmt.Errorf("--write-ak %s: no activation to make a pin from", f.writePin),
			"make the challenge with safebox challenge --enroll")
	}
	return output.File(f.writePin, writeBytes(r.Pin))
}
