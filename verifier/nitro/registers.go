package nitro

import (
	"bytes"
	"crypto/sha512"
	"fmt"
	"maps"
	"slices"
	"strings"

	"safebox/verifier/policy/nitropolicy"
)

// checkDebug: NITRO-8. An enclave in debug mode has PCR0, PCR1 and PCR2 zero
// (specs/nitro.md, section 2, point 10); one zero is enough to refuse.
func (v *verification) checkDebug() {
	const want = "PCR0, PCR1 and PCR2 not zero"
	if v.document.Kind == NitroTPM {
		v.log.Pass("NITRO-8", "no debug mode", "not applicable: an instance has none")
		return
	}
	got := "none of them is"
	for i := range 3 {
		value, ok := v.document.PCRs[i]
		switch {
		case !ok:
			v.log.Fail("NITRO-8", want, fmt.Sprintf("PCR%d is not in the document", i))
		case value != [48]byte{}:
		case v.policy.AcceptDebug:
			got = fmt.Sprintf("PCR%d is zero: debug mode, which the policy accepts", i)
			v.log.Waive("debug mode", `the parent reads this enclave's console; debug = "accept" in the policy`)
		default:
			v.log.Fail("NITRO-8", want, fmt.Sprintf("PCR%d is zero: the enclave runs in debug mode", i))
		}
	}
	v.log.Pass("NITRO-8", want, got)
}

// checkRegisters: NITRO-9. Every register is compared, and all that differ are
// told. The instance belongs to it: it tells one machine from another.
func (v *verification) checkRegisters() {
	var wrong, held []string
	note := func(what string, err error) {
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", what, err))
			return
		}
		held = append(held, what)
	}
	if len(v.policy.PCRs) == 0 {
		note("registers", fmt.Errorf("the policy has no rule for any"))
	}
	for _, i := range v.policy.Ordered() {
		note(fmt.Sprintf("PCR%d", i), v.register(i, v.policy.PCRs[i]))
	}
	for _, i := range slices.Sorted(maps.Keys(v.document.PCRs)) {
		if _, ok := v.policy.PCRs[i]; !ok {
			note(fmt.Sprintf("PCR%d", i), v.unnamed(i))
		}
	}
	note("instance "+v.document.Instance, v.instance())
	const want = "the registers and the instance that the policy names"
	if len(wrong) > 0 {
		v.log.Fail("NITRO-9", want, strings.Join(wrong, "; "))
		return
	}
	v.log.Pass("NITRO-9", want, strings.Join(held, ", "))
}

// register compares one register with its rule. One that is not in the document
// is never taken for zero.
func (v *verification) register(i int, rule nitropolicy.Register) error {
	value, ok := v.document.PCRs[i]
	switch rule.Rule {
	case nitropolicy.Any:
		v.log.Waive(fmt.Sprintf("PCR%d", i), `"any" in the policy`)
		return nil
	case nitropolicy.Absent:
		if ok {
			return fmt.Errorf("got %x, want it not locked, so not in the document", value)
		}
		return nil
	}
	if !ok {
		return fmt.Errorf("not in the document")
	}
	switch rule.Rule {
	case nitropolicy.Zero:
		return oneOf(value, [][48]byte{{}}, "zero")
	case nitropolicy.Listed:
		return oneOf(value, rule.Values, "listed in the policy")
	case nitropolicy.Release, nitropolicy.Configuration:
		return oneOf(value, v.Expected.PCRs[i], "of the "+rule.Rule)
	case nitropolicy.Instance:
		return oneOf(value, [][48]byte{instanceRegister(v.document.Instance)}, "of "+v.document.Instance)
	}
	return fmt.Errorf("the policy has no rule: got %q", rule.Rule)
}

// unnamed is a register of the document that has no rule of its own.
func (v *verification) unnamed(i int) error {
	value := v.document.PCRs[i]
	switch v.policy.Rest {
	case nitropolicy.Any:
		v.log.Waive("registers that the policy does not name", `rest = "any" in the policy`)
		return nil
	case nitropolicy.Unused:
		return oneOf(value, [][48]byte{unusedRegister(v.document.Kind, i)}, "as nobody has extended it")
	}
	return fmt.Errorf("the policy has no rule: rest: got %q", v.policy.Rest)
}

// instance compares the instance with the policy's list.
func (v *verification) instance() error {
	switch {
	case v.policy.AnyInstance:
		v.log.Waive("instance", `instances = "any" in the policy: any AWS account's machine will do`)
		return nil
	case len(v.policy.Instances) == 0:
		return fmt.Errorf("the policy accepts none: list it")
	case !slices.Contains(v.policy.Instances, v.document.Instance):
		return fmt.Errorf("want %s", strings.Join(v.policy.Instances, " or "))
	}
	return nil
}

// oneOf compares a value with those that will do.
func oneOf(value [48]byte, values [][48]byte, whose string) error {
	if slices.Contains(values, value) {
		return nil
	}
	if len(values) == 0 {
		return fmt.Errorf("got %x, want one %s, and nobody gave any", value, whose)
	}
	const most = 4 // of a long list some will do for a reader
	var list []string
	for _, w := range values[:min(len(values), most)] {
		list = append(list, fmt.Sprintf("%x", w))
	}
	if n := len(values) - most; n > 0 {
		list = append(list, fmt.Sprintf("%d more", n))
	}
	return fmt.Errorf("got %x, want %s: %s", value, whose, strings.Join(list, " or "))
}

// instanceRegister is PCR4 of an enclave: zero extended by the ID's text
// (specs/nitro.md, section 1.5).
func instanceRegister(id string) [48]byte {
	return sha512.Sum384(append(make([]byte, 48), id...))
}

// unusedRegister is a register that nobody has extended: zero, but all ones in
// those of a dynamic root of trust of a TPM (TCG PC Client Platform TPM
// Profile 1.05, section 4.6.2: PCR 17 to 22; specs/nitro.md, section 7).
func unusedRegister(kind Kind, i int) [48]byte {
	if kind == NitroTPM && i >= 17 && i <= 22 {
		return [48]byte(bytes.Repeat([]byte{0xff}, 48))
	}
	return [48]byte{}
}
