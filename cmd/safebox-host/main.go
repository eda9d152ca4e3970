// Command safebox-host is the agent that runs appliances on a provider's
// machine: it starts them, relays what they say, and holds no key. The forms
// of its commands are fixed by docs/cli.md.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"safebox/cmd/internal/cli"
	"safebox/host/instance"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return cli.Run(rootCommand(), args, stdin, stdout, stderr)
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "safebox-host",
		Short: "Run Safebox appliances on this machine",
		Long: `Run Safebox appliances on this machine.

The host is not trusted: what it starts is measured, and a verifier decides.
Exit status: 0 yes, 1 no or failed, 2 wrong usage or unreadable input.`,
		Args: cobra.ArbitraryArgs,
		RunE: cli.Group,
	}
	root.PersistentFlags().String("state", "", "folder of the instances (default $XDG_STATE_HOME/safebox/instances, else ~/.local/state/safebox/instances)")
	root.AddCommand(launchCommand(), enrollCommand(), evidenceCommand(), lsCommand(), consoleCommand(), stopCommand(), logCommand(), witnessCommand())
	return root
}

// openStore opens the folder of instances that the command line names.
func openStore(c *cobra.Command) (*instance.Store, error) {
	dir, err := c.Flags().GetString("state")
	if err != nil {
		return nil, err
	}
	if dir == "" {
		if dir, err = instance.DefaultDir(os.Getenv); err != nil {
			return nil, cli.Usage(err, "")
		}
	}
	return instance.Open(dir)
}

// untilSignal is a context that ends with the first SIGINT, SIGTERM or SIGHUP.
// A second one ends the program at once, and the kernel ends its children.
func untilSignal(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(parent, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// noCoreFiles keeps a crashing VMM, which inherits the limit, from writing the
// guest's memory into a file.
func noCoreFiles() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("turning core files off: %w", err)
	}
	return nil
}
