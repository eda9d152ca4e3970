package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/snp"
	"safebox/verifier/chain"
	"safebox/verifier/transcript"
)

// changed is a profile's policy for all platforms with lines replaced: old, new.
func changed(t *testing.T, profile string, pairs ...string) (*Policy, error) {
	t.Helper()
	b, err := Profile(profile, transcript.Platforms())
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for i := 0; i < len(pairs); i += 2 {
		if strings.Count(text, "\n"+pairs[i]+"\n") != 1 {
			t.Fatalf("line %q: not there once", pairs[i])
		}
		text = strings.Replace(text, "\n"+pairs[i]+"\n", "\n"+pairs[i+1]+"\n", 1)
	}
	return Parse([]byte(text))
}

// TestGrace: two persons for as long as there is a grace, and nobody without; a
// week at most; never with a platform that is out of date (specs/verify.md 5.2).
func TestGrace(t *testing.T) {
	const mode, grace, by = `mode = "live"`, "grace = 0", `waived_by = "none"`
	week := fmt.Sprint(7 * 24 * 3600)
	for _, tt := range []struct {
		mode, grace, by string
		ok              bool
	}{
		{`mode = "grace"`, "grace = 60", `waived_by = ["a", "b"]`, true},
		{`mode = "grace"`, "grace = " + week, `waived_by = ["a", "b"]`, true},
		{`mode = "grace"`, "grace = " + week + "1", `waived_by = ["a", "b"]`, false},
		{`mode = "grace"`, "grace = 604801", `waived_by = ["a", "b"]`, false},
		{`mode = "grace"`, "grace = 0", `waived_by = ["a", "b"]`, false},
		{`mode = "grace"`, "grace = -1", `waived_by = ["a", "b"]`, false},
		{`mode = "grace"`, "grace = 60", `waived_by = ["a"]`, false},
		{`mode = "grace"`, "grace = 60", `waived_by = ["a", "a"]`, false},
		{`mode = "grace"`, "grace = 60", `waived_by = ["a", "b", "c"]`, false},
		{`mode = "grace"`, "grace = 60", `waived_by = "none"`, false},
		{`mode = "grace"`, "grace = 60", `waived_by = []`, false},
		{`mode = "live"`, "grace = 60", `waived_by = ["a", "b"]`, false},
		{`mode = "live"`, "grace = 0", `waived_by = ["a", "b"]`, false},
		{`mode = "as-of"`, "grace = 60", `waived_by = "none"`, false},
		{`mode = "as-of"`, "grace = 0", `waived_by = "none"`, true},
	} {
		p, err := changed(t, Strict, mode, tt.mode, grace, tt.grace, by, tt.by)
		if (err == nil) != tt.ok {
			t.Errorf("%+v: got %v", tt, err)
		}
		if err == nil && p.Collateral.Mode == Grace && (p.Collateral.Grace == 0 || len(p.Collateral.WaivedBy) != 2) {
			t.Errorf("%+v: got %+v", tt, p.Collateral)
		}
	}
	// Profile test accepts OutOfDate.
	if _, err := changed(t, Test, `mode = "as-of"`, `mode = "grace"`, grace, "grace = 60", by, `waived_by = ["a", "b"]`); err == nil || !strings.Contains(err.Error(), "OutOfDate") {
		t.Errorf("grace with OutOfDate: got %v", err)
	}
}

// TestWaiversOfCollateral: what only profile test may leave open.
func TestWaiversOfCollateral(t *testing.T) {
	for _, profile := range []string{Strict, Cloud} {
		for key, line := range map[string]string{
			"collateral.max_age_tcb": "max_age_tcb = 604800",
			"collateral.max_age_crl": "max_age_crl = 2592000",
			"collateral.time":        `time = "authenticated"`,
			"stale":                  `stale = "refuse"`,
			"release":                `release = "signed"`,
			"vtpm.software_roots":    `software_roots = "refuse"`,
		} {
			name, _, _ := strings.Cut(line, " ")
			open := name + ` = "any"`
			switch name {
			case "release":
				open = `release = "unsigned"`
			case "software_roots":
				open = `software_roots = "accept"`
			}
			if _, err := changed(t, profile, line, open); err == nil || !strings.Contains(err.Error(), "key "+key+": ") {
				t.Errorf("%s: %s: got %v", profile, open, err)
			}
		}
		p, err := changed(t, profile, `memory = "required"`, `memory = "any"`)
		if err != nil || !p.Collateral.AnyMemory || !strings.Contains(strings.Join(p.Explain(), "\n"), "WAIVED: the rollback memory may be missing") {
			t.Errorf("%s: memory: got %v", profile, err)
		}
	}
}

// TestRules: every limit of time reaches the checks.
func TestRules(t *testing.T) {
	at := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	c := Collateral{Grace: 1, MaxAgeTCB: 2, AnyAgeTCB: true, MaxAgeCRL: 3, AnyAgeCRL: true}
	want := chain.Rules{At: at, Grace: 1, MaxAgeTCB: 2, AnyAgeTCB: true, MaxAgeCRL: 3, AnyAgeCRL: true}
	if diff := cmp.Diff(want, c.Rules(at)); diff != "" {
		t.Error(diff)
	}
	p, err := changed(t, Strict)
	if err != nil {
		t.Fatal(err)
	}
	want = chain.Rules{At: at, MaxAgeTCB: 7 * 24 * time.Hour, MaxAgeCRL: 30 * 24 * time.Hour} // specs/verify.md 5.2, live
	if diff := cmp.Diff(want, p.Collateral.Rules(at)); diff != "" {
		t.Error(diff)
	}
}

// TestShapesOfMachines: forms and bounds of [shapes].
func TestShapesOfMachines(t *testing.T) {
	for text, want := range map[string]*SNPShape{
		"qemu EPYC-v4 1-64":   {VMM: snp.QEMU, Low: 1, Max: 64},
		"qemu EPYC-v4 512":    {VMM: snp.QEMU, Low: 512, Max: 512},
		"qemu EPYC-v4 7-7":    {VMM: snp.QEMU, Low: 7, Max: 7},
		"qemu EPYC-v4 0":      nil,
		"qemu EPYC-v4 0-4":    nil,
		"qemu EPYC-v4 5-4":    nil,
		"qemu EPYC-v4 513":    nil,
		"qemu EPYC-v4 1-513":  nil,
		"qemu EPYC-v4 600-1":  nil,
		"qemu EPYC-v4 -4":     nil,
		"qemu EPYC-v4 1-":     nil,
		"qemu EPYC-v4 1-2-3":  nil,
		"qemu EPYC-v4":        nil,
		"qemu  EPYC-v4 1":     nil,
		"nobody EPYC-v4 1":    nil,
		"qemu nothing 1":      nil,
		"qemu EPYC-v4 1 more": nil,
	} {
		got, err := parseSNPShape(text)
		if (err == nil) != (want != nil) {
			t.Errorf("%q: got %v", text, err)
			continue
		}
		if want != nil && (got.VMM != want.VMM || got.Low != want.Low || got.Max != want.Max || got.CPU == 0 || got.Text != text) {
			t.Errorf("%q: got %+v", text, got)
		}
	}
	for text, want := range map[string]uint64{
		"512M": 512 << 20, "2G": 2 << 30, "65536G": 1 << 46, "67108864M": 1 << 46,
		"65537G": 0, "67108865M": 0, "4294967295G": 0, "4294967296M": 0, "0G": 0, "G": 0, "": 0, "2": 0, "2K": 0, "02G": 0, "2MG": 0, "-2G": 0, "+2G": 0, "2g": 0, "1.5G": 0,
	} {
		if got, err := parseMemory(text); got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
}

// TestOldest: outside profile test no document may be older than such documents
// live (specs/verify.md, section 5.2: 30 days of Intel's, a year of others).
func TestOldest(t *testing.T) {
	for _, profile := range []string{Strict, Cloud, Test} {
		old := map[string]string{"tcb": "max_age_tcb = 604800", "crl": "max_age_crl = 2592000"}
		if profile == Test {
			old = map[string]string{"tcb": `max_age_tcb = "any"`, "crl": `max_age_crl = "any"`}
		}
		for line, ok := range map[string]bool{
			"max_age_tcb = 2592000": true, "max_age_tcb = 2592001": profile == Test,
			"max_age_crl = 31622400": true, "max_age_crl = 31622401": profile == Test,
		} {
			if _, err := changed(t, profile, old[line[8:11]], line); (err == nil) != ok {
				t.Errorf("profile %s: %s: got %v", profile, line, err)
			}
		}
	}
}
