package verifier

import (
	"encoding/hex"
	"fmt"
	"strconv"

	"safebox/measure/eventlog"
	"safebox/verifier/transcript"
	"safebox/verifier/verdict"
)

// timeline lists the events of the firmware's log beside those of the release,
// where it tells them: the first that differs in a register is where the
// machine went another way.
func (v *verification) timeline() []verdict.Event {
	switch {
	case v.evidence == nil:
		return nil
	case v.events != nil && len(v.quotes) > 0:
		bank := v.quotes[0].bank
		expected := map[int][]string{}
		if v.release != nil {
			if m, ok := v.release.Measurement(transcript.VTPM, v.boot, bank.String()); ok {
				for index, r := range m.Registers {
					if r.CheckEvents() == nil { // else they are not the release's
						expected[index] = r.Events
					}
				}
			}
		}
		return timeline(v.events.Events, eventAlgorithm(bank), registerName, expected)
	case v.evidence.TDX != nil:
		return v.timelineTDX()
	}
	return nil
}

// hint is what to do about a register, if there is anything to do.
func (v *verification) hint(c comparison) string {
	if c.want == c.got {
		return ""
	}
	return registerHint(c.index) + v.firstDifference(c)
}

// firstDifference is for a hint: the event at which a register went another way
// than the release's.
func (v *verification) firstDifference(c comparison) string {
	for _, e := range v.timeline() {
		if e.Diverges && e.Register == registerName(uint32(c.index)) {
			return fmt.Sprintf("; first difference: event %d, %s: got %s, want %s", e.Index, e.Type, e.Digest, e.Want)
		}
	}
	return ""
}

func registerName(index uint32) string { return "PCR " + strconv.FormatUint(uint64(index), 10) }

// timelineTDX compares with the machine of the policy whose registers fit best.
func (v *verification) timelineTDX() []verdict.Event {
	log, err := eventlog.DecodeCCEL(v.evidence.TDX.EventLog)
	if err != nil {
		return nil
	}
	best := timeline(log.Events, eventlog.SHA384, eventlog.MRName, nil)
	most := -1
	for _, p := range v.predictions {
		expected := map[int][]string{}
		for i, reg := range p.Registers {
			for _, e := range reg.Events {
				expected[i] = append(expected[i], e.Digest.String())
			}
		}
		list := timeline(log.Events, eventlog.SHA384, eventlog.MRName, expected)
		if n := fitting(list); n > most {
			best, most = list, n
		}
	}
	return best
}

// fitting counts the events up to where each register went another way.
func fitting(list []verdict.Event) int {
	n := 0
	for _, e := range list {
		if e.Want != "" && !e.Diverges {
			n++
		}
	}
	return n
}

// timeline lists events with the expected digest of each, where there is one
// for its register. After the first event that differs the rest of a register
// follows from it, so nothing more is marked there.
func timeline(events []eventlog.Event, a eventlog.Algorithm, name func(uint32) string, expected map[int][]string) []verdict.Event {
	list := make([]verdict.Event, 0, len(events))
	next, lost := map[int]int{}, map[int]bool{}
	for i := range events {
		e := &events[i]
		row := verdict.Event{
			Index: i, Register: name(e.PCR), Type: e.Type.String(), Digest: hex.EncodeToString(e.Digest(a)), Description: e.Describe(),
		}
		register := int(e.PCR)
		want := expected[register]
		if n := next[register]; e.Type != eventlog.NoAction && len(want) > 0 && !lost[register] {
			row.Want = "no further event"
			if n < len(want) {
				row.Want = want[n]
			}
			row.Diverges = row.Want != row.Digest
			lost[register] = row.Diverges
			next[register]++
		}
		list = append(list, row)
	}
	for register := range eventlog.PCRs {
		if n := next[register]; n < len(expected[register]) && !lost[register] {
			list = append(list, verdict.Event{
				Index: len(events), Register: name(uint32(register)), Type: "missing", Diverges: true,
				Want: expected[register][n], Description: fmt.Sprintf("the log ends after %d of %d events of this register", n, len(expected[register])),
			})
		}
	}
	return list
}
