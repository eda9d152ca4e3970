package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/output"
	"safebox/verifier/bundle"
	"safebox/verifier/release"
)

func releaseCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "release",
		Short: "Pack a release for those who verify",
		RunE:  cli.Group,
	}
	c.AddCommand(releaseBundleCommand())
	return c
}

// jsonBundle is the result of `release bundle --json`.
type jsonBundle struct {
	Release string `json:"release"` // SHA-256 of release.json
	Bundle  string `json:"bundle"`  // SHA-256 of the bundle
}

func releaseBundleCommand() *cobra.Command {
	var from, out string
	var asJSON bool
	c := &cobra.Command{
		Use:   "bundle --release DIR|release.json --out FILE",
		Short: "Write the bundle that safebox verify reads",
		Long: `Packs what a verifier needs to know of a release into one file of exactly one
form. In this version that is release.json alone, without a signature: only a
policy with release = "unsigned" accepts it.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if out == "" {
				return cli.Usage(errors.New("no --out"), "name the file for the bundle")
			}
			file, err := readRelease(releasePath(from))
			if err != nil {
				return err
			}
			if err := cli.CheckNotInput(out, releasePath(from)); err != nil {
				return err
			}
			b, err := bundle.Encode(&bundle.Bundle{Release: file})
			if err != nil {
				return err
			}
			if err := output.File(out, writeBytes(b)); err != nil {
				return err
			}
			r := jsonBundle{fmt.Sprintf("%x", release.Digest(file)), fmt.Sprintf("%x", sha256.Sum256(b))}
			if asJSON {
				return cli.WriteJSON(c.OutOrStdout(), r)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "release %s\nbundle %s\n", r.Release, r.Bundle)
			return err
		},
	}
	c.Flags().StringVar(&from, "release", "", "release folder, or its release.json")
	c.Flags().StringVar(&out, "out", "", "bundle file")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// releasePath is the release.json of a folder, or the file itself.
func releasePath(path string) string {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return filepath.Join(path, release.FileName)
	}
	return path
}
