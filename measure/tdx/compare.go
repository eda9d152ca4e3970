package tdx

import (
	"fmt"

	"safebox/measure/eventlog"
)

// Difference is a register that is not as predicted, or was not predicted.
type Difference struct {
	Index   int // of the Prediction's registers
	Name    string
	Want    *Digest // nil if nothing was predicted
	Missing string  // then: what was missing
	Got     Digest

	// Event is the first event that differs, nil if no log was looked at or
	// every event whose digest is predicted is as predicted, up to one that
	// stands for several.
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
	s := fmt.Sprintf("%s: got %v, want %v", d.Name, d.Got, d.Want)
	if d.Want == nil {
		s = fmt.Sprintf("%s: got %v, nothing predicted: %s", d.Name, d.Got, d.Missing)
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
		want = fmt.Sprintf("%v %s with digest %v (%v)", e.Want.Type, e.Want.Description, e.Want.Digest, e.Want.Source)
		if e.Want.Source == Unknown {
			want = fmt.Sprintf("%v %s", e.Want.Type, e.Want.Description)
		}
	}
	return fmt.Sprintf("first at its event %d: got %s, want %s", e.Index, got, want)
}

// Compare lists the registers whose values, those of a verified quote, are not
// as predicted. A register without a prediction is a difference.
func (p *Prediction) Compare(values [eventlog.MRs]Digest) []Difference {
	var list []Difference
	for i := range p.Registers {
		if d := p.Registers[i].compare(i, values[i]); d != nil {
			list = append(list, *d)
		}
	}
	return list
}

func (r *Register) compare(index int, got Digest) *Difference {
	if r.Value != nil && *r.Value == got {
		return nil
	}
	d := &Difference{Index: index, Name: r.Name, Want: r.Value, Missing: r.Missing, Got: got}
	if r.Value == nil && r.Missing == "" {
		d.Missing = "the register was not predicted at all"
	}
	return d
}

// CompareLog compares RTMR0 to RTMR3 with the values that a log replays to, and
// finds the first event of each that differs. Events whose digest is unknown are
// passed over in that search, while the register stays a difference. A log
// proves nothing alone, and says nothing about MRTD: compare the values of a
// quote too.
func (p *Prediction) CompareLog(log *eventlog.CCLog) ([]Difference, error) {
	values, err := log.Replay()
	if err != nil {
		return nil, fmt.Errorf("comparing event log: %w", err)
	}
	var list []Difference
	for i := RTMR0; i <= RTMR3; i++ {
		r := &p.Registers[i]
		d := r.compare(i, values[i-RTMR0])
		if d == nil {
			continue
		}
		if r.Value != nil || len(r.Events) > 0 {
			d.Event = firstDifference(r.Events, log, i)
		}
		list = append(list, *d)
	}
	return list, nil
}

// firstDifference walks over the predicted and the logged events of one
// register side by side. Replay has checked the log's digests.
func firstDifference(want []Event, log *eventlog.CCLog, index int) *EventDifference {
	n := 0
	for i := range log.Events {
		got := &log.Events[i]
		if int(got.PCR) != index || got.Type == eventlog.NoAction {
			continue
		}
		digest := Digest(got.Digest(eventlog.SHA384))
		if n >= len(want) {
			return &EventDifference{Index: n, Got: got, Digest: digest}
		}
		if want[n].several() {
			return nil // what follows in the log cannot be told apart
		}
		if !want[n].is(got.Type, digest) {
			return &EventDifference{Index: n, Want: &want[n], Got: got, Digest: digest}
		}
		n++
	}
	if n < len(want) {
		return &EventDifference{Index: n, Want: &want[n]}
	}
	return nil
}

// several reports whether the event stands for an unknown number of them.
func (e *Event) several() bool {
	return e.Source == Unknown && (e.Description == bootEntries || e.Description == fwCfgFiles)
}

// is reports whether an event of the log may be this one. Only the digest moves
// a register; where it is unknown the type is what there is to compare.
func (e *Event) is(t eventlog.Type, digest Digest) bool {
	if e.Source == Unknown {
		return e.Type == t
	}
	return e.Digest == digest
}
