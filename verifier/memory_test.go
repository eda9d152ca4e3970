package verifier

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"safebox/verifier/check"
	"safebox/verifier/memory"
)

// raise lists the values of a memory's keys with a prefix, each one higher.
func raise(t testing.TB, file []byte, m *memory.Memory, prefix string) []check.Observation {
	t.Helper()
	var d struct {
		Seen []struct{ Key, Value string } `json:"seen"`
	}
	if err := json.Unmarshal(file, &d); err != nil {
		t.Fatal(err)
	}
	var list []check.Observation
	for _, e := range d.Seen {
		if !strings.HasPrefix(e.Key, prefix) {
			continue
		}
		n, err := strconv.ParseUint(e.Value, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if highest, ok := m.Highest(e.Key); !ok || highest != n {
			t.Fatalf("%s: %d in the file, %d remembered", e.Key, n, highest)
		}
		list = append(list, check.Observation{Key: e.Key, Value: n + 1})
	}
	if len(list) == 0 {
		t.Fatalf("no key %s... in %s", prefix, file)
	}
	return list
}
