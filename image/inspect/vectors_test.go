package inspect

import (
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"safebox/image/inspect/tree"
)

// realFiles names every file of the two folders of real evidence, by the kind that
// their INDEX.md (and README.md) says that it has. "" is a form that nothing
// here reads.
func realFiles() map[string][]string {
	return map[string][]string{
		"SNP report": {
			"snp/dstack/report.bin", "snp/go-sev-guest/attestation.bin", "snp/ms-tav/genoa_attestation_report.bin",
			"snp/ms-tav/milan_attestation_report.bin", "snp/ms-tav/turin_attestation_report.bin", "snp/trustee/test-vlek-report.bin",
		},
		"TDX quote": {
			"tdx/dcap-qvl/tdx_quote", "tdx/dcap-qvl/tdx_quote_outdated", "tdx/go-tdx-guest/ccel/cos-113-tdx-quote.dat",
			"tdx/go-tdx-guest/tdx_prod_quote_SPR_E4.dat", "tdx/trustee/tdx_quote_4.dat", "tdx/trustee/tdx_quote_5.dat",
			"vtpm/trustee/az-tdx-vtpm/td-quote.bin",
		},
		"SGX quote": {"tdx/dcap-qvl/sgx_quote"},
		"certificates": {
			"nitro/root.pem",
			"snp/dstack/ask.pem", "snp/dstack/vcek.pem",
			"snp/go-sev-guest/milan_cert_chain.pem", "snp/go-sev-guest/milanvlek.der", "snp/go-sev-guest/vcek.der",
			"snp/ms-tav/genoa_ark.pem", "snp/ms-tav/genoa_ask.pem", "snp/ms-tav/genoa_vcek.pem",
			"snp/ms-tav/milan_ark.pem", "snp/ms-tav/milan_ask.pem", "snp/ms-tav/milan_vcek.pem",
			"snp/ms-tav/turin_ark.pem", "snp/ms-tav/turin_ask.pem", "snp/ms-tav/turin_vcek.pem",
			"snp/roots/ask_ark_genoa.pem", "snp/roots/ask_ark_genoa_vlek.pem", "snp/roots/ask_ark_milan.pem",
			"snp/roots/ask_ark_milan_vlek.pem", "snp/roots/ask_ark_turin_vcek.pem", "snp/roots/ask_ark_turin_vlek.pem",
			"snp/trustee/test-vcek-invalid-legacy.der", "snp/trustee/test-vcek-invalid-new.der", "snp/trustee/test-vlek.der",
			"snp/virtee/cert_chain_turin", "snp/virtee/vcek_turin.der",
			"vtpm/go-tpm-tools/ca-certs/gcp_ek_ak_ca_intermediate_v3.crt", "vtpm/go-tpm-tools/ca-certs/gcp_ek_ak_ca_root.crt",
			"vtpm/go-tpm-tools/ca-certs/tpm_ek_intermediate_2.crt", "vtpm/go-tpm-tools/ca-certs/tpm_ek_intermediate_3.crt",
			"vtpm/go-tpm-tools/ca-certs/tpm_ek_root_1.cer",
			"vtpm/trustee/az-snp-vtpm/vcek-genoa.pem",
		},
		"revocation list": {"tdx/go-tdx-guest/pckcrl", "tdx/go-tdx-guest/rootcrl.der"},
		"TCB info":        {"tdx/go-tdx-guest/sample_tcbInfo_response", "tdx/trustee/tcbInfo.json"},
		"QE identity":     {"tdx/go-tdx-guest/sample_qeIdentity_response", "tdx/trustee/enclaveIdentity.json"},
		"collateral": {
			"tdx/dcap-qvl/sgx_quote_collateral.json", "tdx/dcap-qvl/tdx_quote_collateral.json",
			"tdx/dcap-qvl/tdx_quote_outdated_collateral.json",
		},
		"CCEL event log": {
			"tdx/dstack/ccel.bin", "tdx/go-tdx-guest/ccel/ccel_data.dat",
			"tdx/trustee/CCEL_data_gcp", "tdx/trustee/CCEL_data_grub", "tdx/trustee/CCEL_data_ovmf",
		},
		"CCEL table": {"tdx/go-tdx-guest/ccel/ccel_table.dat"},
		"event log": {
			"vtpm/dstack/tpm_eventlog.bin", "vtpm/go-tpm-tools/eventlogs/arch-linux-workstation.bin",
			"vtpm/go-tpm-tools/eventlogs/confidential-gke-debug-251000_eventlog.bin", "vtpm/go-tpm-tools/eventlogs/cos-101-amd-sev.bin",
			"vtpm/go-tpm-tools/eventlogs/cos-85-amd-sev.bin", "vtpm/go-tpm-tools/eventlogs/cos-93-amd-sev.bin",
			"vtpm/go-tpm-tools/eventlogs/eventlogwithsp800155.bin", "vtpm/go-tpm-tools/eventlogs/gdc-host.bin",
			"vtpm/go-tpm-tools/eventlogs/glinux-alex.bin", "vtpm/go-tpm-tools/eventlogs/rhel8-uefi.bin",
			"vtpm/go-tpm-tools/eventlogs/ubuntu-1804-amd-sev.bin", "vtpm/go-tpm-tools/eventlogs/ubuntu-2104-no-dbx.bin",
			"vtpm/go-tpm-tools/eventlogs/ubuntu-2104-no-secure-boot.bin", "vtpm/go-tpm-tools/eventlogs/ubuntu-2404-amd-sevsnp.bin",
		},
		"TPM evidence": {
			"vtpm/go-tpm-tools/attestations/gce-cos-85-no-nonce.pb", "vtpm/go-tpm-tools/attestations/gce-cos-85-nonce9009.pb",
			"vtpm/trustee/az-snp-vtpm/evidence-genoa.json",
			"vtpm/trustee/az-tdx-vtpm/evidence-v0.json", "vtpm/trustee/az-tdx-vtpm/evidence-v1.json",
			"vtpm/trustee/tpm_evidence.json",
		},
		"HCL report": {"vtpm/trustee/az-snp-vtpm/hcl-report.bin", "vtpm/trustee/az-tdx-vtpm/hcl-report.bin"},
		"TPM quote":  {"vtpm/trustee/az-snp-vtpm/tpm-quote.msg"},
		"Nitro document": {
			"docs/anjuna_attester_sample_prod_doc.cbor", "docs/anjuna_sample_attestation_doc_full.cbor", "docs/anjuna_sample_prod_doc.cbor",
			"docs/blocky_nitro_attestation.cbor", "docs/blocky_nitro_attestation_debug.cbor",
			"docs/dstack_attest_nitro_attestation.cbor", "docs/dstack_attest_nitro_attestation_dbg.cbor",
			"docs/evervault_beta_debug.cbor", "docs/evervault_ga_valid.cbor",
		},
		"": {
			"INDEX.md", "tdx/go-tdx-guest/README.md",
			// Wrappers of others around evidence.
			"snp/dstack/sev-snp-attestation.json", "snp/dstack/sev_snp_attestation.bin", "snp/trustee/e2e-evidence.json",
			"tdx/dstack/quote-report.json", "tdx/dstack/tdx-lite-attestation.json", "tdx/dstack/tdx-lite-getquote.json",
			"tdx/trustee/parse_tdx_claims_expected.json",
			"vtpm/trustee/az-snp-vtpm/quote.bin", "vtpm/trustee/az-snp-vtpm/tpm-quote-v1.json",
			"vtpm/trustee/az-tdx-vtpm/quote.bin", "vtpm/trustee/az-tdx-vtpm/tpm-quote-v1.json",
			// Bytes without a form: a nonce, a report that only its machine reads, a signature.
			"tdx/go-tdx-guest/ccel/nonce.dat", "tdx/go-tdx-guest/report.dat", "vtpm/trustee/az-snp-vtpm/tpm-quote.sig",
			// A log of the first version, which has SHA-1 alone.
			"vtpm/go-tpm-tools/eventlogs/debian-10.bin",
		},
	}
}

// realFile reads a file that realFiles names.
func realFile(t testing.TB, name string) []byte {
	t.Helper()
	folder := "../../verifier/testdata/evidence"
	if strings.HasPrefix(name, "docs/") {
		folder = "../../measure/testdata/nitro"
	}
	b, err := os.ReadFile(path.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestReal: every file is what its index says, is not of two kinds, and says
// first that nothing was verified.
func TestReal(t *testing.T) {
	damaged := map[string]string{
		// The vector ends in a newline that the quote does not have.
		"tdx/go-tdx-guest/tdx_prod_quote_SPR_E4.dat": "after the quote at 0x1347: got 0x0a, want nothing or zeros",
	}
	for kind, names := range realFiles() {
		for _, name := range names {
			b := realFile(t, name)
			if got := Kind(b); got != kind {
				t.Errorf("%s: got %q, want %q", name, got, kind)
				continue
			}
			r, err := Bytes(b)
			switch want, bad := damaged[name]; {
			case kind == "" || bad:
				if kind == "" {
					want = "not recognised"
				}
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: got error %v, want one about %q", name, err, want)
				}
				continue
			case err != nil:
				t.Errorf("%s: %v", name, err)
				continue
			}
			one(t, name, b)
			notice(t, name, r)
		}
	}
}

// one: what is recognised is of one kind. The kinds of images overlap in known
// ways, and for them the order of formats decides.
func one(t *testing.T, name string, b []byte) {
	t.Helper()
	var kinds []string
	for _, f := range formats()[len(images()):] {
		if f.Match(b) {
			kinds = append(kinds, f.Kind)
		}
	}
	if slices.ContainsFunc(images(), func(f tree.Format) bool { return f.Match(b) }) {
		kinds = append(kinds, "image")
	}
	if len(kinds) != 1 {
		t.Errorf("%s: recognised as %q, want one kind", name, kinds)
	}
}

// notice: whatever claims something says first that nobody has checked it.
func notice(t *testing.T, name string, r *Report) {
	t.Helper()
	if slices.ContainsFunc(images(), func(f tree.Format) bool { return f.Kind == r.Kind }) {
		return
	}
	if first := r.Items[0]; first.Name != "verified" || !strings.HasPrefix(first.Value, "no: decoded only, not verified: ") {
		t.Errorf("%s: got %q %q first, want that nothing is verified", name, first.Name, first.Value)
	}
	var walk func(items []Item)
	walk = func(items []Item) {
		for _, i := range items {
			if i.Name == "verified" {
				t.Errorf("%s: says twice whether it is verified", name)
			}
			walk(i.Items)
		}
	}
	walk(r.Items[1:])
}

// TestRealComplete: no file lies in the folders that nobody looks at.
func TestRealComplete(t *testing.T) {
	var named []string
	for _, names := range realFiles() {
		named = append(named, names...)
	}
	slices.Sort(named)
	var found []string
	for _, folder := range []struct{ root, prefix string }{
		{"../../verifier/testdata/evidence", ""}, {"../../measure/testdata/nitro/docs", "docs"},
	} {
		if err := fs.WalkDir(os.DirFS(folder.root), ".", func(p string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				found = append(found, path.Join(folder.prefix, p))
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(found)
	if !slices.Equal(named, found) {
		for _, f := range found {
			if !slices.Contains(named, f) {
				t.Errorf("%s: no kind is named for it", f)
			}
		}
		t.Errorf("got %d files, want %d", len(found), len(named))
	}
}

// TestImagesKeepTheirKind: no other kind takes an image or a log for its own.
func TestImagesKeepTheirKind(t *testing.T) {
	root := os.DirFS("../../measure/testdata")
	seen := 0
	if err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(p, "nitro/docs/") {
			return err
		}
		b := shared(t, strings.TrimSuffix(p, ".xz"))
		if slices.ContainsFunc(images(), func(f tree.Format) bool { return f.Match(b) }) {
			seen++
			one(t, p, b)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if seen < 20 {
		t.Errorf("got %d images and logs, want at least 20", seen)
	}
}
