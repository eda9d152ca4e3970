package verifier

import (
	"safebox/verifier/verdict"
)

// notReached is what a check got that an earlier failure left without its
// input.
const notReached = "not reached: an earlier check failed"

// recorder keeps what checks found, by ID.
type recorder struct {
	found  map[string]finding
	waived []verdict.Waiver
}

type finding struct {
	ok        bool
	want, got string
}

func newRecorder() *recorder { return &recorder{found: make(map[string]finding, 64)} }

// record notes a check. When it is noted again a failure stays, so that a
// check over several quotes passes only if all do.
func (r *recorder) record(id string, ok bool, want, got string) {
	if old, seen := r.found[id]; seen && !old.ok {
		return
	}
	r.found[id] = finding{ok, want, got}
}

func (r *recorder) pass(id, want, got string) { r.record(id, true, want, got) }

func (r *recorder) fail(id, want, got string) { r.record(id, false, want, got) }

// check notes an error as a failure and nil as passed.
func (r *recorder) check(id string, err error, want, got string) {
	if err != nil {
		r.fail(id, want, err.Error())
		return
	}
	r.pass(id, want, got)
}

func (r *recorder) waive(what, reason string) {
	r.waived = append(r.waived, verdict.Waiver{What: what, Reason: reason})
}

// verdict puts the findings into the order of the definitions. What is defined
// and was not found has failed, and so has what was found and not defined.
func (r *recorder) verdict(definitions []definition) *verdict.Verdict {
	v := &verdict.Verdict{OK: len(definitions) > 0, Waived: r.waived, Checks: make([]verdict.Check, 0, len(definitions))}
	if v.Waived == nil {
		v.Waived = []verdict.Waiver{}
	}
	defined := make(map[string]bool, len(definitions))
	for _, d := range definitions {
		f, ok := r.found[d.id]
		if !ok {
			f = finding{got: notReached}
		}
		c := verdict.Check{ID: d.id, OK: f.ok, Want: f.want, Got: f.got, Name: d.name, Source: d.source}
		if !f.ok {
			c.Hint = d.hint
		}
		v.Checks = append(v.Checks, c)
		v.OK = v.OK && f.ok
		defined[d.id] = true
	}
	for id := range r.found {
		v.OK = v.OK && defined[id]
	}
	return v
}
