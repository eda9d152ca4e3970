package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/cmd/internal/keystore"
	hosttlog "safebox/host/tlog"
	"safebox/verifier/tlog"
)

func logCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "log",
		Short: "Run a transparency log of releases, or append to one",
		Long: `Run a transparency log of releases, or append to one (C2SP tlog-tiles).

The log's folder is the log: any static file server can serve it. Nobody has to
trust it; proofs and witnesses' cosignatures are what counts. Keep the folder on
a disk that honours fsync (ext4, XFS), and never put an older copy of it back:
the log would sign a second tree.`,
		Args: cobra.ArbitraryArgs,
		RunE: cli.Group,
	}
	c.AddCommand(logCreateCommand(), logServeCommand(), logAppendCommand())
	return c
}

func logCreateCommand() *cobra.Command {
	var dir, key string
	var store keystore.Options
	c := &cobra.Command{
		Use:   "create --dir DIR --key FILE",
		Short: "Make the folder of a new log",
		Long: `Make the folder of a new log, with the signed checkpoint of the empty tree. Do
this once in a key's life, by hand, never in a start script: a log that begins
anew under the same key has signed two trees.`,
		Args: cli.NoArgs,
	}
	c.Flags().StringVar(&dir, "dir", "", "folder to make (required)")
	c.Flags().StringVar(&key, "key", "", "key file of safebox key log (required)")
	store.AddFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if dir == "" || key == "" {
			return cli.Usage(errors.New("want --dir and --key"), "usage: "+c.UseLine())
		}
		signer, err := logSigner(key, store)
		if err != nil {
			return err
		}
		if err := hosttlog.Create(dir, signer); err != nil {
			if errors.Is(err, hosttlog.ErrExists) {
				return cli.Failed(err, "serve it: safebox-host log serve --dir "+shellQuote(dir))
			}
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "created %s\n", signer.Key())
		return err
	}
	return c
}

// logSigner reads a log's key.
func logSigner(path string, o keystore.Options) (*tlog.LogSigner, error) {
	skey, err := keystore.NoteKey(path, o)
	if err != nil {
		return nil, err
	}
	s, err := tlog.NewLogSigner(skey)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("reading %s: %w", path, err), "want a key of safebox key log")
	}
	return s, nil
}

// maxPolicy bounds a policy file, in bytes: 64 ML-DSA-44 keys need 120 KB.
const maxPolicy = 256 << 10

func readLogPolicy(path string) (*tlog.Policy, error) {
	b, err := cli.ReadInput(path, maxPolicy)
	if err != nil {
		return nil, err
	}
	p, err := tlog.ParsePolicy(b)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("reading %s: %w", path, err), "want a C2SP tlog-policy: lines that begin with log, witness, group or quorum")
	}
	return p, nil
}
