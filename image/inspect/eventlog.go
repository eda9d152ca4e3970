package inspect

import (
	"fmt"
	"strconv"

	"safebox/measure/eventlog"
)

// logSignature is the signature of the Specification ID event, which begins
// the data of the first event of a TCG2 log (PFP 1.06, 10.2.1 and 10.4.5.1).
const (
	logSignature       = "Spec ID Event03\x00"
	logSignatureOffset = 32
)

func isEventLog(b []byte) bool {
	return len(b) >= logSignatureOffset+len(logSignature) &&
		string(b[logSignatureOffset:logSignatureOffset+len(logSignature)]) == logSignature
}

// consistent says what a check of the data found: it looks at two algorithms
// and passes over the others.
func consistent(h *eventlog.Header, err error) Item {
	for _, a := range h.Algorithms {
		switch {
		case a.Algorithm != eventlog.SHA256 && a.Algorithm != eventlog.SHA384:
		case err != nil:
			return Item{Name: "data", Value: err.Error()}
		default:
			return Item{Name: "data", Value: "every SHA-256 and SHA-384 digest that is the hash of its data is right"}
		}
	}
	return Item{Name: "data", Value: "not checked: the log has neither SHA-256 nor SHA-384 digests"}
}

func eventLog(b []byte) ([]Item, error) {
	l, err := eventlog.Decode(b)
	if err != nil {
		return nil, err
	}
	items := []Item{consistent(&l.Header, l.CheckData())}
	events := Item{Name: "events", Value: strconv.Itoa(len(l.Events))}
	for i := range l.Events {
		e := &l.Events[i]
		entry := item(fmt.Sprintf("%d", i), "pcr%d %s %s", e.PCR, e.Type, e.Describe())
		for _, d := range e.Digests {
			entry.Items = append(entry.Items, item(d.Algorithm.String(), "%x", d.Value))
		}
		events.Items = append(events.Items, entry)
	}
	items = append(items, events)
	for _, a := range l.Header.Algorithms {
		if a.Algorithm != eventlog.SHA256 && a.Algorithm != eventlog.SHA384 {
			continue
		}
		values, err := l.Replay(a.Algorithm)
		if err != nil {
			return nil, err
		}
		bank := Item{Name: "replayed " + a.Algorithm.String()}
		for i, v := range values {
			bank.Items = append(bank.Items, item(fmt.Sprintf("pcr%d", i), "%x", v))
		}
		items = append(items, bank)
	}
	return items, nil
}
