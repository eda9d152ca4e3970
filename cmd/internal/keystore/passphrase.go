package keystore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"safebox/cmd/internal/cli"
)

// maxPassphrase bounds a passphrase, in bytes.
const maxPassphrase = 1 << 10

// maxPassphraseFile bounds a passphrase file, in bytes: only its first line
// counts.
const maxPassphraseFile = 4 << 10

// asker asks for a line that nobody should see.
type asker func(ctx context.Context, prompt string) (string, error)

// passphrase gives the passphrase of the file.
func (o Options) passphrase(path string) (string, error) {
	if o.PassphraseFile != "" {
		return readPassphrase(o.PassphraseFile)
	}
	return o.askFor(fmt.Sprintf("safebox: passphrase of %q: ", path), "give --passphrase-file")
}

// newPassphrase gives the passphrase for a new file: on a terminal it is typed
// twice.
func (o Options) newPassphrase(path string) (string, error) {
	if o.PassphraseFile != "" {
		return readPassphrase(o.PassphraseFile)
	}
	hint := "give --passphrase-file, or --no-passphrase for a key that is not encrypted"
	first, err := o.askFor(fmt.Sprintf("safebox: new passphrase for %q: ", path), hint)
	if err != nil {
		return "", err
	}
	second, err := o.askFor("safebox: the same again: ", hint)
	if err != nil {
		return "", err
	}
	if first != second {
		return "", cli.Failed(errors.New("the two passphrases differ"), "no key was made: try again")
	}
	return first, nil
}

// askFor asks on the terminal; hint is for where there is none.
func (o Options) askFor(prompt, hint string) (string, error) {
	ctx, ask := context.Background(), o.ask
	if o.command != nil && o.command.Context() != nil {
		ctx = o.command.Context()
	}
	if ask == nil {
		ask = askTerminal
	}
	text, err := ask(ctx, prompt)
	if err == nil {
		err = checkPassphrase(text)
	}
	if errors.Is(err, context.Canceled) {
		return "", fmt.Errorf("asking for the passphrase: %w", err)
	}
	if err != nil {
		return "", cli.Usage(fmt.Errorf("asking for the passphrase: %w", err), hint)
	}
	return text, nil
}

// readPassphrase reads the first line of a file.
func readPassphrase(path string) (string, error) {
	b, err := readSecret(path, maxPassphraseFile)
	if err != nil {
		return "", fmt.Errorf("--passphrase-file: %w", err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	if err := checkPassphrase(line); err != nil {
		return "", cli.Usage(fmt.Errorf("--passphrase-file: %s: first line: %w", path, err), "its first line is the passphrase, as it would be typed")
	}
	return line, nil
}

// checkPassphrase refuses what can't be typed: the same passphrase must work
// from a file and from a terminal.
func checkPassphrase(text string) error {
	switch {
	case text == "":
		return errors.New("empty")
	case len(text) > maxPassphrase:
		return fmt.Errorf("got %d bytes, want at most %d", len(text), maxPassphrase)
	case !utf8.ValidString(text):
		return errors.New("not UTF-8")
	case strings.ContainsFunc(text, unicode.IsControl):
		return errors.New("a control character in it")
	}
	return nil
}

// askTerminal asks on the terminal of the process, wherever its input and
// output go.
func askTerminal(ctx context.Context, prompt string) (string, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", fmt.Errorf("no terminal: %w", err)
	}
	text, err := readHidden(ctx, tty, prompt)
	return text, errors.Join(err, tty.Close())
}

// readHidden reads a line without echo. When ctx ends before the line does, the
// terminal shows again what is typed.
func readHidden(ctx context.Context, tty *os.File, prompt string) (string, error) {
	fd := int(tty.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	// Before the prompt: whoever sees it may paste at once.
	if err := hide(fd); err != nil {
		return "", err
	}
	if _, err := tty.WriteString(prompt); err != nil {
		return "", errors.Join(err, term.Restore(fd, state))
	}
	type answer struct {
		text string
		err  error
	}
	typed := make(chan answer, 1) // the reader may outlive us: a read of a terminal can't be called off
	go func() {
		text, err := bufio.NewReader(tty).ReadString('\n') // a read gives one line, no more
		typed <- answer{strings.TrimSuffix(text, "\n"), err}
	}()
	var a answer
	select {
	case a = <-typed:
	case <-ctx.Done():
		a.err = ctx.Err()
	}
	err = term.Restore(fd, state)
	_, err2 := tty.WriteString("\n")
	return a.text, errors.Join(a.err, err, err2)
}

// hide makes a terminal give whole lines, and show nothing of what is typed
// (termios(3)).
func hide(fd int) error {
	state, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	state.Lflag &^= unix.ECHO
	state.Lflag |= unix.ICANON | unix.ISIG
	state.Iflag |= unix.ICRNL
	return unix.IoctlSetTermios(fd, unix.TCSETS, state)
}
