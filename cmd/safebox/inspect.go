package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

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
images and other PE files, disks, initrds, TCG2 event logs (with the register
values that they replay to), release.json.

Every file is read strictly: an error means that it is damaged or that two
readers could see different things in it.`,
		Args: cli.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			b, err := readInput(args[0], inspect.MaxSize)
			if err != nil {
				return err
			}
			report, err := inspect.Bytes(b)
			if err != nil {
				return cli.Usage(fmt.Errorf("%s: %w", args[0], err), "")
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), report)
			}
			return report.WriteText(c.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// readInput reads a whole input file of at most limit bytes.
func readInput(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, cli.Usage(err, "")
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err2 := f.Close(); err == nil {
		err = err2
	}
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("reading %s: %w", path, err), "")
	}
	if int64(len(b)) > limit {
		return nil, cli.Usage(fmt.Errorf("reading %s: more than %d bytes", path, limit), "")
	}
	return b, nil
}

// writeJSON prints v on its own lines, keys in the order of the Go type.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
