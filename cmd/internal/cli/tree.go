package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// maxTypos is how many letters a suggested command differs by.
const maxTypos = 2

// Group is the RunE of a command that only groups others.
func Group(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return Usage(fmt.Errorf("%s needs a command", c.CommandPath()), seeHelp(c))
	}
	c.SuggestionsMinimumDistance = maxTypos
	hint := seeHelp(c)
	if list := c.SuggestionsFor(args[0]); len(list) > 0 {
		hint = fmt.Sprintf("did you mean %s?", strings.Join(list, " or "))
	}
	return Usage(fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath()), hint)
}

func seeHelp(c *cobra.Command) string { return fmt.Sprintf("see %s --help", c.CommandPath()) }

// strict makes cobra's own commands, help and completion, refuse what they do
// not know: by themselves they print some help and succeed.
func strict(root *cobra.Command) {
	root.Args = cobra.ArbitraryArgs // so that Group refuses and not cobra
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Run, c.RunE = nil, help
		case "completion":
			c.Args, c.RunE = cobra.ArbitraryArgs, Group
			for _, shell := range c.Commands() {
				shell.Args = NoArgs
			}
		}
	}
}

// help prints the help of the command that args name.
func help(c *cobra.Command, args []string) error {
	of, rest, err := c.Root().Find(args)
	if err != nil {
		return Usage(err, seeHelp(c.Root()))
	}
	if len(rest) > 0 {
		return Group(of, rest)
	}
	of.InitDefaultHelpFlag() // else the text would not list it
	return of.Help()
}
