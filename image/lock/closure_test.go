package lock

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/image/deb"
)

// tool is a stanza of lines, of version 1.0-1 and architecture amd64.
func tool(t *testing.T, name string, lines ...string) deb.Control {
	t.Helper()
	text := append([]string{"Package: " + name, "Version: 1.0-1", "Architecture: amd64"}, lines...)
	c, err := deb.ParseControl([]byte(strings.Join(text, "\n") + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Which dependencies are satisfied was compared with Dpkg::Deps of libdpkg-perl
// 1.21.22: deps_parse and get_evaluation with these two packages as known facts.
// debconf, which we leave out, and fields that we refuse are ours alone.
func TestCheckTools(t *testing.T) {
	const missing = "tools: no tool satisfies a dependency: "
	for _, tt := range []struct {
		name  string
		lines []string // of the tool a1; a2 provides v1, v2 (= 2.0) and nothing else
		want  string
	}{
		{"nothing", nil, ""},
		{"name", []string{"Depends: a2"}, ""},
		{"itself", []string{"Depends: a1 (= 1.0-1)"}, ""},
		{"missing", []string{"Depends: a3"}, missing + "a1 1.0-1 needs a3"},
		{"missing before", []string{"Pre-Depends: a3"}, missing + "a1 1.0-1 needs a3"},
		{"all missing", []string{"Pre-Depends: a3", "Depends: a2, a4 (>= 1) | a5"}, missing + "a1 1.0-1 needs a3; a1 1.0-1 needs a4 (>= 1) | a5"},
		{"recommended", []string{"Recommends: a3", "Suggests: a4"}, ""},
		{"alternative", []string{"Depends: a3 | a2"}, ""},
		{"version", []string{"Depends: a2 (>= 1.0)"}, ""},
		{"version too low", []string{"Depends: a2 (>= 1.1)"}, missing + "a1 1.0-1 needs a2 (>= 1.1)"},
		{"version too high", []string{"Depends: a2 (<< 1.0-1)"}, missing + "a1 1.0-1 needs a2 (<< 1.0-1)"},
		{"provided", []string{"Depends: v1"}, ""},
		{"provided without the version asked for", []string{"Depends: v1 (>= 0)"}, missing + "a1 1.0-1 needs v1 (>= 0)"},
		{"provided with a version", []string{"Depends: v2 (>= 1.5), v2"}, ""},
		{"provided with a lower version", []string{"Depends: v2 (>= 2.1)"}, missing + "a1 1.0-1 needs v2 (>= 2.1)"},
		{"any architecture", []string{"Depends: a2:any"}, ""},
		{"architecture", []string{"Depends: a2:amd64"}, ""},
		{"other architecture", []string{"Depends: a2:i386"}, missing + "a1 1.0-1 needs a2:i386"},
		{"left out on purpose", []string{"Depends: debconf (>= 0.5) | debconf-2.0"}, ""},
		{"not left out", []string{"Depends: debconf-2.0"}, missing + "a1 1.0-1 needs debconf-2.0"},
		{"no relation", []string{"Depends: a2 (> 1)"}, `package a1 1.0-1: field Depends: got "a2 (> 1)"`},
		{"empty", []string{"Depends:"}, `package a1 1.0-1: field Depends: got ""`},
		{"provides alternatives", []string{"Provides: v3 | v4"}, `package a1 1.0-1: field Provides: got "v3 | v4"`},
		{"provides a range", []string{"Provides: v3 (>= 1)"}, `package a1 1.0-1: field Provides: got "v3 (>= 1)"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list := []deb.Control{tool(t, "a1", tt.lines...), tool(t, "a2", "Provides: v1, v2 (= 2.0)")}
			err := checkTools(list)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.HasPrefix(tt.want, missing) && err.Error() != tt.want {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			slices.Reverse(list)
			var incomplete *DependencyError
			if again := checkTools(list); again == nil || errors.As(err, &incomplete) != errors.As(again, &incomplete) {
				t.Errorf("in another order: got %v", again)
			}
		})
	}
}

// The tools of the repository's lock, with their fields as the distribution's
// index has them, lack nothing; without any one that others need, they do.
func TestReleaseTools(t *testing.T) {
	l := parse(t, "../safebox.lock")
	stanzas, err := selectStanzas(bytes.NewReader(load(t, "testdata/tools.control")), func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, c := range stanzas {
		want = append(want, c["Package"]+" "+c["Version"]+" "+c["Architecture"]+" "+c["SHA256"])
	}
	for _, p := range l.Tools {
		got = append(got, p.String()+" "+p.Architecture+" "+p.SHA256.String())
	}
	slices.Sort(want) // the index goes by source packages
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tools.control and the lock differ: %s", diff)
	}
	tools, err := (&Resolver{}).controls(t.Context(), stanzas, l.Tools)
	if err == nil {
		err = checkTools(tools)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"libc6", "libmpfr6", "zlib1g", "linux-libc-dev", "libxxhash0", "libgcc-14-dev"} {
		rest := slices.DeleteFunc(slices.Clone(tools), func(c deb.Control) bool { return c["Package"] == name })
		var incomplete *DependencyError
		if err := checkTools(rest); len(rest) != len(tools)-1 || !errors.As(err, &incomplete) || !strings.Contains(err.Error(), "needs "+name) {
			t.Errorf("without %s: got %v", name, err)
		}
	}
}

// A package that the index lacks tells itself what it depends on.
func TestControlsFromPackage(t *testing.T) {
	l := parse(t, newSource)
	r := Resolver{CacheDir: t.TempDir(), Mirrors: []string{mirror(t)}}
	elsewhere := tool(t, "small-cc", "SHA256: "+strings.Repeat("0", 64), "Depends: nothing")
	got, err := r.controls(t.Context(), []deb.Control{elsewhere}, l.Tools)
	if err != nil {
		t.Fatal(err)
	}
	// What make.sh wrote into the packages.
	if got[0]["Depends"] != "libsmall-abi (= 2), debconf (>= 0.5) | debconf-2.0" || got[1]["Provides"] != "libsmall-abi (= 2)" {
		t.Errorf("got %v", got)
	}
	r.Mirrors, r.CacheDir = nil, t.TempDir()
	var missing *MissingError
	if _, err := r.controls(t.Context(), nil, l.Tools); !errors.As(err, &missing) {
		t.Errorf("got %v", err)
	}
}
