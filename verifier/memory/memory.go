// Package memory remembers, between verdicts, the highest numbers that signed
// documents carried, the latest time that was proved and the tree of each log,
// so that an old document cannot come back as if it were new and a log cannot
// tell another story than before (docs/format-memory.md; specs/verify.md,
// section 5.2). It holds no clock and no file: the caller loads, checks, merges
// and stores.
package memory

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"safebox/verifier/canon"
)

// Type is the value of the document's member "type".
const Type = "safebox/memory/v1"

// Limits of a memory.
const (
	MaxSize    = 1 << 20 // bytes of the document
	maxEntries = 4096
	maxKey     = 160 // bytes
)

// Memory is what was seen so far. The zero value has seen nothing.
type Memory struct {
	highest map[string]uint64
	logs    map[string]Tree // by origin
}

// document is the encoding of a Memory.
type document struct {
	Type string  `json:"type"`
	Seen []entry `json:"seen"`           // ascending by key
	Logs []log   `json:"logs,omitempty"` // ascending by origin; memories without logs lack it
}

// entry is one key. Its value is text because JSON's numbers end at 2^53.
type entry struct {
	Key   string `json:"key"`
	Value string `json:"value"` // decimal
}

// Decode reads a memory and refuses every other form than the one that Encode
// writes.
func Decode(b []byte) (*Memory, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("decoding rollback memory: got %d bytes, want at most %d", len(b), MaxSize)
	}
	var d document
	if err := canon.Unmarshal(b, &d); err != nil {
		return nil, fmt.Errorf("decoding rollback memory: %w", err)
	}
	m, err := d.memory()
	if err != nil {
		return nil, fmt.Errorf("decoding rollback memory: %w", err)
	}
	return m, nil
}

func (d *document) memory() (*Memory, error) {
	switch {
	case d.Type != Type:
		return nil, fmt.Errorf("type: got %q, want %q", d.Type, Type)
	case d.Seen == nil:
		return nil, errors.New("seen: got null, want [] for none")
	case len(d.Seen) > maxEntries:
		return nil, fmt.Errorf("seen: got %d keys, want at most %d", len(d.Seen), maxEntries)
	}
	m := &Memory{highest: make(map[string]uint64, len(d.Seen))}
	if err := m.setLogs(d.Logs); err != nil {
		return nil, err
	}
	for i, e := range d.Seen {
		if i > 0 && d.Seen[i-1].Key >= e.Key {
			return nil, fmt.Errorf("seen %d: key %q is not above the one before it", i, e.Key)
		}
		if err := checkKey(e.Key); err != nil {
			return nil, fmt.Errorf("seen %d: %w", i, err)
		}
		value, err := strconv.ParseUint(e.Value, 10, 64)
		if err != nil || strconv.FormatUint(value, 10) != e.Value {
			return nil, fmt.Errorf("seen %d: value: got %q, want a decimal number of at most 64 bits", i, e.Value)
		}
		if e.Key == TimeKey && value > maxTime {
			return nil, fmt.Errorf("seen %d: time: got %d, want at most %d", i, value, maxTime)
		}
		m.highest[e.Key] = value
	}
	return m, nil
}

// checkKey checks that a key is printable ASCII without spaces.
func checkKey(key string) error {
	if len(key) == 0 || len(key) > maxKey {
		return fmt.Errorf("key: got %d bytes, want 1 to %d", len(key), maxKey)
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return fmt.Errorf("key %q: byte %d is no printable ASCII", key, i)
		}
	}
	return nil
}

// Encode writes a memory. Equal memories give equal bytes.
func (m *Memory) Encode() ([]byte, error) {
	if m == nil {
		return nil, errors.New("encoding rollback memory: no memory")
	}
	d := document{Type: Type, Seen: make([]entry, 0, len(m.highest)), Logs: m.listLogs()}
	for key, value := range m.highest {
		d.Seen = append(d.Seen, entry{Key: key, Value: strconv.FormatUint(value, 10)})
	}
	slices.SortFunc(d.Seen, func(a, b entry) int { return cmp.Compare(a.Key, b.Key) })
	b, err := canon.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encoding rollback memory: %w", err)
	}
	return b, nil
}
