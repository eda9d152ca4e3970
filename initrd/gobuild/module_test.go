package gobuild

import (
	"bytes"
	"os"
	"os/exec"
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

// TestModule: the bytes are those that the go command gives to somebody who follows the README of the sandbox.
func TestModule(t *testing.T) {
	dir := tinyModule(t, t.TempDir())
	first, err := Module(t.Context(), Options{SourceDir: dir, Package: ".", GoVersion: version(), Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out.wasm")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", out, ".")
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if theirs, err := readBounded(out); err != nil || !bytes.Equal(theirs, first) {
		t.Errorf("go build gives %d other bytes, %v; ours are %d", len(theirs), err, len(first))
	}
}

func TestCheckModule(t *testing.T) {
	for _, b := range []string{"", "\x00asm", "\x00asm\x02\x00\x00\x00", "\x7fELF\x02\x01\x01\x00"} {
		if err := checkModule([]byte(b)); err == nil {
			t.Errorf("%q: accepted", b)
		}
	}
}
