package differential

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"safebox/verifier/verdict"
)

// outcome is what a verifier said of a case.
type outcome struct {
	verdict string // accepts, refuses or panics
	why     string // checks that failed, or the text of the error
}

// Verdicts of an outcome.
const (
	accepts = "accepts"
	refuses = "refuses"
	panics  = "panics" // which is a refusal of the caller's whole process
)

func (o outcome) String() string { return strings.TrimSpace(o.verdict + " " + o.why) }

func (o outcome) accepted() bool { return o.verdict == accepts }

// ofVerdict is the outcome of our verifier: its checks that were reached and
// failed.
func ofVerdict(v *verdict.Verdict) outcome {
	if v.OK {
		return outcome{verdict: accepts}
	}
	var ids []string
	for _, c := range v.Failed() {
		if c.Reached {
			ids = append(ids, c.ID)
		}
	}
	return outcome{refuses, strings.Join(ids, " ")}
}

// run is the outcome of a library.
func run(verify func() error) (o outcome) {
	defer func() {
		if r := recover(); r != nil {
			o = outcome{panics, fmt.Sprint(r)}
		}
	}()
	if err := verify(); err != nil {
		return outcome{refuses, strings.ReplaceAll(err.Error(), "\n", " ")}
	}
	return outcome{verdict: accepts}
}

// pair is one case.
type pair struct {
	name         string
	ours, theirs outcome
}

// differ reports whether the case must be listed: one accepts and the other does
// not, or the library panics, with whatever the caller's process did besides.
func (p pair) differ() bool {
	return p.ours.accepted() != p.theirs.accepted() || p.theirs.verdict == panics
}

// difference is an entry of differences.txt.
type difference struct {
	library, cases string
	pattern        *regexp.Regexp // of cases
	ours, theirs   string
	row, why       string
	line           int
}

// keysOf lists the keys of an entry, in their order.
func keysOf(d *difference) []struct {
	key string
	to  *string
} {
	return []struct {
		key string
		to  *string
	}{{"library", &d.library}, {"cases", &d.cases}, {"ours", &d.ours}, {"theirs", &d.theirs}, {"row", &d.row}, {"why", &d.why}}
}

// readDifferences reads differences.txt: entries of six lines "key: value",
// with blank lines between them; # begins a comment line.
func readDifferences(text string) ([]difference, error) {
	var all []difference
	var d difference
	next := 0
	for i, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "#") || line == "" && next == 0 {
			continue
		}
		if next == 0 {
			d = difference{line: i + 1}
		}
		keys := keysOf(&d)
		key, value, ok := strings.Cut(line, ": ")
		if !ok || key != keys[next].key || value == "" {
			return nil, fmt.Errorf("line %d: got %q, want key %q", i+1, line, keys[next].key)
		}
		*keys[next].to = value
		if next++; next == len(keys) {
			d.pattern = glob(d.cases)
			all, next = append(all, d), 0
		}
	}
	if next != 0 {
		return nil, errors.New("the last entry is cut off")
	}
	return all, nil
}

// glob makes a pattern in which * stands for any text.
func glob(cases string) *regexp.Regexp {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(cases), `\*`, ".*") + "$")
}

// describes reports whether the entry says what happened.
func (d *difference) describes(p pair) bool {
	return p.differ() && p.ours.String() == d.ours && d.describesTheirs(p.theirs)
}

// describesTheirs compares a library's outcome: the word, and a part of the text.
func (d *difference) describesTheirs(o outcome) bool {
	word, text, _ := strings.Cut(d.theirs, ": ")
	return word == o.verdict && strings.Contains(o.why, text)
}

// judge gives what is wrong with a library's list of differences. What it lists
// must differ as it says, in every case that it names, and nothing else may.
func judge(list []difference, library string, pairs []pair) []string {
	var found []string
	used := make([]bool, len(list))
	for _, p := range pairs {
		entries := 0
		for i := range list {
			d := &list[i]
			if d.library != library || !d.pattern.MatchString(p.name) {
				continue
			}
			entries++
			used[i] = true
			if !d.describes(p) {
				found = append(found, fmt.Sprintf("differences.txt:%d: %s: listed as (%s | %s), got (%s | %s)", d.line, p.name, d.ours, d.theirs, p.ours, p.theirs))
			}
		}
		if entries > 1 {
			found = append(found, fmt.Sprintf("%s: %d entries of differences.txt name it", p.name, entries))
		}
		if entries == 0 && p.differ() {
			found = append(found, fmt.Sprintf("%s: a difference that is not listed: ours %s; theirs %s", p.name, p.ours, p.theirs))
		}
	}
	for i, d := range list {
		if d.library == library && !used[i] {
			found = append(found, fmt.Sprintf("differences.txt:%d: no case is named %q", d.line, d.cases))
		}
	}
	return found
}

// least is how many cases a comparison must have had, by what both said, so that
// it can't be one of nothing.
type least struct{ accepted, refused int }

// compare judges the cases of a library.
func compare(t *testing.T, library string, pairs []pair, want least) {
	t.Helper()
	text, err := os.ReadFile("differences.txt")
	if err != nil {
		t.Fatal(err)
	}
	list, err := readDifferences(string(text))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	var accepted, refused, differ int
	for _, p := range pairs {
		if names[p.name] {
			t.Errorf("%s: two cases of this name", p.name)
		}
		names[p.name] = true
		switch {
		case p.differ():
			differ++
		case p.ours.accepted():
			accepted++
		default:
			refused++
		}
	}
	for _, f := range judge(list, library, pairs) {
		t.Error(f)
	}
	t.Logf("%s: %d cases: both accept %d, both refuse %d, they differ on %d", library, len(pairs), accepted, refused, differ)
	row := regexp.MustCompile(fmt.Sprintf(`(?m)^\| %s [^|]*\| %d \| %d \| %d \| %d \|$`, regexp.QuoteMeta(library), len(pairs), accepted, refused, differ))
	if document, err := os.ReadFile("../../docs/differences.md"); err != nil || !row.Match(document) {
		t.Errorf("docs/differences.md: no row of these numbers (%v)", err)
	}
	if accepted < want.accepted || refused < want.refused {
		t.Errorf("both accept %d and both refuse %d, want at least %d and %d", accepted, refused, want.accepted, want.refused)
	}
}

// TestJudge: the list is no cover for anything else.
func TestJudge(t *testing.T) {
	yes, no := outcome{verdict: accepts}, outcome{refuses, "X-1"}
	theirs := outcome{refuses, "some long text"}
	entry := "library: l\ncases: a/*\nours: refuses X-1\ntheirs: accepts\nrow: X-1\nwhy: because\n"
	other := "\n# comment\nlibrary: l\ncases: b\nours: accepts\ntheirs: refuses: long\nrow: X-2\nwhy: because\n"
	for name, c := range map[string]struct {
		text  string
		pairs []pair
		want  int
	}{
		"agree":                 {"", []pair{{"a", yes, yes}, {"b", no, theirs}}, 0},
		"listed":                {entry + other, []pair{{"a/1", no, yes}, {"a/2", no, yes}, {"b", yes, theirs}}, 0},
		"not listed":            {"", []pair{{"b", yes, theirs}}, 1},
		"the other way":         {entry, []pair{{"a/1", yes, theirs}}, 1},
		"other check":           {entry, []pair{{"a/1", outcome{refuses, "X-1 X-2"}, yes}}, 1},
		"other text":            {other, []pair{{"b", yes, outcome{refuses, "short"}}}, 1},
		"panic for a refusal":   {other, []pair{{"b", yes, outcome{panics, "some long text"}}}, 1},
		"panic, both refuse":    {"", []pair{{"b", no, outcome{panics, "x"}}}, 1},
		"no longer":             {entry, []pair{{"a/1", no, theirs}}, 1},
		"no longer for one":     {entry, []pair{{"a/1", no, yes}, {"a/2", yes, yes}}, 1},
		"no case":               {entry, []pair{{"c", yes, yes}}, 1},
		"twice":                 {entry + "\n" + entry, []pair{{"a/1", no, yes}}, 1},
		"another library's":     {strings.Replace(entry, "library: l", "library: m", 1), []pair{{"a/1", no, yes}}, 1},
		"name that only begins": {other, []pair{{"b", yes, theirs}, {"bb", yes, theirs}}, 1},
	} {
		list, err := readDifferences(c.text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := judge(list, "l", c.pairs); len(got) != c.want {
			t.Errorf("%s: got %q, want %d", name, got, c.want)
		}
	}
	for _, text := range []string{"library: l\n", "cases: a\n", strings.Replace(entry, "why: because", "why: ", 1), strings.Replace(entry, "row", "rows", 1)} {
		if list, err := readDifferences(text); err == nil {
			t.Errorf("%q: got %d entries, want an error", text, len(list))
		}
	}
	if o := run(func() error { panic("x") }); o.verdict != panics || o.accepted() {
		t.Errorf("panic: got %v", o)
	}
}

// sorted lists the keys of a map.
func sorted[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
