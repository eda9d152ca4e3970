package search

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/explain"
)

// digits is a state of three axes: what is measured is the number.
type digits [3]int

// axisOf has the choices 1 to n of a digit that is expected to be 0.
func axisOf(place, n int) Axis[digits] {
	a := Axis[digits]{Name: fmt.Sprintf("d%d", place), Expected: "0"}
	for v := 1; v <= n; v++ {
		a.Choices = append(a.Choices, Choice[digits]{
			Value: fmt.Sprint(v), Phrase: fmt.Sprintf("d%d %d instead of 0", place, v), Set: func(d *digits) { d[place] = v },
		})
	}
	return a
}

func threeAxes() []Axis[digits] { return []Axis[digits]{axisOf(0, 2), axisOf(1, 2), axisOf(2, 2)} }

// wants is the probe for one of some numbers.
func wants(reported ...digits) Probe[digits] {
	return func(d digits) (bool, []Change, int, error) {
		for _, r := range reported {
			if d == r {
				return true, nil, 1, nil
			}
		}
		return false, nil, 1, nil
	}
}

func report(t *testing.T, s *Space[digits], free ...explain.Axis) *explain.Result {
	t.Helper()
	r, err := explain.New("pcr4", []byte{0}, []byte{1})
	if err != nil {
		t.Fatal(err)
	}
	s.Report(r, "this number", free...)
	return r
}

func sentences(r *explain.Result) []string {
	var list []string
	for _, f := range r.Findings {
		list = append(list, f.Sentence)
	}
	return list
}

const beginning = "the reported PCR 4 is what this number gives with "

// TestSearch: fewest changes first, and no more changes than it takes.
func TestSearch(t *testing.T) {
	t.Parallel()
	rare, closed := threeAxes(), threeAxes()
	rare[1].Choices[1].Rare = true
	closed[0].Choices[0].Closes = []string{"d2"}
	partial := func(d digits) (bool, []Change, int, error) {
		if d == (digits{}) {
			return true, []Change{{Change: explain.Change{Axis: "events"}, Phrase: "no event", Partial: true}}, 1, nil
		}
		return false, nil, 1, nil
	}
	both := func(d digits) (bool, []Change, int, error) {
		if d == (digits{2}) {
			return true, nil, 1, nil
		}
		return partial(d)
	}
	for name, tt := range map[string]struct {
		axes  []Axis[digits]
		probe Probe[digits]
		want  []string
	}{
		"one change":        {threeAxes(), wants(digits{0, 2, 0}), []string{"d1 2 instead of 0"}},
		"two changes":       {threeAxes(), wants(digits{1, 2, 0}), []string{"d0 1 instead of 0 and d1 2 instead of 0"}},
		"three changes":     {threeAxes(), wants(digits{1, 2, 1}), []string{"d0 1 instead of 0, d1 2 instead of 0 and d2 1 instead of 0"}},
		"more than needed":  {threeAxes(), wants(digits{1, 0, 0}, digits{1, 0, 2}), []string{"d0 1 instead of 0"}},
		"fewest first":      {threeAxes(), wants(digits{1, 1, 0}, digits{0, 0, 1}), []string{"d2 1 instead of 0", "d0 1 instead of 0 and d1 1 instead of 0"}},
		"three left out":    {threeAxes(), wants(digits{2, 0, 0}, digits{1, 1, 1}), []string{"d0 2 instead of 0"}},
		"rare, two changes": {rare, wants(digits{1, 2, 0}), []string{"d0 1 instead of 0 and d1 2 instead of 0"}},
		"rare, three":       {rare, wants(digits{1, 2, 1}), nil},
		"closed":            {closed, wants(digits{1, 0, 1}), nil},
		"not closed":        {closed, wants(digits{2, 0, 1}), []string{"d0 2 instead of 0 and d2 1 instead of 0"}},
		"nothing differs":   {threeAxes(), wants(digits{}), nil},
		"partial":           {threeAxes(), partial, []string{"no event"}},
		"partial gives way": {threeAxes(), both, []string{"d0 2 instead of 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Space[digits]{Axes: tt.axes, Probe: tt.probe, Most: 100}
			s.Search()
			var want []string
			for _, w := range tt.want {
				want = append(want, beginning+w)
			}
			if diff := cmp.Diff(want, sentences(report(t, &s))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestSearchSingle: 6 states have one changed axis.
func TestSearchSingle(t *testing.T) {
	t.Parallel()
	s := Space[digits]{Axes: threeAxes(), Probe: wants(digits{1, 1, 0}), Most: 100}
	s.SearchSingle()
	if s.Tried() != 6 || len(report(t, &s).Findings) != 0 {
		t.Errorf("got %d values and %v, want 6 and no finding", s.Tried(), s.findings)
	}
}

// TestReport: of 3 axes with 2 choices there are 27 states, all of which are
// looked at in vain.
func TestReport(t *testing.T) {
	t.Parallel()
	s := Space[digits]{Axes: append(threeAxes(), Axis[digits]{Name: "without choices"}), Probe: wants(), Most: 100}
	s.Search()
	r := report(t, &s, explain.Axis{Name: "free", Expected: "1", Values: 7}, explain.Axis{Name: "free without values"})
	want := []string{"nothing explains the reported PCR 4: 27 values were tried, by free (7), d0 (2), d1 (2), d2 (2); " +
		"a hash does not tell what it was made from"}
	if diff := cmp.Diff(want, r.Summary()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestBound: states that can't be measured count a twentieth.
func TestBound(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		probe Probe[digits]
		most  int
		want  string
	}{
		"measured":     {wants(), 5, "the search ended after 5 combinations: not all were looked at"},
		"not measured": {func(digits) (bool, []Change, int, error) { return true, nil, 0, errors.New("refused") }, 1, "the search ended after 20 combinations: not all were looked at"},
	} {
		s := Space[digits]{Axes: threeAxes(), Probe: tt.probe, Most: tt.most}
		s.Search()
		r := report(t, &s)
		if len(r.Findings) != 0 || len(r.Notes) != 1 || r.Notes[0] != tt.want {
			t.Errorf("%s: got %v and %q, want no finding and %q", name, r.Findings, r.Notes, tt.want)
		}
	}
}
