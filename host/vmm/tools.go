package vmm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"safebox/host/hint"
)

// MinQEMU is the oldest major version. Older ones write the boot protocol's
// fields into the kernel they serve before the firmware measures it, so that
// its PCRs depend on sizes and can't be predicted (specs/image.md section 2.8).
const MinQEMU = 10

// versionTime bounds the question for the version.
const versionTime = 10 * time.Second

// Tools are the programs that a launch runs, as absolute paths.
type Tools struct {
	QEMU       string
	SWTPM      string
	SWTPMSetup string
	LocalCA    string // swtpm_localca
}

// FindTools looks the tools up in $PATH.
func FindTools() (Tools, error) {
	var t Tools
	for _, tool := range []struct {
		path *string
		name string
		pkg  string
	}{
		{&t.QEMU, "qemu-system-x86_64", "qemu-system-x86"},
		{&t.SWTPM, "swtpm", "swtpm"},
		{&t.SWTPMSetup, "swtpm_setup", "swtpm-tools"},
		{&t.LocalCA, "swtpm_localca", "swtpm-tools"},
	} {
		path, err := exec.LookPath(tool.name)
		if err != nil {
			return Tools{}, hint.New(fmt.Errorf("%s not found", tool.name), fmt.Sprintf("run ci/setup, or install the package %s", tool.pkg))
		}
		*tool.path = path
	}
	return t, nil
}

// CheckQEMU refuses a QEMU older than MinQEMU.
func (t Tools) CheckQEMU(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, t.QEMU, "--version").Output()
	if err != nil {
		return fmt.Errorf("asking %s for its version: %w", t.QEMU, err)
	}
	major, err := parseVersion(string(out))
	if err != nil {
		return fmt.Errorf("asking %s for its version: %w", t.QEMU, err)
	}
	if major < MinQEMU {
		return hint.New(fmt.Errorf("QEMU %d is too old, want %d or newer", major, MinQEMU),
			"older ones change the kernel they serve, so its PCRs can't be predicted; run ci/setup for a newer one")
	}
	return nil
}

// parseVersion reads the major version from "QEMU emulator version 10.0.2 ...".
func parseVersion(s string) (int, error) {
	line, _, _ := strings.Cut(s, "\n")
	m := regexp.MustCompile(`^QEMU emulator version ([0-9]{1,4})\.[0-9]`).FindStringSubmatch(line)
	if m == nil {
		return 0, fmt.Errorf("got %q, want \"QEMU emulator version N.N\"", line)
	}
	return strconv.Atoi(m[1])
}

// tail keeps the last bytes that a program wrote, for its error message.
type tail struct {
	b []byte
}

const maxTail = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > maxTail {
		t.b = append(t.b[:0], t.b[len(t.b)-maxTail:]...)
	}
	return len(p), nil
}

// lines gives what is there as printable lines, empty ones left out.
func (t *tail) lines() []string {
	var out []string
	for s := range strings.FieldsFuncSeq(string(bytes.ToValidUTF8(t.b, []byte("?"))), func(r rune) bool { return r == '\n' || r == '\r' }) {
		if s = strings.TrimSpace(printable(s)); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// lastLine is where tools that log their steps tell the failure.
func (t *tail) lastLine() string {
	lines := t.lines()
	if len(lines) == 0 {
		return ""
	}
	return lines[len(lines)-1]
}

// firstError is where QEMU tells the cause: what follows are consequences.
func (t *tail) firstError() string {
	for _, s := range t.lines() {
		s = strings.TrimPrefix(s, "qemu-system-x86_64: ")
		if !strings.HasPrefix(s, "warning: ") && !strings.HasPrefix(s, "info: ") {
			return strings.TrimPrefix(s, "error: ")
		}
	}
	return ""
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}

// explain says how a program ended, with its own last words.
func explain(err error, said string) error {
	var exit *exec.ExitError
	switch {
	case err == nil && said == "":
		return errors.New("exit status 0")
	case err == nil:
		return errors.New(said)
	case said == "":
		return err
	case errors.As(err, &exit):
		return fmt.Errorf("%s (%w)", said, err)
	}
	return fmt.Errorf("%w: %s", err, said)
}
