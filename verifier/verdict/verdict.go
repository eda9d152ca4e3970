// Package verdict is the result of a verification: docs/format-verdict.md. It
// is data for programs and a table for people, and both say the same: one
// record for every check that must hold, passed or not.
package verdict

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Type is the value of Verdict.Type.
const Type = "safebox/verdict/v1"

// Verdict is the answer to one question: may this machine be trusted under
// this policy?
type Verdict struct {
	OK       bool    `json:"ok"` // every check passed
	Platform string  `json:"platform"`
	Checks   []Check `json:"checks"`

	// What was checked, so that a verdict can be told from another.
	Type      string `json:"type"`
	At        string `json:"at"`        // the time that was used, RFC 3339 in UTC
	Boot      string `json:"boot"`      // way of booting whose registers fit: "esp", "kernel"
	Profile   string `json:"profile"`   // name that the policy gives itself
	Evidence  string `json:"evidence"`  // SHA-256 of each file, lower-case hex
	Bundle    string `json:"bundle"`    //
	Policy    string `json:"policy"`    //
	Challenge string `json:"challenge"` // empty when there is none
	Release   string `json:"release"`   // SHA-256 of release.json

	// SHA-256 of all documents of vendors, in the form of a collateral bundle;
	// empty if there were none.
	Collateral string `json:"collateral"`

	Waived []Waiver `json:"waived"` // what nobody checked, each with its reason

	// How the release was published; absent in a refusal, and where the policy
	// says release = "unsigned".
	Published *Published `json:"published,omitempty"`
}

// Published is how a release was published: what signers, rebuilders and the
// witnessed log said of it.
type Published struct {
	Version string   `json:"version"`
	SVN     int64    `json:"svn"`     // security version
	Origin  string   `json:"origin"`  // of the log
	Size    int64    `json:"size"`    // entries of the log, all of which were looked at
	Root    string   `json:"root"`    // of its tree, lower-case hex
	Time    string   `json:"time"`    // since when a quorum of witnesses knew that tree, RFC 3339 in UTC; empty if none was asked for
	Rebuilt []string `json:"rebuilt"` // operators who got the same bytes, in the policy's order
}

// Check is the record of one check.
type Check struct {
	ID     string `json:"id"` // stable, such as "TPM-Q3"
	OK     bool   `json:"ok"`
	Want   string `json:"want"`
	Got    string `json:"got"`
	Hint   string `json:"hint"` // what to do about it; empty when OK
	Name   string `json:"name"`
	Source string `json:"source"` // document and section that the check implements

	// Reached is false when an earlier failure left the check without what it
	// looks at. Such a check has not passed either.
	Reached bool `json:"reached"`
}

// Waiver says what was not checked and by whose decision.
type Waiver struct {
	What   string `json:"what"`
	Reason string `json:"reason"`
}

// Event is an entry of the evidence's event log beside what the release
// expects. It explains a verdict and is no part of it.
type Event struct {
	Index       int    // place in the log, from 0
	Register    string // the register that it extended, such as "PCR 4" or "RTMR1"
	Type        string // such as "EV_SEPARATOR"
	Digest      string // lower-case hex
	Description string // the event's data, for people
	Want        string // the digest that the release expects here; empty if it tells none
	Diverges    bool   // the first of its register that is not as the release expects
}

// Failed lists the checks that did not pass, in order.
func (v *Verdict) Failed() []Check {
	var list []Check
	for _, c := range v.Checks {
		if !c.OK {
			list = append(list, c)
		}
	}
	return list
}

// Check finds the record of one check by its ID.
func (v *Verdict) Check(id string) (Check, bool) {
	for _, c := range v.Checks {
		if c.ID == id {
			return c, true
		}
	}
	return Check{}, false
}

// Encode gives the verdict as JSON, keys in the order of the Go type, one
// newline at the end. Equal verdicts have equal bytes.
func (v *Verdict) Encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encoding verdict: %w", err)
	}
	return b.Bytes(), nil
}
