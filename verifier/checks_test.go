package verifier

import (
	"slices"
	"testing"
	"time"

	"safebox/measure/tpm/golden"
	"safebox/verifier/challenge"
	"safebox/verifier/configuration"
	"safebox/verifier/evidence"
)

// TestRefusals: each change fails the check that is there for it.
func TestRefusals(t *testing.T) {
	in := captured(t)
	for _, r := range refusals() {
		t.Run(r.want+" "+r.name, func(t *testing.T) {
			changed := r.change(t, in)
			first := Verify(changed)
			refused(t, first, r.want, r.alone)
			if one, two := first.Verdict.Text(), Verify(changed).Verdict.Text(); one != two {
				t.Errorf("two verdicts:\n%s\n%s", one, two)
			}
		})
	}
}

func refused(t testing.TB, r *Result, want string, alone bool) {
	t.Helper()
	if r.Verdict.OK || r.Claims != nil || r.Pin != nil {
		t.Fatalf("accepted:\n%s", r.Verdict.Text())
	}
	var failed []string
	for _, c := range r.Verdict.Failed() {
		if c.Reached {
			failed = append(failed, c.ID)
		}
		if c.Hint == "" || c.Name == "" || c.Source == "" || c.Got == "" {
			t.Errorf("%s: record lacks something: %+v", c.ID, c)
		}
	}
	if !slices.Contains(failed, want) || alone && len(failed) != 1 {
		t.Errorf("failed %v, want %s (alone: %t)\n%s", failed, want, alone, r.Verdict.Text())
	}
}

// TestEveryCheckIsRefusedOnce: no check of an accepted session lacks a test
// that fails it.
func TestEveryCheckIsRefusedOnce(t *testing.T) {
	r := Verify(withPolicy(`disk = "any"`, `disk = "fixed"`)(t, captured(t)))
	accepted(t, "fixed disk", r)
	for _, c := range r.Verdict.Checks {
		if c.ID == "COL-1" {
			continue // evidence of a TPM has none: platforms_test.go
		}
		if !slices.ContainsFunc(refusals(), func(r refusal) bool { return r.want == c.ID }) {
			t.Errorf("%s has no refusal", c.ID)
		}
	}
}

// TestAccepted: what is near a refusal and none.
func TestAccepted(t *testing.T) {
	for name, c := range map[string]change{
		"at the last second":       at(func(_ *challenge.Secret, c *challenge.Challenge) time.Time { return time.Unix(c.Expires, 0) }),
		"at the first second":      at(func(s *challenge.Secret, _ *challenge.Challenge) time.Time { return time.Unix(s.Issued, 0) }),
		"shortest life":            withChallenge(func(c *challenge.Challenge, s *challenge.Secret) { s.Issued, c.Expires = s.Issued+30, s.Issued+31 }),
		"longest life":             withPolicy("max_life = 3600", "max_life = 600"),
		"any life":                 withPolicy("max_life = 3600", `max_life = "any"`),
		"past review":              together(withPolicy("review = 2027-05-31", "review = 2020-01-01"), withPolicy(`stale = "refuse"`, `stale = "any"`)),
		"no document, none wanted": withPolicy(`documents = "any"`, `documents = ["none"]`),
		"fresh":                    withPolicy(`state = "working"`, `state = "fresh"`),
		"one bank wanted of two":   withPolicy(`banks = ["sha256", "sha384"]`, `banks = ["sha384"]`),
		"esp alone":                withPolicy(`boots = ["esp", "kernel"]`, `boots = ["esp"]`),
		"fixed disk":               withPolicy(`disk = "any"`, `disk = "fixed"`),
		"safe clock":               withPolicy(`clock = "any"`, `clock = "safe"`),
		"unsafe clock":             withForger(nil, func(_ golden.Bank, a *attestation) { a.safe = 0 }),
		"pin":                      withForger(nil, nil),
		"later boot":               withForger(nil, func(_ golden.Bank, a *attestation) { a.reset = 9 }),
		"root called hardware":     together(withPolicy(`kind = "software"`, `kind = "hardware"`), withPolicy(`software_roots = "accept"`, `software_roots = "refuse"`)),
		"boot aggregate in register 10": withForger(func(t testing.TB, e *evidence.Evidence) {
			for _, bank := range golden.Banks() {
				setRegister(t, e, bank, 10, bank.Sum([]byte("boot aggregate")))
			}
		}, nil),
		"keys arrived": withForger(func(t testing.TB, e *evidence.Evidence) {
			setRuntime(t, e, configEvent(e), keysEvent(), keysEvent())
		}, nil),
		"a document": withForger(func(t testing.TB, e *evidence.Evidence) {
			b, err := configuration.Default().Encode()
			if err != nil {
				t.Fatal(err)
			}
			e.Configuration = b
			setRuntime(t, e, configEvent(e))
		}, nil),
	} {
		accepted(t, name, Verify(c(t, captured(t))))
	}
}
