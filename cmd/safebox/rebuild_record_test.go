package main

import (
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"safebox/verifier/release/record"
)

// TestCheckProgram: settings as `go version -m` shows them (go help buildvcs).
func TestCheckProgram(t *testing.T) {
	commit := strings.Repeat("c0", 20)
	of := &record.Release{Source: record.Source{Commit: commit}}
	revision := func(commit, modified string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "vcs.revision", Value: commit}, {Key: "vcs.modified", Value: modified}}
	}
	for name, tt := range map[string]struct {
		settings        []debug.BuildSetting
		match, mismatch string
	}{
		"not said":       {nil, "", ""},
		"the same":       {revision(commit, "false"), "", ""},
		"another commit": {revision(strings.Repeat("c1", 20), "false"), "this program is of commit c1c1", "this program is of commit c1c1"},
		"changed":        {revision(commit, "true"), "", "this program is of a changed source"},
	} {
		for match, want := range map[bool]string{true: tt.match, false: tt.mismatch} {
			err := checkProgram(of, match, &debug.BuildInfo{Settings: tt.settings})
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s, match %v: got %v, want %q", name, match, err, want)
			}
		}
	}
}

// TestOperatingSystem: the forms of os-release(5).
func TestOperatingSystem(t *testing.T) {
	for content, want := range map[string]string{
		"NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n": "Debian GNU/Linux 12 (bookworm)",
		"PRETTY_NAME=Arch\n":                          "Arch",
		"PRETTY_NAME=\"Lin\u00fcx\"\n":                `Lin\u00fcx`,
		"PRETTY_NAME=\"\"\n":                          "(nothing)",
		"NAME=x\n":                                    runtime.GOOS,
		"PRETTY_NAME=" + strings.Repeat("x", 200):     strings.Repeat("x", 62) + "..",
		"PRETTY_NAME=" + strings.Repeat("x", 100_000): runtime.GOOS, // no line that a scanner takes
	} {
		if got := operatingSystem(place(t, filepath.Join(t.TempDir(), "os-release"), []byte(content))); got != want {
			t.Errorf("%.40q: got %q, want %q", content, got, want)
		}
	}
	if got := operatingSystem(filepath.Join(t.TempDir(), "none")); got != runtime.GOOS {
		t.Errorf("no file: got %q", got)
	}
}
