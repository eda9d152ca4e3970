package lock

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/mod/module"
)

// toolchainFor names the module of a Go release for the machines that build:
// Go Toolchains, "Toolchain selection".
func toolchainFor(goVersion string) Toolchain {
	return Toolchain{Path: "golang.org/toolchain", Version: "v0.0.1-go" + goVersion + ".linux-amd64"}
}

// maxOutput bounds what is kept of a tool's output.
const maxOutput = 1 << 20

// ResolveToolchain asks the go command for the toolchain's module. The hash is
// what the go command compared with the checksum database; where the
// environment turns that comparison off, the answer is an error.
func ResolveToolchain(ctx context.Context, goVersion string) (Toolchain, error) {
	t := toolchainFor(goVersion)
	if err := checkSumDB(ctx, t.Path); err != nil {
		return Toolchain{}, fmt.Errorf("resolving toolchain go%s: %w", goVersion, err)
	}
	dir, err := os.MkdirTemp("", "safebox-toolchain-")
	if err != nil {
		return Toolchain{}, fmt.Errorf("resolving toolchain go%s: %w", goVersion, err)
	}
	out, err := goCommand(ctx, dir, nil, "mod", "download", "-json", t.Path+"@"+t.Version)
	if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
		return Toolchain{}, fmt.Errorf("resolving toolchain go%s: %w", goVersion, err)
	}
	t.Sum, err = decodeDownload(out, t)
	if err != nil {
		return Toolchain{}, fmt.Errorf("resolving toolchain go%s: %w", goVersion, err)
	}
	return t, nil
}

// decodeDownload reads the answer of "go mod download -json": go help mod download.
func decodeDownload(out []byte, want Toolchain) (sum string, err error) {
	var answer struct{ Path, Version, Error, Sum string }
	if err := json.Unmarshal(out, &answer); err != nil {
		return "", fmt.Errorf("decoding the go command's answer: %w", err)
	}
	if answer.Error != "" {
		return "", fmt.Errorf("go command: %s", oneLine(answer.Error))
	}
	if answer.Path != want.Path || answer.Version != want.Version {
		return "", fmt.Errorf("go command: got module %s@%s, want %s@%s", answer.Path, answer.Version, want.Path, want.Version)
	}
	return answer.Sum, checkModuleSum(answer.Sum)
}

// checkSumDB refuses an environment in which the go command would not ask the
// checksum database about the module: Go Modules Reference, "Private modules".
func checkSumDB(ctx context.Context, path string) error {
	out, err := goCommand(ctx, "", nil, "env", "-json", "GOSUMDB", "GONOSUMDB", "GOPRIVATE")
	if err != nil {
		return err
	}
	var env struct{ GOSUMDB, GONOSUMDB, GOPRIVATE string }
	if err := json.Unmarshal(out, &env); err != nil {
		return fmt.Errorf("decoding the go command's environment: %w", err)
	}
	if env.GOSUMDB == "off" {
		return errors.New("GOSUMDB is off, want the checksum database")
	}
	for _, v := range []struct{ name, globs string }{{"GONOSUMDB", env.GONOSUMDB}, {"GOPRIVATE", env.GOPRIVATE}} {
		if module.MatchPrefixPatterns(v.globs, path) {
			return fmt.Errorf("%s %q keeps %s from the checksum database", v.name, v.globs, path)
		}
	}
	return nil
}

// goCommand runs the go command in the caller's environment, with env over it.
func goCommand(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = append(cmd.Environ(), "GOFLAGS=-mod=mod", "GOTOOLCHAIN=local", "GOWORK=off", "GO111MODULE=on")
	cmd.Env = append(cmd.Env, env...)
	out, stderr, err := runTool(cmd)
	// "mod download -json" answers on stdout what went wrong, with status 1.
	if err != nil && len(out) == 0 {
		return nil, fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, stderr)
	}
	return out, nil
}

// runTool runs a command and returns its output, and in one line the end of
// what it said on its standard error.
func runTool(cmd *exec.Cmd) (stdout []byte, stderr string, err error) {
	var out, complaint limitedBuffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err = cmd.Run()
	return out.b.Bytes(), oneLine(complaint.b.String()), err
}

// limitedBuffer keeps output up to maxOutput. It does not embed bytes.Buffer:
// io.Copy would find its ReadFrom, which has no limit.
type limitedBuffer struct{ b bytes.Buffer }

func (l *limitedBuffer) Write(p []byte) (int, error) {
	if l.b.Len()+len(p) > maxOutput {
		return 0, fmt.Errorf("output is longer than %d bytes", maxOutput)
	}
	return l.b.Write(p)
}

func oneLine(s string) string {
	return strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ")
}
