package lock

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"safebox/image/deb"
)

// DependencyError is a list of tools that is not complete: some of them need
// what none of them is.
type DependencyError struct {
	Missing []string // "NAME VERSION needs DEPENDENCY"
}

// Error is the message, in one line.
func (e *DependencyError) Error() string {
	return "tools: no tool satisfies a dependency: " + strings.Join(e.Missing, "; ")
}

// Hint says what the user can do.
func (e *DependencyError) Hint() string {
	return "write a tool line with version 0 into the lock file for each that is missing, and update again: docs/format-lock.md, Tools"
}

// omitted tells whether a dependency is left out on purpose. Tools are unpacked
// and never configured, so nobody asks the questions that debconf is for.
func omitted(name string) bool { return name == "debconf" }

// offer is a package that a tool is, or stands for: Policy 7.5.
type offer struct {
	version      string // empty of a virtual package without one
	architecture string
}

func (o offer) satisfies(r deb.Relation) bool {
	if r.Architecture != "" && r.Architecture != "any" && r.Architecture != o.architecture {
		return false
	}
	return r.Operator == "" || (o.version != "" && r.Accepts(o.version))
}

// checkTools tells whether the tools are all that they depend on. What they only
// recommend is no input: a tool that turns out to need it is seen to fail.
func checkTools(tools []deb.Control) error {
	offers, err := toolOffers(tools)
	if err != nil {
		return err
	}
	var missing []string
	for _, c := range tools {
		for _, field := range []string{"Pre-Depends", "Depends"} {
			groups, err := relations(c, field)
			if err != nil {
				return err
			}
			for _, alternatives := range groups {
				if !slices.ContainsFunc(alternatives, func(r deb.Relation) bool {
					return omitted(r.Name) || slices.ContainsFunc(offers[r.Name], func(o offer) bool { return o.satisfies(r) })
				}) {
					missing = append(missing, fmt.Sprintf("%s %s needs %s", c["Package"], c["Version"], alternativesText(alternatives)))
				}
			}
		}
	}
	if missing != nil {
		return &DependencyError{Missing: missing}
	}
	return nil
}

// toolOffers lists by name what the tools are and stand for.
func toolOffers(tools []deb.Control) (map[string][]offer, error) {
	offers := map[string][]offer{}
	for _, c := range tools {
		offers[c["Package"]] = append(offers[c["Package"]], offer{c["Version"], c["Architecture"]})
		groups, err := relations(c, "Provides")
		if err != nil {
			return nil, err
		}
		for _, g := range groups {
			if len(g) != 1 || (g[0].Operator != "" && g[0].Operator != "=") {
				return nil, fmt.Errorf("package %s %s: field Provides: got %q, want a name, or a name and (= VERSION)", c["Package"], c["Version"], alternativesText(g))
			}
			offers[g[0].Name] = append(offers[g[0].Name], offer{g[0].Version, c["Architecture"]})
		}
	}
	return offers, nil
}

// relations reads a field; one that is not there has no relations.
func relations(c deb.Control, field string) ([][]deb.Relation, error) {
	text, ok := c[field]
	if !ok {
		return nil, nil
	}
	groups, err := deb.ParseRelations(text)
	if err != nil {
		return nil, fmt.Errorf("package %s %s: field %s: %w", c["Package"], c["Version"], field, err)
	}
	return groups, nil
}

func alternativesText(alternatives []deb.Relation) string {
	list := make([]string, len(alternatives))
	for i, r := range alternatives {
		list[i] = r.String()
	}
	return strings.Join(list, " | ")
}

// controls returns the control fields of packages: those of the index for what
// it has, which are the package's own, and else the package's.
func (r *Resolver) controls(ctx context.Context, stanzas []deb.Control, list []Package) ([]deb.Control, error) {
	found := make([]deb.Control, len(list))
	for i, p := range list {
		at := slices.IndexFunc(stanzas, func(c deb.Control) bool { return c["Package"] == p.Name && c["SHA256"] == p.SHA256.String() })
		if at >= 0 {
			found[i] = stanzas[at]
			continue
		}
		name, err := r.Package(ctx, p)
		if err != nil {
			return nil, err
		}
		err = withPackage(name, p, func(d *deb.Package) error { found[i] = d.Control; return nil })
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}
