package verifier

import (
	"os"
	"strings"
	"testing"

	"safebox/verifier/check"
	"safebox/verifier/nitro"
	"safebox/verifier/published"
	"safebox/verifier/snp"
	"safebox/verifier/tdx"
	"safebox/verifier/tpm/cloud"
)

// TestVerdictDocument: docs/format-verdict.md has a row for each check, with
// the words of the code, and the ID of each in its steps or tables.
func TestVerdictDocument(t *testing.T) {
	b, err := os.ReadFile("../docs/format-verdict.md")
	if err != nil {
		t.Fatal(err)
	}
	document := string(b)
	for _, id := range registered(t) {
		if !strings.Contains(document, id) && !strings.HasPrefix(id, "TPM-R") {
			t.Errorf("%s is not in the document", id)
		}
	}
	for _, list := range [][]check.Definition{
		policyDefinitions(), vendorDefinitions(), memoryDefinitions(), published.Definitions(), snp.Definitions(), tdx.Definitions(),
		nitro.Definitions(nitro.Enclave), cloud.Definitions(),
	} {
		for _, d := range list {
			if row := "| " + d.ID + " | " + d.Name + " | " + d.Source + " |\n"; !strings.Contains(document, row) {
				t.Errorf("no row %q", row)
			}
		}
	}
}
