package page_test

import (
	"strings"
	"testing"

	"safebox/verifier/verdict/page"
	"safebox/verifier/verdict/page/pagetest"
)

// logSection gives the paragraph and the rows of the event log.
func logSection(t *testing.T, events []page.Event) (intro string, rows []string) {
	t.Helper()
	root := parse(t, render(t, pagetest.Accepted().Verdict, events))
	for _, s := range find(root, "section", "") {
		if attribute(s, "aria-labelledby") != "events" {
			continue
		}
		for _, r := range find(s, "tr", "")[min(1, len(find(s, "tr", ""))):] {
			rows = append(rows, text(r))
		}
		return text(find(s, "p", "")[0]), rows
	}
	t.Fatal("no event log")
	return "", nil
}

func TestEventLog(t *testing.T) {
	compared := pagetest.Many(3, -1)
	compared[1].Want = compared[1].Digest
	two := pagetest.Many(3, 1)
	two[2].Diverges = true
	for _, c := range []struct {
		name   string
		events []page.Event
		intro  string // end of it
		rows   int
	}{
		{"none", nil, "There is no event log to show with this verdict.", 0},
		{"not compared", pagetest.Many(3, -1), "Single events were not compared with a release.", 3},
		{"the same", compared, "No event was found to differ from the release.", 3},
		{"one", pagetest.Many(1, 0), "in order: 1 entry. Nobody signs a log: it counts only where it leads to the signed values. " +
			"The first event that is not what the release expects is number 0.", 1},
		{"two", two, "The first event that is not what the release expects is number 1. After it 1 more event is marked.", 3},
		{"all fit", pagetest.Many(220, -1), "compared with a release.", 220},
		{"one too many", pagetest.Many(221, -1), "compared with a release.", 221},
		{"near the beginning", pagetest.Many(3000, 10), "is number 10.", 200 + 1 + 20},
		{"in the middle", pagetest.Many(3000, 1500), "is number 1500.", 200 + 1 + 61 + 1 + 20},
		{"at the end", pagetest.Many(3000, 2999), "is number 2999.", 200 + 1 + 31},
	} {
		intro, rows := logSection(t, c.events)
		if !strings.HasSuffix(intro, c.intro) || len(rows) != c.rows {
			t.Errorf("%s: got %q and %d rows, want %q and %d", c.name, intro, len(rows), c.intro, c.rows)
		}
	}
}

// TestFirstDivergence: the first event that differs is marked with words, with
// the digest that was expected.
func TestFirstDivergence(t *testing.T) {
	e := pagetest.Refused()
	_, rows := logSection(t, e.Events)
	for i, row := range rows {
		first, differs := strings.Contains(row, "first to differ"), strings.Contains(row, "differ")
		if first != (i == 26) || differs != (i == 26 || i == 28 || i == 37) {
			t.Errorf("row %d: got %q", i, row)
		}
	}
	for i, want := range map[int]string{26: "Expected: " + e.Events[26].Want, 37: "Expected: no such event"} {
		if !strings.HasSuffix(rows[i], want) {
			t.Errorf("row %d: got %q, want %q at its end", i, rows[i], want)
		}
	}
	if _, rows := logSection(t, pagetest.Many(3000, 1500)); !strings.HasPrefix(rows[200], "1270 events are left out") ||
		!strings.Contains(rows[231], "first to differ") || !strings.HasPrefix(rows[262], "1449 events are left out") {
		t.Errorf("got rows %q, %q and %q", rows[200], rows[231], rows[262])
	}
}
