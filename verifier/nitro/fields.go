package nitro

import (
	"crypto/subtle"
	"fmt"
	"strings"

	"safebox/verifier/policy/nitropolicy"
)

// checkFields: NITRO-10. All three fields are compared, and all that differ are
// told.
func (v *verification) checkFields() {
	var wrong, held []string
	for _, f := range []struct {
		key      string
		value    []byte
		rule     nitropolicy.Field
		word     string // the rule that asks for expected
		expected []byte
	}{
		{keyNonce, v.document.Nonce, v.policy.Nonce, nitropolicy.Challenge, v.Expected.Nonce},
		{keyUserData, v.document.UserData, v.policy.UserData, nitropolicy.Transcript, v.Expected.UserData},
		{keyPublicKey, v.document.PublicKey, v.policy.PublicKey, "", nil},
	} {
		var err error
		switch {
		case f.rule.Rule == nitropolicy.Any:
			v.log.Waive(f.key, `"any" in the policy`)
		case f.rule.Rule == nitropolicy.Listed:
			err = fits(f.value, f.rule.Values, "listed in the policy")
		case f.word != "" && f.rule.Rule == f.word:
			err = fits(f.value, expected(f.expected), "of the "+f.word)
		case f.key == keyPublicKey && f.rule.Rule == nitropolicy.Absent:
			if f.value != nil {
				err = fmt.Errorf("got %d bytes, want none", len(f.value))
			}
		default:
			err = fmt.Errorf("the policy has no rule: got %q", f.rule.Rule)
		}
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", f.key, err))
			continue
		}
		held = append(held, f.key+": "+f.rule.Rule)
	}
	const want = "nonce, user_data and public_key as expected"
	if len(wrong) > 0 {
		v.log.Fail("NITRO-10", want, strings.Join(wrong, "; "))
		return
	}
	v.log.Pass("NITRO-10", want, strings.Join(held, ", "))
}

// expected is a list of what somebody gave.
func expected(value []byte) [][]byte {
	if len(value) == 0 {
		return nil
	}
	return [][]byte{value}
}

// fits compares a field, all of its bytes, with those that will do.
func fits(value []byte, values [][]byte, whose string) error {
	switch {
	case len(values) == 0:
		return fmt.Errorf("want one %s, and nobody gave any", whose)
	case value == nil:
		return fmt.Errorf("absent, want one %s: %s", whose, cut(values[0]))
	}
	for _, w := range values {
		if subtle.ConstantTimeCompare(value, w) == 1 {
			return nil
		}
	}
	return fmt.Errorf("got %s, want one %s: %s", cut(value), whose, cut(values[0]))
}

// cut is a value in a message: 64 bytes tell any two apart that are hashes.
func cut(b []byte) string {
	const most = 64
	if len(b) > most {
		return fmt.Sprintf("%x... (%d bytes)", b[:most], len(b))
	}
	return fmt.Sprintf("%x", b)
}
