package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/output"
	"safebox/verifier"
)

// verifyFlags are the flags of `verify`.
type verifyFlags struct {
	evidence evidenceFlags
	writePin string
	json     bool
}

func verifyCommand() *cobra.Command {
	var f verifyFlags
	c := &cobra.Command{
		Use:   "verify --evidence FILE --bundle FILE --policy FILE --challenge FILE",
		Short: "Decide offline whether a machine may be trusted",
		Long: `Checks the evidence of a machine against the release that should run, your
challenge and your policy, and prints every check with what it found. Nothing
but the files, the clock (or --at) and this program decides: no network is used.

The attestation key must be shown to live in a TPM: by the answer to a
challenge that was made with --enroll, or by the pin (--ak) that --write-ak
wrote at such a verification.

Exit code 0: every check passed. 1: refused; the last line names the checks.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.OutOrStdout()) },
	}
	f.evidence.add(c)
	c.Flags().StringVar(&f.writePin, "write-ak", "", "write a pin of the attestation key, after an activation")
	c.Flags().BoolVar(&f.json, "json", false, "print the verdict as JSON")
	return c
}

func (f *verifyFlags) run(stdout io.Writer) error {
	if err := cli.CheckNotInput(f.writePin, f.evidence.evidence, f.evidence.bundle, f.evidence.policy,
		f.evidence.challenge, f.evidence.challenge+secretSuffix); err != nil {
		return err
	}
	in, err := f.evidence.read(true)
	if err != nil {
		return err
	}
	r := verifier.Verify(in)
	text := []byte(r.Verdict.Text())
	if f.json {
		if text, err = r.Verdict.Encode(); err != nil {
			return err
		}
	}
	if _, err := stdout.Write(text); err != nil {
		return err
	}
	if !r.Verdict.OK || r.Claims == nil {
		var ids []string
		for _, c := range r.Verdict.Failed() {
			ids = append(ids, c.ID)
		}
		return cli.Failed(fmt.Errorf("refused: %d checks failed: %s", len(ids), strings.Join(ids, " ")), "")
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
