// Command safebox is for people: it builds and measures appliances, looks
// into their files, and shows the whole story on one machine.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"safebox/cmd/internal/cli"
	"safebox/cmd/internal/measure"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	// The first signal asks for an orderly end; the second ends a program that
	// waits for a file, too.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := command()
	root.SetContext(ctx)
	return cli.Run(root, args, stdin, stdout, stderr)
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "safebox",
		Short: "Build, measure and inspect confidential-VM appliances",
		Long: `safebox builds byte-reproducible confidential-VM appliances from pinned inputs,
computes what a machine that boots them will report, and looks into their files.

Results go to stdout, everything else to stderr. Exit code 0 means yes, 1 no
(refused, different, failed), 2 wrong usage or unreadable input.`,
		RunE: cli.Group,
	}
	root.AddCommand(
		buildCommand(),
		measure.Command(),
		sealCommand(),
		openCommand(),
		inspectCommand(),
		diffCommand(),
		rebuildCommand(),
		signCommand(),
		lockCommand(),
		keyCommand(),
		grantCommand(),
		runCommand(),
		receiptCommand(),
		policyCommand(),
		challengeCommand(),
		verifyCommand(),
		collateralCommand(),
		releaseCommand(),
		demoCommand(),
		manCommand(),
	)
	return root
}
