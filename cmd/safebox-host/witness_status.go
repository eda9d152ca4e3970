package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/host/witness"
)

func witnessStatusCommand() *cobra.Command {
	var dir string
	var asJSON bool
	c := &cobra.Command{
		Use:   "status --dir STATE",
		Short: "Print what a witness holds of its logs",
		Long: `Print what a witness holds of its logs: size and root of the latest tree that it
cosigned, when, and how many files of evidence there are: of forks, and of
checkpoints whose proof was wrong. Exit status 1: a fork, or a damaged state.

--json prints {"logs":[...]}, each with the keys origin, size, root (base64),
time (Unix seconds, 0: nothing cosigned yet), forks, inconsistent.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if dir == "" {
				return cli.Usage(errors.New("--dir is missing"), "")
			}
			list, err := witness.List(dir)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(c.OutOrStdout(), wireStatus(list))
			} else {
				err = printStatus(c.OutOrStdout(), list)
			}
			if err != nil {
				return err
			}
			return forks(dir, list)
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "state folder (required)")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// forks makes the exit status tell of a fork, for whoever watches the witness.
func forks(dir string, list []witness.Status) error {
	for _, s := range list {
		if s.Forks > 0 {
			return cli.Failed(fmt.Errorf("log %q forked", s.Origin),
				"its operator signed two trees of one size: publish the files of "+dir+"/evidence")
		}
	}
	return nil
}

type statusList struct {
	Logs []logStatus `json:"logs"`
}

type logStatus struct {
	Origin       string `json:"origin"`
	Size         int64  `json:"size"`
	Root         string `json:"root"`
	Time         int64  `json:"time"`
	Forks        int    `json:"forks"`
	Inconsistent int    `json:"inconsistent"`
}

func wireStatus(list []witness.Status) statusList {
	l := statusList{Logs: []logStatus{}} // never null
	for _, s := range list {
		l.Logs = append(l.Logs, logStatus{
			s.Origin, s.Size, base64.StdEncoding.EncodeToString(s.Root[:]), s.Time, s.Forks, s.Inconsistent,
		})
	}
	return l
}

func printStatus(w io.Writer, list []witness.Status) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ORIGIN\tSIZE\tROOT\tTIME\tFORKS\tINCONSISTENT") //nolint:errcheck // Flush tells
	for _, s := range wireStatus(list).Logs {
		at := "-"
		if s.Time != 0 {
			at = time.Unix(s.Time, 0).UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%d\t%d\n", s.Origin, s.Size, s.Root, at, s.Forks, s.Inconsistent) //nolint:errcheck // Flush tells
	}
	return t.Flush()
}
