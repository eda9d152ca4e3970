package tpm

import (
	"fmt"

	"safebox/measure/eventlog"
)

// Difference is a register that is not as predicted.
type Difference struct {
	PCR  int
	Rule Rule
	Want Digest // nil if the rule is Missing
	Got  Digest

	// Event is the first event that differs, nil if no log was looked at or
	// the register has no listed events.
	Event *EventDifference
}

// EventDifference is the first event of a register that is not as predicted.
type EventDifference struct {
	Index  int             // among the register's events, from 0
	Want   *Event          // nil if the log has more events than predicted
	Got    *eventlog.Event // nil if the log has fewer
	Digest Digest          // of Got
}

// String explains the difference in one line.
func (d Difference) String() string {
	s := fmt.Sprintf("pcr%d: got %v, want %v", d.PCR, d.Got, d.Want)
	if d.Rule == Missing {
		s = fmt.Sprintf("pcr%d: got %v, nothing predicted: what it is computed from was not given", d.PCR, d.Got)
	}
	if d.Event != nil {
		s += "; " + d.Event.String()
	}
	return s
}

// String explains the difference in one line.
func (e EventDifference) String() string {
	got, want := "no event", "no event"
	if e.Got != nil {
		got = fmt.Sprintf("%v %s with digest %v", e.Got.Type, e.Got.Describe(), e.Digest)
	}
	if e.Want != nil {
		want = fmt.Sprintf("%v %s with digest %v", e.Want.Type, e.Want.Description, e.Want.Digest)
	}
	return fmt.Sprintf("first at its event %d: got %s, want %s", e.Index, got, want)
}

// Compare lists the registers whose values are not as predicted. The rule
// FixedDisk is compared too: a caller who allows a resized disk passes over
// differences of that rule.
func (p *Prediction) Compare(values [eventlog.PCRs][]byte) []Difference {
	var list []Difference
	for i, r := range p.PCRs {
		switch r.Rule {
		case Unlisted, Any:
			continue
		case Exact, Zero, FixedDisk, Configuration, Missing:
		}
		if !r.Value.Equal(values[i]) {
			list = append(list, Difference{PCR: i, Rule: r.Rule, Want: r.Value, Got: values[i]})
		}
	}
	return list
}

// CompareLog does Compare with the values that the log replays to, and finds
// the first event of each register that differs. A log proves nothing alone:
// compare the values of a quote too.
func (p *Prediction) CompareLog(log *eventlog.Log) ([]Difference, error) {
	a := Algorithm(p.Bank)
	values, err := log.Replay(a)
	if err != nil {
		return nil, fmt.Errorf("comparing event log: %w", err)
	}
	list := p.Compare(values)
	for i := range list {
		d := &list[i]
		if d.Rule != Missing {
			d.Event = firstDifference(p.PCRs[d.PCR].Events, log, d.PCR, a)
		}
	}
	return list, nil
}

// firstDifference walks over the predicted and the logged events of one
// register side by side.
func firstDifference(want []Event, log *eventlog.Log, pcr int, a eventlog.Algorithm) *EventDifference {
	n := 0
	for i := range log.Events {
		got := &log.Events[i]
		if int(got.PCR) != pcr || got.Type == eventlog.NoAction {
			continue
		}
		if n >= len(want) {
			return &EventDifference{Index: n, Got: got, Digest: got.Digest(a)}
		}
		if !want[n].Digest.Equal(got.Digest(a)) {
			return &EventDifference{Index: n, Want: &want[n], Got: got, Digest: got.Digest(a)}
		}
		n++
	}
	if n < len(want) {
		return &EventDifference{Index: n, Want: &want[n]}
	}
	return nil
}
