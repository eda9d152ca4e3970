package nitrotest

import (
	"slices"
	"strings"
	"testing"

	"safebox/verifier/checktest"
	"safebox/verifier/policy/nitropolicy"
	"safebox/verifier/verdict"
)

// change is one thing that is made wrong.
type change struct {
	name string
	make func(t testing.TB, e *Evidence)
}

// Positives are evidence of both kinds that passes under strict and cloud, with
// the lists that they leave to the owner.
func Positives() []checktest.Positive {
	var list []checktest.Positive
	for _, kind := range kinds() {
		for _, profile := range []string{"strict", "cloud"} {
			for _, c := range variants() {
				list = append(list, checktest.Positive{Name: kind.String() + ", " + profile + ": " + c.name, Run: func(t testing.TB) *verdict.Verdict {
					t.Helper()
					e := New(t, kind, profile)
					c.make(t, e)
					return e.Verify(t)
				}})
			}
		}
	}
	return list
}

// variants all pass.
func variants() []change {
	return []change{
		{"map of indefinite length", func(testing.TB, *Evidence) {}},
		{"map of definite length", func(_ testing.TB, e *Evidence) { e.Document.Indefinite = false }},
		{"tag 18", func(_ testing.TB, e *Evidence) { e.Document.Tagged = true }},
		{"public_key left out instead of null", func(_ testing.TB, e *Evidence) { e.Document.Fields = without("public_key") }},
		{"an archive's", func(_ testing.TB, e *Evidence) { e.Policy.Time = nitropolicy.At }},
	}
}

// Negatives are, for every check, evidence of strict with exactly one thing
// changed and everything signed again, so that exactly that check refuses.
func Negatives() []checktest.Negative {
	var list []checktest.Negative
	for _, kind := range kinds() {
		for _, group := range []struct {
			id      string
			changes []change
		}{
			{"NITRO-1", messageChanges()},
			{"NITRO-2", append(payloadChanges(), otherKind(kind))},
			{"NITRO-3", slices.Concat(textChanges(), registerFieldChanges(kind), binaryChanges())},
			{"NITRO-4", slices.Concat(pathChanges(), certificateChanges(), validityChanges())},
			{"NITRO-5", timeChanges()},
			{"NITRO-6", signatureChanges()},
			{"NITRO-7", nameChanges()},
			{"NITRO-8", debugChanges(kind)},
			{"NITRO-9", slices.Concat(registerChanges(kind), registerRules(kind), instanceChanges())},
			{"NITRO-10", slices.Concat(freshnessChanges(), fieldRules())},
		} {
			for _, c := range group.changes {
				list = append(list, checktest.Negative{ID: group.id, Name: kind.String() + ": " + c.name, Run: func(t testing.TB) *verdict.Verdict {
					t.Helper()
					e := New(t, kind, "strict")
					c.make(t, e)
					return e.Verify(t)
				}})
			}
		}
	}
	return list
}

func kinds() []nitropolicy.Kind { return []nitropolicy.Kind{nitropolicy.Enclave, nitropolicy.NitroTPM} }

// without leaves a key out of the payload.
func without(key string) func([]Pair) []Pair {
	return func(pairs []Pair) []Pair {
		return slices.DeleteFunc(pairs, func(p Pair) bool { return string(p.Key) == string(Text(key)) })
	}
}

// with gives a key another value.
func with(key string, value Item) func([]Pair) []Pair {
	return func(pairs []Pair) []Pair {
		for i, p := range pairs {
			if string(p.Key) == string(Text(key)) {
				pairs[i].Value = value
			}
		}
		return pairs
	}
}

// registersWith changes the pairs of the registers.
func registersWith(registers func(e *Evidence) []Pair) func(testing.TB, *Evidence) {
	return func(_ testing.TB, e *Evidence) {
		key := "pcrs"
		if e.Document.TPM {
			key = "nitrotpm_pcrs"
		}
		e.Document.Fields = with(key, Map(registers(e)...))
	}
}

func fields(f func([]Pair) []Pair) func(testing.TB, *Evidence) {
	return func(_ testing.TB, e *Evidence) { e.Document.Fields = f }
}

func signed(f func(s *Sign1)) func(testing.TB, *Evidence) {
	return func(_ testing.TB, e *Evidence) { e.Document.Signed = f }
}

func raw(f func(b []byte) []byte) func(testing.TB, *Evidence) {
	return func(_ testing.TB, e *Evidence) { e.Document.Raw = f }
}

func header(h Item) func(testing.TB, *Evidence) {
	return func(_ testing.TB, e *Evidence) { e.Document.Header = h }
}

func repeat(s string, n int) []byte { return []byte(strings.Repeat(s, n)) }
