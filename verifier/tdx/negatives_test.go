package tdx_test

import (
	"testing"

	"safebox/verifier/checktest"
	"safebox/verifier/tdx"
	"safebox/verifier/tdx/tdxtest"
)

func TestPositives(t *testing.T) {
	for _, p := range tdxtest.Positives() {
		t.Run(p.Name, func(t *testing.T) { checktest.Passes(t, p.Run(t)) })
	}
}

// TestNegatives: one thing changed, one check fails. Every check has several.
func TestNegatives(t *testing.T) {
	count := map[string]int{}
	names := map[string]bool{}
	for _, n := range tdxtest.Negatives() {
		count[n.ID]++
		if names[n.ID+n.Name] {
			t.Errorf("%s %s: twice", n.ID, n.Name)
		}
		names[n.ID+n.Name] = true
		t.Run(n.ID+" "+n.Name, func(t *testing.T) { checktest.Alone(t, n.Run(t), n.ID) })
	}
	for _, d := range tdx.Definitions() {
		if count[d.ID] < 2 {
			t.Errorf("%s: %d negatives, want at least 2", d.ID, count[d.ID])
		}
		delete(count, d.ID)
	}
	for id := range count {
		t.Errorf("%s: negatives for a check that is not defined", id)
	}
}
