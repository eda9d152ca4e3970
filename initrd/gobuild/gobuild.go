// Package gobuild compiles the init so that anybody gets the same bytes: one Go
// version, one command line, and an environment written here instead of
// inherited.
//
// It follows the documentation of cmd/go (Go 1.26), "Compile packages and
// dependencies" and "Environment variables". Why each setting is there stands
// beside it.
package gobuild

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Options say what to build.
type Options struct {
	SourceDir string // root of the module
	Package   string // import path, or a path below SourceDir that starts with ./
	GoVersion string // exact version of the compiler: "1.26.8"
	Offline   bool   // fail rather than download a module

	// Proxy is the GOPROXY of an offline build, of file URLs alone; empty for
	// "off". go.sum verifies the modules in it as any other.
	Proxy string

	module bool // a WASM module instead of a program for the guest
}

// maxOutput bounds the binary.
const maxOutput = 128 << 20

// Build compiles a main package for the guest and returns the binary, after it
// has checked that the binary is what was asked for: static, x86-64, and with
// the wanted settings in its build information.
func Build(ctx context.Context, o Options) ([]byte, error) {
	binary, err := build(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", o.Package, err)
	}
	return binary, nil
}

// Module compiles a main package to a WASM module for the sandbox, in the same
// way: the digest that a grant names follows from the source.
func Module(ctx context.Context, o Options) ([]byte, error) {
	o.module = true
	return Build(ctx, o)
}

// wasmHeader is the magic number and version of WebAssembly Core Specification
// 2.0, section 5.5.16.
const wasmHeader = "\x00asm\x01\x00\x00\x00"

func checkModule(b []byte) error {
	if len(b) < len(wasmHeader) || string(b[:len(wasmHeader)]) != wasmHeader {
		return fmt.Errorf("checking the result: it starts with %x, want %x", b[:min(len(b), len(wasmHeader))], wasmHeader)
	}
	return nil
}

func build(ctx context.Context, o Options) (binary []byte, err error) {
	c, err := newCompiler(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.dir)) }()
	out := filepath.Join(c.dir, "out")
	if _, err := run(ctx, c.tool, o.SourceDir, c.env, arguments(out, o.Package)...); err != nil {
		return nil, err
	}
	binary, err = readBounded(out)
	if err != nil {
		return nil, err
	}
	if o.module {
		return binary, checkModule(binary)
	}
	return binary, Check(binary, o.GoVersion)
}

// compiler is the go command of the wanted version.
type compiler struct {
	tool string
	dir  string // temporary, for the caller to remove
	env  []string
}

func newCompiler(ctx context.Context, o Options) (*compiler, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	tool, err := findGo(os.Getenv("PATH"))
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "safebox-gobuild-")
	if err != nil {
		return nil, err
	}
	// The go command removes its own temporary folder, but not when it is
	// interrupted: in ours it goes in any case.
	env := append(environment(os.Environ(), o), "GOTMPDIR="+dir)
	if err := checkVersion(ctx, tool, dir, env, o.GoVersion); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &compiler{tool: tool, dir: dir, env: env}, nil
}

func (o Options) check() error {
	switch {
	case o.SourceDir == "":
		return errors.New("no source folder given")
	case o.Package == "" || strings.HasPrefix(o.Package, "-") || strings.Contains(o.Package, "..."):
		return fmt.Errorf("package: got %q, want one import path", o.Package)
	case !validVersion(o.GoVersion):
		return fmt.Errorf("go version: got %q, want the form 1.26.8", o.GoVersion)
	}
	return nil
}

// arguments is the command line. -trimpath, -buildvcs and -mod come in GOFLAGS,
// see environment.
func arguments(out, pkg string) []string {
	return []string{
		"build",
		// A default.pgo beside the main package would change the code.
		"-pgo=off",
		// No symbol table and no DWARF (-s -w); and no build ID, which
		// depends on how the build was cut into actions.
		"-ldflags=-s -w -buildid=",
		"-o", out,
		"--", pkg,
	}
}

func readBounded(file string) ([]byte, error) {
	info, err := os.Lstat(file)
	if err != nil {
		return nil, fmt.Errorf("reading the result: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxOutput {
		return nil, fmt.Errorf("reading the result: got %v of %d bytes, want a file of at most %d", info.Mode().Type(), info.Size(), maxOutput)
	}
	return os.ReadFile(file)
}
