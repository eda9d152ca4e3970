package tdx

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"safebox/verifier/policy/tdxpolicy"
)

// finding is what came of comparing one field.
type finding struct {
	ok        bool
	want, got string
}

// expect compares a field with what a key of the policy wants of it. given are
// the values that somebody else knows, for the words that name them.
func (v *verification) expect(field, key string, got []byte, want tdxpolicy.Value, given [][]byte) finding {
	f := finding{got: fmt.Sprintf("%s %x", field, got)}
	list := want.List
	switch want.Word {
	case "":
		if len(list) == 0 {
			f.want = field + ": the policy states no value"
			return f
		}
	case tdxpolicy.Any:
		v.log.Waive(field, "tdx."+key+" = \"any\" in the policy")
		return finding{true, field + " any", f.got}
	case tdxpolicy.Zero:
		list = [][]byte{make([]byte, len(got))}
	case tdxpolicy.Release, tdxpolicy.Configuration, tdxpolicy.Transcript, tdxpolicy.Runtime:
		if len(given) == 0 {
			f.want = fmt.Sprintf("%s of the %s, which nobody gave", field, want.Word)
			return f
		}
		list = given
	default:
		f.want = fmt.Sprintf("%s: %q is no expectation", field, want.Word)
		return f
	}
	f.ok = slices.ContainsFunc(list, func(b []byte) bool { return bytes.Equal(b, got) })
	f.want = field + " " + oneOf(list)
	return f
}

// record notes one finding or several as one check.
func (v *verification) record(id string, all ...finding) {
	ok := len(all) > 0
	var want, got []string
	for _, f := range all {
		ok = ok && f.ok
		want, got = append(want, f.want), append(got, f.got)
	}
	if ok {
		v.log.Pass(id, strings.Join(want, "; "), strings.Join(got, "; "))
		return
	}
	want, got = nil, nil
	for _, f := range all {
		if !f.ok {
			want, got = append(want, f.want), append(got, f.got)
		}
	}
	v.log.Fail(id, strings.Join(want, "; "), strings.Join(got, "; "))
}

func oneOf(list [][]byte) string {
	texts := make([]string, len(list))
	for i, b := range list {
		texts[i] = fmt.Sprintf("%x", b)
	}
	return strings.Join(texts, " or ")
}

// slicesOf gives the values that somebody said, as slices.
func slicesOf(list [][48]byte) [][]byte {
	var out [][]byte
	for i := range list {
		out = append(out, list[i][:])
	}
	return out
}
