// Package cli is what our two commands share: how errors, hints and exit codes
// come out (docs/cli.md).
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"unicode"

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

// Error is the message, in one line.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
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
	result := &resultWriter{w: stdout}
	root.SilenceErrors = true
	root.SilenceUsage = true
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(result)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return Usage(err, seeHelp(c)) })
	strict(root)
	c, err := root.ExecuteC()
	if err == nil && result.err != nil {
		err = fmt.Errorf("writing the result: %w", result.err)
	}
	if err == nil {
		return ExitYes
	}
	return report(stderr, c, err)
}

// resultWriter remembers that a write failed: cobra drops such errors when it
// prints help, and a result that nobody got is no success.
type resultWriter struct {
	w   io.Writer
	err error
}

func (r *resultWriter) Write(p []byte) (int, error) {
	n, err := r.w.Write(p)
	if err != nil && r.err == nil {
		r.err = err
	}
	return n, err
}

// Say writes a line for people to standard error. When that fails there is
// nobody left to tell.
func Say(stderr io.Writer, format string, args ...any) {
	if _, err := fmt.Fprintf(stderr, "safebox: "+format+"\n", args...); err != nil {
		return
	}
}

// report prints the error as one line and the advice, if there is any, as
// another. c is the command that failed.
func report(stderr io.Writer, c *cobra.Command, err error) int {
	Say(stderr, "error: %s", oneLine(err.Error()))
	code, hint := ExitNo, ""
	var e *Error
	if errors.As(err, &e) {
		code, hint = e.Code, e.Hint
	}
	var h hinter
	if hint == "" && errors.As(err, &h) {
		hint = h.Hint()
	}
	if hint == "" {
		hint = systemHint(err)
	}
	if hint == "" && code == ExitUsage {
		hint = seeHelp(c)
	}
	if hint != "" {
		Say(stderr, "hint: %s", oneLine(hint))
	}
	return code
}

// oneLine joins the lines of an error that holds several, and escapes what
// could speak to a terminal: names in errors come from files and servers.
func oneLine(s string) string {
	var b strings.Builder
	for i, line := range strings.FieldsFunc(s, func(r rune) bool { return r == '\n' }) {
		if i > 0 {
			b.WriteString("; ")
		}
		for _, r := range line {
			if r == '\t' {
				r = ' '
			}
			if unicode.IsPrint(r) {
				b.WriteRune(r)
			} else {
				fmt.Fprintf(&b, "%U", r)
			}
		}
	}
	return b.String()
}

// systemHint is the advice for what the operating system refuses in the same
// way everywhere.
func systemHint(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "free some space there, or choose a place on another disk"
	case errors.Is(err, syscall.EROFS):
		return "the file system is read-only: choose another place"
	case errors.Is(err, fs.ErrPermission):
		return "see who may read or write there, or choose another place"
	case errors.Is(err, fs.ErrNotExist):
		return "check the path"
	case errors.Is(err, context.Canceled):
		return "it was interrupted: nothing is left half done, start it again"
	default:
		return ""
	}
}

// NoArgs and ExactArgs are cobra's, as usage errors.
func NoArgs(c *cobra.Command, args []string) error { return ExactArgs(0)(c, args) }

// ExactArgs refuses any other number of arguments than n.
func ExactArgs(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return Usage(fmt.Errorf("arguments: got %d, want %d", len(args), n), "usage: "+c.UseLine())
		}
		return nil
	}
}
