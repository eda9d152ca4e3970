package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// tree is a small command tree whose command `do` returns err.
func tree(err error) *cobra.Command {
	root := &cobra.Command{Use: "tool", Short: "Test the conventions", RunE: Group}
	do := &cobra.Command{Use: "do THING", Short: "Do it", Args: ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		if _, err := fmt.Fprintln(c.OutOrStdout(), "did", args[0]); err != nil {
			return err
		}
		return err
	}}
	do.Flags().Int("n", 0, "a number")
	group := &cobra.Command{Use: "group", Short: "Hold others", RunE: Group}
	group.AddCommand(&cobra.Command{Use: "inner", Args: NoArgs, RunE: func(*cobra.Command, []string) error { return nil }})
	root.AddCommand(do, group)
	return root
}

type answer struct {
	Code           int
	Stdout, Stderr string
}

func ask(err error, args ...string) answer {
	var out, errs bytes.Buffer
	code := Run(tree(err), args, strings.NewReader(""), &out, &errs)
	return answer{code, out.String(), errs.String()}
}

// The expected lines are those of docs/cli.md, "Errors".
func TestRun(t *testing.T) {
	sentinel := errors.New("it broke")
	for name, tt := range map[string]struct {
		err  error
		args []string
		want answer
	}{
		"yes":           {nil, []string{"do", "x"}, answer{0, "did x\n", ""}},
		"no":            {sentinel, []string{"do", "x"}, answer{1, "did x\n", "safebox: error: it broke\n"}},
		"no, with hint": {Failed(sentinel, "mend it"), []string{"do", "x"}, answer{1, "did x\n", "safebox: error: it broke\nsafebox: hint: mend it\n"}},
		"unreadable":    {Usage(sentinel, ""), []string{"do", "x"}, answer{2, "did x\n", "safebox: error: it broke\nsafebox: hint: see tool do --help\n"}},
		"wrapped": {
			fmt.Errorf("building: %w", Usage(sentinel, "mend it")),
			[]string{"do", "x"},
			answer{2, "did x\n", "safebox: error: building: it broke\nsafebox: hint: mend it\n"},
		},
		"several": {
			errors.Join(sentinel, errors.New("so did this")),
			[]string{"do", "x"},
			answer{1, "did x\n", "safebox: error: it broke; so did this\n"},
		},
		"terminal codes": {
			errors.New("name \x1b[2J\t\u202e"),
			[]string{"do", "x"},
			answer{1, "did x\n", "safebox: error: name U+001B[2J U+202E\n"},
		},
		"own hint":    {advice{}, []string{"do", "x"}, answer{1, "did x\n", "safebox: error: advised\nsafebox: hint: of its own\n"}},
		"better hint": {Failed(advice{}, "given here"), []string{"do", "x"}, answer{1, "did x\n", "safebox: error: advised\nsafebox: hint: given here\n"}},
		"hint below":  {Usage(advice{}, ""), []string{"do", "x"}, answer{2, "did x\n", "safebox: error: advised\nsafebox: hint: of its own\n"}},
		"disk full": {
			&os.PathError{Op: "write", Path: "f", Err: syscall.ENOSPC},
			[]string{"do", "x"},
			answer{1, "did x\n", "safebox: error: write f: no space left on device\nsafebox: hint: free some space there, or choose a place on another disk\n"},
		},
		"interrupted": {
			context.Canceled,
			[]string{"do", "x"},
			answer{1, "did x\n", "safebox: error: context canceled\nsafebox: hint: it was interrupted: nothing is left half done, start it again\n"},
		},
		"no command":      {nil, nil, answer{2, "", "safebox: error: tool needs a command\nsafebox: hint: see tool --help\n"}},
		"unknown":         {nil, []string{"zzz"}, answer{2, "", "safebox: error: unknown command \"zzz\" for \"tool\"\nsafebox: hint: see tool --help\n"}},
		"typing error":    {nil, []string{"gruop"}, answer{2, "", "safebox: error: unknown command \"gruop\" for \"tool\"\nsafebox: hint: did you mean group?\n"}},
		"unknown in one":  {nil, []string{"group", "zzz"}, answer{2, "", "safebox: error: unknown command \"zzz\" for \"tool group\"\nsafebox: hint: see tool group --help\n"}},
		"unknown flag":    {nil, []string{"do", "--zzz"}, answer{2, "", "safebox: error: unknown flag: --zzz\nsafebox: hint: see tool do --help\n"}},
		"bad value":       {nil, []string{"do", "x", "--n", "y"}, answer{2, "", "safebox: error: invalid argument \"y\" for \"--n\" flag: strconv.ParseInt: parsing \"y\": invalid syntax\nsafebox: hint: see tool do --help\n"}},
		"few arguments":   {nil, []string{"do"}, answer{2, "", "safebox: error: arguments: got 0, want 1\nsafebox: hint: usage: tool do THING [flags]\n"}},
		"many arguments":  {nil, []string{"group", "inner", "x"}, answer{2, "", "safebox: error: arguments: got 1, want 0\nsafebox: hint: usage: tool group inner [flags]\n"}},
		"help of nothing": {nil, []string{"help", "zzz"}, answer{2, "", "safebox: error: unknown command \"zzz\" for \"tool\"\nsafebox: hint: see tool --help\n"}},
		"unknown shell":   {nil, []string{"completion", "nosuch"}, answer{2, "", "safebox: error: unknown command \"nosuch\" for \"tool completion\"\nsafebox: hint: see tool completion --help\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, ask(tt.err, tt.args...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// advice is an error of another package that brings its own hint.
type advice struct{}

func (advice) Error() string { return "advised" }
func (advice) Hint() string  { return "of its own" }

// Help that was asked for is a result: the three ways give the same text.
func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"do"}, {"group"}, {"group", "inner"}, {}} {
		flag, word := ask(nil, append(args, "--help")...), ask(nil, append([]string{"help"}, args...)...)
		if diff := cmp.Diff(flag, word); diff != "" {
			t.Errorf("%q: --help and help: %s", args, diff)
		}
		if flag.Code != ExitYes || flag.Stderr != "" || !strings.Contains(flag.Stdout, "Usage:") {
			t.Errorf("%q: got %+v, want the usage on stdout and code 0", args, flag)
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := ask(nil, "completion", shell); got.Code != ExitYes || !strings.Contains(got.Stdout, "tool") || got.Stderr != "" {
			t.Errorf("%s: got %+v, want a script on stdout", shell, got)
		}
	}
}

// full fails as /dev/full does.
type full struct{}

func (full) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "out", Err: syscall.ENOSPC}
}

// A result that could not be written is no success, whoever wrote it.
func TestResultNotWritten(t *testing.T) {
	for _, args := range [][]string{{"do", "x"}, {"--help"}, {"help", "do"}, {"completion", "bash"}} {
		var errs bytes.Buffer
		code := Run(tree(nil), args, strings.NewReader(""), full{}, &errs)
		if code != ExitNo || strings.Count(errs.String(), "safebox: error: ") != 1 || !strings.Contains(errs.String(), "no space left") {
			t.Errorf("%q: got code %d and %q, want code 1 and the reason", args, code, errs.String())
		}
	}
}

// Nobody hears it when standard error is gone; the code still tells.
func TestNoStderr(t *testing.T) {
	if code := Run(tree(nil), []string{"zzz"}, strings.NewReader(""), io.Discard, full{}); code != ExitUsage {
		t.Errorf("got code %d, want %d", code, ExitUsage)
	}
}
