package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/host/witness"
	"safebox/verifier/tlog"
)

func witnessCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "witness",
		Short: "Cosign the checkpoints of transparency logs",
		Long: `Cosign the checkpoints of transparency logs (C2SP tlog-witness).

A witness promises that every tree it signed of a log contains the smaller ones
that it signed before. The promise is as good as its state folder: add each log
once, keep the folder on a disk that honours fsync, one folder for one key, and
never put an older copy of it back. Whoever lost it makes a new key.`,
		Args: cobra.ArbitraryArgs,
		RunE: cli.Group,
	}
	c.AddCommand(witnessAddCommand(), witnessServeCommand(), witnessStatusCommand())
	return c
}

func witnessAddCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "add --dir STATE VKEY|@FILE...",
		Short: "Begin to watch logs",
		Long: `Begin to watch logs: make the folder STATE if it is not there, and in it the
first state of each log, that nothing was cosigned yet. A log that has a state
is refused. Do this once in a log's life, by hand, never in a start script: the
first checkpoint that serve then gets is taken as it is.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if dir == "" || len(args) == 0 {
				return cli.Usage(errors.New("want --dir and at least one log key"), "usage: "+c.UseLine())
			}
			keys, err := logKeys(args)
			if err != nil {
				return err
			}
			for _, key := range keys {
				origin, err := witness.Add(dir, key)
				if errors.Is(err, witness.ErrExists) {
					return cli.Failed(err, "it is watched already: see safebox-host witness status --dir "+shellQuote(dir))
				}
				if err != nil {
					return err
				}
				if _, err := fmt.Fprintf(c.OutOrStdout(), "added %s\n", origin); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "state folder (required)")
	return c
}

// logKeys reads the vkeys that arguments give: as text, or @FILE with one a
// line, empty lines and lines that begin with # left out.
func logKeys(args []string) ([]string, error) {
	const limit = 64 << 10
	var keys []string
	for _, arg := range args {
		path, isFile := strings.CutPrefix(arg, "@")
		text := arg
		if isFile {
			b, err := cli.ReadInput(path, limit)
			if err != nil {
				return nil, err
			}
			text = string(b)
		}
		n := len(keys)
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			if _, err := tlog.ParseKey(line); err != nil {
				return nil, cli.Usage(fmt.Errorf("log key: %w", err), "want the text in FILE.pub of safebox key log, or @FILE.pub")
			}
			keys = append(keys, line)
		}
		if len(keys) == n {
			return nil, cli.Usage(fmt.Errorf("%q: no log key in it", arg), "")
		}
	}
	return keys, nil
}
