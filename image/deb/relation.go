package deb

import (
	"fmt"
	"regexp"
	"strings"
)

// Relation names a package that another one needs or stands for: one
// alternative of a field such as Depends. Policy 7.1.
type Relation struct {
	Name         string
	Architecture string // behind a colon, such as "any"; empty if none
	Operator     string // "<<", "<=", "=", ">=" or ">>"; empty if any version will do
	Version      string // empty if Operator is
}

// ParseRelations reads a field such as Depends or Provides of a binary package:
// Policy 7.1. The groups are separated by commas and all needed; one of the
// alternatives in each is enough.
func ParseRelations(field string) ([][]Relation, error) {
	form := regexp.MustCompile(`^([^\s:()]+)(?::([^\s:()]+))?(?:\s*\(\s*(<<|<=|=|>=|>>)\s*([^\s()]+)\s*\))?$`)
	var groups [][]Relation
	for group := range strings.SplitSeq(field, ",") {
		var alternatives []Relation
		for item := range strings.SplitSeq(group, "|") {
			m := form.FindStringSubmatch(strings.TrimSpace(item))
			if m == nil {
				return nil, fmt.Errorf("got %.60q, want a name, or a name and a version such as (>= 1.0)", item)
			}
			r := Relation{Name: m[1], Architecture: m[2], Operator: m[3], Version: m[4]}
			if !ValidName(r.Name) || (r.Architecture != "" && !ValidArchitecture(r.Architecture)) || (r.Operator != "" && !ValidVersion(r.Version)) {
				return nil, fmt.Errorf("got %.60q, want values as the Debian Policy has them", item)
			}
			alternatives = append(alternatives, r)
		}
		groups = append(groups, alternatives)
	}
	return groups, nil
}

// String is the relation as a field has it.
func (r Relation) String() string {
	s := r.Name
	if r.Architecture != "" {
		s += ":" + r.Architecture
	}
	if r.Operator != "" {
		s += " (" + r.Operator + " " + r.Version + ")"
	}
	return s
}

// Accepts tells whether the version is one that the relation asks for. It must
// be valid (ValidVersion).
func (r Relation) Accepts(version string) bool {
	switch r.Operator {
	case "":
		return true
	case "<<":
		return CompareVersions(version, r.Version) < 0
	case "<=":
		return CompareVersions(version, r.Version) <= 0
	case "=":
		return CompareVersions(version, r.Version) == 0
	case ">=":
		return CompareVersions(version, r.Version) >= 0
	case ">>":
		return CompareVersions(version, r.Version) > 0
	default: // no field can say it
		return false
	}
}
