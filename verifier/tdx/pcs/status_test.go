package pcs_test

import (
	"strings"
	"testing"

	"safebox/verifier/tdx/pcs"
)

// letters are short for statuses, in the tables of these tests.
func status(t testing.TB, letter string) pcs.Status {
	t.Helper()
	s, ok := map[string]pcs.Status{
		"-": 0,
		"U": pcs.UpToDate, "S": pcs.SWHardeningNeeded, "C": pcs.ConfigurationNeeded, "B": pcs.ConfigurationAndSWHardeningNeeded,
		"O": pcs.OutOfDate, "X": pcs.OutOfDateConfigurationNeeded, "R": pcs.Revoked,
	}[letter]
	if !ok {
		t.Fatalf("no status %q", letter)
	}
	return s
}

// TestConvergeMatrix has every combination of a platform's status with those that
// a TDX module and a quoting enclave may have, written down from the rule of the
// verifier's specification (section 2.2, "Converge rule") by hand.
func TestConvergeMatrix(t *testing.T) {
	const table = `
platform UU UO UR OU OO OR RU RO RR
U        U  O  R  O  O  R  R  R  R
S        S  O  R  O  O  R  R  R  R
C        C  X  R  X  X  R  R  R  R
B        B  X  R  X  X  R  R  R  R
O        O  O  R  O  O  R  R  R  R
X        X  X  R  X  X  R  R  R  R
R        R  R  R  R  R  R  R  R  R`
	lines := strings.Split(strings.TrimSpace(table), "\n")
	head, n := strings.Fields(lines[0]), 0
	for _, line := range lines[1:] {
		row := strings.Fields(line)
		platform := status(t, row[0])
		for i, cell := range row[1:] {
			module, qe := status(t, head[i+1][:1]), status(t, head[i+1][1:])
			if got, want := pcs.Converge(platform, module, qe), status(t, cell); got != want {
				t.Errorf("platform %s, module %s, quoting enclave %s: %s, want %s", platform, module, qe, got, want)
			}
			n++
		}
	}
	if n != 63 {
		t.Errorf("%d combinations, want 7 x 3 x 3", n)
	}
}

// TestConvergeOtherStatuses: the rule's last sentence, "other component statuses
// leave P"; and none makes the whole none.
func TestConvergeOtherStatuses(t *testing.T) {
	const table = `
platform U S C B O X R -
U        U U U U O U R -
S        S S S S O S R -
C        C C C C X C R -
B        B B B B X B R -
O        O O O O O O R -
X        X X X X X X R -
R        R R R R R R R -
-        - - - - - - - -`
	lines := strings.Split(strings.TrimSpace(table), "\n")
	head := strings.Fields(lines[0])
	for _, line := range lines[1:] {
		row := strings.Fields(line)
		for i, cell := range row[1:] {
			platform, component, want := status(t, row[0]), status(t, head[i+1]), status(t, cell)
			for _, components := range [][]pcs.Status{{component}, {component, pcs.UpToDate}, {pcs.UpToDate, component}} {
				if got := pcs.Converge(platform, components...); got != want {
					t.Errorf("platform %s, components %v: %s, want %s", platform, components, got, want)
				}
			}
		}
	}
}

// TestStatusNames: the names of PCS API version 4 (tcbStatus) and of Intel's
// appraisal library for the two that are concluded.
func TestStatusNames(t *testing.T) {
	names := map[string]pcs.Status{
		"UpToDate": pcs.UpToDate, "SWHardeningNeeded": pcs.SWHardeningNeeded, "ConfigurationNeeded": pcs.ConfigurationNeeded,
		"ConfigurationAndSWHardeningNeeded": pcs.ConfigurationAndSWHardeningNeeded, "OutOfDate": pcs.OutOfDate,
		"OutOfDateConfigurationNeeded": pcs.OutOfDateConfigurationNeeded, "Revoked": pcs.Revoked,
		"TDRelaunchAdvised": pcs.RelaunchAdvised, "TDRelaunchAdvisedConfigurationNeeded": pcs.RelaunchAdvisedConfigurationNeeded,
	}
	for name, want := range names {
		if got, err := pcs.ParseStatus(name); err != nil || got != want || got.String() != name {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	if len(pcs.Statuses()) != len(names) {
		t.Errorf("%d statuses, want %d", len(pcs.Statuses()), len(names))
	}
	for _, name := range []string{"", "none", "uptodate", "UpToDate ", "UPTODATE", "Unknown", "OK", "TD_RELAUNCH_ADVISED"} {
		if s, err := pcs.ParseStatus(name); err == nil {
			t.Errorf("%q is %s", name, s)
		}
	}
	if s := pcs.Status(0); s.String() != "none" {
		t.Errorf("zero status is %s", s)
	}
	if s := pcs.Status(200); s.String() != "none" || pcs.Converge(pcs.UpToDate, s) != 0 || pcs.Converge(s) != 0 {
		t.Errorf("status 200 is %s", s)
	}
}
