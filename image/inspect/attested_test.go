package inspect

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"safebox/verifier/evidence"
	"safebox/verifier/nitro/nitrotest"
	"safebox/verifier/policy/nitropolicy"
)

// TestSNPReports: facts of verifier/testdata/evidence/INDEX.md, table SEV-SNP,
// and bytes as xxd shows them at the offsets of specs/verify.md 1.1.
func TestSNPReports(t *testing.T) {
	for name, want := range map[string]map[string]string{
		"snp/ms-tav/milan_attestation_report.bin": {
			"version": "3", "product": "Milan, family/model/stepping 19/01/1", "vmpl": "0", "guest_svn": "2",
			"policy": "0x3001f: ABI 0.31, SMT", "policy/ABI": "0.31 of the firmware ABI or later", "policy/DEBUG": "0, no debugging by the host",
			"platform_info":                      "0x25, SMT, ECC, ALIAS_CHECK_COMPLETE",
			"platform_info/TSME":                 "0, memory is not encrypted by default",
			"platform_info/ALIAS_CHECK_COMPLETE": "1, no aliased memory was found since the last reset",
			"current_tcb":                        "bootloader 0x4, TEE 0x0, SNP 0x18, microcode 0xdb",
			"current_tcb/raw":                    "04000000000018db", "committed_tcb/raw": "04000000000018db",
			"reported_tcb/raw": "04000000000018db", "launch_tcb/raw": "04000000000018db",
			"current_firmware": "1.55.29", "committed_firmware": "1.55.29",
			"chip_id": "4ffb5cb4fd594f3f..", "measurement": "5feee30d6d7e1a29f403d70a4198237d..",
			"signing_key": "VCEK", "author_key": "no", "mask_chip_key": "no",
			"signature_algorithm": "1, ECDSA P-384 with SHA-384",
			"launch_mitigations":  "not in version 3", "current_mitigations": "not in version 3",
		},
		"snp/ms-tav/genoa_attestation_report.bin": {
			"product": "Genoa, family/model/stepping 19/11/1", "current_firmware": "1.55.40",
			"reported_tcb": "bootloader 0xa, TEE 0x0, SNP 0x17, microcode 0x54", "reported_tcb/raw": "0a00000000001754",
			"platform_info": "0x27, SMT, TSME, ECC, ALIAS_CHECK_COMPLETE", "platform_info/TSME": "1, all memory is encrypted by default",
		},
		"snp/ms-tav/turin_attestation_report.bin": {
			"version": "5", "product": "Turin, family/model/stepping 1A/02/1", "current_firmware": "1.55.65",
			"reported_tcb": "FMC 0x1, bootloader 0x1, TEE 0x1, SNP 0x4, microcode 0x51", "reported_tcb/raw": "0101010400000051",
			"platform_info/IOMMU_SAFE": "1, the IOMMU's writes are flushed", "platform_info/TIO": "0, trusted I/O is off",
			"launch_mitigations": "0x3f", "current_mitigations": "0x3f",
		},
		"snp/go-sev-guest/attestation.bin": {
			"version": "2", "product": "not said: version 2 does not know the processor..", "current_firmware": "1.49.3",
			"policy": "0xb0000: ABI 0.0, SMT, DEBUG", "policy/DEBUG": "1, the host may read and change the guest's memory",
		},
		"snp/trustee/test-vlek-report.bin": {
			"version": "3", "vmpl": "1", "signing_key": "VLEK", "chip_id": "zero: the machine does not say which chip it is",
			"reported_tcb/raw": "04000000000018d9", "committed_tcb/raw": "04000000000018db", "current_tcb/raw": "04000000000018dc",
			"current_tcb": "bootloader 0x4, TEE 0x0, SNP 0x18, microcode 0xdc",
		},
		"snp/dstack/report.bin": { // report_data begins with "attest-test-fixture-2026"
			"report_data":      "6174746573742d746573742d666978747572652d32303236..",
			"reported_tcb/raw": "04000000000017d5", "current_tcb/raw": "04000000000018d5", "launch_tcb/raw": "04000000000018d5",
		},
	} {
		t.Run(name, func(t *testing.T) {
			wants(t, describe(t, realFile(t, name), "SNP report"), want)
		})
	}
}

// TestSNPFields: fields that are zero or alike in the real reports, each set
// alone in one of them to a byte that no other has.
func TestSNPFields(t *testing.T) {
	good := realFile(t, "snp/ms-tav/turin_attestation_report.bin")
	for _, tt := range []struct {
		name   string
		at     int
		value  byte
		path   string
		want   string
		before string
	}{
		{"family", 0x10, 0xa1, "family_id", "a1000000..", "01000000.."},
		{"image", 0x20, 0xa2, "image_id", "a2000000..", "02000000.."},
		{"report data", 0x50, 0xa3, "report_data", "a3000000..", "00000000.."},
		{"measurement", 0x90, 0xa4, "measurement", "a46c3545..", "6d6c3545.."},
		{"host data", 0xc0, 0xa5, "host_data", "a5452a0e..", "b3452a0e.."},
		{"ID key", 0xe0, 0xa6, "id_key_digest", "a668e9ae..", "4068e9ae.."},
		{"author key", 0x110, 0xa7, "author_key_digest", "a7000000..", "00000000.."},
		{"report ID", 0x140, 0xa8, "report_id", "a8f0b13e..", "d2f0b13e.."},
		{"migration agent", 0x160, 0xa9, "report_id_ma", "a9ffffff..", "ffffffff.."},
		{"committed firmware", 0x1ec, 0x40, "committed_firmware", "1.55.64", "1.55.65"},
		{"author bit", 0x48, 0x01, "author_key", "yes: ..", "no"},
		{"mask bit", 0x48, 0x02, "mask_chip_key", "yes: ..", "no"},
		{"no key", 0x48, 0x1c, "signing_key", "NONE", "VCEK"},
		{"algorithm", 0x34, 2, "signature_algorithm", "2, unknown", "1, ECDSA P-384 with SHA-384"},
		{"launch mitigations", 0x1f8, 0x16, "launch_mitigations", "0x16", "0x3f"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wants(t, describe(t, good, "SNP report"), map[string]string{tt.path: tt.before})
			b := bytes.Clone(good)
			b[tt.at] = tt.value
			wants(t, describe(t, b, "SNP report"), map[string]string{tt.path: tt.want})
		})
	}
	b := bytes.Clone(good)
	copy(b[0x30:], "\xff\xff\xff\xff")
	wants(t, describe(t, b, "SNP report"), map[string]string{"vmpl": "0xffffffff: the host asked for this report, not the guest"})
	b[0x2a0] ^= 0xff // r is little endian in the file: its first byte is the last shown
	if r := value(t, describe(t, b, "SNP report"), "signature", "r"); !strings.HasSuffix(r, "d6") {
		t.Errorf("signature: got r %s, want its last byte changed from 29 to d6", r)
	}
}

// TestTDXQuotes: facts of INDEX.md, table TDX; the rest is what xxd shows at the
// offsets of specs/verify.md 2.1 and what openssl says of the first certificate
// in the file (serial, dates, fingerprint; asn1parse for the SGX extension).
func TestTDXQuotes(t *testing.T) {
	for name, want := range map[string]map[string]string{
		"tdx/dcap-qvl/tdx_quote": {
			"form": "v4", "version": "4", "tee": "0x81, TDX", "qe_vendor": "939a7233f79c4ca9940a0db3957f0607, Intel",
			"qe_user_data": "889b7d6ff9df2405b240a830e73faf3d00000000",
			"tee_tcb_svn":  "TDX module SVN 6, TDX module version 1, SEAM loader SVN 3", "tee_tcb_svn/raw": "060103000000..",
			"tee_tcb_svn2": "not in a body of TDX 1.0", "mrservicetd": "not in a body of TDX 1.0",
			"mrtd": "91eb2b44d141d4ec..", "report_data": "9a9d48e7f6799642d3d1b34e1e5e1742..",
			"td_attributes": "0000001000000000 (SEPT_VE_DISABLE)", "xfam": "e702060000000000",
			"pck_chain":                               "3",
			"pck_chain/certificate 0/serial":          "3c16ed54eacbb4ced072be72630c85788cf46e36",
			"pck_chain/certificate 0/not_after":       "2032-02-06T23:25:51Z",
			"pck_chain/certificate 0/sha256":          "c2fb4124d84998cc005c38e13766843777e1c47a1e0b89ad720fd70c2e90927e",
			"pck_chain/certificate 0/intel_pck/fmspc": "B0C06F000000", "pck_chain/certificate 0/intel_pck/pceid": "0000",
			"pck_chain/certificate 0/intel_pck/ca": "Platform",
		},
		"tdx/dcap-qvl/tdx_quote_outdated": {
			"form": "v5/1.5", "version": "5",
			"tee_tcb_svn":     "TDX module SVN 7, TDX module version 1, SEAM loader SVN 3",
			"tee_tcb_svn2":    "TDX module SVN 13, TDX module version 1, SEAM loader SVN 3",
			"tee_tcb_svn/raw": "070103000000..", "tee_tcb_svn2/raw": "0d0103000000..",
			"mrservicetd": "zero: no service TD is bound", "mrsignerseam": "zero: Intel",
			"xfam": "e718060000000000", "xfam/features": "x87, SSE, AVX, AVX-512 masks, AVX-512 ZMM high halves, AVX-512 ZMM16 to 31, CET user, CET supervisor, AMX tile configuration, AMX tile data",
			"qe_report/isvsvn": "7", "qe_report/isvprodid": "2",
			"qe_report/mrsigner":                      "dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5", // mrsigner of Intel's TD_QE identity
			"pck_chain/certificate 0/intel_pck/fmspc": "90C06F000000", "pck_chain/certificate 0/intel_pck/pcesvn": "13",
			"pck_chain/certificate 0/intel_pck/ppid":           "66498c9263c04ed2f0657c530ac2b0cb",
			"pck_chain/certificate 0/intel_pck/tcb_components": "[3 3 2 2 4 1 0 3 0 0 0 0 0 0 0 0]",
			"pck_chain/certificate 0/intel_pck/cpusvn":         "03030202040100030000000000000000",
			"pck_chain/certificate 0/intel_pck/sgx_type":       "scalable", "pck_chain/certificate 0/intel_pck/piid": "af8de677b5f3d6d0c3a71b288bfdda89",
			"pck_chain/certificate 0/intel_pck/configuration": "dynamic platform true, cached keys false, SMT true",
		},
		"tdx/trustee/tdx_quote_4.dat": {
			"td_attributes": "0100001000000000 (DEBUG, SEPT_VE_DISABLE)", "td_attributes/DEBUG": "1, the host may read and change the guest",
			"pck_chain/certificate 0/not_before": "2023-02-07T08:02:55Z",
		},
		"tdx/trustee/tdx_quote_5.dat": {
			"form": "v5/1.5", "mrservicetd": "383c87d3bbb047b2..", "td_attributes/DEBUG": "0, no debugging by the host",
			"tee_tcb_svn2/raw": "050102000000..",
		},
		"tdx/go-tdx-guest/ccel/cos-113-tdx-quote.dat": {
			"tee_tcb_svn/raw": "040107000000..", "mrtd": "dae67181d3d65e07..",
			"pck_chain/certificate 0/intel_pck/fmspc": "00806F050000", "pck_chain/certificate 0/not_after": "2031-07-02T12:07:37Z",
		},
		"vtpm/trustee/az-tdx-vtpm/td-quote.bin": {
			"tee_tcb_svn/raw": "020106000000..", "report_data": "9734504f161d104c74e3165c15f779b0..",
		},
	} {
		t.Run(name, func(t *testing.T) {
			wants(t, describe(t, realFile(t, name), "TDX quote"), want)
		})
	}
	wants(t, describe(t, realFile(t, "tdx/dcap-qvl/sgx_quote"), "SGX quote"), map[string]string{
		"tee": "SGX enclave: not the quote of a TD, ..", "version": "3", "qe_svn": "10", "pce_svn": "15",
	})
}

// TestTDXFields: each field of a body of TDX 1.5 and of the quoting enclave's
// report, set alone to a byte of its own.
func TestTDXFields(t *testing.T) {
	const body = 48 + 6
	const report = body + 648 + 4 + 64 + 64 + 6
	good := realFile(t, "tdx/dcap-qvl/tdx_quote_outdated")
	for i, tt := range []struct {
		at   int
		path string
	}{
		{28, "qe_user_data"},
		{body + 16, "mrseam"},
		{body + 64, "mrsignerseam"},
		{body + 112, "seam_attributes"},
		{body + 136, "mrtd"},
		{body + 184, "mrconfigid"},
		{body + 232, "mrowner"},
		{body + 280, "mrownerconfig"},
		{body + 328, "rtmr0"},
		{body + 376, "rtmr1"},
		{body + 424, "rtmr2"},
		{body + 472, "rtmr3"},
		{body + 520, "report_data"},
		{body + 584, "tee_tcb_svn2/raw"},
		{body + 600, "mrservicetd"},
		{report, "qe_report/cpusvn"},
		{report + 48, "qe_report/attributes"},
		{report + 64, "qe_report/mrenclave"},
		{report + 128, "qe_report/mrsigner"},
		{report + 320, "qe_report/report_data"},
		{report - 6 - 128, "signature_data/signature"},
		{report - 6 - 64, "signature_data/attestation_key"},
		{report + 384, "signature_data/qe_signature"},
	} {
		b := bytes.Clone(good)
		b[tt.at] = byte(0xc0 + i)
		wants(t, describe(t, b, "TDX quote"), map[string]string{tt.path: hex.EncodeToString(b[tt.at:tt.at+4]) + ".."})
	}
}

// TestTDXBits: attributes and features that no real quote here has, set in a
// body (bits of Intel's TDX Module 1.5 ABI, ATTRIBUTES, and of XCR0 and
// IA32_XSS).
func TestTDXBits(t *testing.T) {
	const attributes, xfam = 48 + 120, 48 + 128
	b := bytes.Clone(realFile(t, "tdx/dcap-qvl/tdx_quote"))
	copy(b[attributes:], "\x00\x00\x00\xf0\x00\x01\x00\x80")
	copy(b[xfam:], "\x03\x02\x08\x00\x01\x00\x00\x00")
	wants(t, describe(t, b, "TDX quote"), map[string]string{
		"td_attributes/SEPT_VE_DISABLE": "1, a missing page ends the guest",
		"td_attributes/MIGRATABLE":      "1, a service TD may migrate the guest",
		"td_attributes/PKS":             "1, ..", "td_attributes/KL": "1, ..", "td_attributes/PERFMON": "1, ..",
		"td_attributes/others": "0x10000000000",
		"xfam":                 "0302080001000000", "xfam/features": "x87, SSE, PKRU, APX", "xfam/others": "0x100000000",
	})
	b[12] = 0 // first byte of the QE vendor
	if got := value(t, describe(t, b, "TDX quote"), "qe_vendor"); !strings.HasSuffix(got, ", unknown") {
		t.Errorf("QE vendor: got %q, want it unknown", got)
	}
}

// TestNitroDocuments: an independent CBOR reader in Python gave module, time and
// sizes, openssl the leaf's dates and fingerprint. The folder's README.md says
// which document is of debug mode: those with zeros in PCR0.
func TestNitroDocuments(t *testing.T) {
	for name, want := range map[string]map[string]string{
		"docs/anjuna_sample_attestation_doc_full.cbor": {
			"module": `"i-0e4fe5de7ee5abe78-enc018d3cadd7d66279"`, "instance": `"i-0e4fe5de7ee5abe78"`,
			"timestamp": "2024-01-24T18:14:25.635Z", "debug_mode": "yes: PCR0, PCR1 and PCR2 are zero",
			"user_data": "13 bytes, ..", "nonce": "6 bytes, 4e6f6e63650a", "public_key": "294 bytes, ..",
			"pcrs": "16, sha384", "certificates": "5, leaf first, then from the root down",
			"certificates/certificate 0/not_before": "2024-01-24T18:14:14Z", "certificates/certificate 0/not_after": "2024-01-24T21:14:17Z",
			"certificates/certificate 0/sha256": "dd414bdd538d1fcc8aa7e88cbf0e27cf53af41d9bd368bddff5d591b6ae1e195",
			// The root's published fingerprint (AWS Nitro Enclaves User Guide).
			"certificates/certificate 1/sha256": "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b",
		},
		"docs/blocky_nitro_attestation.cbor": {
			"timestamp": "2024-09-07T14:37:39.545Z", "debug_mode": "no", "pcrs/pcr0": "e72a46ca80a260fb044a1254..",
			"user_data": "1024 bytes, 0101..", "nonce": "1024 bytes, 0101..", "public_key": "1024 bytes, ..",
		},
		"docs/blocky_nitro_attestation_debug.cbor": {"debug_mode": "yes: ..", "timestamp": "2024-09-07T14:38:06.508Z"},
		"docs/anjuna_sample_prod_doc.cbor": {
			"timestamp": "2021-03-17T22:01:55.685Z", "debug_mode": "no", "user_data": "none", "nonce": "none", "public_key": "none",
		},
		"docs/evervault_ga_valid.cbor": {
			"module": `"i-0918f6c55e3b61d89-enc018aa8b8e2285d13"`, "timestamp": "2023-09-18T15:03:30.86Z", "nonce": "256 bytes, bba6bfd51866d2e4..",
		},
	} {
		t.Run(name, func(t *testing.T) {
			wants(t, describe(t, realFile(t, name), "Nitro document"), want)
		})
	}
}

// TestNitroTPM: no real document is public, so the tests' own maker writes them,
// with and without the tag of COSE_Sign1.
func TestNitroTPM(t *testing.T) {
	for _, tagged := range []bool{false, true} {
		for kind, name := range map[nitropolicy.Kind]string{nitropolicy.NitroTPM: "NitroTPM document", nitropolicy.Enclave: "Nitro document"} {
			e := nitrotest.New(t, kind, "strict")
			e.Document.Module = "i-0123456789abcdef0-" + map[bool]string{true: "tpm", false: "enc"}[e.Document.TPM] + "0123456789abcdef"
			e.Document.Timestamp = time.Date(2026, 11, 21, 10, 0, 0, 5e6, time.FixedZone("", 3600))
			e.Document.Nonce, e.Document.Tagged = []byte("question"), tagged
			r := describe(t, e.Make(t).Document, name)
			wants(t, r, map[string]string{
				"instance": `"i-0123456789abcdef0"`, "timestamp": "2026-11-21T09:00:00.005Z", "nonce": "8 bytes, 7175657374696f6e",
			})
			debug := slices.ContainsFunc(r.Items, func(i Item) bool { return i.Name == "debug_mode" })
			if registers := value(t, r, "pcrs"); debug == e.Document.TPM || e.Document.TPM && registers != "24, sha384" {
				t.Errorf("%s: got debug mode told %t and registers %q, want it of enclaves alone, and all 24 of a TPM", name, debug, registers)
			}
			notice(t, name, r)
		}
	}
}

// TestDebugModeUnclear: registers of which some are zero are of no mode that AWS
// describes.
func TestDebugModeUnclear(t *testing.T) {
	e := nitrotest.New(t, nitropolicy.Enclave, "strict")
	e.Document.PCRs[1] = make([]byte, 48)
	wants(t, describe(t, e.Make(t).Document, "Nitro document"), map[string]string{"debug_mode": "unclear: 1 of PCR0, PCR1 and PCR2 are zero"})
}

// TestTPMEvidence: facts of INDEX.md, table vTPM; TPMS_ATTEST, protobuf fields and
// the extension of Google's certificate were read by hand with Python, xxd and
// openssl.
func TestTPMEvidence(t *testing.T) {
	const gce = "vtpm/go-tpm-tools/attestations/gce-cos-85-nonce9009.pb"
	wants(t, describe(t, realFile(t, gce), "TPM evidence"), map[string]string{
		"form":                   "go-tpm-tools attestation",
		"attestation_key":        "RSA 2048 bits",
		"attestation_key/sha256": "f175bdb57297b2b289973f819863d6c9d09c236725676914f4248c9a2404c2a4",
		"quote":                  "sha256", "quote/attest/extra_data": "2 bytes, 9009", "quote/attest/clock": "8219159552 ms",
		"quote/attest/reset_count": "10", "quote/attest/clock_safe": "yes",
		"quote/pcr0":            "0f35c214608d93c7a6e68ae7359b4a8be5a0e99eea9107ece427c4dea4e439cf",
		"event_log":             "23970 bytes, sha256 a46bb17e9c9cd175543658f52ea43eaadebb60287b05070bf7e18e87092df83c",
		"ak_certificate/serial": "15c189200bf3dcc5ee8d6700145145df04177", "ak_certificate/not_after": "2051-08-24T23:16:05Z",
		"ak_certificate/key_usage":             "digitalSignature",
		"ak_certificate/gce_instance/project":  `"google.com:wuale-gcp-testing", number 117478743145`,
		"ak_certificate/gce_instance/zone":     `"us-central1-a"`,
		"ak_certificate/gce_instance/instance": `"cos-test", number 6797026933021542085`, "ak_certificate/gce_instance/production": "true",
		"quote_not_used": "sha1",
	})
	wants(t, describe(t, realFile(t, "vtpm/go-tpm-tools/attestations/gce-cos-85-no-nonce.pb"), "TPM evidence"), map[string]string{
		"quote/attest/extra_data": "none",
	})
	wants(t, describe(t, realFile(t, "vtpm/trustee/tpm_evidence.json"), "TPM evidence"), map[string]string{
		"form": "plain TPM evidence", "attestation_key/sha256": "a517f03ffdaee469aef1a19569547e330726335d0461c3ef6383409c6295679e",
		"quote/attest/extra_data": "64 bytes, a04182b506878d4f..", "quote/attest/clock": "1913548331 ms", "quote/attest/firmware": "0x2019102300163636",
		"event_log": "none",
	})
	wants(t, describe(t, realFile(t, "vtpm/trustee/az-snp-vtpm/tpm-quote.msg"), "TPM quote"), map[string]string{
		"extra_data": "9 bytes, 6368616c6c656e6765", "clock": "861327613 ms", "reset_count": "3", "restart_count": "0",
	})
}

// TestAzure: likewise; the digest of the claims is sha256sum's.
func TestAzure(t *testing.T) {
	wants(t, describe(t, realFile(t, "vtpm/trustee/az-snp-vtpm/hcl-report.bin"), "HCL report"), map[string]string{
		"hardware": "SEV-SNP", "claims/secure_boot": "yes", "claims/vm_unique_id": `"911B0EF8-9DBA-48B0-B275-4E4DF2D39252"`,
		"claims/HCLAkPub/key_ops": `"sign"`,
		"want_report_data":        "b3fbad6514c83caeb0380882145e49f794229ef37c421b91fc47ff93556bafac0000..",
		"snp_report/report_data":  "b3fbad6514c83caeb0380882145e49f794229ef37c421b91fc47ff93556bafac0000..",
		"snp_report/version":      "2", "snp_report/reported_tcb/raw": "0300000000000873",
	})
	wants(t, describe(t, realFile(t, "vtpm/trustee/az-snp-vtpm/evidence-genoa.json"), "TPM evidence"), map[string]string{
		"form": "Azure vTPM evidence", "version": "0", "quote/attest/reset_count": "53", "quote/attest/clock": "1413298427 ms",
		"hcl_report/hardware":       "SEV-SNP",
		"vcek/certificate 0/issuer": `"CN=SEV-Genoa,OU=Engineering,O=Advanced Micro Devices,L=Santa Clara,ST=CA,C=US"`,
	})
	for _, name := range []string{"evidence-v0.json", "evidence-v1.json"} {
		wants(t, describe(t, realFile(t, "vtpm/trustee/az-tdx-vtpm/"+name), "TPM evidence"), map[string]string{
			"hcl_report":                  "TDX",
			"hcl_report/want_report_data": "9734504f161d104c74e3165c15f779b06a9bb40dfa71937817d7eee68e593839..",
			"hcl_report/td_report":        "1024 bytes, ..",
			"td_quote/report_data":        "9734504f161d104c74e3165c15f779b06a9bb40dfa71937817d7eee68e593839..",
			"td_quote/tee_tcb_svn/raw":    "020106000000..",
		})
	}
}

// TestOwnEvidence: members as jq shows them, the log's digest by sha256sum. What
// other platforms add is real evidence put into the same file.
func TestOwnEvidence(t *testing.T) {
	b := sharedEvidence(t)
	wants(t, describe(t, b, "evidence"), map[string]string{
		"verified": "no: decoded only, not verified: safebox verify", "platform": `"vtpm"`,
		"nonce":          "7af50d10673b50485e4b80ab820ee331174a82fa29fd22143e1e397b9f00ea76",
		"vtpm/event_log": "5773 bytes, sha256 1996d28d59ad920a28432c2fca039395999e3f3b94a3dbdb521a6beddffe01cb",
		"vtpm/ak/type":   "ECC", "vtpm/quote": "sha256",
		"vtpm/quote/attest/extra_data": "32 bytes, 385bebefe67fec40b8e067578336f9dcea8f1b634dc9392d1fbda3817a6872c0",
		"vtpm/runtime":                 "1",
	})
	e, err := evidence.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	e.VTPM = nil
	quote := realFile(t, "tdx/dcap-qvl/tdx_quote_outdated")
	events := []evidence.RuntimeEvent{{Kind: "config"}}
	for _, tt := range []struct {
		platform string
		snp      *evidence.SNP
		tdx      *evidence.TDX
		nitro    *evidence.Nitro
		want     map[string]string
	}{
		{
			platform: "snp",
			snp:      &evidence.SNP{Report: realFile(t, "snp/ms-tav/turin_attestation_report.bin"), Endorsements: collateralBundle(t)},
			want:     map[string]string{"snp/report/product": "Turin, ..", "snp/endorsements/found": "1 certificate, 1 TCB info"},
		},
		{
			platform: "tdx",
			tdx:      &evidence.TDX{Quote: quote, EventLog: quote[:100], Runtime: events, Endorsements: []byte{}},
			want:     map[string]string{"tdx/quote/form": "v5/1.5", "tdx/event_log": "100 bytes, ..", "tdx/endorsements": "none", "tdx/runtime": "1"},
		},
		{
			platform: "nitro",
			nitro:    &evidence.Nitro{Document: realFile(t, "docs/evervault_ga_valid.cbor"), Runtime: events},
			want:     map[string]string{"nitro/document/nonce": "256 bytes, ..", "nitro/runtime/config": "0000.."},
		},
		{ // what does not read is told, for the rest of the file can be read
			platform: "nitrotpm",
			nitro:    &evidence.Nitro{Document: []byte("\x84no document"), Runtime: events},
			want: map[string]string{
				"nitro/document": "12 bytes, sha256 65c81973de8762c9e0eff66529003f3d9ad2992f39502f22393924c163321233: decoding attestation document: ..",
			},
		},
	} {
		e.Platform, e.SNP, e.TDX, e.Nitro = tt.platform, tt.snp, tt.tdx, tt.nitro
		b, err := e.Encode()
		if err != nil {
			t.Fatalf("%s: %v", tt.platform, err)
		}
		r := describe(t, b, "evidence")
		wants(t, r, tt.want)
		notice(t, tt.platform, r)
	}
}
