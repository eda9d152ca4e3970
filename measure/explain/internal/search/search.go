// Package search finds the neighbours of an expected state that give a reported
// value: those that differ in one axis, then in two, then in products of more. It
// knows nothing of what is measured: a platform says which axes there are and
// computes the values of a state.
package search

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"safebox/measure/explain"
)

// Choice is another value of an axis than the expected one.
type Choice[S any] struct {
	Value  string // as in explain.Change.Explains
	Phrase string // "4 vCPUs instead of 1"
	Set    func(*S)

	// Rare values are left out of the product of more than two axes.
	Rare bool
	// Closes names the axes that mean nothing with this value.
	Closes []string
}

// Axis is a way in which a state S can differ.
type Axis[S any] struct {
	Name     string
	Expected string
	Choices  []Choice[S]
}

// Change is a change that explains, with the words for a sentence.
type Change struct {
	explain.Change
	Phrase string // as Choice.Phrase

	// Partial changes tell only what was not measured: they give way to those that
	// say why.
	Partial bool
}

// Probe computes the values of a state and returns the changes that lead to the
// reported one: none if the state itself gives it, one if a neighbour does whose
// computation costs nothing more (the next vCPU). Found is false if no value is
// the reported one. Tried counts the values. A state that can't be measured gives
// an error; it is no neighbour.
type Probe[S any] func(s S) (found bool, changes []Change, tried int, err error)

// Space is a state and the axes that lead away from it. It is searched once.
type Space[S any] struct {
	Start S
	Axes  []Axis[S] // those first that make others meaningless
	Probe Probe[S]
	// Most bounds the number of probes, as a full product of axes could be long.
	Most int

	looks    int // states looked at
	probes   int // those for which a value was computed
	tried    int
	findings [][]Change
}

// Search tries all neighbours with one changed axis, all with two, and if none of
// these gives the value, products of more axes without the rare choices.
func (s *Space[S]) Search() {
	s.descend(s.Start, 0, nil, nil, 0)
	s.descend(s.Start, 0, nil, nil, 1)
	s.descend(s.Start, 0, nil, nil, 2)
	for n := 3; n <= len(s.Axes) && len(s.findings) == 0; n++ {
		s.descend(s.Start, 0, nil, nil, n)
	}
	if slices.ContainsFunc(s.findings, whole) {
		s.findings = slices.DeleteFunc(s.findings, func(c []Change) bool { return !whole(c) })
	}
	slices.SortStableFunc(s.findings, func(a, b []Change) int { return cmp.Compare(len(a), len(b)) })
}

// SearchSingle tries the neighbours with one changed axis.
func (s *Space[S]) SearchSingle() { s.descend(s.Start, 0, nil, nil, 1) }

// Tried is the number of values that were computed. If it is none, no state can be
// measured.
func (s *Space[S]) Tried() int { return s.tried }

// Report puts the findings and what was searched into a result. Subject is what is
// measured: "this launch". Free are the axes of the probe itself.
func (s *Space[S]) Report(r *explain.Result, subject string, free ...explain.Axis) {
	for _, a := range free {
		if a.Values > 0 {
			r.Searched = append(r.Searched, a)
		}
	}
	for _, a := range s.Axes {
		if len(a.Choices) > 0 {
			r.Searched = append(r.Searched, explain.Axis{Name: a.Name, Expected: a.Expected, Values: len(a.Choices)})
		}
	}
	s.ReportFindings(r, fmt.Sprintf("the reported %s is what %s gives with", r.Noun(), subject))
	if s.over() {
		r.Note("the search ended after %d combinations: not all were looked at", s.looks)
	}
}

// ReportFindings puts the findings alone into a result, in sentences that begin in
// this way.
func (s *Space[S]) ReportFindings(r *explain.Result, beginning string) {
	r.Tried += s.tried
	for _, changes := range s.findings {
		f := explain.Finding{}
		var phrases []string
		for _, c := range changes {
			f.Changes = append(f.Changes, c.Change)
			phrases = append(phrases, c.Phrase)
		}
		f.Sentence = beginning + " " + join(phrases)
		r.Findings = append(r.Findings, f)
	}
}

// whole is false for changes of which one is partial.
func whole(changes []Change) bool {
	return !slices.ContainsFunc(changes, func(c Change) bool { return c.Partial })
}

// descend chooses n values out of the axes from index first on, in their order.
func (s *Space[S]) descend(state S, first int, changes []Change, closed []string, n int) {
	if n == 0 {
		s.look(state, changes)
		return
	}
	wide := len(changes)+n > 2
	for i := first; i <= len(s.Axes)-n; i++ {
		a := &s.Axes[i]
		if slices.Contains(closed, a.Name) {
			continue
		}
		for _, c := range a.Choices {
			if s.over() {
				return
			}
			if wide && c.Rare {
				continue
			}
			next := state
			c.Set(&next)
			change := Change{Change: explain.Change{Axis: a.Name, Expected: a.Expected, Explains: c.Value}, Phrase: c.Phrase}
			s.descend(next, i+1, append(slices.Clip(changes), change), append(slices.Clip(closed), c.Closes...), n-1)
		}
	}
}

// over tells if the search has reached its bound. States that can't be measured
// cost little and count little.
func (s *Space[S]) over() bool { return s.probes >= s.Most || s.looks >= 20*s.Most }

func (s *Space[S]) look(state S, changes []Change) {
	s.looks++
	found, more, tried, err := s.Probe(state)
	if tried > 0 {
		s.probes++
		s.tried += tried
	}
	if err != nil || !found {
		return // a launch that a VMM would refuse explains nothing
	}
	all := append(slices.Clip(changes), more...)
	if len(all) == 0 {
		return // nothing differs
	}
	for _, known := range s.findings {
		if covers(all, known) {
			return
		}
	}
	s.findings = append(s.findings, all)
}

// covers tells if list holds all of part: what more it changes has no effect.
func covers(list, part []Change) bool {
	for _, p := range part {
		if !slices.Contains(list, p) {
			return false
		}
	}
	return true
}

// join makes "a, b and c".
func join(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	last := len(parts) - 1
	return strings.Join(parts[:last], ", ") + " and " + parts[last]
}

// Instead is the phrase of an axis whose values need no other words.
func Instead(what, value, expected string) string {
	return fmt.Sprintf("%s %s instead of %s", what, value, expected)
}
