package compare

import (
	"fmt"
	"slices"
	"strings"
)

// element is a member of a JSON list that has a name.
type element struct {
	name  string
	place int // in the order in which elements are compared
	value map[string]any
}

// elements gives the members of a list by their names; nil unless all are
// objects with a name and no two have the same.
func elements(list []any) []element {
	named := make([]element, 0, len(list))
	seen := map[string]bool{}
	for _, v := range list {
		o, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		e := element{name: identity(o), value: o}
		if e.name == "" || seen[e.name] {
			return nil
		}
		seen[e.name] = true
		e.place = place(e)
		named = append(named, e)
	}
	return named
}

// identity is what names an object in the documents of a build: artifacts,
// registers and components have names, inputs a package, dependencies of a bill
// a reference, hashes an algorithm, and measurements, command lines and launches
// are known by platform and boot.
func identity(o map[string]any) string {
	text := func(name string) string {
		s, ok := o[name].(string)
		if !ok {
			return ""
		}
		return s
	}
	for _, name := range []string{"name", "package", "ref", "alg"} {
		if s := text(name); s != "" {
			return s
		}
	}
	var parts []string
	for _, name := range []string{"platform", "form", "boot", "bank"} {
		if s := text(name); s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, " ")
}

// place puts artifacts, in release.json and in a bill of materials, behind what
// they are made from and in the order of a build's files.
func place(e element) int {
	ref, isText := e.value["bom-ref"].(string)
	_, hashed := e.value["sha384"]
	if hashed || isText && strings.HasPrefix(ref, "file:") {
		return 1 + rank(e.name)
	}
	return 0
}

// namedLists compares by name: first what only one side has, which changes what
// follows, then the values, then the order.
func namedLists(a, b []element) *Difference {
	inA, inB := byName(a), byName(b)
	for _, e := range inOrder(b) {
		if _, ok := inA[e.name]; !ok {
			return onOneSide(clip(jsonText(e.value)), false).in(clip(e.name))
		}
	}
	for _, e := range inOrder(a) {
		if _, ok := inB[e.name]; !ok {
			return onOneSide(clip(jsonText(e.value)), true).in(clip(e.name))
		}
	}
	for _, e := range inOrder(b) {
		if d := jsonObjects(inA[e.name].value, e.value); d != nil {
			return d.in(clip(e.name))
		}
	}
	for i := range b {
		if a[i].name != b[i].name {
			return fact(fmt.Sprintf("order: element %d", i), a[i].name, b[i].name)
		}
	}
	return nil
}

func byName(list []element) map[string]element {
	m := make(map[string]element, len(list))
	for _, e := range list {
		m[e.name] = e
	}
	return m
}

func inOrder(list []element) []element {
	sorted := slices.Clone(list)
	slices.SortStableFunc(sorted, func(x, y element) int { return x.place - y.place })
	return sorted
}
