package cloud

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"safebox/measure/eventlog"
	"safebox/verifier/chain"
	"safebox/verifier/check"
	"safebox/verifier/policy/tpmpolicy"
	"safebox/verifier/tpm/azure"
)

// passing lists each real file that profile test accepts.
func passing() []string {
	return []string{
		"go-tpm-tools/attestations/gce-cos-85-nonce9009.pb",
		"trustee/az-snp-vtpm/evidence-genoa.json",
		"trustee/az-tdx-vtpm/evidence-v1.json",
	}
}

// input is what profile test accepts.
func input(t testing.TB, evidence []byte) Input {
	return Input{Evidence: evidence, Endorsements: google(t), Rules: collected(), Policy: profile(t, "test"), Hardware: binding(t)}
}

// TestZeroPolicy: nothing passes by default, and every check that a policy
// decides fails by itself.
func TestZeroPolicy(t *testing.T) {
	for _, name := range passing() {
		for what, p := range map[string]*tpmpolicy.Policy{"no policy": nil, "zero policy": {}} {
			in := input(t, read(t, name))
			in.Policy = p
			got := failures(verify(t, in))
			want := "TPM-K1 TPM-Q1 TPM-Q3 TPM-E1 TPM-E4 TPM-R"
			if strings.HasSuffix(name, ".pb") {
				want = "TPM-K1 TPM-Q1 TPM-Q3 TPM-E1 TPM-E2 TPM-E3 TPM-E4 TPM-E5 TPM-R"
			}
			if got != want {
				t.Errorf("%s with %s: got %q, want %q", name, what, got, want)
			}
		}
	}
	if v := verify(t, Input{}); v.OK || failures(v) != "TPM-F1" {
		t.Errorf("zero input: got %q", failures(v))
	}
}

// TestGoogle: the facts of INDEX.md: nonce 0x9009, any time with a pinned key.
func TestGoogle(t *testing.T) {
	file := read(t, "go-tpm-tools/attestations/gce-cos-85-nonce9009.pb")
	e, err := Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	pin := sha256.Sum256(e.Google.AKPublic)
	pinned := profile(t, "test", `["hardware", "certificate"]`, `["hardware", "pinned", "certificate"]`, `pins = "none"`, fmt.Sprintf(`pins = ["%x"]`, pin))
	transcript := profile(t, "test", `extra_data = "any"`, `extra_data = "transcript"`)
	aik := profile(t, "test", `certificate_usage = "signature"`, `certificate_usage = "aik"`)
	cos := profile(t, "test", `instances = "any"`,
		`instances = [{project = "google.com:wuale-gcp-testing", project_number = 117478743145, zone = "us-central1-a", name = "cos-test", id = 6797026933021542085}]`)
	secureBoot := profile(t, "test", `secure_boot = "any"`, `secure_boot = "on"`)
	late := chain.Rules{At: time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)}
	for name, c := range map[string]struct {
		policy *tpmpolicy.Policy
		extra  []byte
		rules  chain.Rules
		bare   bool // without Google's certificates
		want   string
	}{
		"nonce":                     {transcript, []byte{0x90, 0x09}, collected(), false, ""},
		"other nonce":               {transcript, []byte{0x90, 0x0a}, collected(), false, "TPM-Q1"},
		"padded nonce":              {transcript, []byte{0x90, 0x09, 0}, collected(), false, "TPM-Q1"},
		"pinned, no certificates":   {pinned, nil, late, true, ""},
		"no certificates":           {profile(t, "test"), nil, collected(), true, "TPM-K1"},
		"before the certificate":    {profile(t, "test"), nil, chain.Rules{At: time.Date(2021, 8, 31, 23, 11, 4, 0, time.UTC)}, false, "TPM-K3"},
		"from its first second on":  {profile(t, "test"), nil, chain.Rules{At: time.Date(2021, 8, 31, 23, 11, 5, 0, time.UTC)}, false, ""},
		"to its last second":        {profile(t, "test"), nil, chain.Rules{At: time.Date(2051, 8, 24, 23, 16, 5, 0, time.UTC)}, false, ""},
		"after the certificate":     {profile(t, "test"), nil, chain.Rules{At: time.Date(2051, 8, 24, 23, 16, 6, 0, time.UTC)}, false, "TPM-K3"},
		"no time":                   {profile(t, "test"), nil, chain.Rules{}, false, "TPM-K3"},
		"usage that the TCG names":  {aik, nil, collected(), false, "TPM-K3"},
		"its own instance":          {cos, nil, collected(), false, ""},
		"Secure Boot on, as it was": {secureBoot, nil, collected(), false, ""},
	} {
		in := input(t, file)
		in.Policy, in.Rules, in.Expected.ExtraData = c.policy, c.rules, c.extra
		if c.bare {
			in.Endorsements = nil
		}
		if got := verify(t, in); failures(got) != c.want {
			t.Errorf("%s: got %q, want %q:\n%s", name, failures(got), c.want, got.Text())
		}
	}
}

// TestAzureVersions: evidence of SEV-SNP in the form that has a version is
// the same evidence.
func TestAzureVersions(t *testing.T) {
	var first struct {
		Quote struct {
			Message, Signature []uint16
			PCRs               [][]uint16
		}
		Report []uint16
		VCEK   string
	}
	if err := json.Unmarshal(read(t, "trustee/az-snp-vtpm/evidence-genoa.json"), &first); err != nil {
		t.Fatal(err)
	}
	octets := func(list []uint16) []byte {
		b := make([]byte, len(list))
		for i, v := range list {
			b[i] = byte(v)
		}
		return b
	}
	var pcrs []string
	for _, p := range first.Quote.PCRs {
		pcrs = append(pcrs, fmt.Sprintf("%q", fmt.Sprintf("%x", octets(p))))
	}
	for version := 1; version <= 2; version++ {
		file := fmt.Appendf(nil, `{"version":%d,"tpm_quote":{"message":"%x","signature":"%x","pcrs":[%s]},"hcl_report":%q,"vcek":%q}`, version,
			octets(first.Quote.Message), octets(first.Quote.Signature), strings.Join(pcrs, ","),
			base64.URLEncoding.EncodeToString(octets(first.Report)), base64.URLEncoding.EncodeToString([]byte("DER")))
		in := input(t, file)
		in.Hardware = func(h azure.Hardware, want [64]byte, log *check.Recorder) error {
			if string(h.VCEK) != "DER" {
				t.Errorf("VCEK: got %q", h.VCEK)
			}
			return binding(t)(h, want, log)
		}
		if got := verify(t, in); !got.OK {
			t.Errorf("version %d: refused:\n%s", version, got.Text())
		}
	}
}

// TestEveryByteOfAQuote: no byte of a real quote, its signature or the registers
// sent along can change.
func TestEveryByteOfAQuote(t *testing.T) {
	in := input(t, nil)
	decoded := func(name string) *Evidence {
		e, err := Decode(read(t, name))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	for _, name := range passing() {
		e := decoded(name)
		judge := func() bool {
			log := check.New()
			v := &verification{in: in, policy: in.Policy, evidence: e, log: log}
			v.checkQuotes()
			return log.Passed("TPM-Q1") && log.Passed("TPM-Q2") && log.Passed("TPM-Q3") && log.Passed("TPM-Q4")
		}
		if !judge() {
			t.Fatalf("%s: refused", name)
		}
		for i := range e.Quotes {
			q := &e.Quotes[i]
			parts := [][]byte{q.Attest, q.Signature.RSA}
			for _, v := range q.Values {
				parts = append(parts, v)
			}
			for _, b := range parts {
				for n := range b {
					b[n] ^= 1 << (n % 8)
					if judge() {
						t.Errorf("%s: quote %d: changed byte %d accepted", name, i, n)
					}
					b[n] ^= 1 << (n % 8)
				}
			}
		}
	}
}

// TestEveryByteOfAReport: nothing that the paravisor says can change. The
// hardware's report in it is for the processor's package to verify.
func TestEveryByteOfAReport(t *testing.T) {
	file := read(t, "trustee/az-tdx-vtpm/evidence-v1.json")
	blob := read(t, "trustee/az-tdx-vtpm/hcl-report.bin")
	good := base64.URLEncoding.EncodeToString(blob)
	if !bytes.Contains(file, []byte(good)) {
		t.Fatal("the evidence holds another report")
	}
	for i := range blob {
		if i >= 0x20 && i < 0x20+1184 {
			continue
		}
		blob[i] ^= 1 << (i % 8)
		in := input(t, bytes.Replace(file, []byte(good), []byte(base64.URLEncoding.EncodeToString(blob)), 1))
		if verify(t, in).OK {
			t.Errorf("changed byte %#x accepted", i)
		}
		blob[i] ^= 1 << (i % 8)
	}
}

// TestRealLogs names each log of the folder: whether it decodes, and whether
// Secure Boot was on, by a search for the variable's name in the bytes of the
// file (Python) and the byte after it.
func TestRealLogs(t *testing.T) {
	const folder = "go-tpm-tools/eventlogs/"
	logs := map[string]string{
		folder + "arch-linux-workstation.bin":                 "off",
		folder + "confidential-gke-debug-251000_eventlog.bin": "on",
		folder + "cos-101-amd-sev.bin":                        "on",
		folder + "cos-85-amd-sev.bin":                         "on",
		folder + "cos-93-amd-sev.bin":                         "on",
		folder + "debian-10.bin":                              "refused", // a log of SHA-1 alone
		folder + "eventlogwithsp800155.bin":                   "on",
		folder + "gdc-host.bin":                               "off",
		folder + "glinux-alex.bin":                            "off",
		folder + "rhel8-uefi.bin":                             "on",
		folder + "ubuntu-1804-amd-sev.bin":                    "off",
		folder + "ubuntu-2104-no-dbx.bin":                     "off",
		folder + "ubuntu-2104-no-secure-boot.bin":             "off",
		folder + "ubuntu-2404-amd-sevsnp.bin":                 "off",
		"dstack/tpm_eventlog.bin":                             "off",
	}
	for name, want := range logs {
		log, err := eventlog.Decode(read(t, name))
		if (err != nil) != (want == "refused") {
			t.Errorf("%s: got %v", name, err)
		}
		if err != nil {
			continue
		}
		values, err := secureBootValues(log)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := map[bool]string{true: "on", false: "off"}[bytes.Equal(values["SecureBoot"], []byte{1})]; got != want {
			t.Errorf("%s: Secure Boot: got %s (%x), want %s", name, got, values["SecureBoot"], want)
		}
		if name == folder+"ubuntu-2104-no-dbx.bin" && len(values["dbx"]) != 0 {
			t.Errorf("%s: got a dbx of %d bytes", name, len(values["dbx"]))
		}
	}
	everyFile(t, func(name string) bool { _, ok := logs[name]; return ok || !strings.Contains(name, "eventlog") })
}

// TestPlainRefuses: forms of plain evidence that are none.
func TestPlainRefuses(t *testing.T) {
	good := string(read(t, "trustee/tpm_evidence.json"))
	for name, c := range map[string]struct{ from, to string }{
		"unknown name":      {`"ak_public"`, `"more": 1, "ak_public"`},
		"unknown in quote":  {`"message"`, `"more": 1, "message"`},
		"no key":            {`"MIIBIjAN`, `"AAAAAAAA`},
		"key and more":      {`AQAB"`, `AQABAAAA"`},
		"register in upper": {`"ffff`, `"FFFF`},
		"no registers":      {`"pcrs": [`, `"pcrs": [], "more": [`},
		"signature's hash":  {`"ABQACw`, `"ABQABA`},
	} {
		bad := strings.Replace(good, c.from, c.to, 1)
		if bad == good {
			t.Fatalf("%s: nothing changed", name)
		}
		if e, err := Decode([]byte(bad)); err == nil {
			t.Errorf("%s: accepted as %+v", name, e)
		}
	}
	for name, b := range map[string][]byte{
		"empty": nil, "text": []byte("quote"), "object": []byte("{}"), "too long": make([]byte, MaxSize+1),
	} {
		if e, err := Decode(b); err == nil {
			t.Errorf("%s: accepted as %+v", name, e)
		}
	}
	e, err := Decode([]byte("\n\t " + good))
	if err != nil || e.Form != Plain || len(e.Quotes) != 1 {
		t.Errorf("after white space: got %+v, %v", e, err)
	}
}

// FuzzVerify: whatever a file holds there is a verdict, the same twice, in
// bounded memory; and a refusal unless nothing was changed.
func FuzzVerify(f *testing.F) {
	for _, name := range append(passing(), "trustee/tpm_evidence.json") {
		f.Add(read(f, name))
	}
	f.Add([]byte(`{"ak_public":""}`))
	base := input(f, nil)
	f.Fuzz(func(t *testing.T, b []byte) {
		in := base
		in.Evidence, in.Hardware = b, binding(t)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := verify(t, in)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > uint64(4<<20+160*len(b)) {
			t.Errorf("%d bytes took %d", len(b), n)
		}
		if got.Text() != verify(t, in).Text() {
			t.Error("two verdicts")
		}
		if !got.OK && failures(got) == "" && len(got.Failed()) == 0 {
			t.Error("refused without a reason")
		}
	})
}
