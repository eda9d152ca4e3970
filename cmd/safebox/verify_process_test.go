//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"safebox/verifier/challenge"
	"safebox/verifier/publishtest"
)

// rawVector is real evidence on disk with what it takes to accept it.
type rawVector struct {
	platform, in, at string
	collateral       []string
}

const evidenceDir = "../../verifier/testdata/evidence"

// acceptedVectors are accepted by the profile test at a time of INDEX.md.
func acceptedVectors() map[string]rawVector {
	return map[string]rawVector{
		"snp-genoa": {
			"snp", evidenceDir + "/snp/ms-tav/genoa_attestation_report.bin", "2026-11-20T00:00:00Z",
			[]string{evidenceDir + "/snp/ms-tav"},
		},
		"tdx-v4": {
			"tdx", evidenceDir + "/tdx/dcap-qvl/tdx_quote", "2025-07-01T00:00:00Z",
			[]string{evidenceDir + "/tdx/dcap-qvl/tdx_quote_collateral.json"},
		},
		"nitro": {
			"nitro", "../../measure/testdata/nitro/docs/dstack_attest_nitro_attestation.cbor", "2025-12-25T16:30:00Z", nil,
		},
	}
}

func (v rawVector) args(policy string) []string {
	args := []string{"verify", "quote", "--platform", v.platform, "--in", v.in, "--policy", policy, "--at", v.at, "--json"}
	for _, c := range v.collateral {
		args = append(args, "--collateral", c)
	}
	return args
}

// testPolicy writes the policy of profile test.
func testPolicy(t testing.TB, program string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.toml")
	if out, err := exec.CommandContext(t.Context(), program, "policy", "init", "--profile", "test", "--out", path).CombinedOutput(); err != nil {
		t.Fatalf("policy init: %v\n%s", err, out)
	}
	return path
}

// TestVerdictBytes: a verdict is the same without a network, in another time
// zone, in another locale, in an empty environment and from another folder's
// point of view of the clock's zone.
func TestVerdictBytes(t *testing.T) {
	program := buildProgram(t)
	policy := testPolicy(t, program)
	accepted := map[string][]string{"published release": publishedArgs(t)}
	for name, v := range acceptedVectors() {
		accepted[name] = v.args(policy)
	}
	for name, args := range accepted {
		run := func(env []string, command ...string) []byte {
			t.Helper()
			command = append(command, program)
			command = append(command, args...)
			c := exec.CommandContext(t.Context(), command[0], command[1:]...)
			c.Env = env
			var errs bytes.Buffer
			c.Stderr = &errs
			out, err := c.Output()
			if err != nil {
				t.Fatalf("%s: %v: %v\n%s\n%s", name, command, err, errs.String(), out)
			}
			return out
		}
		want := run(os.Environ())
		if !bytes.Contains(want, []byte(`"ok": true`)) {
			t.Fatalf("%s: %s", name, want)
		}
		for what, got := range map[string][]byte{
			"no network":         run(os.Environ(), "unshare", "--map-root-user", "--net"),
			"another time zone":  run(append(os.Environ(), "TZ=Pacific/Kiritimati")),
			"another locale":     run(append(os.Environ(), "LANG=tr_TR.UTF-8", "LC_ALL=tr_TR.UTF-8")),
			"an empty world":     run([]string{}),
			"another boot clock": run(os.Environ(), "unshare", "--map-root-user", "--time", "--boottime", "86400", "--monotonic", "86400"),
		} {
			if !bytes.Equal(got, want) {
				t.Errorf("%s: %s: another verdict:\n%s\nwant\n%s", name, what, got, want)
			}
		}
	}
}

// publishedArgs verifies the captured session with its release published, which
// needs no network either.
func publishedArgs(t testing.TB) []string {
	t.Helper()
	const session = "../../verifier/testdata/"
	read := func(name string) []byte {
		b, err := os.ReadFile(session + name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	s, err := challenge.DecodeSecret(read("vtpm/secret.json"))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(s.Issued+30, 0).UTC()
	p := publishtest.New(t, read("boot/release.json"), at).Publish(t)
	dir := t.TempDir()
	for name, b := range map[string][]byte{
		"release.bundle": p.Encode(t), "policy.toml": p.Policy.Apply(t, read("vtpm/policy.toml")),
		"challenge.json": read("vtpm/challenge.json"), "challenge.json.secret": read("vtpm/secret.json"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{
		"verify", "--evidence", session + "vtpm/evidence.json", "--bundle", filepath.Join(dir, "release.bundle"),
		"--policy", filepath.Join(dir, "policy.toml"), "--challenge", filepath.Join(dir, "challenge.json"), "--at", at.Format(time.RFC3339), "--json",
	}
}

// BenchmarkVerifyProcess runs the built program with everything cold but the
// kernel's cache of files: 200 runs of each, or b.N if that is more. The limit
// is 15 ms for the 99th percentile on a quiet machine.
func BenchmarkVerifyProcess(b *testing.B) {
	program := buildProgram(b)
	policy := testPolicy(b, program)
	for name, v := range acceptedVectors() {
		b.Run(name, func(b *testing.B) {
			times := make([]time.Duration, max(200, b.N))
			for i := range times {
				start := time.Now()
				if out, err := exec.CommandContext(b.Context(), program, v.args(policy)...).CombinedOutput(); err != nil {
					b.Fatal(fmt.Errorf("%w\n%s", err, out))
				}
				times[i] = time.Since(start)
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "ms-p50")
			b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "ms-p99")
		})
	}
}
