package cloud

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"safebox/verifier/chain"
	"safebox/verifier/check"
	"safebox/verifier/endorse"
	"safebox/verifier/policy/table"
	"safebox/verifier/policy/tpmpolicy"
	"safebox/verifier/tpm/azure"
	"safebox/verifier/verdict"
)

const vectors = "../../testdata/evidence/vtpm/"

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.FromSlash(vectors + name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// profile reads the profile's own table, changed as a user would.
func profile(t testing.TB, name string, changes ...string) *tpmpolicy.Policy {
	t.Helper()
	text := tpmpolicy.Section(name)
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			t.Fatalf("policy has no %q", changes[i])
		}
		text = strings.Replace(text, changes[i], changes[i+1], 1)
	}
	file, err := table.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p := tpmpolicy.Read(file.Table("vtpm").Table("quote"), name)
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return &p
}

// google are Google's certificates for its vTPMs.
func google(t testing.TB) *endorse.Set {
	t.Helper()
	set := &endorse.Set{}
	for _, name := range []string{"gcp_ek_ak_ca_intermediate_v3.crt", "gcp_ek_ak_ca_root.crt", "tpm_ek_intermediate_2.crt", "tpm_ek_intermediate_3.crt", "tpm_ek_root_1.cer"} {
		c, err := chain.ParseCertificate(read(t, "go-tpm-tools/ca-certs/"+name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		set.Certificates = append(set.Certificates, c)
	}
	return set
}

// binding stands for the processor's package: it looks at nothing but the
// binding.
func binding(t testing.TB) Hardware {
	return func(h azure.Hardware, want [64]byte, _ *check.Recorder) error {
		t.Helper()
		// report_data: SEV-SNP report at 0x50 (AMD 56860); TD quote v4, header 48
		// bytes, at 520 of the body.
		off := 0x50
		if h.Kind == azure.TDX {
			off = 48 + 520
		}
		if string(h.Report[off:off+64]) != string(want[:]) {
			return errors.New("report_data is another")
		}
		return nil
	}
}

// collected is a time within every certificate: INDEX.md has any for the
// quote, and the certificate of its key is of 2021-08-31.
func collected() chain.Rules { return chain.Rules{At: time.Date(2021, 9, 1, 0, 0, 0, 0, time.UTC)} }

func verify(t testing.TB, in Input) *verdict.Verdict {
	t.Helper()
	log := check.New()
	Verify(in, log)
	return log.Verdict(Definitions())
}

// TestRealEvidence runs every file of the folder that is evidence, and names
// every other. Refusals name the checks that failed.
func TestRealEvidence(t *testing.T) {
	const gce = "go-tpm-tools/attestations/"
	cases := map[string]string{ // IDs of the checks that were reached and failed
		gce + "gce-cos-85-nonce9009.pb":           "",
		gce + "gce-cos-85-no-nonce.pb":            "TPM-Q1",
		"trustee/az-snp-vtpm/evidence-genoa.json": "",
		"trustee/az-tdx-vtpm/evidence-v0.json":    "",
		"trustee/az-tdx-vtpm/evidence-v1.json":    "",
		"trustee/tpm_evidence.json":               "TPM-K1 TPM-K2",
		"trustee/az-snp-vtpm/hcl-report.bin":      "TPM-F1", // no quote: azure.TestRealParts
		"trustee/az-tdx-vtpm/hcl-report.bin":      "TPM-F1",
		"trustee/az-snp-vtpm/quote.bin":           "TPM-F1", // a Rust program's memory: azure.TestRealParts
		"trustee/az-tdx-vtpm/quote.bin":           "TPM-F1",
		"trustee/az-snp-vtpm/tpm-quote-v1.json":   "TPM-F1", // no report: azure.TestRealParts
		"trustee/az-tdx-vtpm/tpm-quote-v1.json":   "TPM-F1",
		"trustee/az-snp-vtpm/tpm-quote.msg":       "TPM-F1", // tpm.TestRealAttest
		"trustee/az-snp-vtpm/tpm-quote.sig":       "TPM-F1",
		"trustee/az-snp-vtpm/vcek-genoa.pem":      "TPM-F1", // verifier/snp
		"trustee/az-tdx-vtpm/td-quote.bin":        "TPM-F1", // verifier/tdx
		"dstack/tpm_eventlog.bin":                 "TPM-F1", // TestRealLogs
	}
	for name, want := range cases {
		got := verify(t, Input{Evidence: read(t, name), Endorsements: google(t), Rules: collected(), Policy: profile(t, "test"), Hardware: binding(t)})
		if failed := failures(got); failed != want || got.OK != (want == "") {
			t.Errorf("%s: got %q, want %q:\n%s", name, failed, want, got.Text())
		}
	}
	everyFile(t, func(name string) bool {
		_, ok := cases[name]
		return ok || strings.HasPrefix(name, "go-tpm-tools/ca-certs/") || strings.HasPrefix(name, "go-tpm-tools/eventlogs/")
	})
}

func failures(v *verdict.Verdict) string {
	var ids []string
	for _, c := range v.Failed() {
		if c.Reached {
			ids = append(ids, c.ID)
		}
	}
	return strings.Join(ids, " ")
}

func everyFile(t *testing.T, known func(string) bool) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(filepath.FromSlash(vectors), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		name := strings.TrimPrefix(filepath.ToSlash(path), vectors)
		if !known(name) {
			t.Errorf("%s: no test names it", name)
		}
		return nil
	})
	if err != nil || files == 0 {
		t.Errorf("%d files, %v", files, err)
	}
}
