package differential

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryFile wants each file of the vectors named in a test here, or in this
// list with the reason why not.
func TestEveryFile(t *testing.T) {
	apart := map[string]string{
		"INDEX.md":                                   "text",
		"tdx/go-tdx-guest/README.md":                 "text",
		"nitro/root.pem":                             "no library of Google's verifies Nitro documents",
		"snp/dstack/sev-snp-attestation.json":        "the report of snp/dstack/report.bin, packed",
		"snp/dstack/sev_snp_attestation.bin":         "the report of snp/dstack/report.bin, packed",
		"snp/go-sev-guest/milanvlek.der":             "the certificates of snp/roots/ask_ark_milan_vlek.pem",
		"snp/ms-tav/genoa_ark.pem":                   "roots are the verifier's",
		"snp/ms-tav/milan_ark.pem":                   "roots are the verifier's",
		"snp/ms-tav/turin_ark.pem":                   "roots are the verifier's",
		"snp/roots/ask_ark_genoa_vlek.pem":           "no VLEK of Genoa in the vectors",
		"snp/roots/ask_ark_turin_vcek.pem":           "the library has no Turin",
		"snp/roots/ask_ark_turin_vlek.pem":           "the library has no Turin",
		"tdx/go-tdx-guest/ccel/ccel_table.dat":       "a table of ACPI, no evidence",
		"tdx/go-tdx-guest/ccel/nonce.dat":            "what a guest was asked, no evidence",
		"tdx/trustee/enclaveIdentity.json":           "of another time than any quote",
		"tdx/trustee/tcbInfo.json":                   "of another platform than any quote",
		"tdx/trustee/parse_tdx_claims_expected.json": "what somebody else reads in a quote",
		"vtpm/trustee/az-snp-vtpm/quote.bin":         "a form that the library does not have",
		"vtpm/trustee/az-snp-vtpm/tpm-quote-v1.json": "a form that the library does not have",
		"vtpm/trustee/az-snp-vtpm/tpm-quote.msg":     "a form that the library does not have",
		"vtpm/trustee/az-snp-vtpm/tpm-quote.sig":     "a form that the library does not have",
		"vtpm/trustee/az-snp-vtpm/vcek-genoa.pem":    "in evidence-genoa.json",
		"vtpm/trustee/az-tdx-vtpm/hcl-report.bin":    "a TD report, which the library does not have",
		"vtpm/trustee/az-tdx-vtpm/quote.bin":         "a form that the library does not have",
		"vtpm/trustee/az-tdx-vtpm/td-quote.bin":      "in evidence-v0.json",
		"vtpm/trustee/az-tdx-vtpm/tpm-quote-v1.json": "a form that the library does not have",
		"vtpm/trustee/tpm_evidence.json":             "a form that the library does not have",
	}
	tests, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, name := range tests {
		if name == "every_test.go" {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(b)
	}
	// Names of event logs and of Google's certificates are put together.
	named := func(name string) bool {
		base := filepath.Base(name)
		return strings.Contains(source.String(), `"`+name+`"`) || strings.HasPrefix(name, "vtpm/go-tpm-tools/") &&
			(strings.Contains(source.String(), `"`+base+`"`) || strings.Contains(source.String(), `"`+strings.TrimSuffix(base, ".bin")+`"`))
	}
	err = filepath.WalkDir(evidence, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, filepath.FromSlash(evidence)))
		if named(name) == (apart[name] != "") {
			t.Errorf("%s: named in a test: %t, in the list of what is not: %t", name, named(name), apart[name] != "")
		}
		delete(apart, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range apart {
		t.Errorf("%s: listed and not there", name)
	}
}
