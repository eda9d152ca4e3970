package pcs_test

import (
	"strings"
	"testing"

	"safebox/verifier/tdx/pcs"
	"safebox/verifier/tdx/pcs/pcstest"
)

// TestRelaunchAdvised takes a TD that should be launched again, and changes one
// thing that the rule asks for. The rule: Intel's quote verification library,
// TDRelaunchCheck.
func TestRelaunchAdvised(t *testing.T) {
	const old, now = "040102", "070102" // module TDX_01 at 4 (OutOfDate), and at 7 (UpToDate)
	type setup struct {
		info *pcstest.TCBInfo
		pck  *pcstest.PCKExtension
		old  string
		now  string
		qe   pcs.Status
	}
	for _, c := range []struct {
		name   string
		change func(s *setup)
		want   pcs.Status
		why    string
	}{
		{"good", func(*setup) {}, pcs.RelaunchAdvised, "launch the TD again"},
		{"platform needs software hardening", func(s *setup) { s.info.Levels[0].Status = "SWHardeningNeeded" }, pcs.RelaunchAdvised, ""},
		{"platform needs configuration", func(s *setup) { s.info.Levels[0].Status = "ConfigurationNeeded" }, pcs.RelaunchAdvisedConfigurationNeeded, "configuration"},
		{"platform needs both", func(s *setup) { s.info.Levels[0].Status = "ConfigurationAndSWHardeningNeeded" }, pcs.RelaunchAdvisedConfigurationNeeded, ""},
		{"platform out of date", func(s *setup) { s.info.Levels[0].Status = "OutOfDate" }, 0, "platform without its TDX components is OutOfDate"},
		{"platform out of date and misconfigured", func(s *setup) { s.info.Levels[0].Status = "OutOfDateConfigurationNeeded" }, 0, "is OutOfDateConfigurationNeeded"},
		{"platform revoked", func(s *setup) { s.info.Levels[0].Status = "Revoked" }, 0, "is Revoked"},
		{"platform at the lower level", func(s *setup) { s.pck.PCESVN = 12 }, 0, "is OutOfDate"},
		{"platform at no level", func(s *setup) { s.pck.PCESVN = 4 }, 0, "no TCB level matches"},
		{"quoting enclave out of date", func(s *setup) { s.qe = pcs.OutOfDate }, 0, "quoting enclave is OutOfDate"},
		{"quoting enclave revoked", func(s *setup) { s.qe = pcs.Revoked }, 0, "quoting enclave is Revoked"},
		{"quoting enclave at no level", func(s *setup) { s.qe = 0 }, 0, "quoting enclave is none"},
		{"module of the launch up to date", func(s *setup) { s.old = now }, 0, "launched the TD is UpToDate"},
		{"module of the launch revoked", func(s *setup) { s.info.Modules[1].Levels[1].Status = "Revoked" }, 0, "launched the TD is Revoked"},
		{"module of the launch at no level", func(s *setup) { s.old = "030102" }, 0, "no TCB level matches"},
		{"module of the launch without levels", func(s *setup) { s.old = "050002" }, 0, "launched the TD is UpToDate"},
		{"microcode of the launch at no level", func(s *setup) { s.old = "040101" }, 0, "no TCB level matches"},
		{"module of now too old", func(s *setup) { s.now = "060102" }, 0, "runs now has ISVSVN 6, want 7"},
		{"module of now newer", func(s *setup) { s.now = "090102" }, pcs.RelaunchAdvised, ""},
		{"module of now not known", func(s *setup) { s.now = "070202" }, 0, "TDX_02 is not in this TCB info"},
		{"module of now is another", func(s *setup) { s.now = "030302" }, pcs.RelaunchAdvised, ""},
		{"module of now is another, too old", func(s *setup) { s.now = "020302" }, 0, "runs now has ISVSVN 2, want 3"},
		{"module of now without levels", func(s *setup) { s.now = "050002" }, pcs.RelaunchAdvised, ""},
		{"module of now without levels, too old", func(s *setup) { s.now = "040002" }, 0, "runs now has ISVSVN 4, want 5"},
		{"module of now without levels, microcode too old", func(s *setup) { s.now = "050001" }, 0, "TDX TCB component 3 is 1, want 2"},
		{"best level of the module of now revoked", func(s *setup) { s.info.Modules[0].Levels[0].Status = "Revoked"; s.now = "030302" }, 0, "no level that is UpToDate"},
		{"microcode of now too old", func(s *setup) { s.now = "070101" }, 0, "TDX TCB component 3 is 1, want 2"},
		{"microcode of now newer", func(s *setup) { s.now = "070103" }, pcs.RelaunchAdvised, ""},
		{"the launch's microcode is at a lower level only", func(s *setup) {
			s.info.Levels[0].TDX[2], s.now = 3, "070103" // as an update of the microcode made it
		}, pcs.RelaunchAdvised, ""},
		{"the launch's microcode is at a lower level that needs configuration", func(s *setup) {
			s.info.Levels[0].TDX[2], s.now = 3, "070103"
			s.info.Levels[1].Status = "OutOfDateConfigurationNeeded"
		}, pcs.RelaunchAdvisedConfigurationNeeded, ""},
		{"only the level of today needs configuration", func(s *setup) {
			s.info.Levels[0].TDX[2], s.now = 3, "070103"
			s.info.Levels[0].Status = "ConfigurationNeeded"
		}, pcs.RelaunchAdvisedConfigurationNeeded, ""},
		{"only the level of today needs configuration and software hardening", func(s *setup) {
			s.info.Levels[0].TDX[2], s.now = 3, "070103"
			s.info.Levels[0].Status = "ConfigurationAndSWHardeningNeeded"
		}, pcs.RelaunchAdvisedConfigurationNeeded, ""},
		{"the launch's microcode is at a level that is revoked", func(s *setup) {
			s.info.Levels[0].TDX[2], s.now = 3, "070103"
			s.info.Levels[1].Status = "Revoked"
		}, 0, "platform and TDX module are Revoked"},
	} {
		s := setup{pcstest.NewTCBInfo(issued, next), pcstest.NewPCKExtension(), old, now, pcs.UpToDate}
		c.change(&s)
		got, why := openTCBInfo(t, s.info).RelaunchAdvised(parsePCK(t, s.pck), svn(t, s.old), svn(t, s.now), s.qe)
		if got != c.want || why == "" || !strings.Contains(why, c.why) {
			t.Errorf("%s: %s, %q, want %s, %q", c.name, got, why, c.want, c.why)
		}
	}
}

// TestRealRelaunch: tdx_quote_outdated has a newer module in TEE_TCB_SVN2, but its
// platform is at no level, so launching it again would not help (INDEX.md: "TCB
// evaluation fails").
func TestRealRelaunch(t *testing.T) {
	info, err := pcs.OpenTCBInfo(tcbInfoOf(t, "dcap-qvl/tdx_quote_outdated_collateral.json"), intelSigner(t))
	if err != nil {
		t.Fatal(err)
	}
	pck, err := pcs.ParseSGXExtension(leaf(t, "dcap-qvl/tdx_quote_outdated"))
	if err != nil {
		t.Fatal(err)
	}
	if s, why := info.RelaunchAdvised(pck, svn(t, "070103"), svn(t, "0d0103"), pcs.UpToDate); s != 0 || !strings.Contains(why, "no TCB level matches") {
		t.Errorf("%s, %s", s, why)
	}
}
