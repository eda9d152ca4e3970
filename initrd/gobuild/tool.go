package gobuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ToolError is a failure that the user can mend: Hint says how. The command
// line prints it below the error.
type ToolError struct {
	err  error
	hint string
}

// Error is the message, in one line.
func (e *ToolError) Error() string { return e.err.Error() }

// Unwrap gives the cause.
func (e *ToolError) Unwrap() error { return e.err }

// Hint is one sentence of advice.
func (e *ToolError) Hint() string { return e.hint }

// findGo finds the go command. A relative entry in PATH would name another
// file in another folder, so such entries are left out.
func findGo(path string) (string, error) {
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, "go")
		if !filepath.IsAbs(file) {
			continue
		}
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", &ToolError{
		err:  errors.New("the go command is not in PATH"),
		hint: "install the Go version that the lock file names, from the source that it names, and put its bin folder into PATH",
	}
}

// Bounds of what the go command may print, and of what goes into an error.
const (
	maxPrinted = 1 << 20
	maxQuoted  = 300
)

// waitDelay is how long the go command has after it was told to stop.
const waitDelay = 5 * time.Second

// run runs the go command and returns what it prints to standard output.
func run(ctx context.Context, tool, dir string, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Dir = dir
	cmd.Env = env
	// A compiler that outlives the go command would go on writing into the
	// temporary folder while it is removed: all of them end together.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = waitDelay
	var stdout, stderr limited
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("go %s: %w", args[0], ctx.Err())
		}
		return "", &ToolError{err: fmt.Errorf("go %s: %w: %s", args[0], err, complaint(stderr.String())), hint: hintFor(stderr.String())}
	}
	return stdout.String(), nil
}

// complaint leaves out the progress of downloads, which would hide the error.
func complaint(stderr string) string {
	var said strings.Builder
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, "go: downloading ") {
			said.WriteString(line)
		}
	}
	return oneLine(said.String())
}

// oneLine makes an error message of what the go command printed.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' }), "; ")
	if len(s) > maxQuoted {
		s = strings.ToValidUTF8(s[:maxQuoted], "") + " .."
	}
	return s
}

// hintFor knows the failures that are about the machine and not the source.
func hintFor(stderr string) string {
	switch {
	case strings.Contains(stderr, "module lookup disabled by GOPROXY=off"):
		return "the module cache lacks a dependency: build once without --offline, or give an unpacked archive of safebox lock fetch with --inputs"
	case strings.Contains(stderr, "checksum mismatch"):
		return "a module is not the one that go.sum names: do not build from it before you know why"
	case strings.Contains(stderr, "no space left on device"):
		return "free some space in the folders that TMPDIR and GOCACHE name"
	default:
		return "run go vet on the package to see all that the compiler says"
	}
}

// limited keeps the first part of what is written to it.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if room := maxPrinted - l.Len(); room > 0 {
		l.Buffer.Write(p[:min(room, len(p))]) // bytes.Buffer never fails
	}
	return len(p), nil
}

// checkVersion refuses every compiler but the wanted one: another one gives
// other bytes.
func checkVersion(ctx context.Context, tool, dir string, env []string, want string) error {
	printed, err := run(ctx, tool, dir, env, "version")
	if err != nil {
		return err
	}
	got, err := parseVersion(printed)
	if err != nil {
		return err
	}
	if got == want {
		return nil
	}
	return &ToolError{
		err:  fmt.Errorf("go version: got %s (%s), want %s", got, tool, want),
		hint: "put the bin folder of go " + want + " first in PATH; its module golang.org/toolchain and hash are in the lock file",
	}
}

// parseVersion reads "go version go1.26.8 linux/amd64\n". A toolchain with
// experiments or patches prints more.
func parseVersion(printed string) (string, error) {
	fields := strings.Split(strings.TrimSuffix(printed, "\n"), " ")
	if len(fields) == 4 && fields[0] == "go" && fields[1] == "version" && strings.Count(fields[3], "/") == 1 {
		if version, ok := strings.CutPrefix(fields[2], "go"); ok && validVersion(version) {
			return version, nil
		}
	}
	return "", fmt.Errorf("go version: got %q, want the form %q", oneLine(printed), "go version go1.26.8 linux/amd64")
}

// validVersion reports whether s is a released version such as 1.26.8.
func validVersion(s string) bool {
	parts := strings.Split(s, ".")
	for _, p := range parts {
		if n, err := strconv.Atoi(p); err != nil || n < 0 || strconv.Itoa(n) != p {
			return false
		}
	}
	return len(parts) == 3
}
