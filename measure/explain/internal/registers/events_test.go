package registers

import (
	"crypto/sha512"
	"testing"

	"safebox/measure/explain/internal/explaintest"
)

// TestEventNeighbours on a register of four events.
func TestEventNeighbours(t *testing.T) {
	t.Parallel()
	var events []Event
	for _, name := range []string{"a", "b", "c", "d"} {
		d := sha512.Sum384([]byte(name))
		events = append(events, Event{Name: name, Digest: d[:]})
	}
	digests := func(names string) []byte {
		var list [][48]byte
		for _, c := range names {
			list = append(list, sha512.Sum384([]byte(string(c))))
		}
		return explaintest.Fold(list...)
	}
	for reported, want := range map[string]string{
		"":     "none of its 4 events",
		"a":    `the first event alone instead of all 4: not "b"`,
		"ab":   `the first 2 events instead of all 4: none from "c" on`,
		"acd":  `all events but "b"`,
		"bcd":  `all events but "a"`,
		"ad":   "",
		"dcba": "",
	} {
		found, changes, _ := Neighbours(sha512.New384(), events, digests(reported))
		if found != (want != "") || found && changes[0].Phrase != want {
			t.Errorf("%q: got %v %v, want %q", reported, found, changes, want)
		}
	}
}
