package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/host/console"
	"safebox/host/instance"
)

func lsCommand() *cobra.Command {
	var all, asJSON bool
	c := &cobra.Command{
		Use:   "ls",
		Short: "List the running instances",
		Long: `List the running instances, oldest first.

--json prints {"instances":[...]}, each with the keys type, id, state (starting,
ready, ended, killed), platform, boot, accel, vcpus, memory (bytes), url,
release, console (path of the log), tpm_root (path of the root certificate of
its TPM, PEM), pid, pid_namespace, started, ended, reason.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			store, err := openStore(c)
			if err != nil {
				return err
			}
			list, err := store.List()
			if err != nil {
				return err
			}
			shown := []instance.Info{} // never null in JSON
			for _, i := range list {
				if all || i.Running() {
					shown = append(shown, i)
				}
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), struct {
					Instances []instance.Info `json:"instances"`
				}{shown})
			}
			return printTable(c.OutOrStdout(), shown, time.Now())
		},
	}
	c.Flags().BoolVarP(&all, "all", "a", false, "ended instances too, whose console logs are kept")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printTable(w io.Writer, list []instance.Info, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tSTATE\tPLATFORM\tBOOT\tACCEL\tAGE\tURL") //nolint:errcheck // Flush tells
	for _, i := range list {
		state := string(i.State)
		if i.Reason != "" {
			state += " (" + i.Reason + ")"
		}
		url := i.URL
		if !i.Running() {
			url = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", //nolint:errcheck // Flush tells
			i.ID, state, i.Platform, i.Boot, i.Accel, ago(now.Sub(i.Started)), url)
	}
	return t.Flush()
}

func consoleCommand() *cobra.Command {
	var follow, raw bool
	c := &cobra.Command{
		Use:   "console ID",
		Short: "Print what an instance wrote on its console",
		Long: `Print what an instance wrote on its console, also after its end. The guest may
write anything: control characters are left out unless --raw asks for them.`,
		Args: cli.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			store, err := openStore(c)
			if err != nil {
				return err
			}
			ctx, stop := untilSignal(c.Context())
			defer stop()
			if raw {
				return store.Console(ctx, args[0], c.OutOrStdout(), follow)
			}
			return printClean(ctx, store, args[0], c.OutOrStdout(), follow)
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the instance ends")
	c.Flags().BoolVar(&raw, "raw", false, "byte for byte")
	return c
}

// printClean prints the console line by line, without empty lines.
func printClean(ctx context.Context, store *instance.Store, id string, w io.Writer, follow bool) error {
	var failed error
	lines := console.NewLines(func(s string) {
		if _, err := fmt.Fprintln(w, s); err != nil && failed == nil {
			failed = fmt.Errorf("printing console: %w", err)
		}
	})
	if err := store.Console(ctx, id, lines, follow); err != nil {
		return err
	}
	if err := lines.Close(); err != nil {
		return err
	}
	return failed
}

func stopCommand() *cobra.Command {
	timeout := 30 * time.Second
	c := &cobra.Command{
		Use:   "stop ID",
		Short: "End an instance and wait until it is gone",
		Args:  cli.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			store, err := openStore(c)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			if err := store.Stop(ctx, args[0]); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "stopped %s\n", args[0])
			return err
		},
	}
	c.Flags().DurationVar(&timeout, "timeout", timeout, "how long to wait")
	return c
}
