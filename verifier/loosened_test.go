package verifier

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"safebox/measure/tpm/golden"
	"safebox/verifier/check"
	"safebox/verifier/checktest"
	"safebox/verifier/evidence"
	"safebox/verifier/memory"
	"safebox/verifier/nitro"
	"safebox/verifier/nitro/nitrotest"
	"safebox/verifier/policy"
	"safebox/verifier/snp"
	"safebox/verifier/tdx"
	"safebox/verifier/tdx/tdxtest"
	"safebox/verifier/transcript"
	"safebox/verifier/verdict"
)

// TestLoosenedPolicy: a policy that accepts any value, or one of its own, where
// the protocol says what our own evidence holds. Claims about keys that the
// hardware has not signed would be anybody's.
func TestLoosenedPolicy(t *testing.T) {
	one64, one32, one48 := "01"+strings.Repeat("00", 63), "01"+strings.Repeat("00", 31), "01"+strings.Repeat("00", 47)
	snpData := func(m *platformMachine) { m.snp = func(r *snp.Report) { r.ReportData = [64]byte{1} } }
	snpHost := func(m *platformMachine) { m.snp = func(r *snp.Report) { r.HostData = [32]byte{1} } }
	tdxData := func(m *platformMachine) {
		m.tdx = func(e *tdxtest.Evidence) { e.Quote.Body.ReportData = [64]byte{1} }
	}
	tdxConfig := func(m *platformMachine) {
		m.tdx = func(e *tdxtest.Evidence) { e.Quote.Body.MRConfigID = [48]byte{1} }
	}
	tdxKeys := func(m *platformMachine) {
		m.tdx = func(e *tdxtest.Evidence) { e.Quote.Body.RTMR[3] = [48]byte{1} }
	}
	data := func(m *platformMachine) { m.nitro = func(e *nitrotest.Evidence) { e.Document.UserData = []byte{1} } }
	nonce := func(m *platformMachine) { m.nitro = func(e *nitrotest.Evidence) { e.Document.Nonce = []byte{1} } }
	for _, tt := range []struct {
		platform, id, key, word, own string
		change                       func(*platformMachine)
	}{
		{transcript.SNP, "SNP-D1", "report_data", "transcript", one64, snpData},
		{transcript.SNP, "SNP-M2", "host_data", "configuration", one32, snpHost},
		{transcript.TDX, "TDX-D1", "report_data", "transcript", one64, tdxData},
		{transcript.TDX, "TDX-A5", "mrconfigid", "configuration", one48, tdxConfig},
		{transcript.TDX, "CFG-2", "rtmr3", "zero", one48, tdxKeys},
		{transcript.Nitro, "NITRO-10", "user_data", "transcript", "01", data},
		{transcript.Nitro, "NITRO-10", "nonce", "challenge", "01", nonce},
		{transcript.NitroTPM, "NITRO-10", "user_data", "transcript", "01", data},
		{transcript.NitroTPM, "NITRO-10", "nonce", "challenge", "01", nonce},
	} {
		for _, loose := range []string{`"any"`, fmt.Sprintf("[%q]", tt.own)} {
			t.Run(fmt.Sprintf("%s %s=%.8s", tt.platform, tt.key, loose), func(t *testing.T) {
				m := machines()[tt.platform](t)
				m.set(t, fmt.Sprintf("\n%s = %q", tt.key, tt.word), fmt.Sprintf("\n%s = %s", tt.key, loose))
				if tt.id != "CFG-2" {
					checktest.Passes(t, m.verify(t).Verdict) // of a machine that does as the protocol says
				}
				tt.change(m)
				r := m.verify(t)
				checktest.Alone(t, r.Verdict, tt.id)
				if r.Claims != nil || r.Memory != nil {
					t.Error("claims or memory of a refused machine")
				}
			})
		}
	}
}

// TestRuntimeRegister: a TDX machine whose RTMR3 is the replay of its log, as
// profile cloud asks for it, before keys have arrived and after it.
func TestRuntimeRegister(t *testing.T) {
	keys := []evidence.RuntimeEvent{{Kind: evidence.KindKeys, Digest: [32]byte{7}}, {Kind: evidence.KindKeys, Digest: [32]byte{8}}}
	for n := range len(keys) + 1 {
		m := newTDX(t)
		m.set(t, `rtmr3 = "zero"`, `rtmr3 = "runtime"`, `state = "fresh"`, `state = "working"`)
		m.tdx = func(e *tdxtest.Evidence) {
			var digests [][48]byte
			for _, k := range keys[:n] {
				digests = append(digests, [48]byte(transcript.KeysEvent(golden.SHA384, k.Digest)))
			}
			e.UseRuntime(digests...)
			m.evidence.TDX.Runtime = keys[:n]
		}
		r := m.verify(t)
		checktest.Passes(t, r.Verdict)
		if c, _ := r.Verdict.Check("CFG-2"); !strings.HasPrefix(c.Got, fmt.Sprintf("%d arrivals", n)) {
			t.Errorf("%d arrivals: got %q", n, c.Got)
		}
	}
}

// TestValuesOfThePolicyAreTold: where a policy lists measurements itself the
// release that the claims name is not compared, and the verdict says so.
func TestValuesOfThePolicyAreTold(t *testing.T) {
	_, digest := milan2(t)
	tdxMachine := newTDX(t)
	registers := map[string]string{}
	tdxMachine.tdx = func(e *tdxtest.Evidence) {
		registers["mrtd"] = hex.EncodeToString(e.Quote.Body.MRTD[:])
		for i := range 3 {
			registers[fmt.Sprintf("rtmr%d", i)] = hex.EncodeToString(e.Quote.Body.RTMR[i][:])
		}
	}
	checktest.Passes(t, tdxMachine.verify(t).Verdict)
	nitroMachine := machines()[transcript.Nitro](t)
	pcr0 := nitroMachine.release.Measurements[len(nitroMachine.release.Measurements)-1].Registers[0].Value
	for _, tt := range []struct{ platform, key, value, what string }{
		{transcript.SNP, "measurements", digest, "launch measurement"},
		{transcript.TDX, "mrtd", registers["mrtd"], "MRTD"},
		{transcript.TDX, "rtmr0", registers["rtmr0"], "RTMR0"},
		{transcript.TDX, "rtmr1", registers["rtmr1"], "RTMR1"},
		{transcript.TDX, "rtmr2", registers["rtmr2"], "RTMR2"},
		{transcript.Nitro, "0", pcr0, "PCR0"},
	} {
		m := machines()[tt.platform](t)
		told := func(v *verdict.Verdict) bool {
			return slices.ContainsFunc(v.Waived, func(w verdict.Waiver) bool {
				return w.What == tt.what+" of the release" && strings.Contains(w.Reason, "lists values itself")
			})
		}
		if v := m.verify(t).Verdict; told(v) {
			t.Errorf("%s %s: told of a policy that asks for the release's", tt.platform, tt.key)
		}
		m.set(t, fmt.Sprintf("\n%s = \"release\"", tt.key), fmt.Sprintf("\n%s = [%q]", tt.key, tt.value))
		v := m.verify(t).Verdict
		checktest.Passes(t, v)
		if !told(v) {
			t.Errorf("%s %s: not told: %+v", tt.platform, tt.key, v.Waived)
		}
	}
}

// TestNoRuleForACPITables: a policy that was not read says nothing of the tables
// that a host makes, so the log's own digests are not taken.
func TestNoRuleForACPITables(t *testing.T) {
	m := newTDX(t)
	in := m.input(t)
	v := &verification{in: in, log: check.New()}
	v.readPolicy()
	v.readEvidence()
	l, ok := m.release.Launch("tdx")
	if !ok || v.policy == nil {
		t.Fatal("no launch or no policy")
	}
	var want tdx.Expected
	if err := v.acceptedTDX(l, &want); err != nil || len(want.MRTD) != 1 || len(want.RTMR[0]) < 2 {
		t.Fatalf("got %v, MRTD %d, RTMR0 %d values", err, len(want.MRTD), len(want.RTMR[0]))
	}
	v.policy.Shapes = policy.Shapes{Memory: v.policy.Shapes.Memory}
	if err := v.acceptedTDX(l, &tdx.Expected{}); err == nil {
		t.Error("no rule for ACPI tables: accepted")
	}
}

// TestLeftOutIsTold: a damaged list is named, and so are files that are none of
// a vendor's; the evidence passes with what else there is.
func TestLeftOutIsTold(t *testing.T) {
	m := newSNP(t)
	for i := range 6 {
		m.files = append(m.files, File{fmt.Sprintf("crl%d.pem", i), []byte("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")})
	}
	r := m.verify(t)
	checktest.Passes(t, r.Verdict)
	c, _ := r.Verdict.Check("COL-1")
	for _, want := range []string{`left out of "crl0.pem": `, `left out of "crl3.pem": `, "; and of 2 more"} {
		if !strings.Contains(c.Got, want) {
			t.Errorf("got %q, want %q in it", c.Got, want)
		}
	}
	if strings.Contains(c.Got, "crl4") {
		t.Errorf("got %q, want four names", c.Got)
	}
}

// TestMemoryThatBegins: the verdict tells a memory that knows something from one
// that begins: whoever removes the file gets the second.
func TestMemoryThatBegins(t *testing.T) {
	m := newSNP(t)
	r := m.verify(t)
	if c, _ := r.Verdict.Check("ROLL-1"); !c.OK || !strings.Contains(c.Got, "the memory begins here") {
		t.Errorf("empty memory: got %q", c.Got)
	}
	m.memory = r.Memory
	if c, _ := m.verify(t).Verdict.Check("ROLL-1"); !c.OK || strings.Contains(c.Got, "begins") {
		t.Errorf("known memory: got %q", c.Got)
	}
}

// TestWitnessedTime: in mode as-of a document of AWS is the witness of the time,
// as evidence of ours and alone, but not where the policy lets it have any age or
// judge itself.
func TestWitnessedTime(t *testing.T) {
	for platform, kind := range map[string]nitro.Kind{transcript.Nitro: nitro.Enclave, transcript.NitroTPM: nitro.NitroTPM} {
		for _, tt := range []struct {
			change []string
			ok     bool
		}{
			{nil, true},
			{[]string{`time = "live"`, `time = "at"`}, true},
			{[]string{`time = "live"`, `time = "self"`}, false},
			{[]string{"max_age = 300", `max_age = "any"`}, false},
		} {
			m := newNitro(t, kind)
			m.set(t, append([]string{`mode = "live"`, `mode = "as-of"`}, tt.change...)...)
			ours := m.verify(t).Verdict
			raw := verifyRaw(RawInput{
				Platform: platform, Evidence: m.evidence.Nitro.Document, Policy: []byte(m.policy), At: m.at,
				Vendor: Vendor{Memory: []byte{}},
			}, m.roots).Verdict
			if ours.OK != tt.ok {
				t.Errorf("%s %q: ok %t\n%s", platform, tt.change, ours.OK, ours.Text())
			}
			if !tt.ok {
				checktest.Alone(t, ours, "TIME-1")
			}
			if c, _ := raw.Check("TIME-1"); c.OK != tt.ok || !c.Reached {
				t.Errorf("%s %q: alone: TIME-1: %+v", platform, tt.change, c)
			}
		}
	}
}

// TestFullMemory: numbers for which a memory has no room are numbers that it
// would forget.
func TestFullMemory(t *testing.T) {
	m := newSNP(t)
	seen := make([]check.Observation, 4096) // docs/format-memory.md: at most
	for i := range seen {
		seen[i].Key = fmt.Sprintf("crl/%064x", i)
	}
	full := &memory.Memory{}
	if err := full.Merge(seen, time.Time{}); err != nil {
		t.Fatal(err)
	}
	var err error
	if m.memory, err = full.Encode(); err != nil {
		t.Fatal(err)
	}
	r := m.verify(t)
	checktest.Alone(t, r.Verdict, "ROLL-1")
	if r.Claims != nil || r.Memory != nil {
		t.Error("claims or memory of a refused machine")
	}
	m.memory = append(m.memory, 0)
	checktest.Alone(t, m.verify(t).Verdict, "ROLL-1")
}

// TestVerdictNames: what a verdict says that it is about, and what SEV-SNP cannot
// tell.
func TestVerdictNames(t *testing.T) {
	m := newSNP(t)
	v := m.verify(t).Verdict
	if v.Type != verdict.Type || v.At != m.at.UTC().Format(time.RFC3339) || v.Profile != policy.Test || v.Release != m.evidence.Release.String() {
		t.Errorf("got type %q, at %q, profile %q, release %q", v.Type, v.At, v.Profile, v.Release)
	}
	if !slices.ContainsFunc(v.Waived, func(w verdict.Waiver) bool { return w.What == "keys that arrived since the boot" }) {
		t.Errorf("waived: %+v", v.Waived)
	}
	raw := verifyRaw(m.raw(t), m.roots).Verdict
	if raw.Type != verdict.Type || raw.At != v.At || raw.Profile != policy.Test || raw.Evidence == "" || raw.Policy != v.Policy {
		t.Errorf("alone: %+v", raw)
	}
}
