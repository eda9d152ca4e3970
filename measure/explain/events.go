package explain

import (
	"bytes"
	"fmt"
	"hash"
)

// step is an event that extends a register.
type step struct {
	name   string
	digest []byte
}

// extend folds digests into the value of a register.
func extend(h hash.Hash, value []byte, steps ...step) []byte {
	value = bytes.Clone(value)
	for _, s := range steps {
		h.Reset()
		h.Write(value)
		h.Write(s.digest)
		value = h.Sum(value[:0])
	}
	return value
}

// eventNeighbours looks for the value of a register into which not all events
// went: the first few, or all but one.
func eventNeighbours(h hash.Hash, steps []step, reported []byte) (found bool, changes []Change, tried int) {
	value := make([]byte, h.Size()) // after n events
	for n, s := range steps {
		if bytes.Equal(value, reported) {
			return true, []Change{firstEvents(steps, n)}, tried
		}
		if bytes.Equal(extend(h, value, steps[n+1:]...), reported) {
			return true, []Change{{
				Axis: axisEvents, Expected: allEvents(steps), Explains: fmt.Sprintf("without %q", s.name),
				phrase: fmt.Sprintf("all events but %q", s.name),
			}}, tried
		}
		value = extend(h, value, s)
		tried += 2
	}
	return false, nil, tried
}

const axisEvents = "events"

func allEvents(steps []step) string { return fmt.Sprintf("all %d", len(steps)) }

// firstEvents is the change to a register that was not extended from event n on.
func firstEvents(steps []step, n int) Change {
	c := Change{
		Axis: axisEvents, Expected: allEvents(steps), Explains: fmt.Sprintf("the first %d", n),
		phrase: fmt.Sprintf("the first %d events instead of all %d: none from %q on", n, len(steps), steps[n].name),
	}
	switch n {
	case 0:
		c.Explains, c.phrase = "none", fmt.Sprintf("none of its %d events", len(steps))
	case 1:
		c.phrase = fmt.Sprintf("the first event alone instead of all %d: not %q", len(steps), steps[n].name)
	}
	return c
}

// addEvent adds the first event of a log that differs.
func (r *Result) addEvent(index int, got, want string) {
	r.Findings = append(r.Findings, Finding{
		Changes:  []Change{{Axis: fmt.Sprintf("event %d", index), Expected: want, Explains: got}},
		Sentence: fmt.Sprintf("the log first differs at event %d of %s: got %s, want %s", index, noun(r.Value), got, want),
	})
}

// eventSentence explains one event of a log.
func eventSentence(value string, index int, changes []Change) string {
	var parts []string
	for _, c := range changes {
		parts = append(parts, c.phrase)
	}
	return fmt.Sprintf("event %d of %s in the log is what this TD gives with %s", index, noun(value), join(parts))
}
