package sbom

import (
	"debug/buildinfo"
	"runtime/debug"
	"strings"
	"testing"

	"safebox/verifier/release"
)

// TestReplacedModule: a module from elsewhere has no place in a release.
func TestReplacedModule(t *testing.T) {
	info := &buildinfo.BuildInfo{GoVersion: "go1.26.8", Deps: []*debug.Module{{Path: "example.test/a", Version: "v1.0.0", Sum: "h1:x"}}}
	toolchain := release.Toolchain{Go: "1.26.8"}
	if _, err := listModules(info, toolchain); err != nil {
		t.Fatal(err)
	}
	info.Deps[0].Replace = &debug.Module{Path: "../outside"}
	if _, err := listModules(info, toolchain); err == nil || !strings.Contains(err.Error(), "example.test/a is replaced by ../outside") {
		t.Errorf("got %v, want the replaced module named", err)
	}
}
