package chain

import (
	"strings"
	"testing"
	"time"
)

// TestZeroRules: nothing counts at no time, and nothing without a limit of age.
func TestZeroRules(t *testing.T) {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, kind := range []Age{AgeTCB, AgeCRL, AgeAny} {
		if _, err := (Rules{}).Document("list", from, from.AddDate(1, 0, 0), kind); err == nil || !strings.Contains(err.Error(), "no time") {
			t.Errorf("kind %d: got %v", kind, err)
		}
	}
	for _, kind := range []Age{AgeTCB, AgeCRL} {
		if _, err := (Rules{At: from}).Document("list", from, from.AddDate(1, 0, 0), kind); err == nil || !strings.Contains(err.Error(), "no limit of its age") {
			t.Errorf("kind %d: got %v", kind, err)
		}
	}
}

// TestDocument: the rules of verify.md 5.2, one second to each side of each.
func TestDocument(t *testing.T) {
	const day = 24 * time.Hour
	from := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	until := from.Add(30 * day)
	tcb := Rules{MaxAgeTCB: 7 * day, MaxAgeCRL: time.Second}
	crl := Rules{MaxAgeCRL: 30 * day, MaxAgeTCB: time.Second}
	open := Rules{AnyAgeTCB: true, AnyAgeCRL: true}
	grace := Rules{AnyAgeTCB: true, Grace: 7 * day}
	for _, c := range []struct {
		name  string
		rules Rules
		kind  Age
		at    time.Time
		grace time.Duration
		want  string
	}{
		{"at its beginning", tcb, AgeTCB, from, 0, ""},
		{"a second early", tcb, AgeTCB, from.Add(-time.Second), 0, "begins 2026-11-01T00:00:00Z, later than 2026-10-31T23:59:59Z"},
		{"seven days old", tcb, AgeTCB, from.Add(7 * day), 0, ""},
		{"a second older", tcb, AgeTCB, from.Add(7*day + time.Second), 0, "168h0m1s old"},
		{"a list of 30 days", crl, AgeCRL, until, 0, ""},
		{"any age, at its end", open, AgeTCB, until, 0, ""},
		{"any age, a second late", open, AgeTCB, until.Add(time.Second), 0, "EXPIRED: ended 2026-12-01T00:00:00Z, 1s before"},
		{"any age of a list", open, AgeCRL, until, 0, ""},
		{"window only", Rules{}, AgeAny, until, 0, ""},
		{"window only, late", Rules{}, AgeAny, until.Add(time.Second), 0, "EXPIRED"},
		{"TCB limit is no list limit", tcb, AgeCRL, from.Add(2 * time.Second), 0, "2s old"},
		{"list limit is no TCB limit", crl, AgeTCB, from.Add(2 * time.Second), 0, "2s old"},
		{"any TCB age is no list's", Rules{AnyAgeTCB: true}, AgeCRL, from, 0, "no limit of its age"},
		{"any list's age is no TCB's", Rules{AnyAgeCRL: true}, AgeTCB, from, 0, "no limit of its age"},
		{"grace not needed", grace, AgeTCB, until, 0, ""},
		{"grace of a second", grace, AgeTCB, until.Add(time.Second), time.Second, ""},
		{"all of the grace", grace, AgeTCB, until.Add(7 * day), 7 * day, ""},
		{"more than grace", grace, AgeTCB, until.Add(7*day + time.Second), 0, "grace is 168h0m0s"},
		{"grace lifts no limit of age", Rules{MaxAgeTCB: 30 * day, Grace: day}, AgeTCB, until.Add(time.Second), 0, "720h0m1s old"},
		{"grace is not for the beginning", grace, AgeTCB, from.Add(-time.Second), 0, "begins"},
		{"negative grace", Rules{AnyAgeTCB: true, Grace: -1}, AgeTCB, from, 0, "grace is negative"},
		{"negative limit", Rules{MaxAgeTCB: -1}, AgeTCB, from, 0, "no limit of its age"},
		{"no kind", open, 0, from, 0, "kind of age 0 is unknown"},
		{"kind above the last", open, AgeAny + 1, from, 0, "kind of age 4 is unknown"},
	} {
		r := c.rules
		r.At = c.at
		got, err := r.Document("TCB info", from, until, c.kind)
		if got != c.grace || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, %v, want %v, %q", c.name, got, err, c.grace, c.want)
		}
	}
}

// TestDocumentWithoutTimes: who does not say when it ends does not count.
func TestDocumentWithoutTimes(t *testing.T) {
	at := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct{ from, until time.Time }{
		"no beginning": {time.Time{}, at}, "no end": {at, time.Time{}}, "ends before it begins": {at, at.Add(-time.Second)},
	} {
		if _, err := (Rules{At: at, Grace: time.Hour}).Document("list", c.from, c.until, AgeAny); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	// Far apart, where a time.Duration ends (292 years).
	if _, err := (Rules{At: at, Grace: time.Hour}).Document("list", at.AddDate(-900, 0, 0), at.AddDate(-899, 0, 0), AgeAny); err == nil {
		t.Error("accepted a list of 899 years ago")
	}
	if _, err := (Rules{At: at, MaxAgeTCB: time.Hour}).Document("list", at.AddDate(-900, 0, 0), at, AgeTCB); err == nil {
		t.Error("accepted an age of 900 years")
	}
}
