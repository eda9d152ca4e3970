// Package check keeps what the checks of a verification found and puts it into
// a verdict. The list of definitions is the list of what must hold: what nobody
// recorded has failed, so no check can be left out.
package check

import (
	"slices"

	"safebox/verifier/verdict"
)

// notReached is what a check got that an earlier failure left without its
// input.
const notReached = "not reached: an earlier check failed"

// Definition says what a check is.
type Definition struct {
	ID     string // stable, such as "SNP-T2"
	Name   string // what holds when it passed
	Source string // document and section that it implements
	Hint   string // what to do when it failed
}

// Define makes a definition of its four parts.
func Define(id, name, source, hint string) Definition {
	return Definition{ID: id, Name: name, Source: source, Hint: hint}
}

// Recorder keeps what checks found, by ID. It is made by New.
type Recorder struct {
	found  map[string]finding
	waived []verdict.Waiver
	seen   []Observation
}

type finding struct {
	ok        bool
	want, got string
}

// Observation is a number that never falls in honest hands, such as a CRL's:
// the rollback memory compares it with the highest one seen.
type Observation struct {
	Key   string // what it counts, such as "crl/<SHA-256 of the issuer's key>"
	Value uint64
}

// New makes a recorder in which everything has failed.
func New() *Recorder { return &Recorder{found: make(map[string]finding, 64)} }

// Record notes a check. When it is noted again a failure stays, so that a
// check over several things passes only if all do.
func (r *Recorder) Record(id string, ok bool, want, got string) {
	if old, seen := r.found[id]; seen && !old.ok {
		return
	}
	r.found[id] = finding{ok, want, got}
}

// Pass notes a check that holds.
func (r *Recorder) Pass(id, want, got string) { r.Record(id, true, want, got) }

// Fail notes a check that does not hold.
func (r *Recorder) Fail(id, want, got string) { r.Record(id, false, want, got) }

// Check notes an error as a failure and nil as passed.
func (r *Recorder) Check(id string, err error, want, got string) {
	if err != nil {
		r.Fail(id, want, err.Error())
		return
	}
	r.Pass(id, want, got)
}

// Passed reports whether a check was noted and holds.
func (r *Recorder) Passed(id string) bool { return r.found[id].ok }

// Waive notes what nobody checks, and by whose decision.
func (r *Recorder) Waive(what, reason string) {
	w := verdict.Waiver{What: what, Reason: reason}
	if !slices.Contains(r.waived, w) {
		r.waived = append(r.waived, w)
	}
}

// Observe notes a number for the rollback memory.
func (r *Recorder) Observe(key string, value uint64) {
	r.seen = append(r.seen, Observation{key, value})
}

// Observations lists the numbers in the order in which they were noted.
func (r *Recorder) Observations() []Observation { return slices.Clone(r.seen) }

// Verdict puts the findings into the order of the definitions. What is defined
// and was not found has failed, and so has what was found and not defined.
func (r *Recorder) Verdict(definitions []Definition) *verdict.Verdict {
	v := &verdict.Verdict{OK: len(definitions) > 0, Waived: r.waived, Checks: make([]verdict.Check, 0, len(definitions))}
	if v.Waived == nil {
		v.Waived = []verdict.Waiver{}
	}
	defined := make(map[string]bool, len(definitions))
	for _, d := range definitions {
		f, ok := r.found[d.ID]
		if !ok {
			f = finding{got: notReached}
		}
		c := verdict.Check{ID: d.ID, OK: f.ok, Reached: ok, Want: f.want, Got: f.got, Name: d.Name, Source: d.Source}
		if !f.ok {
			c.Hint = d.Hint
		}
		v.Checks = append(v.Checks, c)
		v.OK = v.OK && f.ok
		defined[d.ID] = true
	}
	for id := range r.found {
		v.OK = v.OK && defined[id]
	}
	return v
}
