package tdxtest

import (
	"testing"

	"safebox/verifier/checktest"
	"safebox/verifier/tdx"
	"safebox/verifier/verdict"
)

// negative is one change of passing evidence: before it is signed or after.
type negative struct {
	id, name string
	form     tdx.Form // V4 if none
	change   func(t testing.TB, e *Evidence)
	after    func(t testing.TB, in *tdx.Input)
}

// Negatives are evidence that passes under the profile strict, each with exactly
// one thing changed, which exactly one check refuses.
func Negatives() []checktest.Negative {
	lists := [][]negative{
		formNegatives(), sizeNegatives(), chainNegatives(), leafNegatives(), listNegatives(), documentNegatives(), dateNegatives(),
		signatureNegatives(), enclaveNegatives(), levelNegatives(), statusNegatives(), waiverNegatives(), relaunchNegatives(),
		guestNegatives(), machineNegatives(), measurementNegatives(), logNegatives(),
	}
	var all []checktest.Negative
	for _, list := range lists {
		for _, n := range list {
			if n.form == 0 {
				n.form = tdx.V4
			}
			all = append(all, checktest.Negative{ID: n.id, Name: n.name, Run: func(t testing.TB) *verdict.Verdict {
				return run(t, n.form, n.change, n.after)
			}})
		}
	}
	return all
}

// quote changes a quote before it is signed.
func quote(change func(q *tdx.Quote)) func(testing.TB, *Evidence) {
	return func(_ testing.TB, e *Evidence) { change(&e.Quote) }
}

// raw changes the bytes of a quote.
func raw(change func(b []byte) []byte) func(testing.TB, *tdx.Input) {
	return func(_ testing.TB, in *tdx.Input) { in.Quote = change(in.Quote) }
}

// put writes bytes at an offset of the quote.
func put(at int, v ...byte) func(testing.TB, *tdx.Input) {
	return raw(func(b []byte) []byte { copy(b[at:], v); return b })
}
