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
	for name, tt := range map[string]struct {
		settings []debug.BuildSetting
		want     string
	}{
		"not said":       {nil, ""},
		"the same":       {[]debug.BuildSetting{{Key: "vcs.revision", Value: commit}, {Key: "vcs.modified", Value: "false"}}, ""},
		"another commit": {[]debug.BuildSetting{{Key: "vcs.revision", Value: strings.Repeat("c1", 20)}}, "this program is of commit c1c1"},
		"changed":        {[]debug.BuildSetting{{Key: "vcs.revision", Value: commit}, {Key: "vcs.modified", Value: "true"}}, "this program is of a changed source"},
	} {
		err := checkProgram(of, &debug.BuildInfo{Settings: tt.settings})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
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
