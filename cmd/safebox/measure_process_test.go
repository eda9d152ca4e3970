//go:build linux

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"safebox/measure/vectortest"
)

// peakCommand makes this test binary run a program and print how much memory
// that took: see peak.
const peakCommand = "peak-memory-of"

// buildProgram compiles safebox as `make` does.
func buildProgram(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "safebox")
	c := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", path, ".")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// peak runs a program and returns its standard output and the most memory that
// was resident at a time, in KiB. To the kernel, memory that the parent had at
// execve counts as the child's, so that the parent must be a fresh process.
func peak(t *testing.T, args ...string) (stdout string, kib int64) {
	t.Helper()
	var out, errs bytes.Buffer
	c := exec.CommandContext(t.Context(), os.Args[0], append([]string{peakCommand}, args...)...)
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		t.Fatalf("%q: %v: %s", args, err, errs.String())
	}
	lines := strings.Split(strings.TrimSuffix(errs.String(), "\n"), "\n")
	kib, err := strconv.ParseInt(lines[len(lines)-1], 10, 64)
	if err != nil {
		t.Fatalf("%q: got %q", args, errs.String())
	}
	return out.String(), kib
}

// runPeak is what peak runs in the fresh process.
func runPeak(args []string) int {
	c := exec.Command(args[0], args[1:]...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	if err := c.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintln(os.Stderr, c.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) //nolint:forcetypeassert // so says its doc comment
	return 0
}

// TestMeasureMemory: an initrd of 80 MB is read piece by piece. The kernel is
// the real one, of 12 MB.
func TestMeasureMemory(t *testing.T) {
	const (
		size  = 80_000_000
		limit = 40_000_000 >> 10 // KiB
	)
	program, release := buildProgram(t), buildRelease(t, "vtpm,snp,tdx")
	initrd := filepath.Join(t.TempDir(), "initrd")
	if err := os.WriteFile(initrd, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(initrd, size); err != nil {
		t.Fatal(err)
	}
	zeros := sha256.New()
	if _, err := io.CopyN(zeros, zeroReader{}, size); err != nil {
		t.Fatal(err)
	}
	kernel := filepath.Join(release, "vmlinuz")
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"snp": {
			[]string{"snp", "--firmware", filepath.Join(release, "firmware/OVMF.amdsev.fd"), "--vcpus", "4", "--vcpu-type", "EPYC-Milan", "--initrd", initrd, "--json"},
			fmt.Sprintf("\"initrd\": \"%x\"", zeros.Sum(nil)),
		},
		"sev":   {[]string{"sev", "--firmware", filepath.Join(release, "firmware/OVMF.amdsev.fd"), "--initrd", initrd}, "launch_digest "},
		"tdx":   {[]string{"tdx", "--firmware", filepath.Join(release, "firmware/OVMF.fd"), "--initrd", initrd}, "\nrtmr2 "},
		"nitro": {[]string{"nitro", "--ramdisk", initrd, "--trace"}, " ramdisk 0, 80000000 bytes\n"},
	} {
		t.Run(name, func(t *testing.T) {
			out, kib := peak(t, append([]string{program, "measure"}, append(tt.args, "--kernel", kernel, "--cmdline", "quiet")...)...)
			t.Logf("%d KiB", kib)
			if kib > limit {
				t.Errorf("got %d KiB resident, want at most %d", kib, limit)
			}
			if !strings.Contains(out, tt.want) {
				t.Errorf("got %q, want %q in it", out, tt.want)
			}
		})
	}
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// BenchmarkMeasure runs the built program, with a firmware of 4 MiB from a
// warm cache of files. The limit is 15 ms a run, the start of the process
// included, for the fastest run: the others shared the machine. "x-help" is its
// ratio to the fastest `safebox --help`, which is not much else than that start.
func BenchmarkMeasure(b *testing.B) {
	program := buildProgram(b)
	firmware := filepath.Join(b.TempDir(), "OVMF.fd")
	if err := os.WriteFile(firmware, vectortest.File(b, vectors(), "debian-ovmf/OVMF.fd"), 0o644); err != nil {
		b.Fatal(err)
	}
	fastest := func(n int, args ...string) time.Duration {
		best := time.Duration(math.MaxInt64)
		for range n {
			start := time.Now()
			if err := exec.CommandContext(b.Context(), program, args...).Run(); err != nil {
				b.Fatal(err)
			}
			best = min(best, time.Since(start))
		}
		return best
	}
	for name, args := range map[string][]string{
		"snp-4-vcpus": {"measure", "snp", "--firmware", firmware, "--vcpus", "4", "--vcpu-type", "EPYC-v4"},
		"mrtd":        {"measure", "tdx", "--firmware", firmware},
	} {
		b.Run(name, func(b *testing.B) {
			help := fastest(b.N, "--help")
			b.ResetTimer()
			run := fastest(b.N, args...)
			b.ReportMetric(float64(run.Microseconds())/1000, "ms/fastest-run")
			b.ReportMetric(float64(run)/float64(help), "x-help")
		})
	}
}
