package gobuild

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestModule: the same bytes wherever the source lies, and those that the go
// command gives to somebody who follows the README of the sandbox.
func TestModule(t *testing.T) {
	dir := tinyModule(t, t.TempDir())
	first, err := Module(t.Context(), Options{SourceDir: dir, Package: ".", GoVersion: version(), Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	second, err := Module(t.Context(), Options{SourceDir: tinyModule(t, t.TempDir()), Package: ".", GoVersion: version(), Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Error("two folders give two modules")
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
