package keystore

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
)

// childFile is what makes the test binary read a secret file and print it.
const childFile = "KEYSTORE_TEST_CHILD"

// TestAskTerminal is the real thing: a process whose input and output are
// elsewhere asks on the terminal of its session, and one without a terminal says
// so.
func TestAskTerminal(t *testing.T) {
	if path := os.Getenv(childFile); path != "" {
		b, err := ReadSecret(path, Options{})
		if err == nil {
			_, err = os.Stdout.Write(b)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	path := secretFile(t, foreign(t))
	child := func() (*exec.Cmd, *bytes.Buffer) {
		c := exec.Command(os.Args[0], "-test.run=^TestAskTerminal$")
		c.Env = append(os.Environ(), childFile+"="+path)
		var out bytes.Buffer
		c.Stdout = &out
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		return c, &out
	}

	none, out := child()
	if err := none.Run(); err == nil || !strings.Contains(out.String(), "asking for the passphrase: no terminal: ") {
		t.Errorf("no terminal: got %v, %s", err, out)
	}

	person, program := terminal(t)
	asking, out := child()
	asking.ExtraFiles = []*os.File{program}
	asking.SysProcAttr.Setctty, asking.SysProcAttr.Ctty = true, 3
	if err := asking.Start(); err != nil {
		t.Fatal(err)
	}
	waitHidden(t, program)
	if _, err := person.WriteString(testPassphrase + "\n"); err != nil {
		t.Error(err)
	}
	if err := asking.Wait(); err != nil || !strings.HasPrefix(out.String(), testSigner) {
		t.Errorf("got %v, %s", err, out)
	}
	if got, want := line(t, person), `safebox: passphrase of "`+path+`": `+"\r\n"; got != want {
		t.Errorf("on the screen: got %q, want %q", got, want)
	}
}

// The end of a command is the end of its questions.
func TestAskUsesCommand(t *testing.T) {
	c := &cobra.Command{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.SetContext(ctx)
	o := Options{ask: func(ctx context.Context, _ string) (string, error) { return "", ctx.Err() }}
	o.AddFlags(c)
	if c.Flags().Lookup("passphrase-file") == nil || c.Flags().Lookup("no-passphrase") != nil {
		t.Error("flags: want --passphrase-file alone")
	}
	_, err := o.passphrase("key")
	var wrong *cli.Error // is for who did something wrong
	if !errors.Is(err, context.Canceled) || errors.As(err, &wrong) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
