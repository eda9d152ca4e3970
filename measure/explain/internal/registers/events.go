package registers

import (
	"bytes"
	"fmt"
	"hash"

	"safebox/measure/explain"
	"safebox/measure/explain/internal/search"
)

// Event extends a register.
type Event struct {
	Name   string
	Digest []byte
}

// Extend folds digests into the value of a register.
func Extend(h hash.Hash, value []byte, events ...Event) []byte {
	value = bytes.Clone(value)
	for _, e := range events {
		h.Reset()
		h.Write(value)
		h.Write(e.Digest)
		value = h.Sum(value[:0])
	}
	return value
}

// Neighbours looks for the value of a register into which not all events went: the
// first few, or all but one.
func Neighbours(h hash.Hash, events []Event, reported []byte) (found bool, changes []search.Change, tried int) {
	value := make([]byte, h.Size()) // after n events
	for n, e := range events {
		if bytes.Equal(value, reported) {
			return true, []search.Change{firstEvents(events, n)}, tried
		}
		if bytes.Equal(Extend(h, value, events[n+1:]...), reported) {
			without := fmt.Sprintf("without %q", e.Name)
			return true, []search.Change{partial(events, without, fmt.Sprintf("all events but %q", e.Name))}, tried
		}
		value = Extend(h, value, e)
		tried += 2
	}
	return false, nil, tried
}

// firstEvents is the change to a register that was not extended from event n on.
func firstEvents(events []Event, n int) search.Change {
	switch n {
	case 0:
		return partial(events, "none", fmt.Sprintf("none of its %d events", len(events)))
	case 1:
		return partial(events, "the first 1",
			fmt.Sprintf("the first event alone instead of all %d: not %q", len(events), events[n].Name))
	}
	return partial(events, fmt.Sprintf("the first %d", n),
		fmt.Sprintf("the first %d events instead of all %d: none from %q on", n, len(events), events[n].Name))
}

func partial(events []Event, explains, phrase string) search.Change {
	return search.Change{
		Change: explain.Change{Axis: "events", Expected: fmt.Sprintf("all %d", len(events)), Explains: explains},
		Phrase: phrase, Partial: true,
	}
}
