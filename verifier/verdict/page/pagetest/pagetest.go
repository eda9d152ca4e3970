// Package pagetest holds verdicts for the tests of the page and of its look in
// a browser: TEST ONLY, linked into no command.
package pagetest

import (
	"strings"

	"safebox/verifier/verdict"
	"safebox/verifier/verdict/page"
)

// Example is what one page shows.
type Example struct {
	Name    string
	Verdict *verdict.Verdict
	Events  []page.Event
}

// Examples are the pages that the browser looks at.
func Examples() []Example {
	return []Example{Accepted(), Refused(), Unreached(), Hostile(), Empty()}
}

// Empty is the zero verdict: it refuses, and names nothing.
func Empty() Example { return Example{Name: "empty", Verdict: new(verdict.Verdict)} }

// checks reads lines of ID, name, want, got and source with bars between; a
// sixth field is the hint of a check that failed, or "-" if it was not reached.
func checks(lines string) []verdict.Check {
	var list []verdict.Check
	for line := range strings.Lines(lines) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "|")
		if len(f) < 5 {
			continue
		}
		c := verdict.Check{ID: f[0], Name: f[1], Want: f[2], Got: f[3], Source: f[4], OK: true, Reached: true}
		if len(f) > 5 {
			c.OK, c.Hint, c.Reached = false, f[5], f[5] != "-"
		}
		if !c.Reached {
			c.Got, c.Hint = "not reached: an earlier check failed", "mend the earlier failure and verify again"
		}
		list = append(list, c)
	}
	return list
}

// fail makes one check of a verdict fail.
func fail(v *verdict.Verdict, id, got, hint string) {
	v.OK = false
	for i := range v.Checks {
		if c := &v.Checks[i]; c.ID == id {
			c.OK, c.Got, c.Hint = false, got, hint
		}
	}
}
