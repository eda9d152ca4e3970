package page_test

import (
	"strings"
	"testing"

	"safebox/verifier/verdict"
)

// TestPublished: the page says how the release was published, if it was, and
// what stands there is text.
func TestPublished(t *testing.T) {
	v := &verdict.Verdict{OK: true, Checks: []verdict.Check{{ID: "REL-3", OK: true, Reached: true}}, Published: &verdict.Published{
		Version: "1.2.3", SVN: 7, Origin: "log.example/<b>", Size: 5, Root: "abcd", Time: "2026-01-31T11:00:00Z", Rebuilt: []string{"A", "B & C"},
	}}
	got := text(parse(t, render(t, v, nil)))
	for _, want := range []string{
		"1.2.3, security version 7", "log.example/<b>, 5 entries, all of them checked", "abcd", "2026-01-31T11:00:00Z", "A, B & C",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
	v.Published = nil
	if got := text(parse(t, render(t, v, nil))); strings.Contains(got, "Log of releases") {
		t.Error("a page about a release that was not published names a log")
	}
}
