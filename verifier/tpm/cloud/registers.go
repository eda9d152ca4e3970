package cloud

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"safebox/verifier/policy/tpmpolicy"
)

// checkRegisters: TPM-R, in the first bank of the policy.
func (v *verification) checkRegisters() {
	p := v.policy
	if p.AnyRegisters {
		v.log.Pass("TPM-R", tpmpolicy.Any, "not applicable: the policy accepts every value")
		v.log.Waive("values of the registers", "vtpm.quote.registers = \"any\" in the policy")
		return
	}
	if len(p.Banks) == 0 {
		v.log.Fail("TPM-R", "registers of a bank that the policy names", "the policy names none")
		return
	}
	i := slices.IndexFunc(v.quotes, func(q quote) bool { return q.name == p.Banks[0] })
	if i < 0 {
		return // TPM-E4 or TPM-Q1 say why there is nothing to compare
	}
	if p.ReleaseRegisters {
		v.log.Check("TPM-R", v.compareRelease(v.quotes[i]), "the release's values", "these")
		return
	}
	v.log.Check("TPM-R", v.comparePolicy(v.quotes[i]), "values that the policy lists", "these")
}

func (v *verification) comparePolicy(q quote) error {
	if len(v.policy.Registers) == 0 {
		return errors.New("the policy lists no registers")
	}
	var differ []string
	for _, r := range v.policy.Registers {
		got := q.Values[r.Index]
		if !v.selected(r.Index) || !slices.ContainsFunc(r.Values, func(b []byte) bool { return bytes.Equal(b, got) }) {
			differ = append(differ, fmt.Sprintf("register %d: quoted %x, %d other values listed", r.Index, got, len(r.Values)))
		}
	}
	return joined(differ)
}

// compareRelease wants all registers of one way of booting. It tells about the
// way that fits best.
func (v *verification) compareRelease(q quote) error {
	if len(v.in.Expected.Registers) == 0 {
		return errors.New("nobody said what the release's values are")
	}
	var best []string
	for n, set := range v.in.Expected.Registers {
		if len(set) == 0 {
			return errors.New("a way of booting without values")
		}
		var differ []string
		for _, index := range slices.Sorted(maps.Keys(set)) {
			want, got := set[index], q.Values[index]
			if !v.selected(index) || !bytes.Equal(got, want) {
				differ = append(differ, fmt.Sprintf("register %d: quoted %x, want %x", index, got, want))
			}
		}
		if len(differ) == 0 {
			return nil
		}
		if n == 0 || len(differ) < len(best) {
			best = differ
		}
	}
	return joined(best)
}

// selected reports whether the policy wants a register quoted: TPM-Q3 sees to it
// that it is. What was only sent along proves nothing.
func (v *verification) selected(index int) bool { return slices.Contains(v.policy.PCRs, index) }

func joined(differ []string) error {
	if len(differ) == 0 {
		return nil
	}
	return errors.New(strings.Join(differ, "; "))
}
