package tpm

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// stubVersion is the major version of systemd-stub. What it does differs by version;
// every version here was seen to boot (testdata/boots): 257.13 and 262.1. Other
// releases of these two stable branches are taken to measure the same.
type stubVersion int

// The versions that were seen.
const (
	stub257 stubVersion = 257
	stub262 stubVersion = 262
)

// maxVersion bounds the text of a version.
const maxVersion = 64

// loadsByFirmware reports whether the stub has firmware load the kernel, which
// measures it. Up to 257 it does so; with Secure Boot on it stands between
// firmware and the check of the signature, and firmware measures nothing then.
// 262 loads the kernel by itself.
func (v stubVersion) loadsByFirmware(secureBoot bool) bool { return v == stub257 && !secureBoot }

// addsBootSecret reports whether the stub may put a secret of the machine into
// the initrd (systemd 262, src/boot/boot-secret.c). It does so when firmware can
// write to the ESP and has random numbers for it.
func (v stubVersion) addsBootSecret() bool { return v == stub262 }

// checkCommandLine refuses a command line to which the stub adds a console of
// the machine's (systemd 262, src/boot/console.c): the host chooses its devices,
// and with them that part of the line.
func (v stubVersion) checkCommandLine(cmdline []byte) error {
	if v != stub262 || bytes.HasPrefix(cmdline, []byte("console=")) || bytes.Contains(cmdline, []byte(" console=")) {
		return nil
	}
	return errors.New("section .cmdline: without console=, systemd-stub 262 adds a console that depends on the machine's devices")
}

// parseStub reads the stub's version out of a text such as
// "#### LoaderInfo: systemd-stub 257.13-1~deb13u1 ####" (systemd,
// src/boot/stub.c, section .sdmagic).
func parseStub(magic []byte) (stubVersion, error) {
	text := strings.TrimSuffix(string(magic), "\x00")
	version, head := strings.CutPrefix(text, "#### LoaderInfo: systemd-stub ")
	version, tail := strings.CutSuffix(version, " ####")
	if !head || !tail || len(version) > maxVersion {
		return 0, fmt.Errorf("got %q, want the version of systemd-stub", text[:min(len(text), 96)])
	}
	major, rest := version, ""
	if i := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		major, rest = version[:i], version[i:]
	}
	// Release candidates (262~rc1, 262-rc1) may do what no release does.
	released := rest == "" || (rest[0] == '.' || rest[0] == '-') && !strings.Contains(rest, "rc")
	switch {
	case major == "257" && released:
		return stub257, nil
	case major == "262" && released:
		return stub262, nil
	}
	return 0, fmt.Errorf("systemd-stub version: got %q, want %d or %d: what others measure was not seen", version, stub257, stub262)
}
