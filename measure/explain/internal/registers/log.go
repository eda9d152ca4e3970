package registers

import (
	"bytes"
	"fmt"

	"safebox/measure/eventlog"
	"safebox/measure/explain"
)

// NoEvent stands for the event that a shorter log or prediction does not have.
const NoEvent = "no event"

// Difference is the first event of a log that is not as predicted.
type Difference struct {
	Index  int             // among the register's events, from 0
	Got    *eventlog.Event // nil if the log has fewer events than predicted
	Digest fmt.Stringer    // of Got
	Want   string          // its description, NoEvent if the log has more
}

// Report adds the event to what explains a register.
func (d Difference) Report(r *explain.Result) {
	got := NoEvent
	if d.Got != nil {
		got = fmt.Sprintf("%v %s with digest %v", d.Got.Type, d.Got.Describe(), d.Digest)
	}
	r.Findings = append(r.Findings, explain.Finding{
		Changes: []explain.Change{{Axis: fmt.Sprintf("event %d", d.Index), Expected: d.Want, Explains: got}},
		Sentence: fmt.Sprintf("the log first differs at event %d of %s: got %s, want %s",
			d.Index, r.Noun(), got, d.Want),
	})
}

// Replayed tells if a log gives the reported value of a register, and says so if
// not. Err is the reason why it has no value at all.
func Replayed(r *explain.Result, value, reported []byte, err error) bool {
	if err != nil {
		r.Note("the log can't be replayed: %v", err)
		return false
	}
	if !bytes.Equal(value, reported) {
		r.Note("the log does not replay to the reported value: it explains nothing")
		return false
	}
	return true
}
