package main

import (
	"bytes"
	"fmt"
	"slices"
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
is a verdict: that is safebox verify, with a policy.

Exit code 1: a signature or a proof in it does not hold, or a given key has signed
nothing in it.`,
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
	var records []*logged.Record
	var faults []string
	if bytes.HasPrefix(b, []byte("{")) {
		records, faults, err = showRecord(c, b, keys, asJSON)
	} else {
		records, faults, err = showBundle(c, b, keys, asJSON)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, k := range keys {
		if !signed(records, k) {
			faults = append(faults, fmt.Sprintf("key %s has signed nothing in it", k.ID()))
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("%s: %s", path, strings.Join(faults, "; "))
	}
	return nil
}

// signed reports whether a record is signed by the key.
func signed(records []*logged.Record, key dsse.PublicKey) bool {
	return slices.ContainsFunc(records, func(r *logged.Record) bool {
		return slices.ContainsFunc(r.Signatures, func(s logged.Signature) bool { return s.KeyID == key.ID() && s.Valid })
	})
}

const hintShow = "give a record or a bundle; safebox inspect knows more kinds of files"

func showRecord(c *cobra.Command, b []byte, keys []dsse.PublicKey, asJSON bool) ([]*logged.Record, []string, error) {
	r, err := logged.NewRecord(b, keys)
	if err != nil {
		return nil, nil, cli.Usage(err, hintShow)
	}
	return []*logged.Record{r}, r.Faults(), printRecord(c.OutOrStdout(), r, asJSON)
}

func showBundle(c *cobra.Command, b []byte, keys []dsse.PublicKey, asJSON bool) ([]*logged.Record, []string, error) {
	r, err := logged.NewBundle(b, keys)
	if err != nil {
		return nil, nil, cli.Usage(err, hintShow)
	}
	if asJSON {
		return r.Records(), r.Faults(), cli.WriteJSON(c.OutOrStdout(), r)
	}
	if _, err := fmt.Fprintf(c.OutOrStdout(), "kind %s\nsha256 %s\nrelease %s\n", r.Kind, r.SHA256, r.Release); err != nil {
		return nil, nil, err
	}
	return r.Records(), r.Faults(), inspect.WriteItems(c.OutOrStdout(), r.Items())
}
