package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// choice is another value of an axis than the expected one.
type choice[S any] struct {
	value  string // as in Change.Explains
	phrase string // "4 vCPUs instead of 1"
	set    func(*S)

	// rare values are left out of the product of more than two axes.
	rare bool
	// closes names the axes that mean nothing with this value.
	closes []string
}

// axis is a way in which a state S can differ.
type axis[S any] struct {
	name     string
	expected string
	choices  []choice[S]
}

// probe computes the values of a state and returns the changes that lead to the
// reported one: none if the state itself gives it, one if a neighbour does whose
// computation costs nothing more (the next vCPU). Found is false if no value is
// the reported one. Tried counts the values. A state that can't be measured gives
// an error; it is no neighbour.
type probe[S any] func(s S) (found bool, changes []Change, tried int, err error)

// search goes through the neighbours of a state.
type search[S any] struct {
	start S
	axes  []axis[S]
	probe probe[S]
	// most bounds the number of probes, as a full product of axes could be long.
	most int

	looks    int // states looked at
	probes   int // those for which a value was computed
	tried    int
	findings [][]Change
}

// run tries all neighbours with one changed axis, all with two, and if none of
// these gives the value, products of more axes without the rare choices.
func (s *search[S]) run() {
	s.descend(s.start, 0, nil, nil, 0)
	s.descend(s.start, 0, nil, nil, 1)
	s.descend(s.start, 0, nil, nil, 2)
	for n := 3; n <= len(s.axes) && len(s.findings) == 0; n++ {
		s.descend(s.start, 0, nil, nil, n)
	}
	if slices.ContainsFunc(s.findings, whole) {
		s.findings = slices.DeleteFunc(s.findings, func(c []Change) bool { return !whole(c) })
	}
	slices.SortStableFunc(s.findings, func(a, b []Change) int { return cmp.Compare(len(a), len(b)) })
}

// whole is false for changes that tell only what was not measured: they give way
// to those that say why.
func whole(changes []Change) bool {
	return !slices.ContainsFunc(changes, func(c Change) bool { return c.Axis == axisEvents })
}

// single tries the neighbours with one changed axis.
func (s *search[S]) single() { s.descend(s.start, 0, nil, nil, 1) }

// descend chooses n values out of the axes from index first on, in their order.
func (s *search[S]) descend(state S, first int, changes []Change, closed []string, n int) {
	if n == 0 {
		s.look(state, changes)
		return
	}
	wide := len(changes)+n > 2
	for i := first; i <= len(s.axes)-n; i++ {
		a := &s.axes[i]
		if slices.Contains(closed, a.name) {
			continue
		}
		for _, c := range a.choices {
			if s.over() {
				return
			}
			if wide && c.rare {
				continue
			}
			next := state
			c.set(&next)
			change := Change{Axis: a.name, Expected: a.expected, Explains: c.value, phrase: c.phrase}
			s.descend(next, i+1, append(slices.Clip(changes), change), append(slices.Clip(closed), c.closes...), n-1)
		}
	}
}

// over tells if the search has reached its bound. States that can't be measured
// cost little and count little.
func (s *search[S]) over() bool { return s.probes >= s.most || s.looks >= 20*s.most }

func (s *search[S]) look(state S, changes []Change) {
	s.looks++
	found, more, tried, err := s.probe(state)
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

// report puts the findings and what was searched into a result.
func (s *search[S]) report(r *Result, subject string, free ...Axis) {
	r.Tried += s.tried
	for _, a := range free {
		if a.Values > 0 {
			r.Searched = append(r.Searched, a)
		}
	}
	for _, a := range s.axes {
		if len(a.choices) > 0 {
			r.Searched = append(r.Searched, Axis{Name: a.name, Expected: a.expected, Values: len(a.choices)})
		}
	}
	for _, changes := range s.findings {
		r.Findings = append(r.Findings, Finding{Changes: changes, Sentence: sentence(r.Value, subject, changes)})
	}
	if s.over() {
		r.note("the search ended after %d combinations: not all were looked at", s.looks)
	}
}

// sentence says it in words. Subject is what is measured: "this launch".
func sentence(value, subject string, changes []Change) string {
	var parts []string
	for _, c := range changes {
		parts = append(parts, c.phrase)
	}
	return fmt.Sprintf("the reported %s is what %s gives with %s", noun(value), subject, join(parts))
}

// join makes "a, b and c".
func join(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	last := len(parts) - 1
	return strings.Join(parts[:last], ", ") + " and " + parts[last]
}

// instead is the phrase of an axis whose values need no other words.
func instead(what, value, expected string) string {
	return fmt.Sprintf("%s %s instead of %s", what, value, expected)
}
