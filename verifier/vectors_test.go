package verifier_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/eventlog"
	"safebox/verifier"
	"safebox/verifier/endorse"
	"safebox/verifier/policy"
	"safebox/verifier/transcript"
	"safebox/verifier/verdict"
)

// Folders of the real evidence.
const (
	evidenceFolder = "testdata/evidence"
	nitroFolder    = "../measure/testdata/nitro/docs"
	nitroOwnFolder = "nitro/testdata"
)

// vector is a verification of raw evidence: a file, what vendors say, a time, and
// what the verdict must be.
type vector struct {
	file       string // below evidenceFolder, or with one of the other two before it
	cut        func(*testing.T, []byte) []byte
	platform   string
	collateral string   // files, by spaces
	at         string   // day, or RFC 3339
	data       []byte   // expected; nil: nobody says
	edits      []string // of the policy: table.key = value
	refused    string   // IDs of all checks that were reached and failed; empty: accepted
	why        string   // where the expectation comes from
}

// Collateral of several rows.
const (
	milanRoot  = "snp/roots/ask_ark_milan.pem"
	genoaRoot  = "snp/roots/ask_ark_genoa.pem"
	googleCAs  = "vtpm/go-tpm-tools/ca-certs/tpm_ek_intermediate_2.crt vtpm/go-tpm-tools/ca-certs/tpm_ek_root_1.cer"
	sprSamples = "tdx/go-tdx-guest/sample_tcbInfo_response tdx/go-tdx-guest/sample_qeIdentity_response tdx/go-tdx-guest/pckcrl tdx/go-tdx-guest/rootcrl.der"
)

// noTDX are the checks that refuse a quote of Intel's without documents of
// Intel's: verify.md 2.2, TDX-C2 and TDX-C3. What rests on the documents is not
// reached.
const noTDX = "TDX-C2 TDX-C3"

func snpVectors() []vector {
	const (
		milan = "snp/ms-tav/milan_vcek.pem snp/ms-tav/milan_ask.pem snp/ms-tav/milan_ark.pem"
		genoa = "snp/ms-tav/genoa_vcek.pem snp/ms-tav/genoa_ask.pem snp/ms-tav/genoa_ark.pem"
		turin = "snp/ms-tav/turin_vcek.pem snp/ms-tav/turin_ask.pem snp/ms-tav/turin_ark.pem"
		vlek  = "snp/trustee/test-vlek.der snp/roots/ask_ark_milan_vlek.pem"
	)
	return []vector{
		{file: "snp/ms-tav/milan_attestation_report.bin", collateral: milan, at: "2026-11-21", why: "INDEX: sig OK"},
		{file: "snp/ms-tav/genoa_attestation_report.bin", collateral: genoa, at: "2026-11-21", why: "INDEX: sig OK"},
		{file: "snp/ms-tav/turin_attestation_report.bin", collateral: turin, at: "2026-11-21", why: "INDEX: sig OK (raw)"},
		{
			file: "snp/ms-tav/turin_attestation_report.bin", collateral: "snp/ms-tav/turin_vcek.pem snp/roots/ask_ark_turin_vcek.pem", at: "2026-11-21",
			why: "AMD's published chain is the same",
		},
		{
			file: "snp/ms-tav/turin_attestation_report.bin", collateral: "snp/virtee/vcek_turin.der snp/virtee/cert_chain_turin", at: "2026-11-21",
			refused: "SNP-B1", why: "INDEX: VCEK only, no report: it is another machine's and of another TCB. B2, B4 and S1 are not reached",
		},
		{
			file: "snp/ms-tav/turin_attestation_report.bin", collateral: "snp/ms-tav/turin_vcek.pem snp/roots/ask_ark_turin_vlek.pem", at: "2026-11-21",
			refused: "SNP-C2", why: "verify.md SNP-C2: the leaf is signed by ASK (VCEK), this is the ASVK",
		},
		{
			file: "snp/ms-tav/genoa_attestation_report.bin", collateral: "snp/ms-tav/genoa_vcek.pem snp/roots/ask_ark_genoa_vlek.pem", at: "2026-11-21",
			refused: "SNP-C2", why: "verify.md SNP-C2: the leaf is signed by ASK (VCEK), this is the ASVK",
		},
		{
			file: "snp/ms-tav/milan_attestation_report.bin", at: "2026-11-21",
			refused: "SNP-C2", why: "verify.md 0: nothing certifies the key",
		},
		{
			file: "snp/ms-tav/milan_attestation_report.bin", collateral: "snp/trustee/test-vcek-invalid-legacy.der " + milanRoot, at: "2026-11-21",
			refused: "SNP-C2", why: "INDEX: corrupted VCEK, must fail",
		},
		{
			file: "snp/ms-tav/milan_attestation_report.bin", collateral: "snp/trustee/test-vcek-invalid-new.der " + milanRoot, at: "2026-11-21",
			refused: "SNP-C2", why: "INDEX: corrupted VCEK, must fail",
		},
		{
			file: "snp/go-sev-guest/attestation.bin", collateral: "snp/go-sev-guest/vcek.der snp/go-sev-guest/milan_cert_chain.pem", at: "2026-11-21",
			refused: "SNP-P1", why: "INDEX: sig OK, DEBUG bit set: negative vector for policy",
		},
		{file: "snp/trustee/test-vlek-report.bin", collateral: vlek, at: "2025-06-01", why: "INDEX: sig OK, needs provisional firmware and the ASVK"},
		{
			file: "snp/trustee/test-vlek-report.bin", collateral: "snp/trustee/test-vlek.der snp/go-sev-guest/milanvlek.der", at: "2025-06-01",
			why: "the same ASVK as go-sev-guest publishes it",
		},
		{file: "snp/trustee/test-vlek-report.bin", collateral: vlek, at: "2026-11-21", refused: "SNP-C3", why: "INDEX: now = 2024-12-11 .. 2025-12-10"},
		{
			file: "snp/trustee/test-vlek-report.bin", collateral: vlek, at: "2025-06-01", edits: []string{`snp.provisional = "refuse"`},
			refused: "SNP-T1", why: "INDEX: reported d9 < committed db < current dc: needs PermitProvisionalFirmware",
		},
		{file: "snp/dstack/report.bin", collateral: "snp/dstack/vcek.pem snp/dstack/ask.pem", at: "2026-11-21", why: "INDEX: sig OK; without the ARK, which is pinned"},
		{
			file: "snp/dstack/report.bin", collateral: "snp/dstack/vcek.pem snp/dstack/ask.pem", at: "2026-11-21",
			edits: []string{`snp.report_data = "transcript"`}, data: padded("attest-test-fixture-2026", 64),
			why: "INDEX: report_data = ASCII attest-test-fixture-2026",
		},
		{
			file: "snp/dstack/report.bin", collateral: "snp/dstack/vcek.pem snp/dstack/ask.pem", at: "2026-11-21",
			edits: []string{`snp.report_data = "transcript"`}, data: padded("attest-test-fixture-2025", 64),
			refused: "SNP-D1", why: "INDEX: report_data = ASCII attest-test-fixture-2026",
		},
		{
			file: "snp/dstack/report.bin", collateral: "snp/dstack/vcek.pem snp/dstack/ask.pem", at: "2026-11-21",
			edits: []string{`snp.report_data = "transcript"`}, refused: "SNP-D1", why: "verify.md 0: an absent expectation is never skipped",
		},
		{
			file: "snp/dstack/sev_snp_attestation.bin", cut: scale, collateral: "snp/dstack/vcek.pem snp/dstack/ask.pem", at: "2026-11-21",
			why: "INDEX: report.bin and certificates were extracted from it",
		},
		{
			file: "snp/dstack/sev-snp-attestation.json", cut: dstackSNP, collateral: "snp/dstack/vcek.pem " + milanRoot, at: "2026-11-21",
			why: "INDEX: report.bin was extracted from it",
		},
	}
}

func tdxVectors() []vector {
	const (
		good     = "tdx/dcap-qvl/tdx_quote_collateral.json"
		outdated = "tdx/dcap-qvl/tdx_quote_outdated_collateral.json"
	)
	return []vector{
		{file: "tdx/dcap-qvl/tdx_quote", collateral: good, at: "2025-07-01", why: "INDEX: full verify incl. CRL OK, UpToDate"},
		{file: "tdx/dcap-qvl/tdx_quote", at: "2025-07-01", refused: noTDX, why: "verify.md TDX-C2, C3: mandatory in every profile"},
		{file: "tdx/dcap-qvl/tdx_quote", collateral: "tdx/dcap-qvl/sgx_quote_collateral.json", at: "2025-07-01", refused: noTDX, why: "verify.md TDX-C3: id TDX; the list is the Processor CA's"},
		{
			file: "tdx/dcap-qvl/tdx_quote", collateral: "tdx/dcap-qvl/sgx_quote_collateral.json tdx/trustee/tcbInfo.json tdx/trustee/enclaveIdentity.json", at: "2025-07-01",
			refused: "TDX-C2 TDX-C3 TDX-T1", why: "verify.md TDX-T1: samples of another FMSPC, of another time",
		},
		{
			file: "tdx/dcap-qvl/tdx_quote", collateral: good, at: "2025-07-01", edits: []string{`tdx.eval_number_min = 18`},
			refused: "TDX-C4", why: "INDEX: tcbEvaluationDataNumber 17",
		},
		{
			file: "tdx/dcap-qvl/tdx_quote", collateral: outdated, at: "2026-03-01",
			refused: "TDX-T1", why: "INDEX: FMSPC B0C06F000000, documents of 90C06F000000",
		},
		{file: "tdx/dcap-qvl/tdx_quote_outdated", collateral: outdated, at: "2026-03-01", refused: "TDX-T2", why: "INDEX: no matching TCB level"},
		{file: "tdx/dcap-qvl/sgx_quote", collateral: "tdx/dcap-qvl/sgx_quote_collateral.json", at: "2025-07-01", refused: "TDX-F1", why: "INDEX: must be rejected by a TDX verifier (tee_type 0)"},
		{file: "tdx/go-tdx-guest/tdx_prod_quote_SPR_E4.dat", collateral: sprSamples, at: "2023-07-01", refused: "TDX-F1", why: "verify.md TDX-F1: text stands behind the quote"},
		{
			file: "tdx/go-tdx-guest/tdx_prod_quote_SPR_E4.dat", cut: withoutText, collateral: sprSamples, at: "2023-07-01",
			refused: "TDX-C3", why: "verify.md TDX-C3: the samples come without their signer's certificate",
		},
		{
			file: "tdx/go-tdx-guest/tdx_prod_quote_SPR_E4.dat", cut: withoutText, collateral: sprSamples + " " + tcbSigner, at: "2023-07-01",
			refused: "TDX-C4 TDX-T2", why: "INDEX: no TCB level matches its own tcbInfo, which is of evaluation number 15",
		},
		{file: "tdx/go-tdx-guest/report.dat", at: "2023-07-01", refused: "TDX-F1", why: "a TDREPORT, which nobody signed, is no quote"},
		{file: "tdx/go-tdx-guest/ccel/cos-113-tdx-quote.dat", at: "2026-11-21", refused: noTDX, why: "INDEX: sig OK; no collateral"},
		{
			file: "tdx/go-tdx-guest/ccel/cos-113-tdx-quote.dat", at: "2026-11-21", edits: []string{`tdx.report_data = "transcript"`}, data: fileBytes("tdx/go-tdx-guest/ccel/nonce.dat"),
			refused: noTDX, why: "nonce.dat is the quote's report data",
		},
		{
			file: "tdx/go-tdx-guest/ccel/cos-113-tdx-quote.dat", at: "2026-11-21", edits: []string{`tdx.report_data = "transcript"`}, data: padded("another", 64),
			refused: noTDX + " TDX-D1", why: "nonce.dat, 64 zero bytes, is the quote's report data",
		},
		{file: "tdx/trustee/tdx_quote_4.dat", at: "2026-11-21", refused: noTDX + " TDX-A1", why: "INDEX: DEBUG TD; no collateral"},
		{file: "tdx/trustee/tdx_quote_5.dat", at: "2026-11-21", refused: noTDX + " TDX-A4", why: "INDEX: MRSERVICETD not zero; no collateral"},
		{file: "tdx/dstack/quote-report.json", cut: dstackQuote, at: "2026-11-21", refused: noTDX, why: "INDEX: sig OK; no collateral"},
		{file: "tdx/dstack/quote-report.json", cut: dstackQuote, collateral: outdated, at: "2026-03-01", why: "INDEX: the same FMSPC 90C06F, SVN 0b 01 04"},
		{file: "tdx/dstack/tdx-lite-getquote.json", cut: dstackQuote, at: "2026-11-21", refused: noTDX, why: "INDEX: no collateral"},
		{file: "tdx/dstack/tdx-lite-attestation.json", cut: dstackLite, at: "2026-11-21", refused: noTDX, why: "INDEX: no collateral"},
		{file: "vtpm/trustee/az-tdx-vtpm/td-quote.bin", at: "2026-11-21", refused: noTDX, why: "INDEX: TD quote of Azure; no collateral"},
	}
}

// tcbSigner is Intel's certificate of 2018 to 2025, which go-tdx-guest's samples
// came with in a header of HTTP.
const tcbSigner = "../../tdx/testdata/tcb-signing-2018.pem"

func vtpmVectors() []vector {
	const (
		gce    = "vtpm/go-tpm-tools/attestations/gce-cos-85-nonce9009.pb"
		pinned = `vtpm.quote.attestation_keys = ["pinned"]`
		// SHA-256 of the first field, ak_pub, by hashlib.
		pin = `vtpm.quote.pins = ["f175bdb57297b2b289973f819863d6c9d09c236725676914f4248c9a2404c2a4"]`
	)
	asked := []string{pinned, pin, `vtpm.quote.roots = "none"`, `vtpm.quote.extra_data = "transcript"`}
	vectors := []vector{
		{file: gce, collateral: googleCAs, at: "2026-11-21", why: "INDEX: AK cert present; openssl: it is valid from 2021-08-31 to 2051"},
		{file: gce, at: "2026-11-21", refused: "TPM-K1", why: "verify.md TPM-K1: AK cert -> pinned vendor root: the intermediate is missing"},
		{
			file: gce, collateral: "vtpm/go-tpm-tools/ca-certs/gcp_ek_ak_ca_intermediate_v3.crt vtpm/go-tpm-tools/ca-certs/gcp_ek_ak_ca_root.crt vtpm/go-tpm-tools/ca-certs/tpm_ek_intermediate_3.crt",
			at: "2026-11-21", refused: "TPM-K1", why: "openssl: the AK certificate's issuer is the signer of 2020-10-22, none of these",
		},
		{file: gce, at: "2020-01-01", edits: asked, data: []byte{0x90, 0x09}, why: "INDEX: VerifyAttestation OK with TrustedAKs = AkPub, nonce = 0x9009, now = any"},
		{file: gce, at: "2020-01-01", edits: asked, data: []byte{0x90, 0x08}, refused: "TPM-Q1", why: "INDEX: wrong nonce rejected"},
		{file: gce, at: "2020-01-01", edits: asked, refused: "TPM-Q1", why: "verify.md 0: an absent expectation is never skipped"},
		{
			file: gce, at: "2020-01-01", edits: []string{pinned, `vtpm.quote.roots = "none"`, `vtpm.quote.pins = ["0000000000000000000000000000000000000000000000000000000000000000"]`},
			refused: "TPM-K1", why: "another key is pinned",
		},
		{
			file: "vtpm/go-tpm-tools/attestations/gce-cos-85-no-nonce.pb", collateral: googleCAs, at: "2026-11-21",
			refused: "TPM-Q1", why: "INDEX: must be refused by a strict verifier",
		},
		{file: "vtpm/trustee/az-snp-vtpm/evidence-genoa.json", collateral: genoaRoot, at: "2026-11-20", why: "INDEX: SNP sig, claims, TPM quote, PCR digest OK; VCEK inside"},
		{
			file: "vtpm/trustee/az-snp-vtpm/evidence-genoa.json", collateral: genoaRoot + " vtpm/trustee/az-snp-vtpm/vcek-genoa.pem", at: "2026-11-20",
			why: "INDEX: (+ vcek-genoa.pem): the same certificate",
		},
		{file: "vtpm/trustee/az-snp-vtpm/evidence-genoa.json", at: "2026-11-20", refused: "SNP-C2 TPM-H1 TPM-K1", why: "verify.md TPM-H1: no ASK, the hardware report does not verify"},
		{
			file: "vtpm/trustee/az-tdx-vtpm/evidence-v0.json", at: "2026-11-21",
			refused: noTDX + " TPM-H1 TPM-K1", why: "verify.md TDX-C2, C3, TPM-H1: no collateral of the TD quote",
		},
		{
			file: "vtpm/trustee/az-tdx-vtpm/evidence-v1.json", at: "2026-11-21",
			refused: noTDX + " TPM-H1 TPM-K1", why: "verify.md TDX-C2, C3, TPM-H1: no collateral of the TD quote",
		},
		{file: "vtpm/trustee/tpm_evidence.json", at: "2026-11-21", refused: "TPM-K1 TPM-K2", why: "INDEX: parse: ak_public + quote: a bare key that nobody vouches for"},
	}
	return vectors
}

// parts are of evidence that a row above has whole, or of guests none of whose
// other parts are here: nothing of them alone is evidence.
func parts() []vector {
	var list []vector
	for _, name := range []string{
		"az-snp-vtpm/hcl-report.bin", "az-snp-vtpm/quote.bin", "az-snp-vtpm/tpm-quote-v1.json", "az-snp-vtpm/tpm-quote.msg", "az-snp-vtpm/tpm-quote.sig",
		"az-tdx-vtpm/hcl-report.bin", "az-tdx-vtpm/quote.bin", "az-tdx-vtpm/tpm-quote-v1.json",
	} {
		list = append(list, vector{file: "vtpm/trustee/" + name, at: "2026-11-21", refused: "TPM-F1", why: "verify.md 4: a part alone is no evidence"})
	}
	return list
}

// nitroVectors: times are INDEX.md's (timestamp, s), which a program of its own
// read.
func nitroVectors() []vector {
	const debug = `nitro.debug = "accept"`
	var list []vector
	for _, d := range []struct {
		name    string
		time    int64
		zeroPCR bool
	}{
		{"anjuna_attester_sample_prod_doc.cbor", 1695337797, false},
		{"anjuna_sample_attestation_doc_full.cbor", 1706120065, true},
		{"anjuna_sample_prod_doc.cbor", 1616018515, false},
		{"blocky_nitro_attestation.cbor", 1725719859, false},
		{"blocky_nitro_attestation_debug.cbor", 1725719886, true},
		{"dstack_attest_nitro_attestation.cbor", 1766678659, false},
		{"dstack_attest_nitro_attestation_dbg.cbor", 1766650846, true},
		{"evervault_beta_debug.cbor", 1665582606, true},
		{"evervault_ga_valid.cbor", 1695049410, true},
	} {
		at := time.Unix(d.time, 0).UTC().Format(time.RFC3339)
		v := vector{file: nitroFolder + "/" + d.name, at: at, why: "nitro.md 8: accept every real document at its timestamp"}
		if d.zeroPCR {
			list = append(list, vector{file: v.file, at: at, refused: "NITRO-8", why: "INDEX: debug; nitro.md 4.4, step 8"})
			v.edits, v.why = []string{debug}, "nitro.md 8: debug ones behind the opt-in"
		}
		late := v
		late.at, late.refused, late.why = "2026-11-21", "NITRO-4", "nitro.md 4.3: a leaf lives for 3 hours"
		list = append(list, v, late)
	}
	return append(list,
		vector{
			file: nitroOwnFolder + "/blocky_selfsigned_attestation.cbor", at: "2024-04-17T18:51:46Z", edits: []string{debug, `nitro.time = "self"`},
			refused: "NITRO-1", why: "nitro.md 8: self-signed attester; step 1: unprotected headers are null",
		},
		vector{file: nitroOwnFolder + "/evervault_ga_valid.b64", cut: unbase64, at: "2023-09-18T15:03:30Z", edits: []string{debug}, why: "README: the same document, as published"},
		vector{file: nitroOwnFolder + "/evervault_ga_valid.b64", at: "2023-09-18T15:03:30Z", edits: []string{debug}, refused: "NITRO-1", why: "nitro.md 4.4, step 1: text is no CBOR"},
	)
}

// vectors are all rows.
func vectors() []vector {
	var all []vector
	for platform, list := range map[string][]vector{
		transcript.SNP: snpVectors(), transcript.TDX: tdxVectors(), transcript.VTPM: append(vtpmVectors(), parts()...), transcript.Nitro: nitroVectors(),
	} {
		for _, v := range list {
			v.platform = platform
			all = append(all, v)
		}
	}
	return all
}

// other is a file that is evidence of nothing alone.
type other struct {
	role string
	// How many certificates, revocation lists, TCB infos and QE identities are in
	// it, by openssl and Python's json.
	found [4]int
	log   logKind
}

type logKind uint8

const (
	noLog logKind = iota
	ccelLog
	ccelTable
	tpmLog
	oldLog // of SHA-1 alone, without the header of crypto-agile logs
)

func others() map[string]other {
	oneCert := [4]int{1}
	list := map[string]other{
		"INDEX.md":       {role: "text: what the files are"},
		"nitro/root.pem": {role: "pinned in verifier/nitro (TestPinnedRoot)", found: oneCert},

		"snp/trustee/e2e-evidence.json": {role: "a parsed report, put together in verifier/snp (TestReal), and its VCEK", found: oneCert},

		"tdx/go-tdx-guest/README.md":                 {role: "text: what the neighbours are"},
		"tdx/go-tdx-guest/ccel/ccel_data.dat":        {role: "log of cos-113-tdx-quote.dat: verifier/tdx (TestEventLogs)", log: ccelLog},
		"tdx/go-tdx-guest/ccel/ccel_table.dat":       {role: "ACPI table of that log", log: ccelTable},
		"tdx/go-tdx-guest/ccel/nonce.dat":            {role: "report data of cos-113-tdx-quote.dat"},
		"tdx/trustee/CCEL_data_gcp":                  {role: "log, replay: verifier/tdx (TestEventLogs)", log: ccelLog},
		"tdx/trustee/CCEL_data_grub":                 {role: "log, replay: verifier/tdx (TestEventLogs)", log: ccelLog},
		"tdx/trustee/CCEL_data_ovmf":                 {role: "log, replay: verifier/tdx (TestEventLogs)", log: ccelLog},
		"tdx/trustee/parse_tdx_claims_expected.json": {role: "fields of tdx_quote_4.dat by another program: verifier/tdx (TestDecodeClaims)"},
		"tdx/dstack/ccel.bin":                        {role: "log, replay: verifier/tdx (TestEventLogs)", log: ccelLog},

		"vtpm/dstack/tpm_eventlog.bin": {role: "log, replay: verifier/tpm/cloud (TestRealLogs)", log: tpmLog},

		nitroOwnFolder + "/README.md":                  {role: "text: what the neighbours are"},
		nitroOwnFolder + "/blocky_selfsigned_cert.der": {role: "leaf of the self-signed document: verifier/nitro (TestSelfSigned)", found: oneCert},
	}
	for _, name := range []string{
		"arch-linux-workstation", "confidential-gke-debug-251000_eventlog", "cos-101-amd-sev", "cos-85-amd-sev", "cos-93-amd-sev", "eventlogwithsp800155",
		"gdc-host", "glinux-alex", "rhel8-uefi", "ubuntu-1804-amd-sev", "ubuntu-2104-no-dbx", "ubuntu-2104-no-secure-boot", "ubuntu-2404-amd-sevsnp",
	} {
		list["vtpm/go-tpm-tools/eventlogs/"+name+".bin"] = other{role: "log, replay: verifier/tpm/cloud (TestRealLogs)", log: tpmLog}
	}
	list["vtpm/go-tpm-tools/eventlogs/debian-10.bin"] = other{role: "log of SHA-1 alone, refused: verifier/tpm/cloud (TestRealLogs)", log: oldLog}
	for name, found := range collateralFound() {
		list[name] = other{role: "collateral of the rows that name it", found: found}
	}
	return list
}

// collateralFound is what openssl and Python's json find in the collateral.
func collateralFound() map[string][4]int {
	list := map[string][4]int{
		"snp/trustee/test-vcek-invalid-legacy.der": {1}, // well formed: what is wrong is the signature
		"snp/trustee/test-vcek-invalid-new.der":    {1},

		// The Platform CA or the Processor CA, the TCB signer and the root, each once.
		"tdx/dcap-qvl/sgx_quote_collateral.json":          {3, 2, 1, 1},
		"tdx/dcap-qvl/tdx_quote_collateral.json":          {3, 2, 1, 1},
		"tdx/dcap-qvl/tdx_quote_outdated_collateral.json": {3, 2, 1, 1},
		"tdx/go-tdx-guest/pckcrl":                         {0, 1},
		"tdx/go-tdx-guest/rootcrl.der":                    {0, 1},
		"tdx/go-tdx-guest/sample_qeIdentity_response":     {0, 0, 0, 1},
		"tdx/go-tdx-guest/sample_tcbInfo_response":        {0, 0, 1},
		"tdx/trustee/enclaveIdentity.json":                {0, 0, 0, 1},
		"tdx/trustee/tcbInfo.json":                        {0, 0, 1},
	}
	for _, name := range []string{
		"snp/dstack/ask.pem", "snp/dstack/vcek.pem", "snp/go-sev-guest/vcek.der", "snp/trustee/test-vlek.der", "snp/virtee/vcek_turin.der",
		"snp/ms-tav/milan_ark.pem", "snp/ms-tav/milan_ask.pem", "snp/ms-tav/milan_vcek.pem", "snp/ms-tav/genoa_ark.pem", "snp/ms-tav/genoa_ask.pem",
		"snp/ms-tav/genoa_vcek.pem", "snp/ms-tav/turin_ark.pem", "snp/ms-tav/turin_ask.pem", "snp/ms-tav/turin_vcek.pem",
		"vtpm/trustee/az-snp-vtpm/vcek-genoa.pem",
		"vtpm/go-tpm-tools/ca-certs/gcp_ek_ak_ca_intermediate_v3.crt", "vtpm/go-tpm-tools/ca-certs/gcp_ek_ak_ca_root.crt",
		"vtpm/go-tpm-tools/ca-certs/tpm_ek_intermediate_2.crt", "vtpm/go-tpm-tools/ca-certs/tpm_ek_intermediate_3.crt", "vtpm/go-tpm-tools/ca-certs/tpm_ek_root_1.cer",
	} {
		list[name] = [4]int{1}
	}
	for _, name := range []string{
		"snp/go-sev-guest/milan_cert_chain.pem", "snp/go-sev-guest/milanvlek.der", "snp/virtee/cert_chain_turin",
		"snp/roots/ask_ark_genoa.pem", "snp/roots/ask_ark_genoa_vlek.pem", "snp/roots/ask_ark_milan.pem", "snp/roots/ask_ark_milan_vlek.pem",
		"snp/roots/ask_ark_turin_vcek.pem", "snp/roots/ask_ark_turin_vlek.pem",
	} {
		list[name] = [4]int{2}
	}
	return list
}

// TestVectors: all rows, under profile test.
func TestVectors(t *testing.T) {
	for _, v := range vectors() {
		t.Run(v.platform+"/"+path.Base(v.file), func(t *testing.T) {
			v.check(t, policy.Test, nil)
		})
	}
}

// check verifies the row and compares the verdict.
func (v *vector) check(t *testing.T, profile string, memory []byte) *verdict.Verdict {
	t.Helper()
	if v.why == "" {
		t.Error("the row does not say where its expectation comes from")
	}
	in := v.input(t, profile)
	in.Memory = memory
	got := verifier.VerifyRaw(in).Verdict
	if failed := reachedAndFailed(got); failed != v.refused || got.OK != (v.refused == "") {
		t.Errorf("%s\nat %s, collateral %q, edits %q:\naccepted %t, refused by %q, want %q (%s)\n%s",
			v.file, v.at, v.collateral, v.edits, got.OK, failed, v.refused, v.why, got.Text())
	}
	return got
}

func (v *vector) input(t *testing.T, profile string) verifier.RawInput {
	t.Helper()
	b := readVector(t, v.file)
	if v.cut != nil {
		b = v.cut(t, b)
	}
	in := verifier.RawInput{Platform: v.platform, Evidence: b, Policy: editedPolicy(t, profile, v.edits), Data: v.data, At: moment(t, v.at)}
	for _, name := range strings.Fields(v.collateral) {
		in.Collateral = append(in.Collateral, verifier.File{Name: path.Base(name), Bytes: readVector(t, name)})
	}
	return in
}

func reachedAndFailed(v *verdict.Verdict) string {
	var ids []string
	for _, c := range v.Failed() {
		if c.Reached {
			ids = append(ids, c.ID)
		}
	}
	return strings.Join(ids, " ")
}

// vectorPath is where a file of the table lies.
func vectorPath(name string) string {
	if strings.HasPrefix(name, nitroFolder) || strings.HasPrefix(name, nitroOwnFolder) {
		return filepath.FromSlash(name)
	}
	return filepath.Join(evidenceFolder, filepath.FromSlash(name))
}

func readVector(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(vectorPath(name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func moment(t *testing.T, text string) time.Time {
	t.Helper()
	layout := time.RFC3339
	if len(text) == len(time.DateOnly) {
		layout = time.DateOnly
	}
	at, err := time.Parse(layout, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// editedPolicy is a profile for all platforms in which keys have other values. A
// list of tables is a value too.
func editedPolicy(t *testing.T, profile string, edits []string) []byte {
	t.Helper()
	b, err := policy.Profile(profile, transcript.Platforms())
	if err != nil {
		t.Fatal(err)
	}
	for _, edit := range edits {
		name, value, _ := strings.Cut(edit, " = ")
		if name == "stale" {
			b = regexp.MustCompile(`(?m)^stale = .*$`).ReplaceAll(b, []byte(edit))
			continue
		}
		dot := strings.LastIndexByte(name, '.')
		header, key := regexp.QuoteMeta("["+name[:dot]+"]"), name[dot+1:]
		b = regexp.MustCompile(`(?m)^`+regexp.QuoteMeta("[["+name+"]]")+`\n(.+ = .+\n)+`).ReplaceAll(b, nil)
		line := regexp.MustCompile(`(?m)^(` + header + `.*\n)((?:[^\[\n].*\n|\n)*?)` + key + ` = .*\n`)
		if !line.Match(b) { // it was a list of tables
			line = regexp.MustCompile(`(?m)^(` + header + `.*\n)()`)
		}
		b = line.ReplaceAll(b, []byte("${1}"+key+" = "+value+"\n${2}"))
	}
	if _, err := policy.Parse(b); err != nil {
		t.Fatalf("edits %q: %v", edits, err)
	}
	return b
}

// TestVectorFiles: every file of the folders is in the table, as evidence, as
// collateral, or as something else, and every file of the table is there.
func TestVectorFiles(t *testing.T) {
	known := map[string]bool{}
	for _, v := range vectors() {
		known[v.file] = true
		for _, name := range strings.Fields(v.collateral) {
			if _, ok := others()[name]; !ok && name != tcbSigner {
				t.Errorf("%s: collateral of a row, and nobody says what is in it", name)
			}
		}
	}
	for name := range others() {
		known[name] = true
	}
	there := map[string]bool{}
	for _, folder := range []string{evidenceFolder, nitroFolder, nitroOwnFolder} {
		err := filepath.WalkDir(filepath.FromSlash(folder), func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name := strings.TrimPrefix(filepath.ToSlash(file), evidenceFolder+"/")
			if strings.HasPrefix(name, nitroOwnFolder+"/fuzz/") {
				return nil // inputs of the fuzz target
			}
			there[name] = true
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(there, known); diff != "" {
		t.Errorf("files (-there +in the table):\n%s", diff)
	}
}

// TestVectorRoles: what is no evidence is what the table says.
func TestVectorRoles(t *testing.T) {
	for name, o := range others() {
		b := readVector(t, name)
		if o.role == "" {
			t.Errorf("%s: no role", name)
		}
		set := &endorse.Set{}
		set.Add(name, b)
		if got := [4]int{len(set.Certificates), len(set.CRLs), len(set.TCBInfos), len(set.Identities)}; got != o.found {
			t.Errorf("%s: found %v certificates, lists, TCB infos and QE identities, want %v: %v", name, got, o.found, set.Files)
		}
		var err error
		switch o.log {
		case noLog:
			continue
		case ccelLog:
			_, err = eventlog.DecodeCCEL(b)
		case ccelTable:
			_, err = eventlog.DecodeCCELTable(b)
		case tpmLog, oldLog:
			_, err = eventlog.Decode(b)
		}
		if refused := err != nil; refused != (o.log == oldLog) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEveryFileOnEveryPlatform: what is evidence of one platform, or of none, is
// refused by every other, because it cannot be read.
func TestEveryFileOnEveryPlatform(t *testing.T) {
	evidenceOf := map[string][]string{}
	for _, v := range vectors() {
		if v.cut == nil {
			evidenceOf[v.file] = append(evidenceOf[v.file], v.platform)
		}
	}
	names := map[string]bool{}
	for _, v := range vectors() {
		names[v.file] = true
	}
	for name := range others() {
		names[name] = true
	}
	unread := map[string]string{transcript.SNP: "SNP-F1", transcript.TDX: "TDX-F1", transcript.Nitro: "NITRO-1", transcript.NitroTPM: "NITRO-1", transcript.VTPM: "TPM-F1"}
	p := editedPolicy(t, policy.Test, nil)
	for name := range names {
		for platform, id := range unread {
			if slices.Contains(evidenceOf[name], platform) {
				continue
			}
			if platform == transcript.NitroTPM && slices.Contains(evidenceOf[name], transcript.Nitro) && strings.HasPrefix(name, nitroFolder) {
				id = "NITRO-2" // nitro.md 8: enclave document where NitroTPM is asked
			}
			got := verifier.VerifyRaw(verifier.RawInput{Platform: platform, Evidence: readVector(t, name), Policy: p, At: moment(t, "2025-07-01")}).Verdict
			if failed := reachedAndFailed(got); got.OK || failed != id {
				t.Errorf("%s as evidence of %s: accepted %t, refused by %q, want %q", name, platform, got.OK, failed, id)
			}
		}
	}
}

// TestVectorWindows: a row of each platform in the first and the last second of
// its window, and one second outside. Times are by openssl (certificates, lists),
// Python's json (Intel's documents) and INDEX.md (Nitro).
func TestVectorWindows(t *testing.T) {
	for _, c := range []struct {
		platform, file, collateral string
		first, last                string
		early, late                string // who refuses
	}{
		{
			transcript.SNP, "snp/ms-tav/turin_attestation_report.bin", "snp/ms-tav/turin_vcek.pem snp/ms-tav/turin_ask.pem",
			"2026-02-05T01:04:33Z", "2033-02-05T01:04:33Z", "SNP-C3", "SNP-C3",
		},
		{
			transcript.SNP, "snp/trustee/test-vlek-report.bin", "snp/trustee/test-vlek.der snp/roots/ask_ark_milan_vlek.pem",
			"2024-12-10T22:14:21Z", "2025-12-10T22:14:21Z", "SNP-C3", "SNP-C3",
		},
		{
			// The QE identity is the newest document, the PCK CRL ends first.
			transcript.TDX, "tdx/dcap-qvl/tdx_quote", "tdx/dcap-qvl/tdx_quote_collateral.json",
			"2025-06-19T10:32:27Z", "2025-07-19T10:00:35Z", "TDX-C3", "TDX-C2",
		},
		{
			transcript.VTPM, "vtpm/go-tpm-tools/attestations/gce-cos-85-nonce9009.pb", googleCAs,
			"2021-08-31T23:11:05Z", "2051-08-24T23:16:05Z", "TPM-K3", "TPM-K3",
		},
		{
			transcript.VTPM, "vtpm/trustee/az-snp-vtpm/evidence-genoa.json", genoaRoot,
			"2025-01-24T02:21:48Z", "2032-01-24T02:21:48Z", "SNP-C3 TPM-H1 TPM-K1", "SNP-C3 TPM-H1 TPM-K1",
		},
		{
			// The certificates begin at 1725719856, the document is of
			// 1725719859.545: it was not there before.
			transcript.Nitro, nitroFolder + "/blocky_nitro_attestation.cbor", "",
			"2024-09-07T14:37:39Z", "2024-09-07T17:37:39Z", "NITRO-5", "NITRO-4",
		},
	} {
		first, last := moment(t, c.first), moment(t, c.last)
		for _, at := range []struct {
			time    time.Time
			refused string
		}{{first.Add(-time.Second), c.early}, {first, ""}, {last, ""}, {last.Add(time.Second), c.late}} {
			v := vector{
				platform: c.platform, file: c.file, collateral: c.collateral, at: at.time.Format(time.RFC3339), refused: at.refused,
				edits: []string{`stale = "any"`}, // the windows are longer than a policy's life
				why:   "window " + c.first + " to " + c.last,
			}
			v.check(t, policy.Test, nil)
		}
	}
}

// TestStrictVectors: what the profile strict says of real evidence. Rows are as
// in TestVectors; the memory begins with each.
func TestStrictVectors(t *testing.T) {
	for _, v := range strictVectors(t) {
		t.Run(v.platform+"/"+path.Base(v.file), func(t *testing.T) { v.check(t, policy.Strict, []byte{}) })
	}
}

func strictVectors(t *testing.T) []vector {
	t.Helper()
	const (
		milan = "snp/ms-tav/milan_attestation_report.bin"
		genoa = "snp/ms-tav/genoa_attestation_report.bin"
		turin = "snp/ms-tav/turin_attestation_report.bin"
		azure = "vtpm/trustee/az-snp-vtpm/evidence-genoa.json"

		milanCerts = "snp/ms-tav/milan_vcek.pem snp/ms-tav/milan_ask.pem"
		genoaCerts = "snp/ms-tav/genoa_vcek.pem snp/ms-tav/genoa_ask.pem"
		turinCerts = "snp/ms-tav/turin_vcek.pem snp/ms-tav/turin_ask.pem"
		quoteDocs  = "tdx/dcap-qvl/tdx_quote_collateral.json"
	)
	waivers := []string{`snp.smt = "accept"`}
	var list []vector
	for _, v := range []vector{
		{
			file: turin, collateral: turinCerts, refused: "SNP-C5 SNP-P1 SNP-P2",
			why: "verify.md 8: the Turin one meets the floors but needs the SMT waiver; AMD's list is not among the vectors (INDEX)",
		},
		{file: turin, collateral: turinCerts, edits: waivers, refused: "SNP-C5", why: "the same, with the SMT waiver"},
		{
			file: genoa, collateral: genoaCerts, edits: waivers, refused: "SNP-C5 SNP-P2 SNP-T2 SNP-T3",
			why: "verify.md 8: SNP 0x17 below 0x1B, microcode 0x54 below 0x56; version 3 has no mitigation vectors; bit 6 is required (INDEX: platform_info 0x27)",
		},
		{
			file: milan, collateral: milanCerts, edits: waivers, refused: "SNP-C5 SNP-B4 SNP-P2 SNP-T2 SNP-T3",
			why: "verify.md 8: products Genoa, Turin; SNP 0x18 below 0x1D, microcode 0xDB below 0xDE; version 3; bit 6 (INDEX: 0x25)",
		},
		{
			file: milan, collateral: milanCerts, edits: append([]string{`snp.products = ["Milan"]`, `snp.milan = "listed"`}, waivers...), refused: "SNP-C5 SNP-P2 SNP-T2 SNP-T3",
			why: "verify.md 8: Milan only with chip allowlist + allow_milan",
		},
	} {
		// Everything else is listed, as the reports have it at the offsets of AMD
		// 56860, ATTESTATION_REPORT: they were launched with an ID block.
		v.platform, v.at = transcript.SNP, "2026-11-21"
		v.edits = append([]string{
			"snp.report_data = " + hexAt(t, v.file, 0x50, 64), "snp.measurements = " + hexAt(t, v.file, 0x90, 48),
			"snp.host_data = " + hexAt(t, v.file, 0xc0, 32), "snp.chips = " + hexAt(t, v.file, 0x1a0, 64),
			`snp.id_block = "require"`, "snp.id_keys = " + hexAt(t, v.file, 0xe0, 48), `snp.guest_svn = 2`,
			"snp.family_ids = " + hexAt(t, v.file, 0x10, 16), "snp.image_ids = " + hexAt(t, v.file, 0x20, 16),
		}, v.edits...)
		list = append(list, v)
	}
	return append(list,
		vector{
			platform: transcript.SNP, file: turin, collateral: turinCerts, at: "2026-11-21",
			refused: "SNP-C5 SNP-D1 SNP-M1 SNP-M2 SNP-M3 SNP-P1 SNP-P2 SNP-I1", why: "unedited: nobody listed the machine or the ID key, or said what runs",
		},
		vector{
			platform: transcript.TDX, file: "tdx/dcap-qvl/tdx_quote", collateral: quoteDocs, at: "2025-07-01",
			refused: "TIME-1 TDX-C2 TDX-C3 TDX-C4 TDX-A5 TDX-A6 TDX-M1 TDX-M2 TDX-D1",
			why:     "verify.md 5.2: a time before the verifier was made, documents of 12 days; 8: eval_number_min 20; nobody listed the machine or said what runs",
		},
		vector{
			platform: transcript.Nitro, file: nitroFolder + "/blocky_nitro_attestation.cbor", at: "2024-09-07T14:37:40Z",
			refused: "TIME-1 NITRO-9 NITRO-10", why: "a time before the verifier was made; nobody listed the instance, gave a nonce or said what runs",
		},
		vector{
			platform: transcript.VTPM, file: azure, collateral: genoaRoot, at: "2026-11-21",
			refused: strictAzure, why: "verify.md 4: nobody gave extra data; 0-byte log (TPM-E1); the report is refused by the floors of section 8",
		},
	)
}

// strictAzure: Microsoft's ID block, SMT on, bit 6 off and a TCB below the floors;
// nobody listed the machine or said what runs in it. SNP-D1 is about the binding of
// the key and holds; TPM-K1 is not reached.
const strictAzure = "SNP-C5 SNP-M1 SNP-M2 SNP-M3 SNP-P1 SNP-P2 SNP-T2 SNP-T3 SNP-I1 TPM-H1 TPM-Q1 TPM-E1 TPM-R"

// Functions that take evidence out of files of other projects.

func padded(text string, size int) []byte {
	return append([]byte(text), make([]byte, size-len(text))...)
}

func fileBytes(name string) []byte {
	b, err := os.ReadFile(vectorPath(name))
	if err != nil {
		panic(err) // TestVectorFiles says which files must be there
	}
	return b
}

// scale cuts an SNP report out of dstack's SCALE encoding: two bytes, then its
// length as a compact integer.
func scale(t *testing.T, b []byte) []byte {
	t.Helper()
	const size = 1184
	if got := int(binary.LittleEndian.Uint16(b[2:])) >> 2; got != size {
		t.Fatalf("length %d, want %d", got, size)
	}
	return b[4 : 4+size]
}

func dstackSNP(t *testing.T, b []byte) []byte {
	t.Helper()
	return scale(t, hexMember(t, b, "attestation"))
}

func dstackQuote(t *testing.T, b []byte) []byte {
	t.Helper()
	return hexMember(t, b, "quote")
}

// dstackLite cuts a quote out of the same encoding: one more kind of container.
func dstackLite(t *testing.T, b []byte) []byte {
	t.Helper()
	raw := hexMember(t, b, "attestation")
	size := int(binary.LittleEndian.Uint16(raw[2:])) >> 2
	return raw[4 : 4+size]
}

func hexMember(t *testing.T, b []byte, name string) []byte {
	t.Helper()
	var object map[string]json.RawMessage
	var text string
	if err := json.Unmarshal(b, &object); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(object[name], &text); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	raw, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// withoutText removes the text that go-tdx-guest put behind its sample.
func withoutText(t *testing.T, b []byte) []byte {
	t.Helper()
	b, found := bytes.CutSuffix(b, []byte("\nextra bytes(only for testing purpose)\n"))
	if !found {
		t.Fatal("no text behind the quote")
	}
	return b
}

func unbase64(t *testing.T, b []byte) []byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(b)))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// hexAt is a field of a report in a list of a policy.
func hexAt(t *testing.T, name string, offset, size int) string {
	t.Helper()
	return fmt.Sprintf(`["%x"]`, readVector(t, name)[offset:offset+size])
}
