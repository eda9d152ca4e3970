package explain

import (
	"bytes"
	"fmt"

	"safebox/measure/eventlog"
	"safebox/measure/tdx"
)

// explainLog names the first event that differs. If the register as a whole is not
// explained, every event that was not expected is by itself.
func (l *tdLab) explainLog(r *Result, index int, expected tdx.Register, reported []byte) {
	if l.in.Log == nil || index == tdx.MRTD {
		return
	}
	values, err := l.in.Log.Replay()
	if err != nil {
		r.note("the log can't be replayed: %v", err)
		return
	}
	if !bytes.Equal(values[index-tdx.RTMR0][:], reported) {
		r.note("the log does not replay to the reported value: it explains nothing")
		return
	}
	explained := len(r.Findings) > 0
	p := tdx.Prediction{}
	p.Registers[index] = expected
	differences, err := p.CompareLog(l.in.Log)
	if err != nil {
		r.note("the log can't be compared: %v", err)
		return
	}
	for _, d := range differences {
		if d.Index == index && d.Event != nil {
			got, want := describe(d.Event.Got, d.Event.Digest), "no event"
			if d.Event.Want != nil {
				want = d.Event.Want.Description
			}
			r.addEvent(d.Event.Index, got, want)
		}
	}
	if !explained {
		l.explainEvents(r, index, expected)
	}
}

// describe is an event of a log in a few words.
func describe(e *eventlog.Event, digest tdx.Digest) string {
	if e == nil {
		return "no event"
	}
	return fmt.Sprintf("%v %s with digest %v", e.Type, e.Describe(), digest)
}

// explainEvents searches for the digests of single events. Each depends on few
// axes, so that one change is all that is tried.
func (l *tdLab) explainEvents(r *Result, index int, expected tdx.Register) {
	known := map[tdx.Digest]bool{}
	for _, e := range expected.Events {
		known[e.Digest] = true
	}
	n := -1
	for i := range l.in.Log.Events {
		e := &l.in.Log.Events[i]
		if int(e.PCR) != index || e.Type == eventlog.NoAction {
			continue
		}
		n++
		digest := tdx.Digest(e.Digest(eventlog.SHA384))
		if known[digest] {
			continue
		}
		s := search[tdState]{start: l.start, axes: l.axes(index), most: rtmrProbes}
		s.probe = func(s tdState) (bool, []Change, int, error) { return l.probeEvent(index, s, digest) }
		s.single()
		r.Tried += s.tried
		for _, changes := range s.findings {
			r.Findings = append(r.Findings, Finding{
				Changes: changes, Sentence: eventSentence(r.Value, n, changes),
			})
		}
	}
}

func (l *tdLab) probeEvent(index int, s tdState, digest tdx.Digest) (found bool, changes []Change, tried int, err error) {
	r, err := l.register(index, s)
	if err != nil {
		return false, nil, 0, err
	}
	for _, e := range r.Events {
		if e.Digest == digest {
			return true, nil, len(r.Events), nil
		}
	}
	return false, nil, len(r.Events), nil
}
