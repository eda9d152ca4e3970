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
		Long: `Recognises a file by its content and prints what is in it: unified kernel
images and other PE files, disks, initrds, OVMF firmware, enclave images, event
logs of TPMs and TDX guests (with the register values that they replay to),
release.json.

Every file is read strictly: an error means that it is damaged or that two
readers could see different things in it.`,
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
