package snp_test

import (
	"testing"

	"safebox/verifier/checktest"
	"safebox/verifier/snp"
	"safebox/verifier/snp/snptest"
)

func TestPositives(t *testing.T) {
	for _, p := range snptest.Positives() {
		t.Run(p.Name, func(t *testing.T) { checktest.Passes(t, p.Run(t)) })
	}
}

func TestNegatives(t *testing.T) {
	seen := map[string]int{}
	for _, n := range snptest.Negatives() {
		seen[n.ID]++
		t.Run(n.ID+" "+n.Name, func(t *testing.T) { checktest.Alone(t, n.Run(t), n.ID) })
	}
	for _, d := range snp.Definitions() {
		if seen[d.ID] == 0 {
			t.Errorf("no negative for %s", d.ID)
		}
	}
}
