package memory

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"safebox/verifier/check"
)

// TimeKey is the key of the latest time that was proved, in Unix seconds: that
// of a signed document, by which the time cannot be earlier.
const TimeKey = "time"

// maxTime is the end of the year 9999, after which RFC 3339 has no text.
const maxTime = 253402300799

// Check compares what a verdict saw, and its time, with the memory:
//
//  1. no key but TimeKey has a value below the highest one seen;
//  2. the time of the verdict is not before the latest time that was proved.
//
// A key that was never seen passes: the memory answers rollback, not age. The
// error names everything that fell.
func (m *Memory) Check(seen []check.Observation, at time.Time) error {
	if m == nil {
		return errors.New("checking rollback: no memory")
	}
	if at.IsZero() {
		return errors.New("checking rollback: no time to check")
	}
	var found []error
	for _, o := range seen {
		highest, ok := m.highest[o.Key]
		if ok && o.Key != TimeKey && o.Value < highest {
			found = append(found, fmt.Errorf("ROLLBACK: %s, seen %s", text(o.Key, o.Value), number(o.Key, highest)))
		}
	}
	if proved, ok := m.highest[TimeKey]; ok && at.Unix() < int64(proved) {
		found = append(found, fmt.Errorf("ROLLBACK: time %s, a signed document of %s was seen", at.UTC().Format(time.RFC3339), number(TimeKey, proved)))
	}
	return errors.Join(found...)
}

// Merge keeps the highest value of each key: no value falls. The proved time,
// if there is one, must come from something signed that was verified (a
// timestamp, a document that carries its time), never from a clock: a clock
// that was wrong once would stop every later verdict. Only what belongs to an
// accepting verdict may be merged. On error nothing changes.
func (m *Memory) Merge(seen []check.Observation, proved time.Time) error {
	if m == nil {
		return errors.New("merging into rollback memory: no memory")
	}
	merged := maps.Clone(m.highest)
	if merged == nil {
		merged = make(map[string]uint64, len(seen)+1)
	}
	if !proved.IsZero() {
		if proved.Unix() < 0 {
			return fmt.Errorf("merging into rollback memory: time %s is before 1970", proved.UTC().Format(time.RFC3339))
		}
		merged[TimeKey] = max(merged[TimeKey], uint64(proved.Unix()))
	}
	for _, o := range seen {
		if err := checkKey(o.Key); err != nil {
			return fmt.Errorf("merging into rollback memory: %w", err)
		}
		merged[o.Key] = max(merged[o.Key], o.Value)
	}
	if merged[TimeKey] > maxTime {
		return fmt.Errorf("merging into rollback memory: time %d is after the year 9999", merged[TimeKey])
	}
	if len(merged) > maxEntries {
		return fmt.Errorf("merging into rollback memory: got %d keys, want at most %d", len(merged), maxEntries)
	}
	m.highest = merged
	return nil
}

// Highest gives the highest value that was seen of a key.
func (m *Memory) Highest(key string) (uint64, bool) {
	if m == nil {
		return 0, false
	}
	value, ok := m.highest[key]
	return value, ok
}

// text says for people what an observation is: "crl ab12..: number 5".
func text(key string, value uint64) string {
	kind, of, ok := strings.Cut(key, "/")
	if !ok {
		return fmt.Sprintf("%s: %s", key, number(key, value))
	}
	return fmt.Sprintf("%s %s: %s", kind, of, number(key, value))
}

// number writes a value, as a date if its key counts seconds.
func number(key string, value uint64) string {
	kind, _, _ := strings.Cut(key, "/")
	if (kind == TimeKey || strings.HasSuffix(kind, "-"+TimeKey)) && value <= maxTime {
		return "time " + time.Unix(int64(value), 0).UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("number %d", value)
}
