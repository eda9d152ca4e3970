package gobuild

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/module"
)

// version is that of the compiler that runs the test.
func version() string { return strings.TrimPrefix(runtime.Version(), "go") }

// tinyModule writes a main module that shows in its bytes whether a path got
// into them.
func tinyModule(t *testing.T, dir string) string {
	t.Helper()
	files := map[string]string{
		"go.mod": "module example.test/tiny\n\ngo 1.26\n",
		"main.go": `package main

import "runtime"

func main() {
	_, file, _, _ := runtime.Caller(0)
	println(file)
}
`,
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestBuild builds twice, at different paths and under hostile settings, and
// wants the same bytes, no trace of the path, and nothing left behind.
func TestBuild(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	o := Options{SourceDir: tinyModule(t, t.TempDir()), Package: ".", GoVersion: version(), Offline: true}
	first, err := Build(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}

	for name, value := range map[string]string{
		"GOFLAGS": "-tags=leak -race", "GOAMD64": "v1", "GOARCH": "arm64", "CGO_ENABLED": "1", "GODEBUG": "http2client=0",
		"GOEXPERIMENT": "nosuch", "GOWORK": "/nosuch", "GOTOOLCHAIN": "go1.99.0", "LC_ALL": "C.UTF-8", "TZ": "Asia/Tokyo",
	} {
		t.Setenv(name, value)
	}
	longer := filepath.Join(t.TempDir(), "another", "place")
	if err := os.MkdirAll(longer, 0o700); err != nil {
		t.Fatal(err)
	}
	o.SourceDir = tinyModule(t, longer)
	if err := os.WriteFile(filepath.Join(longer, "default.pgo"), []byte("not a profile"), 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := Build(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Errorf("two builds of the same source differ: %d and %d bytes", len(first), len(second))
	}
	if bytes.Contains(first, []byte(tmp)) || !bytes.Contains(first, []byte("example.test/tiny/main.go")) {
		t.Error("the binary has the path of the source in it")
	}
	left, err := os.ReadDir(tmp)
	if err != nil || len(left) != 0 {
		t.Errorf("left in TMPDIR: %v, %v", left, err)
	}

	info, err := buildinfo.Read(bytes.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	// image.md section 4, as `go version -m` prints it.
	want := []debug.BuildSetting{
		{Key: "-buildmode", Value: "exe"},
		{Key: "-compiler", Value: "gc"},
		{Key: "-trimpath", Value: "true"},
		{Key: "CGO_ENABLED", Value: "0"},
		{Key: "GOARCH", Value: "amd64"},
		{Key: "GOOS", Value: "linux"},
		{Key: "GOAMD64", Value: "v2"},
	}
	if diff := cmp.Diff(want, info.Settings); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func TestBuildErrors(t *testing.T) {
	good := tinyModule(t, t.TempDir())
	broken := tinyModule(t, t.TempDir())
	if err := os.WriteFile(filepath.Join(broken, "bad.go"), []byte("package main\n\nvar x int = \"a\"\nvar y int = \"b\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	needy := tinyModule(t, t.TempDir())
	if err := os.WriteFile(filepath.Join(needy, "go.mod"), []byte("module example.test/tiny\n\ngo 1.26\n\nrequire example.test/nosuch v1.0.0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(needy, "use.go"), []byte("package main\n\nimport _ \"example.test/nosuch\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	library := t.TempDir()
	for name, content := range map[string]string{"go.mod": "module example.test/lib\n\ngo 1.26\n", "lib.go": "package lib\n"} {
		if err := os.WriteFile(filepath.Join(library, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		o    Options
		want string
		hint bool
	}{
		"other version":   {Options{good, ".", "1.26.999", true, "", false}, "building .: go version: got " + version() + " (", true},
		"no version":      {Options{good, ".", "", true, "", false}, `building .: go version: got "", want the form 1.26.8`, false},
		"no folder":       {Options{"", ".", version(), true, "", false}, "building .: no source folder given", false},
		"flag":            {Options{good, "-toolexec=x", version(), true, "", false}, `building -toolexec=x: package: got "-toolexec=x"`, false},
		"pattern":         {Options{good, "./...", version(), true, "", false}, `building ./...: package: got "./..."`, false},
		"no such package": {Options{good, "./nosuch", version(), true, "", false}, "building ./nosuch: go build: exit status 1: ", true},
		"compile error":   {Options{broken, ".", version(), true, "", false}, "bad.go:3:13: cannot use \"a\"", true},
		"offline":         {Options{needy, ".", version(), true, "", false}, "building .: go build: exit status 1: ", true},
		"library":         {Options{library, ".", version(), true, "", false}, "building .: checking the result: ELF: ", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Build(t.Context(), tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("got %v, want one line with %s", err, tt.want)
			}
			var h interface{ Hint() string }
			if errors.As(err, &h) != tt.hint || tt.hint && h.Hint() == "" {
				t.Errorf("%v: has a hint: %t, want %t", err, !tt.hint, tt.hint)
			}
		})
	}
}

func TestBuildWithoutGo(t *testing.T) {
	t.Setenv("PATH", "relative:"+t.TempDir())
	_, err := Build(t.Context(), Options{SourceDir: t.TempDir(), Package: ".", GoVersion: version()})
	if want := "building .: the go command is not in PATH"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestBuildCancelled gives a compiler that never ends.
func TestBuildCancelled(t *testing.T) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "go"), []byte("#!/bin/sh\nexec /bin/sleep 60\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := Build(ctx, Options{SourceDir: t.TempDir(), Package: ".", GoVersion: version()})
	if err == nil || !strings.Contains(err.Error(), "go version: context deadline exceeded") {
		t.Errorf("got %v, want the end of the context", err)
	}
}

// TestEnvironment lists the whole environment, as image.md section 4 and the
// documentation of cmd/go have it.
func TestEnvironment(t *testing.T) {
	caller := []string{"PATH=/bin", "HOME=/h", "GOFLAGS=-race", "GOPROXY=https://proxy.test", "LANG=de_DE", "GOEXPERIMENT=x", "CC=evil", "GOCACHE=/c"}
	fixed := []string{
		"CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOAMD64=v2", "GOTOOLCHAIN=local", "GOENV=off", "GOWORK=off",
		"GOFLAGS=-trimpath -buildvcs=false -mod=readonly", "PATH=/bin", "HOME=/h",
	}
	online := append(slices.Clone(fixed), "GOPROXY=https://proxy.test", "GOCACHE=/c")
	offline := append(slices.Clone(fixed), "GOCACHE=/c", "GOPROXY=off")
	if diff := cmp.Diff(online, environment(caller, Options{Proxy: "file:///in"})); diff != "" {
		t.Errorf("online (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(offline, environment(caller, Options{Offline: true})); diff != "" {
		t.Errorf("offline (-want +got):\n%s", diff)
	}
	offline[len(offline)-1] = "GOPROXY=file:///in,off"
	if diff := cmp.Diff(offline, environment(caller, Options{Offline: true, Proxy: "file:///in,off"})); diff != "" {
		t.Errorf("offline, with a proxy (-want +got):\n%s", diff)
	}
}

func TestParseModules(t *testing.T) {
	got, err := parseModules("b.test/m v1.0.0\na.test/m v1.2.0\nb.test/m v1.0.0\n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]module.Version{{Path: "a.test/m", Version: "v1.2.0"}, {Path: "b.test/m", Version: "v1.0.0"}}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := parseModules("a.test/m v1.2.0 replaced\n"); err == nil || !strings.Contains(err.Error(), "not replaced") {
		t.Errorf("replaced: got %v", err)
	}
}

// Progress must not push the error out of the line, and a wrong module is not
// the compiler's matter.
func TestComplaint(t *testing.T) {
	stderr := "go: downloading a.test/m v1.0.0\nverifying a.test/m@v1.0.0: checksum mismatch\n\tdownloaded: h1:x\n"
	if got, want := complaint(stderr), "verifying a.test/m@v1.0.0: checksum mismatch; downloaded: h1:x"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := hintFor(stderr); !strings.Contains(got, "go.sum") {
		t.Errorf("hint: got %q", got)
	}
}

func TestParseVersion(t *testing.T) {
	tests := map[string]string{ // empty for an error
		"go version go1.26.8 linux/amd64\n":                      "1.26.8",
		"go version go1.26.8 linux/arm64":                        "1.26.8",
		"go version go1.26 linux/amd64\n":                        "",
		"go version go1.26rc1 linux/amd64\n":                     "",
		"go version go1.26.8 X:nogreenteagc linux/amd64\n":       "",
		"go version go1.26.8-patched linux/amd64\n":              "",
		"go version devel go1.27-abcdef Thu Jan 1 linux/amd64\n": "",
		"go version go1.26.8 linux/amd64\nwarning: something\n":  "",
		"go version go1.26.08 linux/amd64\n":                     "",
		"gccgo (Debian 12.2.0) 12.2.0":                           "",
		"":                                                       "",
	}
	for printed, want := range tests {
		if got, err := parseVersion(printed); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", printed, got, err, want)
		}
	}
}

// TestCheckSettings changes one setting at a time.
func TestCheckSettings(t *testing.T) {
	good := []debug.BuildSetting{
		{Key: "-buildmode", Value: "exe"},
		{Key: "-compiler", Value: "gc"},
		{Key: "-trimpath", Value: "true"},
		{Key: "CGO_ENABLED", Value: "0"},
		{Key: "GOARCH", Value: "amd64"},
		{Key: "GOOS", Value: "linux"},
		{Key: "GOAMD64", Value: "v2"},
	}
	if err := checkSettings(append(slices.Clone(good), debug.BuildSetting{Key: "DefaultGODEBUG", Value: "a=1"})); err != nil {
		t.Errorf("good settings: %v", err)
	}
	for i, s := range good {
		changed := slices.Clone(good)
		changed[i].Value += "x"
		if err := checkSettings(changed); err == nil || !strings.HasPrefix(err.Error(), s.Key+": got ") {
			t.Errorf("%s changed: got %v", s.Key, err)
		}
		if err := checkSettings(slices.Delete(slices.Clone(good), i, i+1)); err == nil || !strings.HasPrefix(err.Error(), s.Key+": got none") {
			t.Errorf("%s left out: got %v", s.Key, err)
		}
	}
	for _, key := range []string{"-tags", "-race", "-ldflags", "vcs.revision", "GOEXPERIMENT", "-pgo"} {
		err := checkSettings(append(slices.Clone(good), debug.BuildSetting{Key: key, Value: "v"}))
		if want := key + `: got "v", want none`; err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", key, err, want)
		}
	}
}

// TestCheckRefusesTest gives the running test binary: built by the same
// compiler, with other settings.
func TestCheckRefusesTest(t *testing.T) {
	file, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(b, version()); err == nil {
		t.Error("got no error")
	}
}

// TestCheck changes a good binary in one way each.
func TestCheck(t *testing.T) {
	good, err := Build(t.Context(), Options{SourceDir: tinyModule(t, t.TempDir()), Package: ".", GoVersion: version(), Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(good, "1.26.999"); err == nil || !strings.Contains(err.Error(), "go version: got go"+version()+", want go1.26.999") {
		t.Errorf("other version: got %v", err)
	}
	// ELF-64 Object File Format 1.5, figure 2: e_type at 16; e_phoff at 32.
	// Figure 6: p_type comes first in a program header.
	program := binary.LittleEndian.Uint64(good[32:])
	for name, tt := range map[string]struct {
		at    uint64
		value elf.ProgType
		want  string
	}{
		"interpreter":       {program, elf.PT_INTERP, "got a segment of type PT_INTERP"},
		"dynamic":           {program, elf.PT_DYNAMIC, "got a segment of type PT_DYNAMIC"},
		"position-agnostic": {16, elf.ProgType(elf.ET_DYN) | elf.ProgType(elf.EM_X86_64)<<16, "want an x86-64 executable"},
		"other machine":     {16, elf.ProgType(elf.ET_EXEC) | elf.ProgType(elf.EM_AARCH64)<<16, "want an x86-64 executable"},
	} {
		changed := bytes.Clone(good)
		binary.LittleEndian.PutUint32(changed[tt.at:], uint32(tt.value))
		if err := Check(changed, version()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", name, err, tt.want)
		}
	}
	// image.md section 4: -buildid= . The go command reads it as its tool does.
	file := filepath.Join(t.TempDir(), "tiny")
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if id, err := exec.Command("go", "tool", "buildid", file).Output(); err != nil || strings.TrimSpace(string(id)) != "" {
		t.Errorf("build ID: got %q, %v, want none", id, err)
	}
}

// TestBuildInit compiles the real init out of this repository.
func TestBuildInit(t *testing.T) {
	for _, pkg := range []string{"./cmd/safebox-init", "safebox/cmd/safebox-init"} {
		if _, err := Build(t.Context(), Options{SourceDir: filepath.Join("..", ".."), Package: pkg, GoVersion: version(), Offline: true}); err != nil {
			t.Error(err)
		}
	}
}
