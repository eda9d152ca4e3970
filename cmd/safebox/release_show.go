package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/inspect"
	"safebox/image/inspect/logged"
	"safebox/verifier/bundle"
	"safebox/verifier/dsse"
)

func releaseShowCommand() *cobra.Command {
	var keys []string
	var asJSON bool
	c := &cobra.Command{
		Use:   "show FILE [--key KEY.pub]...",
		Short: "Print what a record or a bundle says, and which keys signed it",
		Long: `Prints all that a record or a bundle says: release, source, version, who rebuilt
it and what came out, what the log holds against the release, and whether the
entries are those of the checkpoint. Signatures of records are verified under the
keys that are given with --key. Those of the checkpoint are not, and nothing here
is a verdict: that is safebox verify, with a policy.`,
		Args: cli.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return show(c, args[0], keys, asJSON) },
	}
	c.Flags().StringArrayVar(&keys, "key", nil, "public key of a signer, file or text; may be given several times")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func show(c *cobra.Command, path string, list []string, asJSON bool) error {
	keys, err := publicKeys("--key", list)
	if err != nil {
		return err
	}
	b, err := cli.ReadInput(path, bundle.MaxSize)
	if err != nil {
		return err
	}
	if strings.HasPrefix(string(b[:min(len(b), 1)]), "{") {
		r, err := logged.NewRecord(b, keys)
		if err != nil {
			return cli.Usage(fmt.Errorf("%s: %w", path, err), "give a record or a bundle; safebox inspect knows more kinds of files")
		}
		return printRecord(c.OutOrStdout(), r, asJSON)
	}
	return showBundle(c, path, b, keys, asJSON)
}

func showBundle(c *cobra.Command, path string, b []byte, keys []dsse.PublicKey, asJSON bool) error {
	r, err := logged.NewBundle(b, keys)
	if err != nil {
		return cli.Usage(fmt.Errorf("%s: %w", path, err), "give a record or a bundle; safebox inspect knows more kinds of files")
	}
	if asJSON {
		return cli.WriteJSON(c.OutOrStdout(), r)
	}
	if _, err := fmt.Fprintf(c.OutOrStdout(), "kind %s\nsha256 %s\nrelease %s\n", r.Kind, r.SHA256, r.Release); err != nil {
		return err
	}
	return inspect.WriteItems(c.OutOrStdout(), r.Items())
}
