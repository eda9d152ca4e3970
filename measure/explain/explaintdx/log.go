package explaintdx

import (
	"fmt"

	"safebox/measure/eventlog"
	"safebox/measure/explain"
	"safebox/measure/explain/internal/registers"
	"safebox/measure/explain/internal/search"
	"safebox/measure/tdx"
)

// explainLog names the first event that differs. If the register as a whole is not
// explained, every event that was not expected is by itself.
func (l *lab) explainLog(r *explain.Result, index int, expected tdx.Register, reported []byte) {
	if l.in.Log == nil || index == tdx.MRTD {
		return
	}
	values, err := l.in.Log.Replay()
	if !registers.Replayed(r, values[index-tdx.RTMR0][:], reported, err) {
		return
	}
	explained := len(r.Findings) > 0
	p := tdx.Prediction{}
	p.Registers[index] = expected
	differences, err := p.CompareLog(l.in.Log)
	if err != nil {
		r.Note("the log can't be compared: %v", err)
		return
	}
	for _, d := range differences {
		if d.Index != index || d.Event == nil {
			continue
		}
		want := registers.NoEvent
		if e := d.Event.Want; e != nil {
			want = e.Description
		}
		registers.Difference{Index: d.Event.Index, Got: d.Event.Got, Digest: d.Event.Digest, Want: want}.Report(r)
	}
	if !explained {
		l.explainEvents(r, index, expected)
	}
}

// explainEvents searches for the digests of single events. Each depends on few
// axes, so that one change is all that is tried.
func (l *lab) explainEvents(r *explain.Result, index int, expected tdx.Register) {
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
		s := search.Space[state]{Start: l.start, Axes: l.axes(index), Most: rtmrProbes}
		s.Probe = func(s state) (bool, []search.Change, int, error) { return l.probeEvent(index, s, digest) }
		s.SearchSingle()
		s.ReportFindings(r, fmt.Sprintf("event %d of %s in the log is what this TD gives with", n, r.Noun()))
	}
}

func (l *lab) probeEvent(index int, s state, digest tdx.Digest) (found bool, changes []search.Change, tried int, err error) {
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
