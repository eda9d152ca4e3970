package tpmtest

import (
	"testing"

	"safebox/verifier/checktest"
	"safebox/verifier/verdict"
)

// wrong is one thing that is wrong with a machine that passes otherwise.
type wrong struct {
	id, name string
	make     maker
	change   func(m *Machine)
}

// Negatives has, for every check, evidence that it alone refuses.
func Negatives() []checktest.Negative {
	var out []checktest.Negative
	for _, list := range [][]wrong{forms(), hardwares(), keys(), attributes(), certificates(), revocations(), instances(), sessions(), signatures(), selections(), clocks(), logs(), events(), banks(), secureBoots(), registers()} {
		for _, w := range list {
			out = append(out, checktest.Negative{ID: w.id, Name: w.name, Run: func(t testing.TB) *verdict.Verdict {
				m := w.make(t)
				w.change(m)
				return m.Verdict()
			}})
		}
	}
	return out
}
