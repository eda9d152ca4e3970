package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/compare"
	"safebox/image/inspect"
)

// errDifferent is the answer no. The differences are the result.
var errDifferent = errors.New("different")

func diffCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "Name the first difference between two releases, images or files",
		Long: `Compares two release folders or two files and names what differs: the archive
entry, PE section, partition table field or file, not just the byte. B is the
reference: what is read in A comes first, what B has after "want". Of folders,
each file that differs is named once, causes before consequences; of event logs,
the first event that differs in each register.

Exit code 0: equal; 1: different; 2: not readable.`,
		Args: cli.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			list, err := differences(args[0], args[1])
			if err != nil {
				return err
			}
			if asJSON {
				if err := cli.WriteJSON(c.OutOrStdout(), differencesJSON(list)); err != nil {
					return err
				}
			} else {
				for _, d := range list {
					if _, err := fmt.Fprintln(c.OutOrStdout(), d); err != nil {
						return err
					}
				}
			}
			if len(list) > 0 {
				return fmt.Errorf("%s and %s: %w", args[0], args[1], errDifferent)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func differences(a, b string) ([]compare.Difference, error) {
	dirs := 0
	for _, path := range []string{a, b} {
		st, err := os.Stat(path)
		if err != nil {
			return nil, cli.Usage(err, "")
		}
		if st.IsDir() {
			dirs++
		}
	}
	switch dirs {
	case 1:
		return nil, cli.Usage(fmt.Errorf("%s and %s: one is a folder, the other is not", a, b), "give two release folders or two files")
	case 2:
		list, err := compare.Folders(os.DirFS(a), os.DirFS(b))
		if err != nil {
			return nil, cli.Usage(err, "")
		}
		return list, nil
	}
	one, err := cli.ReadInput(a, inspect.MaxSize)
	if err != nil {
		return nil, err
	}
	two, err := cli.ReadInput(b, inspect.MaxSize)
	if err != nil {
		return nil, err
	}
	list, err := compare.All(a, one, two)
	if err != nil {
		return nil, cli.Usage(err, "")
	}
	return list, nil
}

// jsonDifference is one element of `diff --json`.
type jsonDifference struct {
	Path []string `json:"path"` // file, then what is inside what
	What string   `json:"what"`
	Got  string   `json:"got"`
	Want string   `json:"want"`
	Note string   `json:"note"`
}

func differencesJSON(list []compare.Difference) []jsonDifference {
	out := make([]jsonDifference, 0, len(list))
	for _, d := range list {
		out = append(out, jsonDifference{Path: d.Path, What: d.What, Got: d.A, Want: d.B, Note: d.Note})
	}
	return out
}
