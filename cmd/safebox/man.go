package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"safebox/cmd/internal/cli"
)

func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages of all commands into a folder",
		Long: `Writes one page in man(7) format for each command. SOURCE_DATE_EPOCH sets their
date, today by default.`,
		Args: cli.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := os.Mkdir(args[0], 0o755); err != nil && !errors.Is(err, os.ErrExist) {
				return fmt.Errorf("writing manual pages: %w", err)
			}
			root := c.Root()
			root.DisableAutoGenTag = true
			header := &doc.GenManHeader{Section: "1", Source: "safebox", Manual: "Safebox"}
			return doc.GenManTree(root, header, args[0])
		},
	}
}
