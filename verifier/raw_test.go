package verifier

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"safebox/measure/eventlog"
	"safebox/measure/tpm/golden"
	"safebox/verifier/bundle"
	"safebox/verifier/checktest"
	"safebox/verifier/endorse"
	"safebox/verifier/evidence"
	"safebox/verifier/memory"
	"safebox/verifier/policy"
	"safebox/verifier/release"
	"safebox/verifier/snp/snptest"
	"safebox/verifier/transcript"
)

// raw is a machine's evidence alone: the report, the quote or the document.
func (m *platformMachine) raw(t testing.TB) RawInput {
	t.Helper()
	m.input(t)
	in := RawInput{Platform: m.platform, Policy: []byte(m.policy), At: m.at, Vendor: Vendor{Memory: m.memory}}
	v := &verification{evidence: m.evidence}
	v.bind()
	in.Data = v.transcript.sum[:]
	switch e := m.evidence; {
	case e.SNP != nil:
		in.Evidence = e.SNP.Report
	case e.TDX != nil:
		in.Evidence = e.TDX.Quote
	default:
		in.Evidence = e.Nitro.Document
	}
	if b := endorsementsOf(m.evidence); b != nil {
		in.Collateral = []File{{"bundle", b}}
	}
	return in
}

// loosened is a machine whose policy asks for no values of a release, of a
// configuration and of a challenge but for the data.
func loosened(t testing.TB, platform string) *platformMachine {
	t.Helper()
	m := machines()[platform](t)
	for _, word := range []string{"release", "configuration", "challenge"} {
		for _, key := range []string{"measurements", "host_data", "mrtd", "rtmr0", "rtmr1", "rtmr2", "mrconfigid", "nonce", "0", "1", "2", "4", "7", "9", "11", "15", "16"} {
			m.policy = strings.Replace(m.policy, fmt.Sprintf("\n%s = %q", key, word), fmt.Sprintf("\n%s = \"any\"", key), 1)
		}
	}
	m.policy = strings.Replace(m.policy, `event_log = "required"`, `event_log = "any"`, 1)
	return m
}

// TestRaw: evidence of each platform alone passes with the data that it must
// carry, and without it, with other data and with damage it does not.
func TestRaw(t *testing.T) {
	for _, platform := range []string{transcript.SNP, transcript.TDX, transcript.Nitro, transcript.NitroTPM} {
		m := loosened(t, platform)
		in := m.raw(t)
		r := verifyRaw(in, m.roots)
		checktest.Passes(t, r.Verdict)
		if r.Claims != nil || r.Pin != nil || r.Verdict.Platform != platform {
			t.Errorf("%s: claims or a pin of a machine that nobody asked: %+v", platform, r)
		}
		if _, err := memory.Decode(r.Memory); err != nil {
			t.Errorf("%s: memory: %v", platform, err)
		}
		data := map[string]string{transcript.SNP: "SNP-D1", transcript.TDX: "TDX-D1", transcript.Nitro: "NITRO-10", transcript.NitroTPM: "NITRO-10"}[platform]
		for _, other := range [][]byte{nil, {}, in.Data[:63], append(bytes.Clone(in.Data), 0), make([]byte, 64)} {
			changed := in
			changed.Data = other
			refused := verifyRaw(changed, m.roots)
			checktest.Alone(t, refused.Verdict, data)
			if refused.Memory != nil {
				t.Errorf("%s: memory of a refusal", platform)
			}
		}
		changed := in
		changed.Platform = transcript.VTPM
		checktest.Alone(t, verifyRaw(changed, m.roots).Verdict, "PLAT-1")
	}
}

// TestRawGarbage: what is no evidence of the platform is refused, under a policy
// that accepts each.
func TestRawGarbage(t *testing.T) {
	text, err := policy.Profile(policy.Test, transcript.Platforms())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		transcript.SNP: "SNP-F1", transcript.TDX: "TDX-F1", transcript.Nitro: "NITRO-1", transcript.NitroTPM: "NITRO-1", transcript.VTPM: "TPM-F1",
	}
	for _, platform := range transcript.Platforms() {
		for _, garbage := range [][]byte{nil, []byte("x"), []byte("{}"), make([]byte, evidence.MaxSize+1)} {
			r := VerifyRaw(RawInput{Platform: platform, Evidence: garbage, Policy: text, At: snptest.At()})
			checktest.Alone(t, r.Verdict, want[platform])
		}
	}
	for _, p := range [][]byte{nil, []byte("x")} {
		checktest.Alone(t, VerifyRaw(RawInput{Platform: transcript.TDX, Policy: p, At: snptest.At()}).Verdict, "POL-1")
	}
	checktest.Alone(t, VerifyRaw(RawInput{Platform: "sev", Policy: text, At: snptest.At()}).Verdict, "PLAT-1")
}

// TestCollateralDigest: the verdict names what it was given of vendors, in the
// form of a bundle, whichever way it came.
func TestCollateralDigest(t *testing.T) {
	m := newSNP(t)
	carried := m.verify(t).Verdict.Collateral
	if want := fmt.Sprintf("%x", sha256.Sum256(m.evidence.SNP.Endorsements)); carried != want {
		t.Errorf("got %q, want the bundle's %s", carried, want)
	}
	set, err := endorse.Decode(m.evidence.SNP.Endorsements)
	if err != nil {
		t.Fatal(err)
	}
	in := m.raw(t)
	in.Collateral = nil
	for i, c := range set.Certificates {
		in.Collateral = append(in.Collateral, File{fmt.Sprint(i), c.Raw})
	}
	for i, l := range set.CRLs {
		in.Collateral = append(in.Collateral, File{fmt.Sprint("crl", i), l.Raw})
	}
	if got := verifyRaw(in, m.roots).Verdict.Collateral; got != fmt.Sprintf("%x", sha256.Sum256(m.evidence.SNP.Endorsements)) {
		t.Errorf("file by file: got %q", got)
	}
	in.Collateral = nil
	if got := verifyRaw(in, m.roots).Verdict.Collateral; got != "" {
		t.Errorf("no documents: got %q", got)
	}
}

// TestTimeline: the rows of an event log say which event is the first that the
// release does not have.
func TestTimeline(t *testing.T) {
	m := newTDX(t)
	r := m.verify(t)
	compared := 0
	for _, e := range r.Events() {
		if e.Diverges {
			t.Errorf("event %d of %s diverges in an accepted log: %+v", e.Index, e.Register, e)
		}
		if e.Want != "" {
			compared++
		}
	}
	if compared < 5 {
		t.Errorf("%d events compared", compared)
	}
	if Verify(Input{}).Events() != nil || (&Result{}).Events() != nil {
		t.Error("rows without evidence")
	}

	log, err := eventlog.DecodeCCEL(m.evidence.TDX.EventLog)
	if err != nil {
		t.Fatal(err)
	}
	const changed = 2
	log.Events[changed].Digests[0].Value = bytes.Repeat([]byte{1}, 48)
	m.last = func(e *evidence.Evidence) { e.TDX.EventLog = log.Encode() }
	var first []int
	for _, e := range m.verify(t).Events() {
		if e.Diverges {
			first = append(first, e.Index)
		}
	}
	if len(first) != 1 || first[0] != changed {
		t.Errorf("event %d changed: got %d as the first that differs", changed, first)
	}
	log.Events = log.Events[:len(log.Events)-1]
	rows := m.verify(t).Events()
	if e := rows[len(rows)-1]; !e.Diverges || e.Type != "missing" || e.Want == "" || e.Index != len(log.Events) {
		t.Errorf("the last event left out: got %+v", e)
	}
}

// withEvents is the captured session with a release that tells the events of
// register 4, changed by change: its digest is then another.
func withEvents(t *testing.T, change func([]string) []string) Input {
	t.Helper()
	in := captured(t)
	e, err := evidence.Decode(in.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.Decode(e.VTPM.EventLog)
	if err != nil {
		t.Fatal(err)
	}
	var digests []string
	value := golden.SHA256.Zero()
	for i := range log.Events {
		if x := &log.Events[i]; x.PCR == 4 && x.Type != eventlog.NoAction {
			digests = append(digests, fmt.Sprintf("%x", x.Digest(eventlog.SHA256)))
		}
	}
	digests = change(digests)
	for _, d := range digests {
		value = golden.SHA256.Extend(value, unhex(t, d))
	}
	r, err := release.Decode(readFile(t, "boot/release.json"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Measurements {
		if m := &r.Measurements[i]; m.Bank == "sha256" {
			m.Registers[4].Value, m.Registers[4].Events = value.String(), digests
		}
	}
	text, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if in.Bundle, err = bundle.Encode(&bundle.Bundle{Release: text}); err != nil {
		t.Fatal(err)
	}
	return in
}

// TestTimelineTPM: the same of a TPM's log, whose first difference is in the hint
// of its register too.
func TestTimelineTPM(t *testing.T) {
	const id = "TPM-R4-sha256"
	n := 0
	r := Verify(withEvents(t, func(list []string) []string { n = len(list); return list }))
	compared := 0
	for _, e := range r.Events() {
		if e.Diverges {
			t.Errorf("event %d of %s diverges in the release's own log: %+v", e.Index, e.Register, e)
		}
		if e.Want != "" {
			compared++
		}
	}
	if c, _ := r.Verdict.Check(id); compared != n || n < 2 || !c.OK {
		t.Errorf("%d events compared of %d, register %+v", compared, n, c)
	}
	other := strings.Repeat("ab", 32)
	r = Verify(withEvents(t, func(list []string) []string { list[1] = other; return list }))
	var first []string
	for _, e := range r.Events() {
		if e.Diverges {
			first = append(first, e.Register+" "+e.Want)
		}
	}
	if len(first) != 1 || first[0] != "PCR 4 "+other {
		t.Errorf("got %q as the first that differ", first)
	}
	if c, _ := r.Verdict.Check(id); c.OK || !strings.Contains(c.Hint, "first difference: event ") || !strings.Contains(c.Hint, "want "+other) {
		t.Errorf("register: %+v", c)
	}
	r = Verify(withEvents(t, func(list []string) []string { return append(list, other) }))
	rows := r.Events()
	if e := rows[len(rows)-1]; e.Type != "missing" || !e.Diverges || e.Want != other {
		t.Errorf("an event that the log lacks: got %+v", e)
	}
}
