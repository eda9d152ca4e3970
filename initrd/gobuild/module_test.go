package gobuild

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestModuleHostileSettings: the digest that a grant names must follow from the
// source, and not from the caller's environment.
func TestModuleHostileSettings(t *testing.T) {
	o := Options{SourceDir: tinyModule(t, t.TempDir()), Package: ".", GoVersion: version(), Offline: true}
	first, err := Module(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"GOOS": "linux", "GOARCH": "arm64", "GOWASM": "satconv", "GOFLAGS": "-tags=leak", "GOEXPERIMENT": "nosuch", "CGO_ENABLED": "1",
	} {
		t.Setenv(name, value)
	}
	longer := filepath.Join(t.TempDir(), "another", "place")
	if err := os.MkdirAll(longer, 0o700); err != nil {
		t.Fatal(err)
	}
	o.SourceDir = tinyModule(t, longer)
	second, err := Module(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Errorf("two builds of the same source differ: %d and %d bytes", len(first), len(second))
	}
	if bytes.Contains(first, []byte(longer)) || !bytes.Contains(first, []byte("example.test/tiny/main.go")) {
		t.Error("the module has the path of the source in it")
	}
	// Both targets come from one source and are not taken for each other.
	binary, err := Build(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkModule(binary); err == nil {
		t.Error("a program for the guest passes as a module")
	}
	if err := Check(first, version()); err == nil {
		t.Error("a module passes as a program for the guest")
	}
}

// TestModuleExample compiles the real modules out of this repository, and
// refuses what is none.
func TestModuleExample(t *testing.T) {
	o := Options{SourceDir: filepath.Join("..", ".."), GoVersion: version(), Offline: true}
	for _, pkg := range []string{"./guest/sandbox/example/textstat", "./ci/e2e/module/peek", "./ci/e2e/module/spin"} {
		o.Package = pkg
		if _, err := Module(t.Context(), o); err != nil {
			t.Error(err)
		}
		if _, err := Build(t.Context(), o); err == nil {
			t.Errorf("%s: built for the guest", pkg)
		}
	}
	for pkg, want := range map[string]string{
		"./guest/sandbox/sdk": "checking the result: it starts with", // a library is an archive
		"./guest/confine":     "undefined: unix.Errno",               // of Linux alone
		"./nosuch":            "nosuch",
	} {
		o.Package = pkg
		if _, err := Module(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", pkg, err, want)
		}
	}
}

// TestModuleEnvironment: the two targets differ in nothing but their names.
func TestModuleEnvironment(t *testing.T) {
	guest, module := environment(nil, Options{}), environment(nil, Options{module: true})
	if !slices.Contains(module, "GOOS=wasip1") || !slices.Contains(module, "GOARCH=wasm") {
		t.Errorf("got %q", module)
	}
	for i, v := range guest {
		if !strings.HasPrefix(v, "GOOS=") && !strings.HasPrefix(v, "GOARCH=") && module[i] != v {
			t.Errorf("got %s, want %s", module[i], v)
		}
	}
}
