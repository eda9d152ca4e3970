package keystore

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"safebox/cmd/internal/cli"
)

func TestReadPassphrase(t *testing.T) {
	for name, tt := range map[string]struct{ content, want, err string }{
		"line":            {"secret\n", "secret", ""},
		"no newline":      {"secret", "secret", ""},
		"more lines":      {"secret\nnote: of the log\x00\n", "secret", ""},
		"spaces are part": {" a b \n", " a b ", ""},
		"UTF-8":           {"Grüße\n", "Grüße", ""},
		"longest":         {strings.Repeat("a", 1024) + "\n", strings.Repeat("a", 1024), ""},
		"too long":        {strings.Repeat("a", 1025) + "\n", "", "first line: got 1025 bytes, want at most 1024"},
		"file too large":  {"secret\n" + strings.Repeat("a", 4<<10), "", "more than 4096 bytes"},
		"empty":           {"", "", "first line: empty"},
		"empty line":      {"\nsecret\n", "", "first line: empty"},
		"CRLF":            {"secret\r\n", "", "first line: a control character in it"},
		"NUL":             {"a\x00b\n", "", "first line: a control character in it"},
		"Latin-1":         {"Gr\xfc\xdfe\n", "", "first line: not UTF-8"},
	} {
		got, err := readPassphrase(secretFile(t, []byte(tt.content)))
		if tt.err != "" {
			wantError(t, name, err, cli.ExitUsage, tt.err, "")
			if strings.Contains(err.Error(), "secret\n") || got != "" {
				t.Errorf("%s: got %q, %v", name, got, err)
			}
			continue
		}
		if err != nil || got != tt.want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, tt.want)
		}
	}
}

func TestAskFor(t *testing.T) {
	for text, want := range map[string]string{"": "empty", "a\x1b[Ab": "control character", strings.Repeat("a", 1025): "at most 1024"} {
		_, err := answers(t, text).passphrase("key")
		wantError(t, want, err, cli.ExitUsage, "asking for the passphrase: ", "--passphrase-file")
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%.10q: got %v, want %q", text, err, want)
		}
	}
	if got, err := answers(t, "typed").passphrase("key"); err != nil || got != "typed" {
		t.Errorf("got %q, %v", got, err)
	}
	// The prompt names the file, and nothing in its name can act on a terminal.
	var prompt string
	o := Options{ask: func(_ context.Context, p string) (string, error) { prompt = p; return "a", nil }}
	if _, err := o.passphrase("my\x1b[2Jkey"); err != nil || prompt != `safebox: passphrase of "my\x1b[2Jkey": ` {
		t.Errorf("got prompt %q, %v", prompt, err)
	}
}

// terminal opens a new pseudo-terminal: what a person types and sees, and the
// side of the program (pty(7), ioctl_tty(2)).
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(filepath.Join("/dev/pts", strconv.Itoa(n)), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(program.Close(), person.Close()); err != nil {
			t.Error(err)
		}
	})
	return person, program
}

// echoes says whether the terminal shows what is typed.
func echoes(t *testing.T, f *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// waitHidden waits until the program reads without echo.
func waitHidden(t *testing.T, f *os.File) {
	t.Helper()
	for range 1000 {
		if !echoes(t, f) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("the terminal still shows what is typed")
}

// line is what the terminal shows, up to the end of a line.
func line(t *testing.T, person *os.File) string {
	t.Helper()
	var screen strings.Builder
	for b := make([]byte, 1); b[0] != '\n'; {
		if _, err := person.Read(b); err != nil {
			t.Fatal(err)
		}
		screen.Write(b)
	}
	return screen.String()
}

type typed struct {
	text string
	err  error
}

// TestHiddenBeforePrompt: whoever pastes as soon as the prompt is there does not
// see the passphrase on the screen.
func TestHiddenBeforePrompt(t *testing.T) {
	const prompt = "passphrase: "
	for range 20 {
		person, program := terminal(t)
		done := make(chan typed, 1)
		go func() {
			text, err := readHidden(t.Context(), program, prompt)
			done <- typed{text, err}
		}()
		if _, err := io.ReadFull(person, make([]byte, len(prompt))); err != nil {
			t.Fatal(err)
		}
		if _, err := person.WriteString("secret\n"); err != nil {
			t.Fatal(err)
		}
		if got := <-done; got != (typed{"secret", nil}) {
			t.Fatalf("got %q, %v", got.text, got.err)
		}
		if got := line(t, person); got != "\r\n" || !echoes(t, program) {
			t.Fatalf("the terminal shows %q, echoes %v", got, echoes(t, program))
		}
	}
}

func TestReadHidden(t *testing.T) {
	person, program := terminal(t)
	done := make(chan typed, 1)
	go func() {
		text, err := readHidden(t.Context(), program, "passphrase: ")
		done <- typed{text, err}
	}()
	waitHidden(t, program)
	if _, err := person.WriteString("seen by nobody\n"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.err != nil || got.text != "seen by nobody" {
		t.Errorf("got %+v", got)
	}
	if !echoes(t, program) {
		t.Error("the terminal stays without echo")
	}
	if got := line(t, person); got != "passphrase: \r\n" {
		t.Errorf("on the screen: got %q", got)
	}
}

// An interruption ends the question and gives the terminal back.
func TestReadHiddenInterrupted(t *testing.T) {
	person, program := terminal(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan typed, 1)
	go func() {
		text, err := readHidden(ctx, program, "passphrase: ")
		done <- typed{text, err}
	}()
	waitHidden(t, program)
	cancel()
	if got := <-done; !errors.Is(got.err, context.Canceled) || got.text != "" {
		t.Errorf("got %+v, want %v", got, context.Canceled)
	}
	if !echoes(t, program) {
		t.Error("the terminal stays without echo")
	}
	if _, err := person.WriteString("\n"); err != nil { // for the reader that is left
		t.Error(err)
	}
}

// Where nothing is a terminal nothing is asked.
func TestReadHiddenElsewhere(t *testing.T) {
	f, err := os.Open(secretFile(t, []byte("typed\n")))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := readHidden(t.Context(), f, ""); err == nil {
		t.Errorf("got %q", text)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
