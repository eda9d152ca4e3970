package nitro_test

import (
	"testing"

	"safebox/verifier/checktest"
	"safebox/verifier/nitro"
	"safebox/verifier/nitro/nitrotest"
)

// TestPositives: evidence of both kinds passes under strict and cloud.
func TestPositives(t *testing.T) {
	for _, p := range nitrotest.Positives() {
		t.Run(p.Name, func(t *testing.T) { checktest.Passes(t, p.Run(t)) })
	}
}

// TestNegatives: of evidence with one thing changed, one check refuses it.
func TestNegatives(t *testing.T) {
	seen := map[string]int{}
	for _, n := range nitrotest.Negatives() {
		seen[n.ID]++
		t.Run(n.ID+" "+n.Name, func(t *testing.T) { checktest.Alone(t, n.Run(t), n.ID) })
	}
	for _, d := range nitro.Definitions(nitro.Enclave) {
		if seen[d.ID] < 3 {
			t.Errorf("%s: %d negatives, want several", d.ID, seen[d.ID])
		}
	}
}
