package snptest

import (
	"fmt"
	"testing"

	"safebox/verifier/checktest"
	"safebox/verifier/verdict"
)

// change is one thing that is changed in evidence that passes.
type changed struct {
	id, name string
	base     func() setup
	with     func(s *setup)
}

// Negatives is evidence with one thing changed, for every check.
func Negatives() []checktest.Negative {
	var all []changed
	for _, list := range [][]changed{
		formatNegatives(), reservedNegatives(), signerNegatives(), rootNegatives(), pathNegatives(), leafKeyNegatives(),
		validityNegatives(), extensionNegatives(), extensionSetNegatives(), revocationNegatives(), listNegatives(),
		tcbBindingNegatives(), bindingNegatives(), productNegatives(), signatureNegatives(),
		guestNegatives(), idBlockNegatives(), withoutIDBlockNegatives(),
		guestPolicyNegatives(), platformNegatives(), orderNegatives(), floorNegatives(), mitigationNegatives(), firmwareNegatives(), machineNegatives(),
	} {
		all = append(all, list...)
	}
	l := &lab{}
	negatives := make([]checktest.Negative, len(all))
	for i, c := range all {
		negatives[i] = checktest.Negative{ID: c.id, Name: c.name, Run: func(t testing.TB) *verdict.Verdict {
			s := c.base()
			c.with(&s)
			return s.run(t, l.get(t))
		}}
	}
	return negatives
}

// bytesAt makes a hook that changes bytes of a report before it is signed.
func bytesAt(at int, values ...byte) func(s *setup) {
	return func(s *setup) {
		s.build.Bytes = func(b []byte) { copy(b[at:], values) }
	}
}

// xorSigned makes a hook that changes a byte after the signature.
func xorSigned(at int, mask byte) func(s *setup) {
	return func(s *setup) {
		s.build.Signed = func(b []byte) { b[at] ^= mask }
	}
}

func at(offset int) string { return fmt.Sprintf("at %#x", offset) }
