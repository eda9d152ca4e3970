package published

import (
	"errors"
	"testing"

	"safebox/verifier/check"
)

// TestMalformedUnknown: an error of no known kind fails every check of a
// record's form. No record gives one today; a kind that is added and forgotten
// here must not pass.
func TestMalformedUnknown(t *testing.T) {
	log := check.New()
	(&checker{log: log}).malformed(errors.New("of a kind that nobody knows"))
	var definitions []check.Definition
	for _, d := range Definitions() {
		for _, k := range kinds() {
			if d.ID == k.id {
				definitions = append(definitions, d)
			}
		}
	}
	if want := 4; len(definitions) != want {
		t.Fatalf("checks of a record's form: got %d, want %d", len(definitions), want)
	}
	for _, c := range log.Verdict(definitions).Checks {
		if c.OK || !c.Reached {
			t.Errorf("%s: got ok %t, reached %t, want a failure", c.ID, c.OK, c.Reached)
		}
	}
}
