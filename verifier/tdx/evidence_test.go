package tdx_test

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/eventlog"
	measured "safebox/measure/tdx"
	"safebox/verifier/chain"
	"safebox/verifier/check"
	"safebox/verifier/endorse"
	"safebox/verifier/policy/table"
	"safebox/verifier/policy/tdxpolicy"
	"safebox/verifier/tdx"
	"safebox/verifier/tdx/tdxtest"
	"safebox/verifier/verdict"
)

const evidence = "../testdata/evidence/tdx"

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(evidence, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// policy reads a profile's own text.
func policy(t testing.TB, profile string) *tdxpolicy.Policy {
	t.Helper()
	file, err := table.Parse([]byte(tdxpolicy.Section(profile)))
	if err != nil {
		t.Fatal(err)
	}
	p := tdxpolicy.Read(file.Table("tdx"), profile)
	file.End()
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return &p
}

func collateral(t testing.TB, names ...string) *endorse.Set {
	t.Helper()
	set := new(endorse.Set)
	for _, name := range names {
		set.Add(name, read(t, name))
	}
	return set
}

func day(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// input is a real quote under the profile test. Documents may have any age
// within their window.
func input(t testing.TB, quote []byte, at string, names ...string) tdx.Input {
	t.Helper()
	return tdx.Input{
		Quote: quote, Endorsements: collateral(t, names...), Policy: policy(t, "test"), Roots: tdx.PinnedRoots(),
		Rules: chain.Rules{At: day(t, at), AnyAgeTCB: true},
	}
}

// failed lists the checks that were reached and failed.
func failed(v *verdict.Verdict) string {
	var ids []string
	for _, c := range v.Failed() {
		if c.Reached {
			ids = append(ids, c.ID)
		}
	}
	return strings.Join(ids, " ")
}

// jsonQuote takes the quote out of dstack's answers.
func jsonQuote(t testing.TB, name string) []byte {
	t.Helper()
	var answer struct{ Quote string }
	if err := json.Unmarshal(read(t, name), &answer); err != nil {
		t.Fatal(err)
	}
	return unhex(t, answer.Quote)
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// cutSPR removes the text that go-tdx-guest has put behind its sample.
func cutSPR(t testing.TB) []byte {
	t.Helper()
	b, found := bytes.CutSuffix(read(t, "go-tdx-guest/tdx_prod_quote_SPR_E4.dat"), []byte("\nextra bytes(only for testing purpose)\n"))
	if !found {
		t.Fatal("the sample has no text behind it")
	}
	return b
}

// TestEvidence verifies every quote of the vectors at the time that INDEX.md
// gives. What is refused, and by which check, is INDEX.md's too: no matching TCB
// level, debug, service TD, SGX, no collateral.
func TestEvidence(t *testing.T) {
	const none = "TDX-C2 TDX-C3" // quotes without collateral, in every profile
	spr := []string{
		"go-tdx-guest/sample_tcbInfo_response", "go-tdx-guest/sample_qeIdentity_response",
		"go-tdx-guest/pckcrl", "go-tdx-guest/rootcrl.der",
	}
	lite := unhex(t, liteAttestation(t))
	for _, c := range []struct {
		name       string
		quote      []byte
		at         string
		collateral []string
		signature  bool   // "sig OK" in INDEX.md
		want       string // that fails
	}{
		{"dcap-qvl/tdx_quote", read(t, "dcap-qvl/tdx_quote"), "2025-07-01", []string{"dcap-qvl/tdx_quote_collateral.json"}, true, ""},
		{"dcap-qvl/tdx_quote without collateral", read(t, "dcap-qvl/tdx_quote"), "2025-07-01", nil, true, none},
		{"dcap-qvl/tdx_quote with collateral for SGX", read(t, "dcap-qvl/tdx_quote"), "2025-07-01", []string{"dcap-qvl/sgx_quote_collateral.json"}, true, none},
		{
			"dcap-qvl/tdx_quote with samples of documents", read(t, "dcap-qvl/tdx_quote"), "2025-07-01",
			[]string{"trustee/tcbInfo.json", "trustee/enclaveIdentity.json", "dcap-qvl/sgx_quote_collateral.json"},
			true, "TDX-C2 TDX-C3 TDX-T1",
		},
		{"dcap-qvl/tdx_quote_outdated", read(t, "dcap-qvl/tdx_quote_outdated"), "2026-03-01", []string{"dcap-qvl/tdx_quote_outdated_collateral.json"}, true, "TDX-T2"},
		{"dcap-qvl/sgx_quote", read(t, "dcap-qvl/sgx_quote"), "2025-07-01", []string{"dcap-qvl/sgx_quote_collateral.json"}, false, "TDX-F1"},
		{"go-tdx-guest/tdx_prod_quote_SPR_E4.dat, with text behind it", read(t, "go-tdx-guest/tdx_prod_quote_SPR_E4.dat"), "2023-07-01", spr, false, "TDX-F1"},
		{"go-tdx-guest/tdx_prod_quote_SPR_E4.dat, documents without their signer", cutSPR(t), "2023-07-01", spr, true, "TDX-C3"},
		{
			"go-tdx-guest/tdx_prod_quote_SPR_E4.dat, evaluation number 15 of 2023", cutSPR(t), "2023-07-01",
			append(spr, "../../../tdx/testdata/tcb-signing-2018.pem"), true, "TDX-C4 TDX-T2",
		},
		{"go-tdx-guest/report.dat, a TD report of the module", read(t, "go-tdx-guest/report.dat"), "2023-07-01", nil, false, "TDX-F1"},
		{"go-tdx-guest/ccel/cos-113-tdx-quote.dat", read(t, "go-tdx-guest/ccel/cos-113-tdx-quote.dat"), "2024-07-03", nil, true, none},
		{"trustee/tdx_quote_4.dat, debug", read(t, "trustee/tdx_quote_4.dat"), "2023-02-08", nil, true, none + " TDX-A1"},
		{"trustee/tdx_quote_5.dat, service TD", read(t, "trustee/tdx_quote_5.dat"), "2024-03-19", nil, true, none + " TDX-A4"},
		{"dstack/quote-report.json", jsonQuote(t, "dstack/quote-report.json"), "2025-09-17", nil, true, none},
		{"dstack/tdx-lite-getquote.json", jsonQuote(t, "dstack/tdx-lite-getquote.json"), "2026-04-16", nil, true, none},
		{"dstack/tdx-lite-attestation.json", lite, "2026-04-16", nil, true, none},
		{"vtpm/trustee/az-tdx-vtpm/td-quote.bin", read(t, "../vtpm/trustee/az-tdx-vtpm/td-quote.bin"), "2024-01-01", nil, true, none},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := tdxtest.Verdict(input(t, c.quote, c.at, c.collateral...))
			if got := failed(v); got != c.want || v.OK != (c.want == "") {
				t.Errorf("accepted %t, failed %q, want %q:\n%s", v.OK, got, c.want, v.Text())
			}
			for _, id := range []string{"TDX-F1", "TDX-F2", "TDX-C1", "TDX-Q1"} {
				if passed(v, id) != c.signature {
					t.Errorf("%s: passed %t, want %t", id, !c.signature, c.signature)
				}
			}
			if passed(v, "TDX-A3") && !(passed(v, "TDX-T1") && passed(v, "TDX-T3")) {
				t.Error("a TDX module is known by an identity that was not looked at")
			}
		})
	}
}

func passed(v *verdict.Verdict, id string) bool {
	return slices.ContainsFunc(v.Checks, func(c verdict.Check) bool { return c.ID == id && c.OK })
}

// liteAttestation cuts the quote out of dstack's binary container: a SCALE
// length of 4 bytes stands before it.
func liteAttestation(t testing.TB) string {
	t.Helper()
	var answer struct{ Attestation string }
	if err := json.Unmarshal(read(t, "dstack/tdx-lite-attestation.json"), &answer); err != nil {
		t.Fatal(err)
	}
	const size = 5006 // as of the quote of the same guest in tdx-lite-getquote.json
	return answer.Attestation[8 : 8+2*size]
}

// TestStrict: what of the genuine, current quote of 2025 a strict policy of 2026
// refuses: old documents, a machine that nobody listed, and all that a release
// and a challenge would have to say.
func TestStrict(t *testing.T) {
	for profile, want := range map[string]string{
		"strict": "TDX-C4 TDX-A5 TDX-A6 TDX-M1 TDX-M2 TDX-D1",
		"cloud":  "TDX-C4 TDX-A5 TDX-M1 TDX-M2 TDX-D1",
	} {
		in := input(t, read(t, "dcap-qvl/tdx_quote"), "2025-07-01", "dcap-qvl/tdx_quote_collateral.json")
		in.Policy = policy(t, profile)
		if got := failed(tdxtest.Verdict(in)); got != want {
			t.Errorf("%s: failed %q, want %q", profile, got, want)
		}
		in.Rules.AnyAgeTCB, in.Rules.MaxAgeTCB = false, 7*24*time.Hour // the documents are 11 days old
		if got := failed(tdxtest.Verdict(in)); got != "TDX-C2 TDX-C3 "+want {
			t.Errorf("%s: failed %q, want TDX-C2 and TDX-C3 too", profile, got)
		}
	}
}

// TestEvidenceNamed: every file of the folder is run by a test here, which this
// list names, so that none lies about unseen.
func TestEvidenceNamed(t *testing.T) {
	known := map[string]string{
		"dcap-qvl/sgx_quote":                          "TestEvidence",
		"dcap-qvl/sgx_quote_collateral.json":          "TestEvidence",
		"dcap-qvl/tdx_quote":                          "TestEvidence",
		"dcap-qvl/tdx_quote_collateral.json":          "TestEvidence",
		"dcap-qvl/tdx_quote_outdated":                 "TestEvidence",
		"dcap-qvl/tdx_quote_outdated_collateral.json": "TestEvidence",
		"dstack/ccel.bin":                             "TestEventLogs",
		"dstack/quote-report.json":                    "TestEvidence, TestRuntimeLog",
		"dstack/tdx-lite-attestation.json":            "TestEvidence",
		"dstack/tdx-lite-getquote.json":               "TestEvidence, TestRuntimeLog",
		"go-tdx-guest/README.md":                      "text: what the neighbours are",
		"go-tdx-guest/ccel/ccel_data.dat":             "TestEventLogs",
		"go-tdx-guest/ccel/ccel_table.dat":            "TestEventLogs",
		"go-tdx-guest/ccel/cos-113-tdx-quote.dat":     "TestEvidence, TestEventLogs",
		"go-tdx-guest/ccel/nonce.dat":                 "TestEventLogs",
		"go-tdx-guest/pckcrl":                         "TestEvidence",
		"go-tdx-guest/report.dat":                     "TestEvidence",
		"go-tdx-guest/rootcrl.der":                    "TestEvidence",
		"go-tdx-guest/sample_qeIdentity_response":     "TestEvidence",
		"go-tdx-guest/sample_tcbInfo_response":        "TestEvidence",
		"go-tdx-guest/tdx_prod_quote_SPR_E4.dat":      "TestEvidence",
		"trustee/CCEL_data_gcp":                       "TestEventLogs",
		"trustee/CCEL_data_grub":                      "TestEventLogs",
		"trustee/CCEL_data_ovmf":                      "TestEventLogs",
		"trustee/enclaveIdentity.json":                "TestEvidence",
		"trustee/parse_tdx_claims_expected.json":      "TestDecodeClaims",
		"trustee/tcbInfo.json":                        "TestEvidence",
		"trustee/tdx_quote_4.dat":                     "TestEvidence, TestDecodeClaims",
		"trustee/tdx_quote_5.dat":                     "TestEvidence",
	}
	err := filepath.WalkDir(evidence, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(evidence, path)
		if err != nil {
			return err
		}
		if known[name] == "" {
			t.Errorf("%s: no test runs it", name)
		}
		delete(known, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range known {
		t.Errorf("%s: named and not there", name)
	}
}

// TestEventLogs: the log of a guest of Google's replays to the registers of its
// quote (INDEX.md), which answers the nonce beside it; every other log does not,
// and no log fits another quote.
func TestEventLogs(t *testing.T) {
	const folder = "go-tdx-guest/ccel/"
	in := input(t, read(t, folder+"cos-113-tdx-quote.dat"), "2024-07-03")
	in.Policy.EventLog = tdxpolicy.Required
	in.Policy.ReportData = tdxpolicy.Value{Word: tdxpolicy.Transcript}
	in.Expected.ReportData = (*[64]byte)(read(t, folder+"nonce.dat"))
	for name, want := range map[string]string{
		folder + "ccel_data.dat": "TDX-C2 TDX-C3",
		"trustee/CCEL_data_ovmf": "TDX-C2 TDX-C3 TDX-M2",
		"trustee/CCEL_data_gcp":  "TDX-C2 TDX-C3 TDX-M2",
		"trustee/CCEL_data_grub": "TDX-C2 TDX-C3 TDX-M2",
		"dstack/ccel.bin":        "TDX-C2 TDX-C3 TDX-M2",
	} {
		in.EventLog = read(t, name)
		if got := failed(tdxtest.Verdict(in)); got != want {
			t.Errorf("%s: failed %q, want %q", name, got, want)
		}
		log, err := eventlog.DecodeCCEL(in.EventLog)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := log.Replay(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	ccel, err := eventlog.DecodeCCELTable(read(t, folder+"ccel_table.dat"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.DecodeCCEL(read(t, folder+"ccel_data.dat"))
	if err != nil {
		t.Fatal(err)
	}
	if err := ccel.CheckLog(log); err != nil {
		t.Error(err)
	}
}

// event is one of dstack's log.
type event struct {
	Index   int    `json:"imr"`
	Digest  string `json:"digest"`
	Event   string `json:"event"`
	Payload string `json:"event_payload"`
}

// dstackLog gives the digests of dstack's JSON log by register. Digests of
// RTMR3 that the log leaves out are computed of name and payload.
func dstackLog(t *testing.T, name string) [4][][48]byte {
	t.Helper()
	var answer struct {
		Log string `json:"event_log"`
	}
	if err := json.Unmarshal(read(t, name), &answer); err != nil {
		t.Fatal(err)
	}
	var events []event
	if err := json.Unmarshal([]byte(answer.Log), &events); err != nil {
		t.Fatal(err)
	}
	var out [4][][48]byte
	for _, e := range events {
		digest := [48]byte(append(unhex(t, e.Digest), make([]byte, 48)...))
		if e.Digest == "" {
			digest = [48]byte(measured.DstackEvent(e.Event, unhex(t, e.Payload)).Digest)
		}
		out[e.Index] = append(out[e.Index], digest)
	}
	return out
}

// TestRuntimeLog: the logs of two guests of dstack replay to all four registers
// (INDEX.md): RTMR0 to RTMR2 by this test, as the release's values, and RTMR3 by
// the verifier.
func TestRuntimeLog(t *testing.T) {
	for name, at := range map[string]string{"dstack/quote-report.json": "2025-09-17", "dstack/tdx-lite-getquote.json": "2026-04-16"} {
		in := input(t, jsonQuote(t, name), at)
		log := dstackLog(t, name)
		for i := range 3 {
			var r [48]byte
			for _, d := range log[i] {
				r = sha512.Sum384(append(r[:], d[:]...))
			}
			in.Expected.RTMR[i] = [][48]byte{r}
			in.Policy.RTMR[i] = tdxpolicy.Value{Word: tdxpolicy.Release}
		}
		in.Runtime = log[3]
		in.Policy.RTMR[3] = tdxpolicy.Value{Word: tdxpolicy.Runtime}
		if v := tdxtest.Verdict(in); !passed(v, "TDX-M2") || len(log[3]) < 8 {
			t.Errorf("%s: %d events of RTMR3:\n%s", name, len(log[3]), v.Text())
		}
		in.Runtime = slices.Clone(log[3])
		in.Runtime[3][0] ^= 1
		if v := tdxtest.Verdict(in); passed(v, "TDX-M2") {
			t.Errorf("%s: accepted with another event", name)
		}
	}
}

// TestDecodeClaims compares a decoded quote with what the Confidential
// Containers' trustee reads in it (parse_tdx_claims_expected.json; the log in
// that file is of another guest).
func TestDecodeClaims(t *testing.T) {
	var want struct {
		Quote struct{ Header, Body map[string]string }
		PIID  string `json:"platform_instance_id"`
	}
	if err := json.Unmarshal(read(t, "trustee/parse_tdx_claims_expected.json"), &want); err != nil {
		t.Fatal(err)
	}
	raw := read(t, "trustee/tdx_quote_4.dat")
	q, err := tdx.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	b := &q.Body
	text := func(v ...byte) string { return hex.EncodeToString(v) }
	body := map[string]string{
		"tcb_svn": text(b.TEETCBSVN[:]...), "mr_seam": text(b.MRSEAM[:]...), "mrsigner_seam": text(b.MRSignerSEAM[:]...),
		"seam_attributes": text(b.SEAMAttributes[:]...), "td_attributes": b.TDAttributes.String()[:16], "xfam": le(b.XFAM),
		"mr_td": text(b.MRTD[:]...), "mr_config_id": text(b.MRConfigID[:]...), "mr_owner": text(b.MROwner[:]...),
		"mr_owner_config": text(b.MROwnerConfig[:]...), "report_data": text(b.ReportData[:]...),
		"rtmr_0": text(b.RTMR[0][:]...), "rtmr_1": text(b.RTMR[1][:]...), "rtmr_2": text(b.RTMR[2][:]...), "rtmr_3": text(b.RTMR[3][:]...),
	}
	if diff := cmp.Diff(want.Quote.Body, body); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	header := map[string]string{
		"version": text(byte(q.Header.Version), 0), "att_key_type": text(byte(q.Header.AttestationKeyType), 0),
		"tee_type": text(byte(q.Header.TEEType), 0, 0, 0), "reserved": "00000000",
		"vendor_id": text(q.Header.QEVendor[:]...), "user_data": text(q.Header.UserData[:]...),
	}
	if diff := cmp.Diff(want.Quote.Header, header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	// trustee prints the platform instance ID from its last byte to its first.
	id := unhex(t, want.PIID)
	slices.Reverse(id)
	log := check.New()
	tdx.Verify(input(t, raw, "2023-02-08"), log)
	v := log.Verdict(tdx.Definitions())
	i := slices.IndexFunc(v.Checks, func(c verdict.Check) bool { return c.ID == "TDX-A6" })
	if !strings.HasPrefix(v.Checks[i].Got, fmt.Sprintf("piid:%x, ", id)) {
		t.Errorf("platform instance ID: got %q, want %x", v.Checks[i].Got, id)
	}
}

// le gives the bytes of a number as they stand in a quote.
func le(n uint64) string {
	b := make([]byte, 8)
	for i := range b {
		b[i] = byte(n >> (8 * i))
	}
	return hex.EncodeToString(b)
}

// TestPinnedRoot: the pinned certificate has the SHA-256 that OpenSSL gives for
// the last certificate in each of eight quotes of the vectors.
func TestPinnedRoot(t *testing.T) {
	const want = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"
	if got := sum256(tdx.PinnedRoots().SGX.Raw); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
