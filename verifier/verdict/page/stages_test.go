package page_test

import (
	"os"
	"strings"
	"testing"

	"safebox/verifier/verdict"
	"safebox/verifier/verdict/page"
)

// TestStages: the checks of specs/verify.md 1.2, 2.2 and 4, specs/nitro.md 4.4
// and docs/format-verdict.md by the links of the chain that they decide. A
// check after a bar decides the link but is listed under another.
func TestStages(t *testing.T) {
	for name, line := range map[string]string{
		"Hardware root": "SNP-C1 TDX-C1 NITRO-4 TPM-K5",
		"Endorsement chain": "SNP-C2 SNP-C3 SNP-C4 SNP-C5 SNP-B1 SNP-B2 SNP-B3 SNP-B4 TDX-C2 TDX-C3 TDX-C4 NITRO-5 NITRO-7 " +
			"TPM-K1 TPM-K2 TPM-K3 TPM-K4 TPM-H1 COL-1 ROLL-1 | TDX-C1 NITRO-4",
		"Evidence signature": "EV-1 PLAT-1 SNP-F1 SNP-F2 SNP-F3 SNP-F4 SNP-S1 TDX-F1 TDX-F2 TDX-Q1 TDX-Q2 " +
			"NITRO-1 NITRO-2 NITRO-3 NITRO-6 TPM-F1 TPM-Q1 TPM-Q2 TPM-Q3 TPM-Q4",
		"Platform state":   "SNP-P1 SNP-P2 SNP-T1 SNP-T2 SNP-T3 SNP-T4 SNP-I1 TDX-T1 TDX-T2 TDX-T3 TDX-T4 TDX-T5 TDX-A1 TDX-A2 TDX-A3 TDX-A4 TDX-A5 TDX-A6 NITRO-8",
		"Boot measurement": "SNP-M1 SNP-M2 SNP-M3 SNP-M4 TDX-M1 NITRO-9 TPM-R TPM-R4-sha256 TPM-R11-sha384",
		"Event log":        "TDX-M2 TPM-E1 TPM-E2 TPM-E3 TPM-E4 TPM-E5",
		"Release":          "REL-1 REL-2 REL-3 REL-4 CFG-1 CFG-2",
		"Other checks":     "NITRO-40 TDX-M11 TDX-M3 XYZ-1 SNP-Z1 TPM",
		"Key release":      "POL-1 POL-2 TIME-1 CH-1 FR-1 FR-2 FR-3 FR-4 SNP-D1 TDX-D1 NITRO-10",
	} {
		listed, also, _ := strings.Cut(line, "|")
		for i, id := range append(strings.Fields(listed), strings.Fields(also)...) {
			if known := name != "Other checks"; page.Known(id) != known {
				t.Errorf("%s: known is %t, want %t", id, !known, known)
			}
			table, links := placed(t, id)
			if (table == name) != (i < len(strings.Fields(listed))) || !strings.Contains(links, name+",") {
				t.Errorf("%s: got table %s and links %s want %s", id, table, links, name)
			}
		}
	}
}

// TestEveryCheckHasAPlace: the list of all checks of the verifier holds none
// that the page does not know.
func TestEveryCheckHasAPlace(t *testing.T) {
	list, err := os.ReadFile("../../checks.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(list)) {
		id, _, ok := strings.Cut(line, "\t")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		seen++
		if !page.Known(id) {
			t.Errorf("%s: the page has no place for it", id)
		}
	}
	if seen < 90 {
		t.Errorf("got %d checks", seen)
	}
}

// placed gives the heading of the table that lists a check, and the links of
// the chain that it decides.
func placed(t *testing.T, id string) (table, links string) {
	t.Helper()
	v := &verdict.Verdict{Checks: []verdict.Check{{ID: id, Reached: true}}}
	root := parse(t, render(t, v, nil))
	for _, h := range find(root, "h3", "") {
		if strings.HasPrefix(attribute(h, "id"), "stage-") {
			table += text(h)
		}
	}
	for _, li := range find(root, "li", "bad") {
		links += text(find(li, "h3", "")[0]) + ","
	}
	return table, links
}

// TestChain compares each link's state with what follows by hand from the
// checks of the example.
func TestChain(t *testing.T) {
	check := func(id string, ok, reached bool) verdict.Check {
		return verdict.Check{ID: id, OK: ok, Reached: reached || ok}
	}
	v := &verdict.Verdict{Checks: []verdict.Check{
		check("POL-1", true, true),
		check("SNP-C1", true, true),
		check("SNP-C2", false, true), check("SNP-B1", false, false), check("SNP-B2", true, true),
		check("SNP-S1", false, false), check("SNP-F1", true, true),
		check("TPM-R4-sha256", false, true), check("TPM-R5-sha256", true, true), check("TPM-R6-sha256", true, true),
	}}
	v.Checks[2].Want, v.Checks[3].Got = "any value", "any value" // a word saves nothing that failed
	want := []string{
		"passed Hardware root SNP-C1",
		"failed Endorsement chain SNP-C2 failed SNP-B1 not reached SNP-B2 passed",
		"not reached Evidence signature SNP-S1 SNP-F1 passed",
		"no check Platform state nothing in this verdict answers this",
		"failed Boot measurement TPM-R4-sha256 failed TPM-R*-sha256 passed",
		"no check Event log nothing in this verdict answers this",
		"no check Release nothing in this verdict answers this",
		"withheld Key release POL-1",
	}
	compareChain(t, v, want)
	v.OK = true
	v.Checks = v.Checks[:2]
	want[1] = "no check Endorsement chain nothing in this verdict answers this"
	want[2] = "no check Evidence signature nothing in this verdict answers this"
	want[4] = "no check Boot measurement nothing in this verdict answers this"
	want[7] = "passed Key release POL-1"
	compareChain(t, v, want)
	v.Checks[0].Want, v.Checks[1].Got = "any policy", "root: any"
	v.Checks = append(v.Checks, check("POL-2", true, true))
	want[0] = "has gaps Hardware root SNP-C1 any accepted"
	want[7] = "has gaps Key release POL-1 any accepted POL-2 passed"
	compareChain(t, v, want)
}

func compareChain(t *testing.T, v *verdict.Verdict, want []string) {
	t.Helper()
	links := find(parse(t, render(t, v, nil)), "li", "link")
	if len(links) != len(want) {
		t.Fatalf("got %d links, want %d", len(links), len(want))
	}
	for i, li := range links {
		got := text(find(li, "span", "badge")[0]) + " " + text(find(li, "h3", "")[0]) + " " + text(find(li, "p", "ids")[0])
		if got != want[i] {
			t.Errorf("link %d: got %q, want %q", i, got, want[i])
		}
	}
}
