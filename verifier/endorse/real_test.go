package endorse

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"io/fs"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/verifier/chain"
)

const vectors = "../testdata/evidence"

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectors, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Reasons for which a file is ignored.
const (
	snpReport = "seems to be an SNP attestation report"
	quote     = "seems to be an SGX or TDX quote"
	eventLog  = "seems to be an event log"
	noJSON    = "JSON without endorsements"
	unknown   = "not recognised"
)

// Contents of files.
const (
	one     = "1 certificate"
	two     = "2 certificates"
	combine = "3 certificates, 2 revocation lists, 1 TCB info, 1 QE identity"
)

// expected is what the vectors hold by their index: for each file what is found
// in it, or else the reason for which it is ignored.
func expected() map[string]string {
	return map[string]string{
		"INDEX.md": unknown, "nitro/root.pem": one,

		"snp/dstack/ask.pem": one, "snp/dstack/report.bin": snpReport, "snp/dstack/sev-snp-attestation.json": noJSON,
		"snp/dstack/sev_snp_attestation.bin": unknown, "snp/dstack/vcek.pem": one,
		"snp/go-sev-guest/attestation.bin": snpReport, "snp/go-sev-guest/milan_cert_chain.pem": two,
		"snp/go-sev-guest/milanvlek.der": two, "snp/go-sev-guest/vcek.der": one,
		"snp/ms-tav/genoa_ark.pem": one, "snp/ms-tav/genoa_ask.pem": one, "snp/ms-tav/genoa_vcek.pem": one, "snp/ms-tav/genoa_attestation_report.bin": snpReport,
		"snp/ms-tav/milan_ark.pem": one, "snp/ms-tav/milan_ask.pem": one, "snp/ms-tav/milan_vcek.pem": one, "snp/ms-tav/milan_attestation_report.bin": snpReport,
		"snp/ms-tav/turin_ark.pem": one, "snp/ms-tav/turin_ask.pem": one, "snp/ms-tav/turin_vcek.pem": one, "snp/ms-tav/turin_attestation_report.bin": snpReport,
		"snp/roots/ask_ark_genoa.pem": two, "snp/roots/ask_ark_genoa_vlek.pem": two, "snp/roots/ask_ark_milan.pem": two,
		"snp/roots/ask_ark_milan_vlek.pem": two, "snp/roots/ask_ark_turin_vcek.pem": two, "snp/roots/ask_ark_turin_vlek.pem": two,
		"snp/trustee/e2e-evidence.json": one, "snp/trustee/test-vcek-invalid-legacy.der": one, "snp/trustee/test-vcek-invalid-new.der": one,
		"snp/trustee/test-vlek-report.bin": snpReport, "snp/trustee/test-vlek.der": one,
		"snp/virtee/cert_chain_turin": two, "snp/virtee/vcek_turin.der": one,

		"tdx/dcap-qvl/sgx_quote": quote, "tdx/dcap-qvl/sgx_quote_collateral.json": combine,
		"tdx/dcap-qvl/tdx_quote": quote, "tdx/dcap-qvl/tdx_quote_collateral.json": combine,
		"tdx/dcap-qvl/tdx_quote_outdated": quote, "tdx/dcap-qvl/tdx_quote_outdated_collateral.json": combine,
		"tdx/dstack/ccel.bin": eventLog, "tdx/dstack/quote-report.json": noJSON, "tdx/dstack/tdx-lite-attestation.json": noJSON, "tdx/dstack/tdx-lite-getquote.json": noJSON,
		"tdx/go-tdx-guest/README.md": unknown, "tdx/go-tdx-guest/ccel/ccel_data.dat": eventLog, "tdx/go-tdx-guest/ccel/ccel_table.dat": unknown,
		"tdx/go-tdx-guest/ccel/cos-113-tdx-quote.dat": quote, "tdx/go-tdx-guest/ccel/nonce.dat": unknown,
		"tdx/go-tdx-guest/pckcrl": "1 revocation list", "tdx/go-tdx-guest/rootcrl.der": "1 revocation list", "tdx/go-tdx-guest/report.dat": unknown,
		"tdx/go-tdx-guest/sample_qeIdentity_response": "1 QE identity", "tdx/go-tdx-guest/sample_tcbInfo_response": "1 TCB info",
		"tdx/go-tdx-guest/tdx_prod_quote_SPR_E4.dat": quote,
		"tdx/trustee/CCEL_data_gcp":                  eventLog, "tdx/trustee/CCEL_data_grub": eventLog, "tdx/trustee/CCEL_data_ovmf": eventLog,
		"tdx/trustee/enclaveIdentity.json": "1 QE identity", "tdx/trustee/tcbInfo.json": "1 TCB info", "tdx/trustee/parse_tdx_claims_expected.json": noJSON,
		"tdx/trustee/tdx_quote_4.dat": quote, "tdx/trustee/tdx_quote_5.dat": quote,

		"vtpm/dstack/tpm_eventlog.bin":                          eventLog,
		"vtpm/go-tpm-tools/attestations/gce-cos-85-no-nonce.pb": unknown, "vtpm/go-tpm-tools/attestations/gce-cos-85-nonce9009.pb": unknown,
		"vtpm/go-tpm-tools/ca-certs/gcp_ek_ak_ca_intermediate_v3.crt": one, "vtpm/go-tpm-tools/ca-certs/gcp_ek_ak_ca_root.crt": one,
		"vtpm/go-tpm-tools/ca-certs/tpm_ek_intermediate_2.crt": one, "vtpm/go-tpm-tools/ca-certs/tpm_ek_intermediate_3.crt": one, "vtpm/go-tpm-tools/ca-certs/tpm_ek_root_1.cer": one,
		"vtpm/go-tpm-tools/eventlogs/arch-linux-workstation.bin": eventLog, "vtpm/go-tpm-tools/eventlogs/confidential-gke-debug-251000_eventlog.bin": eventLog,
		"vtpm/go-tpm-tools/eventlogs/cos-101-amd-sev.bin": eventLog, "vtpm/go-tpm-tools/eventlogs/cos-85-amd-sev.bin": eventLog, "vtpm/go-tpm-tools/eventlogs/cos-93-amd-sev.bin": eventLog,
		"vtpm/go-tpm-tools/eventlogs/debian-10.bin":            unknown, // SHA-1 log of TCG 1.2, without a Spec ID event of today
		"vtpm/go-tpm-tools/eventlogs/eventlogwithsp800155.bin": eventLog,
		"vtpm/go-tpm-tools/eventlogs/gdc-host.bin":             eventLog, "vtpm/go-tpm-tools/eventlogs/glinux-alex.bin": eventLog, "vtpm/go-tpm-tools/eventlogs/rhel8-uefi.bin": eventLog,
		"vtpm/go-tpm-tools/eventlogs/ubuntu-1804-amd-sev.bin": eventLog, "vtpm/go-tpm-tools/eventlogs/ubuntu-2104-no-dbx.bin": eventLog,
		"vtpm/go-tpm-tools/eventlogs/ubuntu-2104-no-secure-boot.bin": eventLog, "vtpm/go-tpm-tools/eventlogs/ubuntu-2404-amd-sevsnp.bin": eventLog,
		"vtpm/trustee/az-snp-vtpm/evidence-genoa.json": one, "vtpm/trustee/az-snp-vtpm/hcl-report.bin": unknown, "vtpm/trustee/az-snp-vtpm/quote.bin": unknown,
		"vtpm/trustee/az-snp-vtpm/tpm-quote-v1.json": noJSON, "vtpm/trustee/az-snp-vtpm/tpm-quote.msg": unknown, "vtpm/trustee/az-snp-vtpm/tpm-quote.sig": unknown,
		"vtpm/trustee/az-snp-vtpm/vcek-genoa.pem":   one,
		"vtpm/trustee/az-tdx-vtpm/evidence-v0.json": noJSON, "vtpm/trustee/az-tdx-vtpm/evidence-v1.json": noJSON, "vtpm/trustee/az-tdx-vtpm/hcl-report.bin": unknown,
		"vtpm/trustee/az-tdx-vtpm/quote.bin": unknown, "vtpm/trustee/az-tdx-vtpm/td-quote.bin": quote, "vtpm/trustee/az-tdx-vtpm/tpm-quote-v1.json": noJSON,
		"vtpm/trustee/tpm_evidence.json": noJSON,
	}
}

// TestEveryFile: each file of the vectors is named above, and is taken for that.
func TestEveryFile(t *testing.T) {
	want := expected()
	err := filepath.WalkDir(vectors, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(vectors, path)
		if err != nil {
			return err
		}
		text, ok := want[name]
		if !ok {
			t.Errorf("%s is not in the table", name)
			return nil
		}
		delete(want, name)
		var s Set
		s.Add(name, read(t, name))
		f := s.Files[0]
		ignored := slices.Contains([]string{snpReport, quote, eventLog, noJSON, unknown}, text)
		if f.Name != name || ignored && (f.Found != "" || !strings.HasPrefix(f.Why, text)) || !ignored && (f.Found != text || f.Why != "") {
			t.Errorf("%s: got %+v, want %q", name, f, text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range want {
		t.Errorf("%s is in the table and in no folder", name)
	}
}

// signer gives the public key of Intel's TCB signing certificate, which is the
// first of its chain.
func signer(t testing.TB) *ecdsa.PublicKey {
	t.Helper()
	var c map[string]string
	if err := json.Unmarshal(read(t, "tdx/dcap-qvl/tdx_quote_collateral.json"), &c); err != nil {
		t.Fatal(err)
	}
	certs, err := chain.ParsePEM([]byte(c["tcb_info_issuer_chain"]), 2)
	if err != nil {
		t.Fatal(err)
	}
	return certs[0].PublicKey.(*ecdsa.PublicKey)
}

// TestExactBytes: Intel's signature holds over the bytes that were taken, from
// its service's responses and from combined files.
func TestExactBytes(t *testing.T) {
	key := signer(t)
	n := 0
	for _, name := range []string{
		"tdx/dcap-qvl/tdx_quote_collateral.json", "tdx/dcap-qvl/tdx_quote_outdated_collateral.json", "tdx/dcap-qvl/sgx_quote_collateral.json",
		"tdx/go-tdx-guest/sample_tcbInfo_response", "tdx/go-tdx-guest/sample_qeIdentity_response",
		"tdx/trustee/tcbInfo.json", "tdx/trustee/enclaveIdentity.json",
	} {
		var s Set
		s.Add(name, read(t, name))
		again := decode(t, encode(t, &s))
		for _, o := range slices.Concat(s.TCBInfos, s.Identities, again.TCBInfos, again.Identities) {
			digest := sha256.Sum256(o.Body)
			r, v := new(big.Int).SetBytes(o.Signature[:32]), new(big.Int).SetBytes(o.Signature[32:])
			if !ecdsa.Verify(key, digest[:], r, v) {
				t.Errorf("%s: Intel did not sign %.60s", name, o.Body)
			}
			n++
		}
	}
	if n != 2*(3*2+4) {
		t.Errorf("got %d signed objects, want 20", n)
	}
}

// TestForms: one list in every form that it comes in is one list.
func TestForms(t *testing.T) {
	var s Set
	s.Add("der", read(t, "tdx/go-tdx-guest/pckcrl"))
	for name, f := range forms(read(t, "tdx/go-tdx-guest/pckcrl"), "X509 CRL") {
		s.Add(name, f)
		if got := s.Files[len(s.Files)-1]; got.Found != "1 revocation list" || got.Why != "" {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	for name, f := range forms(read(t, "snp/trustee/test-vlek.der"), "CERTIFICATE") {
		s.Add(name, f)
		if got := s.Files[len(s.Files)-1]; got.Found != "1 certificate" || got.Why != "" {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	if len(s.CRLs) != 1 || len(s.Certificates) != 1 || !bytes.Equal(s.CRLs[0].Raw, read(t, "tdx/go-tdx-guest/pckcrl")) || !bytes.Equal(s.Certificates[0].Raw, read(t, "snp/trustee/test-vlek.der")) {
		t.Errorf("got %d lists, %d certificates, want one of each, unchanged", len(s.CRLs), len(s.Certificates))
	}
}

// TestIssuers: AMD's VCEK intermediates of the products differ by name, and so
// do the authorities of VLEKs.
func TestIssuers(t *testing.T) {
	var s Set
	for name, found := range expected() {
		if strings.HasPrefix(name, "snp/roots/") && found == two {
			s.Add(name, read(t, name))
		}
	}
	if len(s.Certificates) != 9 {
		t.Fatalf("got %d certificates, want 3 ARKs, 3 ASKs, 3 ASVKs", len(s.Certificates))
	}
	for file, want := range map[string]string{
		"snp/ms-tav/milan_vcek.pem": "SEV-Milan", "snp/ms-tav/genoa_vcek.pem": "SEV-Genoa", "snp/ms-tav/turin_vcek.pem": "SEV-Turin",
		"snp/trustee/test-vlek.der": "SEV-VLEK-Milan", "snp/ms-tav/turin_ask.pem": "ARK-Turin", "snp/ms-tav/milan_ark.pem": "ARK-Milan", "nitro/root.pem": "",
	} {
		var leaf Set
		leaf.Add(file, read(t, file))
		var got []string
		for _, c := range s.Issuers(leaf.Certificates[0]) {
			got = append(got, c.Subject.CommonName)
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
	}
}

// TestBundles packs what one machine needs and reads it again. Together they
// stay below 64 KiB, and the order of adding does not count.
func TestBundles(t *testing.T) {
	for name, files := range map[string][]string{
		"SNP":  {"snp/ms-tav/turin_vcek.pem", "snp/ms-tav/turin_ask.pem", "snp/ms-tav/turin_ark.pem"},
		"TDX":  {"tdx/dcap-qvl/tdx_quote_outdated_collateral.json"},
		"both": slices.Sorted(maps.Keys(expected())),
	} {
		var a, b Set
		for i := range files {
			a.Add(files[i], read(t, files[i]))
			b.Add(files[i], read(t, files[len(files)-1-i]))
		}
		bundle := encode(t, &a)
		if name != "both" && len(bundle) > 64<<10 {
			t.Errorf("%s: got %d bytes, want at most 64 KiB", name, len(bundle))
		}
		if !bytes.Equal(bundle, encode(t, &b)) {
			t.Errorf("%s: the order of adding changes the bundle", name)
		}
		again := decode(t, bundle)
		if !bytes.Equal(bundle, encode(t, again)) {
			t.Errorf("%s: another bundle after reading it", name)
		}
		var packed Set
		packed.Add("bundle", bundle)
		if got, want := packed.Files[0], (File{Name: "bundle", Found: a.text()}); got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
		if len(again.Certificates) != len(a.Certificates) || len(again.CRLs) != len(a.CRLs) || len(again.TCBInfos) != len(a.TCBInfos) || len(again.Identities) != len(a.Identities) {
			t.Errorf("%s: got %s, want %s", name, again.text(), a.text())
		}
		for _, c := range a.Certificates {
			if !slices.ContainsFunc(again.Certificates, func(x *x509.Certificate) bool { return bytes.Equal(x.Raw, c.Raw) }) {
				t.Errorf("%s: %q is lost", name, c.Subject)
			}
		}
	}
}

func encode(t testing.TB, s *Set) []byte {
	t.Helper()
	b, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(t testing.TB, b []byte) *Set {
	t.Helper()
	s, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
