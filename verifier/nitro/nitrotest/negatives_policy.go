package nitrotest

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"safebox/verifier/policy/nitropolicy"
)

// debugChanges: NITRO-8. The release expects the zeros, so that nothing else
// refuses them.
func debugChanges(kind nitropolicy.Kind) []change {
	if kind == nitropolicy.NitroTPM {
		return nil // an instance has no debug mode
	}
	zero := func(which ...int) func(testing.TB, *Evidence) {
		return func(_ testing.TB, e *Evidence) {
			for _, i := range which {
				e.Document.PCRs[i] = make([]byte, 48)
				e.Expected.PCRs[i] = [][48]byte{{}}
			}
		}
	}
	missing := func(i int) func(testing.TB, *Evidence) {
		return func(_ testing.TB, e *Evidence) {
			delete(e.Document.PCRs, i)
			e.Policy.PCRs[i] = nitropolicy.Register{Rule: nitropolicy.Any}
		}
	}
	return []change{
		{"PCR0, PCR1 and PCR2 zero", zero(0, 1, 2)},
		{"PCR0 zero", zero(0)},
		{"PCR1 zero", zero(1)},
		{"PCR2 zero", zero(2)},
		{"PCR0 missing", missing(0)},
		{"PCR1 missing", missing(1)},
		{"PCR2 missing", missing(2)},
		{"PCR1 missing, where zero would do", func(t testing.TB, e *Evidence) {
			e.Policy.AcceptDebug = true
			missing(1)(t, e)
		}},
	}
}

// registerChanges: NITRO-9, a register that is not as the policy wants it.
func registerChanges(kind nitropolicy.Kind) []change {
	var list []change
	flip := func(i int) change {
		return change{fmt.Sprintf("a bit of PCR%d flipped", i), func(_ testing.TB, e *Evidence) {
			e.Document.PCRs[i] = bytes.Clone(e.Document.PCRs[i])
			e.Document.PCRs[i][47] ^= 1
		}}
	}
	checked := []int{0, 1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16}
	if kind == nitropolicy.NitroTPM {
		checked = []int{2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23}
	}
	for _, i := range checked {
		list = append(list, flip(i))
	}
	set := func(i int, value []byte) func(testing.TB, *Evidence) {
		return func(_ testing.TB, e *Evidence) { e.Document.PCRs[i] = value }
	}
	if kind == nitropolicy.NitroTPM {
		return append(list,
			change{"PCR12 not zero: a command line overrides the image's", set(12, made("override"))},
			change{"PCR17 zero", set(17, make([]byte, 48))},
			change{"PCR16 all ones", set(16, bytes.Repeat([]byte{0xff}, 48))})
	}
	return append(list,
		change{"PCR16 missing: not locked", func(_ testing.TB, e *Evidence) { delete(e.Document.PCRs, 16) }},
		change{"PCR4 missing", func(_ testing.TB, e *Evidence) { delete(e.Document.PCRs, 4) }},
		change{"PCR4 of another instance", set(4, made("i-0a22e5c5f24d22175"))},
		change{"PCR17 there: keys have arrived", set(17, made("keys"))},
		change{"PCR17 zero: locked without keys", set(17, make([]byte, 48))},
		change{"PCR18 not zero", set(18, made("another's"))},
		change{"PCR31 not zero", set(31, made("another's"))},
		change{"a listed PCR8 missing, where zero would do", func(_ testing.TB, e *Evidence) {
			e.Policy.PCRs[8] = nitropolicy.Register{Rule: nitropolicy.Listed, Values: [][48]byte{{}}}
			delete(e.Document.PCRs, 8)
		}},
		change{"a zero PCR8 missing", func(_ testing.TB, e *Evidence) {
			e.Policy.PCRs[8] = nitropolicy.Register{Rule: nitropolicy.Zero}
			delete(e.Document.PCRs, 8)
		}})
}

// registerRules: NITRO-9, rules that nothing or nobody can meet.
func registerRules(kind nitropolicy.Kind) []change {
	image, own := 0, 16
	if kind == nitropolicy.NitroTPM {
		image, own = 4, 15
	}
	rule := func(r nitropolicy.Register) func(testing.TB, *Evidence) {
		return func(_ testing.TB, e *Evidence) { e.Policy.PCRs[3] = r }
	}
	return []change{
		{"nobody gave the release", func(_ testing.TB, e *Evidence) { delete(e.Expected.PCRs, image) }},
		{"the release has no value", func(_ testing.TB, e *Evidence) { e.Expected.PCRs[image] = [][48]byte{} }},
		{"nobody gave the configuration", func(_ testing.TB, e *Evidence) { delete(e.Expected.PCRs, own) }},
		{"nobody expects anything", func(_ testing.TB, e *Evidence) { e.Expected.PCRs = nil }},
		{"another value is listed", rule(nitropolicy.Register{Rule: nitropolicy.Listed, Values: [][48]byte{{1}, {2}, {3}, {4}, {5}, {6}}})},
		{"an empty list", rule(nitropolicy.Register{Rule: nitropolicy.Listed})},
		{"an empty rule", rule(nitropolicy.Register{})},
		{"an unknown rule", rule(nitropolicy.Register{Rule: "some"})},
		{"no rules", func(_ testing.TB, e *Evidence) { e.Policy.PCRs, e.Policy.Rest = nil, nitropolicy.Any }},
		{"no rule for the rest", func(_ testing.TB, e *Evidence) { e.Policy.Rest = "" }},
	}
}

// instanceChanges: NITRO-9, the instance.
func instanceChanges() []change {
	return []change{
		{"no instance is listed", func(_ testing.TB, e *Evidence) { e.Policy.Instances = nil }},
		{"others are listed", func(_ testing.TB, e *Evidence) {
			e.Policy.Instances = []string{"i-0a22e5c5f24d22175", "i-0a22e5c5f24d2217"}
		}},
	}
}

// freshnessChanges: NITRO-10, a field that is not as expected.
func freshnessChanges() []change {
	var list []change
	for _, f := range []struct {
		key string
		at  func(e *Evidence) *[]byte
	}{
		{"nonce", func(e *Evidence) *[]byte { return &e.Document.Nonce }},
		{"user_data", func(e *Evidence) *[]byte { return &e.Document.UserData }},
	} {
		set := func(change func([]byte) []byte) func(testing.TB, *Evidence) {
			return func(_ testing.TB, e *Evidence) {
				to := f.at(e)
				*to = change(bytes.Clone(*to))
			}
		}
		list = append(list,
			change{f.key + " null", set(func([]byte) []byte { return nil })},
			change{f.key + " left out", fields(without(f.key))},
			change{f.key + " empty", set(func([]byte) []byte { return []byte{} })},
			change{f.key + " with a bit flipped", set(func(b []byte) []byte { b[0] ^= 1; return b })},
			change{f.key + " cut by a byte", set(func(b []byte) []byte { return b[:len(b)-1] })},
			change{f.key + " longer by a byte", set(func(b []byte) []byte { return append(b, 0) })},
			change{f.key + " zero", set(func(b []byte) []byte { clear(b); return b })})
	}
	return append(list,
		change{"nonce and user_data swapped", func(_ testing.TB, e *Evidence) {
			e.Document.Nonce, e.Document.UserData = e.Document.UserData, e.Document.Nonce
		}},
		change{"public_key there", func(_ testing.TB, e *Evidence) { e.Document.PublicKey = []byte("key") }},
		change{"public_key there and empty", func(_ testing.TB, e *Evidence) { e.Document.PublicKey = []byte{} }},
		change{"nobody gave a nonce", func(_ testing.TB, e *Evidence) { e.Expected.Nonce = nil }},
		change{"nobody gave a nonce, the document has an empty one", func(_ testing.TB, e *Evidence) {
			e.Expected.Nonce, e.Document.Nonce = []byte{}, []byte{}
		}},
		change{"nobody gave a transcript, the document has none", func(_ testing.TB, e *Evidence) {
			e.Expected.UserData, e.Document.UserData = nil, nil
		}})
}

// fieldRules: NITRO-10, rules that nothing or nobody can meet.
func fieldRules() []change {
	var list []change
	for _, f := range []struct {
		key  string
		rule func(p *nitropolicy.Policy) *nitropolicy.Field
	}{
		{"nonce", func(p *nitropolicy.Policy) *nitropolicy.Field { return &p.Nonce }},
		{"user_data", func(p *nitropolicy.Policy) *nitropolicy.Field { return &p.UserData }},
		{"public_key", func(p *nitropolicy.Policy) *nitropolicy.Field { return &p.PublicKey }},
	} {
		for _, word := range []string{"", "some", nitropolicy.Challenge, nitropolicy.Transcript, nitropolicy.Absent, nitropolicy.Listed} {
			if own := []string{nitropolicy.Challenge, nitropolicy.Transcript, nitropolicy.Absent}; slices.Index(own, word) == slices.Index([]string{"nonce", "user_data", "public_key"}, f.key) {
				continue // the field's own word
			}
			list = append(list, change{fmt.Sprintf("%s under the rule %q", f.key, word), func(_ testing.TB, e *Evidence) {
				*f.rule(&e.Policy) = nitropolicy.Field{Rule: word}
			}})
		}
		list = append(list, change{f.key + " is another than listed", func(_ testing.TB, e *Evidence) {
			*f.rule(&e.Policy) = nitropolicy.Field{Rule: nitropolicy.Listed, Values: [][]byte{{1}, {2}}}
			if f.key == "public_key" {
				e.Document.PublicKey = []byte{3}
			}
		}})
	}
	return list
}
