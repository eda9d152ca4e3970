package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/inspect"
)

func inspectCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Say what is in a file",
		Long: `Recognises a file by its content and prints what is in it:

  what is built      unified kernel images and other PE files, disks (raw, qcow2, VHD,
                     archives for Google), initrds, IGVM files, OVMF
                     firmware, enclave images, release.json, bundles
  event logs         of TPMs and TDX guests, with the values that they replay to
  evidence           SEV-SNP reports, TDX quotes, documents of Nitro enclaves and of
                     NitroTPM, TPM quotes, TPM evidence of Google and Azure,
                     evidence.json; SGX quotes are told from those of a TD
  endorsements       certificates and revocation lists (PEM, DER, hex, base64), Intel's
                     TCB infos and QE identities, collateral bundles, rollback memory
  what is exchanged  challenges, object manifests, receipts
  what is published  release records, rebuild records, revocations, proofs and checkpoints
                     of logs, log policies, public keys of signers, logs and witnesses

Every file is read strictly: an error means that it is damaged or that two
readers could see different things in it.

Nothing is verified: anybody can write what is printed. safebox verify judges
evidence.json, safebox verify quote the evidence of vendors.`,
		Args: cli.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			b, err := cli.ReadInput(args[0], inspect.MaxSize)
			if err != nil {
				return err
			}
			report, err := inspect.Bytes(b)
			if err != nil {
				return cli.Usage(fmt.Errorf("%s: %w", args[0], err), "")
			}
			if asJSON {
				return cli.WriteJSON(c.OutOrStdout(), report)
			}
			return report.WriteText(c.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
