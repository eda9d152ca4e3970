package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/verifier"
	"safebox/verifier/evidence"
	"safebox/verifier/policy"
	"safebox/verifier/transcript"
)

// quoteFlags are the flags of `verify quote`.
type quoteFlags struct {
	platform, in, policy, data string
	vendor                     vendorFlags
	output                     outputFlags
}

func verifyQuoteCommand() *cobra.Command {
	var f quoteFlags
	c := &cobra.Command{
		Use:   "quote --platform snp|tdx|nitro|nitrotpm|vtpm --in FILE --policy FILE --at RFC3339",
		Short: "Verify raw evidence of a vendor's hardware, without a challenge and a release",
		Long: `Checks a report, a quote, a document or a TPM's evidence alone: the vendor's
signatures, its platform's security version, and what the policy says of the guest.

  snp       ATTESTATION_REPORT of SEV-SNP, 1184 bytes
  tdx       quote of a TD, version 4 or 5
  nitro     attestation document of an enclave, COSE_Sign1
  nitrotpm  attestation document of a NitroTPM, COSE_Sign1
  vtpm      go-tpm-tools' attestation, or JSON evidence of an Azure or a plain TPM

Nobody asked the machine anything: a policy that wants the hash of a challenge's
transcript, or values of a release, refuses unless --data gives what the evidence
must carry and the policy lists the values itself.

Exit code 0: every check passed. 1: refused; the last line names the checks.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.OutOrStdout()) },
	}
	c.Flags().StringVar(&f.platform, "platform", "", "snp, tdx, nitro, nitrotpm or vtpm")
	c.Flags().StringVar(&f.in, "in", "", "the evidence")
	c.Flags().StringVar(&f.policy, "policy", "", "policy, TOML")
	c.Flags().StringVar(&f.data, "data", "", "hex that the evidence must carry, where the policy wants the transcript's hash")
	f.vendor.add(c)
	f.output.add(c)
	return c
}

func (f *quoteFlags) run(stdout io.Writer) error {
	files, err := f.vendor.files()
	if err != nil {
		return err
	}
	if err := checkOutputs([]string{f.output.html, f.vendor.memory}, append(files, f.in, f.policy)...); err != nil {
		return err
	}
	in, err := f.read()
	if err != nil {
		return err
	}
	r := verifier.VerifyRaw(in)
	if err := f.vendor.remember(r); err != nil { // r has no memory of a refusal
		return err
	}
	if err := f.output.print(stdout, r); err != nil {
		return err
	}
	if !r.Verdict.OK {
		return refused(r.Verdict)
	}
	return nil
}

func (f *quoteFlags) read() (verifier.RawInput, error) {
	in := verifier.RawInput{Platform: f.platform}
	if !slices.Contains(transcript.Platforms(), f.platform) {
		return in, cli.Usage(fmt.Errorf("--platform: got %q, want one of %s", f.platform, strings.Join(transcript.Platforms(), ", ")), "")
	}
	if f.in == "" || f.policy == "" {
		return in, cli.Usage(errors.New("--in and --policy must be given"), "safebox policy init writes a policy")
	}
	var err error
	if f.data != "" {
		if in.Data, err = hex.DecodeString(f.data); err != nil {
			return in, cli.Usage(fmt.Errorf("--data: %w", err), "write hex: 64 bytes for snp, tdx, nitro and nitrotpm, the quote's extra data for vtpm")
		}
	}
	if in.At, err = f.vendor.time(); err != nil {
		return in, err
	}
	if in.Evidence, err = readStart(f.in, evidence.MaxSize+1); err != nil {
		return in, err
	}
	if in.Policy, err = readStart(f.policy, policy.MaxSize+1); err != nil {
		return in, err
	}
	in.Vendor, err = f.vendor.read()
	return in, err
}
