// Package measure is the command `safebox measure`: what a machine that starts
// an appliance will report, on every platform, from artifacts alone. Reading
// files and printing happens here; every value comes from the pure packages
// below measure/.
package measure

import (
	"runtime/debug"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
)

// Command gives the command with all platforms below it.
func Command() *cobra.Command {
	c := &cobra.Command{
		Use:   "measure",
		Short: "Compute what a machine that boots an appliance will report",
		Long: `Computes launch measurements and boot registers without hardware, from the
artifacts that a machine is started with. docs/measurements.md says for every
register what goes into it, in which order, and what does not.

With --explain VALUE the neighbours of the given inputs are searched for the
ones that give a value that a machine reported. That names the difference; it
never makes the value right: exit code 1.`,
		RunE: cli.Group,

		// One firmware of 4 MiB is all that most runs hold. The collector, which
		// would begin at 4 MiB, takes longer than they do.
		PersistentPreRun: func(*cobra.Command, []string) { debug.SetGCPercent(200) },
	}
	for _, platform := range []*cobra.Command{snpCommand(), sevCommand(), sevesCommand(), tdxCommand(), nitroCommand(), nitroTPMCommand(), tpmCommand(), igvmCommand(), allCommand()} {
		platform.PreRunE = checkFlags
		c.AddCommand(platform)
	}
	return c
}
