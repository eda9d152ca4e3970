// Package page shows a verdict to people, as one HTML file.
package page

import (
	"errors"

	"safebox/verifier/verdict"
)

// Event is one entry of an event log as the page shows it.
type Event struct {
	Index       int    // place in the log, from 0
	Register    string // the register that it was extended into, such as "PCR 4"
	Type        string // such as "EV_SEPARATOR"
	Digest      string // lower-case hex
	Description string // the event's data, for people
	Want        string // the digest that the release expects here; empty if it says nothing
	Diverges    bool   // not what the release expects
}

// Render gives the page. Equal input gives equal bytes.
func Render(v *verdict.Verdict, events []Event) ([]byte, error) {
	if v == nil {
		return nil, errors.New("rendering verdict: no verdict")
	}
	return nil, errors.New("rendering verdict: not built yet")
}
