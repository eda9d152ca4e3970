package memory

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"safebox/verifier/check"
)

// day gives noon of a day in November 2026.
func day(n int) time.Time { return time.Date(2026, 11, n, 12, 0, 0, 0, time.UTC) }

// seconds of day(21), by date -u -d 2026-11-21T12:00:00Z +%s.
const noon = 1795262400

func merge(t testing.TB, m *Memory, proved time.Time, seen ...check.Observation) {
	t.Helper()
	if err := m.Merge(seen, proved); err != nil {
		t.Fatal(err)
	}
}

// TestHighest: values rise and never fall, whatever comes in what order.
func TestHighest(t *testing.T) {
	var m Memory
	merge(t, &m, time.Time{}, check.Observation{Key: "crl/aa", Value: 5}, check.Observation{Key: "crl/aa", Value: 7}, check.Observation{Key: "crl/aa", Value: 6})
	merge(t, &m, time.Time{}, check.Observation{Key: "crl/aa", Value: 4}, check.Observation{Key: "tcb-eval/tdx", Value: 18})
	merge(t, &m, time.Time{}, check.Observation{Key: "crl/bb", Value: math.MaxUint64}, check.Observation{Key: "crl/cc", Value: 0})
	for key, want := range map[string]uint64{"crl/aa": 7, "tcb-eval/tdx": 18, "crl/bb": math.MaxUint64, "crl/cc": 0} {
		if got, ok := m.Highest(key); !ok || got != want {
			t.Errorf("%s: got %d, %t, want %d", key, got, ok, want)
		}
	}
	if _, ok := m.Highest("crl/dd"); ok {
		t.Error("seen what nobody saw")
	}
	if _, ok := (*Memory)(nil).Highest("crl/aa"); ok {
		t.Error("seen by no memory")
	}
}

func TestCheck(t *testing.T) {
	var m Memory
	merge(t, &m, day(20), check.Observation{Key: "crl/aa", Value: 7}, check.Observation{Key: "crl-time/aa", Value: noon}, check.Observation{Key: TimeKey, Value: noon})
	for _, c := range []struct {
		name string
		at   time.Time
		seen []check.Observation
		want string
	}{
		{"nothing seen", day(21), nil, ""},
		{"the same", day(21), []check.Observation{{Key: "crl/aa", Value: 7}, {Key: "crl-time/aa", Value: noon}, {Key: TimeKey, Value: noon}}, ""},
		{"newer", day(22), []check.Observation{{Key: "crl/aa", Value: 8}, {Key: "crl-time/aa", Value: noon + 1}}, ""},
		{"unknown key", day(21), []check.Observation{{Key: "crl/bb", Value: 0}}, ""},
		{"an older document of another issuer", day(21), []check.Observation{{Key: TimeKey, Value: 1}}, ""},
		{"older number", day(21), []check.Observation{{Key: "crl/aa", Value: 6}}, "ROLLBACK: crl aa: number 6, seen number 7"},
		{"older date", day(21), []check.Observation{{Key: "crl-time/aa", Value: noon - 1}}, "ROLLBACK: crl-time aa: time 2026-11-21T11:59:59Z, seen time 2026-11-21T12:00:00Z"},
		{
			"all of them", day(20),
			[]check.Observation{{Key: "crl-time/aa", Value: 0}, {Key: "crl/bb", Value: 1}, {Key: "crl/aa", Value: 6}},
			"ROLLBACK: crl-time aa: time 1970-01-01T00:00:00Z, seen time 2026-11-21T12:00:00Z\n" +
				"ROLLBACK: crl aa: number 6, seen number 7\n" +
				"ROLLBACK: time 2026-11-20T12:00:00Z, a signed document of time 2026-11-21T12:00:00Z was seen",
		},
		{"a second early", day(21).Add(-time.Second), nil, "ROLLBACK: time 2026-11-21T11:59:59Z, a signed document of time 2026-11-21T12:00:00Z was seen"},
		{"no time", time.Time{}, nil, "checking rollback: no time to check"},
	} {
		got := ""
		if err := m.Check(c.seen, c.at); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if err := (*Memory)(nil).Check(nil, day(21)); err == nil {
		t.Error("no memory passes")
	}
	if err := new(Memory).Check([]check.Observation{{Key: "crl/aa", Value: 1}}, day(1)); err != nil {
		t.Errorf("empty memory: %v", err)
	}
}

// TestProvedTime: a time that is proved rises the memory's, an older one does
// not lower it, and no observation of another kind does either.
func TestProvedTime(t *testing.T) {
	var m Memory
	merge(t, &m, day(21))
	merge(t, &m, day(20), check.Observation{Key: "crl-time/aa", Value: noon + 100})
	if got, _ := m.Highest(TimeKey); got != noon {
		t.Errorf("got %d, want %d", got, noon)
	}
	for name, err := range map[string]error{
		"time before 1970":        m.Merge([]check.Observation{{Key: "a", Value: 9}}, time.Unix(-1, 0)),
		"time after 9999":         m.Merge([]check.Observation{{Key: "a", Value: 9}}, time.Unix(253402300800, 0)),
		"observed after 9999":     m.Merge([]check.Observation{{Key: "a", Value: 9}, {Key: TimeKey, Value: 253402300800}}, time.Time{}),
		"empty key":               m.Merge([]check.Observation{{Key: "a", Value: 9}, {Key: "", Value: 1}}, time.Time{}),
		"key with a space":        m.Merge([]check.Observation{{Key: "a", Value: 9}, {Key: "a b", Value: 1}}, time.Time{}),
		"key not of ASCII":        m.Merge([]check.Observation{{Key: "a", Value: 9}, {Key: "é", Value: 1}}, time.Time{}),
		"key with DEL":            m.Merge([]check.Observation{{Key: "a", Value: 9}, {Key: "a\x7f", Value: 1}}, time.Time{}),
		"key too long":            m.Merge([]check.Observation{{Key: "a", Value: 9}, {Key: strings.Repeat("k", 161), Value: 1}}, time.Time{}),
		"too many keys":           m.Merge(many(maxEntries), time.Time{}),
		"no memory to merge into": (*Memory)(nil).Merge(nil, day(1)),
	} {
		if err == nil {
			t.Errorf("%s: merged", name)
		}
	}
	if _, ok := m.Highest("a"); ok {
		t.Error("a refused merge left something")
	}
	merge(t, &m, time.Time{}, many(maxEntries-2)...)
	b, err := m.Encode()
	if err != nil || len(b) > MaxSize {
		t.Fatalf("full: got %d bytes, %v", len(b), err)
	}
}

func many(n int) []check.Observation {
	var out []check.Observation
	for i := range n {
		out = append(out, check.Observation{Key: fmt.Sprintf("%0160d", i), Value: math.MaxUint64})
	}
	return out
}

// TestForm is docs/format-memory.md: written by hand.
func TestForm(t *testing.T) {
	var m Memory
	b, err := m.Encode()
	if want := `{"seen":[],"type":"safebox/memory/v1"}`; err != nil || string(b) != want {
		t.Errorf("got %s, %v, want %s", b, err, want)
	}
	merge(t, &m, day(21), check.Observation{Key: "tcb-eval/tdx", Value: 18}, check.Observation{Key: "crl/aa", Value: math.MaxUint64})
	want := `{"seen":[{"key":"crl/aa","value":"18446744073709551615"},{"key":"tcb-eval/tdx","value":"18"},{"key":"time","value":"1795262400"}],"type":"safebox/memory/v1"}`
	if b, err = m.Encode(); err != nil || string(b) != want {
		t.Errorf("got %s, %v, want %s", b, err, want)
	}
	again, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Check([]check.Observation{{Key: "tcb-eval/tdx", Value: 17}}, day(21)); err == nil {
		t.Error("forgotten on the way")
	}
	if b, err := (*Memory)(nil).Encode(); err == nil {
		t.Errorf("no memory: got %s", b)
	}
}

func TestDecodeRefuses(t *testing.T) {
	document := func(seen string) string { return `{"seen":[` + seen + `],"type":"safebox/memory/v1"}` }
	e := func(key, value string) string { return `{"key":"` + key + `","value":"` + value + `"}` }
	var long []string
	for i := range maxEntries + 1 {
		long = append(long, e(fmt.Sprintf("%04d", i), "1"))
	}
	for name, c := range map[string]struct{ document, want string }{
		"nothing":           {"", "EOF"},
		"another type":      {strings.Replace(document(""), "v1", "v2", 1), "type: got"},
		"null":              {`{"seen":null,"type":"safebox/memory/v1"}`, "seen: got null"},
		"space":             {" " + document(""), "not in canonical form"},
		"unknown member":    {`{"more":1,"seen":[],"type":"safebox/memory/v1"}`, "unknown field"},
		"number":            {document(`{"key":"a","value":1}`), "cannot unmarshal"},
		"unsorted":          {document(e("b", "1") + "," + e("a", "1")), "not above"},
		"twice":             {document(e("a", "1") + "," + e("a", "2")), "not above"},
		"empty key":         {document(e("", "1")), "got 0 bytes"},
		"key with a space":  {document(e("a b", "1")), "no printable ASCII"},
		"key too long":      {document(e(strings.Repeat("k", 161), "1")), "got 161 bytes"},
		"no value":          {document(e("a", "")), "value: got"},
		"leading zero":      {document(e("a", "01")), "value: got"},
		"plus":              {document(e("a", "+1")), "value: got"},
		"negative":          {document(e("a", "-1")), "value: got"},
		"65 bits":           {document(e("a", "18446744073709551616")), "value: got"},
		"hexadecimal":       {document(e("a", "0x1")), "value: got"},
		"underscore":        {document(e("a", "1_0")), "value: got"},
		"time after 9999":   {document(e("time", "253402300800")), "time: got 253402300800"},
		"too many":          {document(strings.Join(long, ",")), "got 4097 keys"},
		"too long":          {strings.Repeat(" ", MaxSize+1), "got 1048577 bytes"},
		"document of crumb": {`[]`, "cannot unmarshal"},
	} {
		if m, err := Decode([]byte(c.document)); err == nil || m != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	if _, err := Decode([]byte(document(e("time", "253402300799")))); err != nil {
		t.Errorf("last second of 9999: %v", err)
	}
}

// FuzzDecode: one form for each memory.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"seen":[],"type":"safebox/memory/v1"}`))
	f.Add([]byte(`{"seen":[{"key":"crl/aa","value":"18446744073709551615"},{"key":"time","value":"1795262400"}],"type":"safebox/memory/v1"}`))
	f.Add([]byte(`{"logs":[{"origin":"a","root":"` + rootA + `","size":5}],"seen":[],"type":"safebox/memory/v1"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			return
		}
		if again, err := m.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("got %s, %v, of %s", again, err, b)
		}
		if err := m.Merge(nil, day(21)); err != nil && len(b) < 1000 {
			t.Fatal(err)
		}
		if err := m.Check(nil, time.Unix(maxTime, 0)); err != nil {
			t.Fatal(err)
		}
	})
}
