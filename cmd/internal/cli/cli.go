// Package cli is what our two commands share: how errors, hints and exit codes
// come out (docs/cli.md).
package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	ExitYes   = 0 // done, matches, accepted
	ExitNo    = 1 // refused, differs, failed
	ExitUsage = 2 // wrong usage or unreadable input
)

// Error is an error with advice for people and an exit code.
type Error struct {
	Err  error
	Hint string // one sentence, empty for none
	Code int
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Usage marks err as wrong usage or unreadable input.
func Usage(err error, hint string) error {
	return &Error{Err: err, Hint: hint, Code: ExitUsage}
}

// Failed marks err as a negative answer with a hint.
func Failed(err error, hint string) error {
	return &Error{Err: err, Hint: hint, Code: ExitNo}
}

// hinter is an error of another package that brings its own advice.
type hinter interface{ Hint() string }

// Run executes the command tree and returns the exit code. Results go to
// stdout, help too when it was asked for; everything else to stderr.
func Run(root *cobra.Command, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root.SilenceErrors = true
	root.SilenceUsage = true
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return Usage(err, fmt.Sprintf("see %s --help", c.CommandPath()))
	})
	err := root.Execute()
	if err == nil {
		return ExitYes
	}
	return report(stderr, root.Name(), err)
}

// Say writes a line for people to standard error. When that fails there is
// nobody left to tell.
func Say(stderr io.Writer, format string, args ...any) {
	if _, err := fmt.Fprintf(stderr, "safebox: "+format+"\n", args...); err != nil {
		return
	}
}

func report(stderr io.Writer, name string, err error) int {
	// One line: an error that joins several shows them one after the other.
	Say(stderr, "error: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	var e *Error
	var h hinter
	code := ExitNo
	hint := ""
	if errors.As(err, &h) {
		hint = h.Hint()
	}
	if errors.As(err, &e) {
		code = e.Code
		if e.Hint != "" {
			hint = e.Hint
		}
	} else if strings.HasPrefix(err.Error(), "unknown command") {
		code, hint = ExitUsage, fmt.Sprintf("see %s --help", name)
	}
	if hint != "" {
		Say(stderr, "hint: %s", hint)
	}
	return code
}

// NoArgs and ExactArgs are cobra's, as usage errors.
func NoArgs(c *cobra.Command, args []string) error { return ExactArgs(0)(c, args) }

// ExactArgs refuses any other number of arguments than n.
func ExactArgs(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return Usage(fmt.Errorf("%d arguments given, want %d", len(args), n), fmt.Sprintf("usage: %s", c.UseLine()))
		}
		return nil
	}
}

// Group is the RunE of a command that only groups others.
func Group(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return Usage(fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath()), fmt.Sprintf("see %s --help", c.CommandPath()))
	}
	return Usage(fmt.Errorf("%s needs a command", c.CommandPath()), fmt.Sprintf("see %s --help", c.CommandPath()))
}
