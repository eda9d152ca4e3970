package tpmtest

import (
	"slices"
	"testing"

	"safebox/verifier/checktest"
	"safebox/verifier/tpm/cloud"
)

func TestPositives(t *testing.T) {
	for _, p := range Positives() {
		t.Run(p.Name, func(t *testing.T) { checktest.Passes(t, p.Run(t)) })
	}
}

func TestNegatives(t *testing.T) {
	var ids []string
	for _, n := range Negatives() {
		ids = append(ids, n.ID)
		t.Run(n.ID+" "+n.Name, func(t *testing.T) { checktest.Alone(t, n.Run(t), n.ID) })
	}
	for _, d := range cloud.Definitions() {
		if !slices.Contains(ids, d.ID) {
			t.Errorf("%s: no negative", d.ID)
		}
	}
}
