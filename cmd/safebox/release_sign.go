package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/cmd/internal/keystore"
	"safebox/verifier/canon"
	"safebox/verifier/release/record"
)

func releaseSignCommand() *cobra.Command {
	var f recordFlags
	var from string
	c := &cobra.Command{
		Use:   "sign FILE --key KEY --out FILE [--release DIR]",
		Short: "Add a signature to a record, for a policy that wants several",
		Long: `Adds a signature to a record of any kind and prints what was signed. With
--release the record must be about that release: give the folder that you built
yourself. The record with one more signature is another entry of the log: collect
all signatures before it is appended.`,
		Args: cli.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return f.addSignature(c, args[0], from) },
	}
	c.Flags().StringVar(&f.key, "key", "", "key that signs (safebox key signer)")
	c.Flags().StringVar(&f.out, "out", "", "file for the record with the new signature")
	c.Flags().StringVar(&from, "release", "", "release that the record must be about: folder, release.json or digest")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	f.keys.AddFlags(c)
	return c
}

func (f *recordFlags) addSignature(c *cobra.Command, path, from string) error {
	if f.key == "" || f.out == "" {
		return cli.Usage(errors.New("--key and --out must be given"), "")
	}
	if err := cli.CheckNotInput(f.out, path, f.key, f.keys.PassphraseFile, releasePath(from)); err != nil {
		return err
	}
	entry, r, err := readRecord("FILE", path)
	if err != nil {
		return err
	}
	if from != "" {
		if err := checkAbout(r, path, from); err != nil {
			return err
		}
	}
	signer, err := openKey("--key", f.key, f.keys, keystore.Signer)
	if err != nil {
		return err
	}
	if entry, err = record.AddSignature(entry, signer); err != nil {
		return cli.Failed(fmt.Errorf("%s: %w", path, err), "each key signs a record once: safebox release show says which did")
	}
	return f.put(c, entry, signer)
}

// checkAbout wants a record about the release that is named, and about no other.
func checkAbout(r *record.Record, path, from string) error {
	want, err := releaseDigest("--release", from)
	if err != nil {
		return err
	}
	digests := recordDigests(r)
	if len(digests) != 1 || digests[0] != want {
		return cli.Failed(fmt.Errorf("%s is about another release: got %v, want %s of --release", path, digests, want), "look at it before you sign: safebox release show")
	}
	return nil
}

// recordDigests are the releases that a record is about.
func recordDigests(r *record.Record) []canon.Octets32 {
	switch {
	case r.Release != nil:
		return []canon.Octets32{r.Release.Digest}
	case r.Rebuild != nil:
		return []canon.Octets32{r.Rebuild.Digest}
	case r.Revoke != nil:
		return r.Revoke.Digests
	}
	return nil
}
