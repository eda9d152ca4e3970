package verifier

import (
	_ "embed"
	"slices"
	"strings"
	"testing"

	"safebox/verifier/check"
	"safebox/verifier/checktest"
	"safebox/verifier/nitro"
	"safebox/verifier/nitro/nitrotest"
	"safebox/verifier/publishtest"
	"safebox/verifier/snp"
	"safebox/verifier/snp/snptest"
	"safebox/verifier/tdx"
	"safebox/verifier/tdx/tdxtest"
	"safebox/verifier/tpm/cloud"
	"safebox/verifier/tpm/tpmtest"
)

//go:embed checks.txt
var registry string

// registered reads checks.txt.
func registered(t testing.TB) []string {
	t.Helper()
	var ids []string
	for line := range strings.Lines(registry) {
		id, origin, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") {
			continue
		}
		if !ok || origin == "" || slices.Contains(ids, id) {
			t.Fatalf("checks.txt: %q: want an ID once, a tab and its origin", line)
		}
		ids = append(ids, id)
	}
	return ids
}

// defined are the checks of all platforms, of our own evidence and of raw
// evidence.
func defined() []string {
	v := &verification{}
	var ids []string
	for _, list := range [][]check.Definition{
		policyDefinitions(), v.definitions(), challengeDefinitions(false), releaseDefinitions(), vendorDefinitions(), memoryDefinitions(),
		keyDefinitions(), quoteDefinitions(), eventDefinitions(), runtimeDefinitions(), expectationDefinitions(), v.registerDefinitions(),
		snp.Definitions(), tdx.Definitions(), nitro.Definitions(nitro.Enclave), nitro.Definitions(nitro.NitroTPM), cloud.Definitions(),
	} {
		for _, d := range list {
			if !slices.Contains(ids, d.ID) {
				ids = append(ids, d.ID)
			}
		}
	}
	return ids
}

// negatives are those of the platforms' test authorities: fully passing
// evidence, signed anew with one thing changed.
func negatives() []checktest.Negative {
	return slices.Concat(snptest.Negatives(), tdxtest.Negatives(), nitrotest.Negatives(), tpmtest.Negatives())
}

// ours are checks of our own files: refusals (and those of platforms_test.go)
// change them.
func ours(id string) bool {
	for _, prefix := range []string{"POL-", "PLAT-", "EV-", "CH-", "FR-", "REL-", "REC-", "LOG-", "CFG-", "COL-", "TIME-", "ROLL-", "TPM-K5", "TPM-R"} {
		if strings.HasPrefix(id, prefix) {
			return true
		}
	}
	return false
}

// TestRegistry: the list of checks is the list of what the code checks, and no
// check lacks evidence that it alone refuses.
func TestRegistry(t *testing.T) {
	ids, code := registered(t), defined()
	for _, id := range ids {
		if !slices.Contains(code, id) {
			t.Errorf("%s is in checks.txt and in no code", id)
		}
	}
	for _, id := range code {
		if !slices.Contains(ids, id) {
			t.Errorf("%s is in the code and not in checks.txt", id)
		}
	}
	seen := map[string]int{}
	for _, n := range negatives() {
		if seen[n.ID]++; seen[n.ID] == 1 { // the platform's own tests run them all
			t.Run(n.ID+" "+n.Name, func(t *testing.T) { checktest.Alone(t, n.Run(t), n.ID) })
		}
	}
	for _, r := range refusals() {
		if r.alone {
			id := r.want
			if strings.HasPrefix(id, "TPM-R") {
				id = "TPM-R" // one for each register
			}
			seen[id]++
		}
	}
	for _, r := range platformRefusals() {
		seen[r.id]++
	}
	for _, a := range publishtest.Attacks() { // TestAttacks runs them all
		seen[a.ID]++
	}
	for _, id := range ids {
		if seen[id] == 0 {
			t.Errorf("%s: no evidence that this check alone refuses", id)
		}
	}
	for id := range seen {
		if !slices.Contains(code, id) && !ours(id) {
			t.Errorf("%s: evidence for a check that there is not", id)
		}
	}
}

// TestPositives: what the negatives were made of passes.
func TestPositives(t *testing.T) {
	list := slices.Concat(snptest.Positives(), tdxtest.Positives(), nitrotest.Positives(), tpmtest.Positives())
	if len(list) < 10 {
		t.Fatalf("%d positives, want at least one for each platform and product", len(list))
	}
	for _, p := range list {
		t.Run(p.Name, func(t *testing.T) { checktest.Passes(t, p.Run(t)) })
	}
}
