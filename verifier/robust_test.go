package verifier

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"safebox/measure/eventlog"
	"safebox/verifier/challenge"
	"safebox/verifier/evidence"
)

// TestNothingIsRefused: an input of nothing fails every check, whatever else
// is there or not.
func TestNothingIsRefused(t *testing.T) {
	for name, r := range map[string]*Result{"Verify": Verify(Input{}), "VerifyReceiptEvidence": VerifyReceiptEvidence(Input{})} {
		passed := len(r.Verdict.Checks) - len(r.Verdict.Failed())
		if r.Verdict.OK || r.Claims != nil || r.Pin != nil || r.Memory != nil || len(r.Verdict.Checks) < 10 || passed != 1 { // COL-1: no document is unreadable
			t.Errorf("%s of nothing: %s", name, r.Verdict.Text())
		}
	}
	whole := captured(t)
	whole.Pin = withForger(nil, nil)(t, whole).Pin // of another key: of no use
	for set := range 1 << 6 {
		in := Input{At: whole.At}
		for i, f := range []struct{ to, from *[]byte }{
			{&in.Evidence, &whole.Evidence},
			{&in.Bundle, &whole.Bundle},
			{&in.Policy, &whole.Policy},
			{&in.Challenge, &whole.Challenge},
			{&in.Secret, &whole.Secret},
			{&in.Pin, &whole.Pin},
		} {
			if set&(1<<i) != 0 {
				*f.to = *f.from
			}
		}
		const all = 1<<5 - 1 // all but the pin
		if r := Verify(in); r.Verdict.OK != (set == all) || (r.Claims != nil) != (set == all) {
			t.Errorf("set %06b: accepted %t\n%s", set, r.Verdict.OK, r.Verdict.Text())
		}
	}
}

// TestKnownKeyIsNotEnough: a pinned key answers no challenge that nobody gave.
func TestKnownKeyIsNotEnough(t *testing.T) {
	in := withForger(nil, nil)(t, captured(t))
	accepted(t, "pinned", Verify(in))
	in.Challenge, in.Secret = nil, nil
	refused(t, Verify(in), "CH-1", false)
	for _, id := range []string{"CH-1", "FR-1", "FR-2", "FR-3", "FR-4", "REL-2"} {
		if c, ok := Verify(in).Verdict.Check(id); !ok || c.OK {
			t.Errorf("%s: got %+v, want it failed", id, c)
		}
	}
}

// TestDeterministic: equal inputs have equal verdicts, wherever they are read.
func TestDeterministic(t *testing.T) {
	in := captured(t)
	want, err := Verify(in).Verdict.Encode()
	if err != nil {
		t.Fatal(err)
	}
	local := time.Local
	defer func() { time.Local = local }()
	for _, zone := range []*time.Location{time.FixedZone("east", 14*3600), time.FixedZone("west", -12*3600)} {
		time.Local = zone
		moved := in
		moved.At = in.At.In(zone)
		got, err := Verify(moved).Verdict.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%v: got %s, want %s", zone, got, want)
		}
	}
	if i := bytes.Index(want, []byte(`"platform"`)); !bytes.HasPrefix(want, []byte("{\n  \"ok\": true,\n  \"platform\"")) || i > bytes.Index(want, []byte(`"checks"`)) {
		t.Errorf("keys are not in the documented order: %.200s", want)
	}
}

// TestInputIsNotChanged: a verification writes to nothing that it was given.
func TestInputIsNotChanged(t *testing.T) {
	in, before := captured(t), captured(t)
	Verify(in)
	for i, pair := range [][2][]byte{
		{in.Evidence, before.Evidence}, {in.Bundle, before.Bundle}, {in.Policy, before.Policy}, {in.Challenge, before.Challenge}, {in.Secret, before.Secret},
	} {
		if !bytes.Equal(pair[0], pair[1]) {
			t.Errorf("file %d was changed", i)
		}
	}
}

// TestEveryByteOfTheEvidence changes each byte of the file outside the event
// log: nothing passes.
func TestEveryByteOfTheEvidence(t *testing.T) {
	in := captured(t)
	start := bytes.Index(in.Evidence, []byte(`"event_log":"`))
	end := start + bytes.Index(in.Evidence[start:], []byte(`","quotes"`))
	if start < 0 || end < start {
		t.Fatal("no event log in the file")
	}
	file := in.Evidence
	for i := range file {
		if i > start && i < end {
			continue
		}
		in.Evidence = bytes.Clone(file)
		in.Evidence[i] ^= 1 << (i % 7)
		if r := Verify(in); r.Verdict.OK || r.Claims != nil {
			t.Fatalf("byte %d (%.40q) changed: accepted", i, file[max(0, i-20):])
		}
	}
}

// TestEveryByteOfTheEventLog: a change passes only where no register can tell:
// in the header, and in the data of events whose digest is of something else.
// Those say what was measured in words, which no check rests on.
func TestEveryByteOfTheEventLog(t *testing.T) {
	in := captured(t)
	e, err := evidence.Decode(in.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	words := map[eventlog.Type]bool{eventlog.EFIPlatformFirmwareBlob: true, eventlog.EFIBootServicesApplication: true, eventlog.EFIVariableBoot: true}
	free := freeBytes(t, e.VTPM.EventLog, words)
	log := slices.Clone(e.VTPM.EventLog)
	passed := 0
	for i := range log {
		e.VTPM.EventLog = slices.Clone(log)
		e.VTPM.EventLog[i] ^= 1 << (i % 8)
		if in.Evidence, err = e.Encode(); err != nil {
			t.Fatal(err)
		}
		if !Verify(in).Verdict.OK {
			continue
		}
		passed++
		if !free[i] {
			t.Errorf("byte %#x of the log changed: accepted", i)
		}
	}
	if passed == 0 {
		t.Error("no change passed: the test looks at nothing")
	}
}

// freeBytes marks the bytes that no register binds, found by the structure
// that PFP 10.2 gives: 69 bytes of header event, then event after event.
func freeBytes(t *testing.T, b []byte, words map[eventlog.Type]bool) map[int]bool {
	t.Helper()
	l, err := eventlog.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	free := map[int]bool{}
	const header = 69
	for i := range header {
		free[i] = true
	}
	off := header
	for i := range l.Events {
		e := &l.Events[i]
		off += 4 + 4 + 4 + 2 + 32 + 2 + 48 + 4
		for j := range e.Data {
			free[off+j] = words[e.Type]
		}
		off += len(e.Data)
	}
	if off != len(b) {
		t.Fatalf("events end at %d, the log at %d", off, len(b))
	}
	return free
}

// TestReceipt: evidence for a receipt needs no challenge, and says so.
func TestReceipt(t *testing.T) {
	in := captured(t)
	in.At = in.At.Add(90 * 24 * time.Hour)
	refused(t, Verify(in), "FR-3", true)
	r := VerifyReceiptEvidence(in)
	accepted(t, "with challenge and secret", r)
	if !waived(r, "age of the evidence") {
		t.Errorf("the age is not said to be waived: %+v", r.Verdict.Waived)
	}
	if r.Claims.Challenge == nil || r.Verdict.Challenge == "" {
		t.Error("the challenge is lost")
	}
	refused(t, VerifyReceiptEvidence(withChallenge(func(c *challenge.Challenge, _ *challenge.Secret) { c.Nonce[0] ^= 1 })(t, in)), "FR-1", true)
	refused(t, VerifyReceiptEvidence(withChallenge(func(c *challenge.Challenge, _ *challenge.Secret) { c.Audience[0] ^= 1 })(t, in)), "FR-2", true)

	alone := in
	alone.Challenge, alone.Secret = nil, nil
	refused(t, VerifyReceiptEvidence(alone), "TPM-K1", false)
	alone.Challenge = []byte{}
	refused(t, VerifyReceiptEvidence(alone), "CH-1", false)
	alone.Challenge, alone.Secret = nil, in.Secret
	refused(t, VerifyReceiptEvidence(alone), "CH-1", false)

	pinned := withForger(nil, nil)(t, in)
	pinned.Challenge, pinned.Secret = nil, nil
	r = VerifyReceiptEvidence(pinned)
	accepted(t, "with a pin alone", r)
	if !waived(r, "nonce, audience and age") || r.Claims.Challenge != nil || r.Verdict.Challenge != "" {
		t.Errorf("got %+v, want the freshness waived and no challenge", r.Verdict)
	}
	other := withEvidence(func(_ testing.TB, e *evidence.Evidence) { e.Release[0] ^= 1 })(t, pinned)
	refused(t, VerifyReceiptEvidence(other), "REL-2", false)
	pinned.Pin = nil
	refused(t, VerifyReceiptEvidence(pinned), "TPM-K1", false)
}

func waived(r *Result, what string) bool {
	for _, w := range r.Verdict.Waived {
		if strings.Contains(w.What, what) && w.Reason != "" {
			return true
		}
	}
	return false
}

// TestWaivers: what the policy lets pass stands in the verdict.
func TestWaivers(t *testing.T) {
	in := together(withPolicy("max_life = 3600", `max_life = "any"`), withPolicy(`stale = "refuse"`, `stale = "any"`))(t, captured(t))
	r := Verify(in)
	accepted(t, "much waived", r)
	for _, what := range []string{
		"review date", "life of the challenge", "publication of the release", "content of the configuration", "hardware behind the TPM",
		"clock of the TPM", "register 1:", "register 5:", "register 10:",
	} {
		if !waived(r, what) {
			t.Errorf("%q is not in %+v", what, r.Verdict.Waived)
		}
	}
	r = Verify(together(withPolicy(`kind = "software"`, `kind = "hardware"`), withPolicy(`software_roots = "accept"`, `software_roots = "refuse"`))(t, captured(t)))
	accepted(t, "hardware", r)
	if waived(r, "hardware behind the TPM") {
		t.Errorf("hardware is waived: %+v", r.Verdict.Waived)
	}
	r = Verify(together(
		withPolicy(`disk = "any"`, `disk = "fixed"`), withPolicy(`clock = "any"`, `clock = "safe"`), withPolicy(`documents = "any"`, `documents = ["none"]`),
	)(t, captured(t)))
	accepted(t, "little waived", r)
	var what []string
	for _, w := range r.Verdict.Waived {
		what = append(what, w.What)
	}
	want := []string{
		"publication of the release: signatures, rebuilds, log", "time of the verification", "hardware behind the TPM", "register 1: host's tables", "register 10: kernel's IMA",
		"age of documents against those seen before",
	}
	if !slices.Equal(what, want) {
		t.Errorf("waived: got %q, want %q", what, want)
	}
}

// TestVerdictNamesItsInput: the digests are those of sha256sum, the rest is
// the files' own.
func TestVerdictNamesItsInput(t *testing.T) {
	in := captured(t)
	v := Verify(in).Verdict
	sum := func(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }
	for name, f := range map[string][2]string{
		"evidence":  {v.Evidence, sum(in.Evidence)},
		"bundle":    {v.Bundle, sum(in.Bundle)},
		"policy":    {v.Policy, sum(in.Policy)},
		"challenge": {v.Challenge, sum(in.Challenge)},
		"release":   {v.Release, sum(readFile(t, "boot/release.json"))},
		"profile":   {v.Profile, "test"},
		"platform":  {v.Platform, "vtpm"},
		"boot":      {v.Boot, "esp"},
		"at":        {v.At, in.At.Format(time.RFC3339)},
	} {
		if f[0] != f[1] {
			t.Errorf("%s: got %q, want %q", name, f[0], f[1])
		}
	}
}

// TestClaims: what is claimed is the evidence's.
func TestClaims(t *testing.T) {
	in := captured(t)
	r := Verify(in)
	accepted(t, "captured", r)
	e, err := evidence.Decode(in.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := e.Transcript().Sum()
	if err != nil {
		t.Fatal(err)
	}
	c := r.Claims
	if c.Platform != "vtpm" || c.T != sum || c.ReceiptKey != e.ReceiptKey || c.Release != e.Release || c.Transcript.Nonce != e.Nonce {
		t.Errorf("claims: got %+v", c)
	}
	pin, err := DecodePin(r.Pin)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pin.AK, e.VTPM.AK) {
		t.Error("the pin is of another key")
	}
	in.Pin = r.Pin
	if r = Verify(in); !r.Verdict.OK || r.Claims == nil {
		t.Errorf("pin and activation together: %s", r.Verdict.Text())
	}
	// What is given must hold: a pin does not make up for a wrong answer.
	refused(t, Verify(withEvidence(func(_ testing.TB, e *evidence.Evidence) { e.VTPM.Activation[0] ^= 1 })(t, in)), "TPM-K1", false)
	refused(t, Verify(withEvidence(func(_ testing.TB, e *evidence.Evidence) { e.VTPM.Activation = nil })(t, in)), "TPM-K1", false)
}

func TestPinRefuses(t *testing.T) {
	good := Verify(captured(t)).Pin
	for name, bad := range map[string][]byte{
		"type":       bytes.Replace(good, []byte("ak-pin/v1"), []byte("ak-pin/v2"), 1),
		"negative":   bytes.Replace(good, []byte(`"reset_count":`), []byte(`"reset_count":-`), 1),
		"large":      bytes.Replace(good, []byte(`"reset_count":`), []byte(`"reset_count":9999999999`), 1),
		"other key":  bytes.Replace(good, []byte(`"ak":"ACMACwAFBHI`), []byte(`"ak":"ACMACwAFBHY`), 1),
		"no key":     regexp.MustCompile(`"ak":"[^"]*"`).ReplaceAll(good, []byte(`"ak":"AAAA"`)),
		"33 bits":    regexp.MustCompile(`"reset_count":[0-9]*`).ReplaceAll(good, []byte(`"reset_count":4294967296`)),
		"newline":    append(bytes.Clone(good), '\n'),
		"empty":      {},
		"much":       append(bytes.Clone(good), make([]byte, MaxPin)...),
		"unknown":    bytes.Replace(good, []byte(`{"ak"`), []byte(`{"a":1,"ak"`), 1),
		"root short": bytes.Replace(good, []byte(`"root":"`), []byte(`"root":"0`), 1),
	} {
		if bytes.Equal(bad, good) {
			t.Errorf("%s: nothing changed in %s", name, good)
		}
		if p, err := DecodePin(bad); err == nil {
			t.Errorf("%s: accepted as %+v", name, p)
		}
	}
}

// FuzzVerify changes evidence: it never panics, and an acceptance always
// comes with claims.
func FuzzVerify(f *testing.F) {
	in := captured(f)
	f.Add(in.Evidence)
	e, err := evidence.Decode(in.Evidence)
	if err != nil {
		f.Fatal(err)
	}
	e.VTPM.Activation = nil
	other, err := e.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(other)
	f.Fuzz(func(t *testing.T, b []byte) {
		in := in
		in.Evidence = b
		r := Verify(in)
		// Evidence that can't be read has no checks of its platform: 16 are left.
		if r.Verdict.OK != (r.Claims != nil) || r.Verdict.OK != (len(r.Verdict.Failed()) == 0) || len(r.Verdict.Checks) < 16 {
			t.Errorf("inconsistent: %s", r.Verdict.Text())
		}
		if _, err := r.Verdict.Encode(); err != nil {
			t.Error(err)
		}
	})
}

// FuzzVerifyStructures puts fuzzed TPM structures and a log into good
// evidence, past the JSON.
func FuzzVerifyStructures(f *testing.F) {
	in := captured(f)
	e, err := evidence.Decode(in.Evidence)
	if err != nil {
		f.Fatal(err)
	}
	q := e.VTPM.Quotes[0]
	f.Add(q.Attest, q.Signature, e.VTPM.AK, e.VTPM.EventLog)
	f.Fuzz(func(t *testing.T, attest, signature, ak, log []byte) {
		changed := *e
		vtpm := *e.VTPM
		vtpm.Quotes = slices.Clone(vtpm.Quotes)
		vtpm.Quotes[0].Attest, vtpm.Quotes[0].Signature, vtpm.AK, vtpm.EventLog = attest, signature, ak, log
		changed.VTPM = &vtpm
		b, err := changed.Encode()
		if err != nil {
			return
		}
		in := in
		in.Evidence = b
		r := Verify(in)
		if r.Verdict.OK != (r.Claims != nil) {
			t.Errorf("inconsistent: %s", r.Verdict.Text())
		}
		if r.Verdict.OK && (!bytes.Equal(attest, q.Attest) || !bytes.Equal(ak, e.VTPM.AK)) {
			t.Errorf("accepted attest %x by key %x", attest, ak)
		}
	})
}
