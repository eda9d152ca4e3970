package deb

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The fields are those of gcc-14, libc6-dev, flex, perl-base and libelf1t64 in
// trixie's index, and one made up for the operators that these don't use.
func TestParseRelations(t *testing.T) {
	for _, tt := range []struct {
		field string
		want  [][]Relation
	}{
		{"gcc-14-base (= 14.2.0-19)", [][]Relation{{{"gcc-14-base", "", "=", "14.2.0-19"}}}},
		{"libc6 (= 2.41-12+deb13u4), libc-dev-bin (= 2.41-12+deb13u4), rpcsvc-proto", [][]Relation{
			{{"libc6", "", "=", "2.41-12+deb13u4"}}, {{"libc-dev-bin", "", "=", "2.41-12+deb13u4"}}, {{"rpcsvc-proto", "", "", ""}},
		}},
		{"debconf (>= 0.5) | debconf-2.0", [][]Relation{{{"debconf", "", ">=", "0.5"}, {"debconf-2.0", "", "", ""}}}},
		{"perl:any,\n libscalar-list-utils-perl(=1:1.63)", [][]Relation{{{"perl", "any", "", ""}}, {{"libscalar-list-utils-perl", "", "=", "1:1.63"}}}},
		{"a1 (<< 1), a2 (<= 2) , a3 (>> 3~)", [][]Relation{{{"a1", "", "<<", "1"}}, {{"a2", "", "<=", "2"}}, {{"a3", "", ">>", "3~"}}}},
	} {
		got, err := ParseRelations(tt.field)
		if err != nil {
			t.Errorf("%q: %v", tt.field, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q: %s", tt.field, diff)
		}
	}
}

func TestParseRelationsRefuses(t *testing.T) {
	for _, field := range []string{
		"", " ", "a1,", ",a1", "a1, , a2", "a1 |", "| a1", "a1 a2", "a", "A1", "a1 (1)", "a1 (> 1)", "a1 (< 1)", "a1 (== 1)",
		"a1 ()", "a1 (>=)", "a1 (>= 1", "a1 >= 1", "a1 (>= 1) (<< 2)", "a1 (>= x)", "a1 (>= 1) x", "a1:", "a1:Any", "a1 :any",
		"a1 [amd64]", "a1 <!nocheck>", "${shlibs:Depends}", "a1\x00",
	} {
		if got, err := ParseRelations(field); err == nil {
			t.Errorf("%q: got %v, want an error", field, got)
		}
	}
}

// What the relation says and what dpkg thinks of the same two versions.
func TestRelationAccepts(t *testing.T) {
	if _, err := exec.LookPath("dpkg"); err != nil {
		t.Fatal("dpkg is missing: run ci/setup")
	}
	versions := []string{"1.0-1", "1.0-1+b1", "1.0-1~deb13u1", "1:0.9"}
	accepted := 0
	for _, operator := range []string{"<<", "<=", "=", ">=", ">>"} {
		for _, have := range versions {
			for _, want := range versions {
				// dpkg --compare-versions: exit status 0 for true, 1 for false.
				err := exec.Command("dpkg", "--compare-versions", have, operator, want).Run()
				r := Relation{Name: "a1", Operator: operator, Version: want}
				if got := r.Accepts(have); got != (err == nil) {
					t.Errorf("%s with %s: got %v, dpkg says %v", r, have, got, err)
				}
				if err == nil {
					accepted++
				}
			}
		}
	}
	if accepted == 0 {
		t.Error("dpkg accepted nothing")
	}
	if !(Relation{Name: "a1"}).Accepts("1") || (Relation{Name: "a1", Operator: "~", Version: "1"}).Accepts("1") {
		t.Error("no operator takes any version, an unknown one none")
	}
}

func FuzzParseRelations(f *testing.F) {
	f.Add("libc6 (= 2.41-12+deb13u4), libc-dev-bin (= 2.41-12+deb13u4), rpcsvc-proto")
	f.Add("debconf (>= 0.5) | debconf-2.0, perl:any")
	f.Fuzz(func(t *testing.T, field string) {
		groups, err := ParseRelations(field)
		if err != nil {
			return
		}
		var text []string
		for _, g := range groups {
			var alternatives []string
			for _, r := range g {
				alternatives = append(alternatives, r.String())
			}
			text = append(text, strings.Join(alternatives, " | "))
		}
		again, err := ParseRelations(strings.Join(text, ", "))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(groups, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
