// Package checktest is for tests: what a verdict says of evidence in which
// exactly one thing is wrong.
package checktest

import (
	"testing"

	"safebox/verifier/verdict"
)

// Positive is evidence that passes every check.
type Positive struct {
	Name string
	Run  func(t testing.TB) *verdict.Verdict
}

// Negative is passing evidence with exactly one thing changed, which exactly
// one check refuses.
type Negative struct {
	ID   string // of that check
	Name string // what was changed
	Run  func(t testing.TB) *verdict.Verdict
}

// Passes wants every check passed.
func Passes(t testing.TB, v *verdict.Verdict) {
	t.Helper()
	if !v.OK || len(v.Checks) == 0 {
		t.Fatalf("refused:\n%s", v.Text())
	}
	for _, c := range v.Checks {
		if !c.OK || !c.Reached {
			t.Errorf("%s: ok %t, reached %t in an accepting verdict", c.ID, c.OK, c.Reached)
		}
	}
}

// Alone wants one check failed, and no other that was reached.
func Alone(t testing.TB, v *verdict.Verdict, id string) {
	t.Helper()
	if v.OK {
		t.Fatalf("accepted, want %s failed:\n%s", id, v.Text())
	}
	seen := false
	for _, c := range v.Failed() {
		if !c.Reached {
			continue
		}
		seen = seen || c.ID == id
		if c.ID != id {
			t.Errorf("%s failed too: want %q, got %q", c.ID, c.Want, c.Got)
		}
		if c.Hint == "" || c.Name == "" || c.Source == "" || c.Got == "" || c.Want == "" {
			t.Errorf("%s: record lacks something: %+v", c.ID, c)
		}
	}
	if !seen {
		t.Fatalf("%s did not fail:\n%s", id, v.Text())
	}
}
