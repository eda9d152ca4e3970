package page_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"safebox/verifier/verdict"
	"safebox/verifier/verdict/page"
	"safebox/verifier/verdict/page/pagetest"
)

func render(t testing.TB, v *verdict.Verdict, events []page.Event) []byte {
	t.Helper()
	b, err := page.Render(v, events)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parse(t testing.TB, b []byte) *html.Node {
	t.Helper()
	n, err := html.Parse(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// text is what a reader sees of a node; tags leave no space.
func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent.Data != "style" {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

// find gives the elements with a name and, if it is not empty, a class.
func find(root *html.Node, name, class string) []*html.Node {
	var list []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && n.Data == name &&
			(class == "" || slices.Contains(strings.Fields(attribute(n, "class")), class)) {
			list = append(list, n)
		}
	}
	return list
}

// one gives the text of the only such element.
func one(t *testing.T, root *html.Node, name, class string) string {
	t.Helper()
	list := find(root, name, class)
	if len(list) != 1 {
		t.Fatalf("got %d elements %s.%s, want 1", len(list), name, class)
	}
	return text(list[0])
}

// TestSummary compares what stands on top with sentences written by hand.
func TestSummary(t *testing.T) {
	accepted := pagetest.Accepted().Verdict
	raw := pagetest.Accepted().Verdict
	raw.Release, raw.Challenge, raw.Waived, raw.Checks = "", "", nil, raw.Checks[:1]
	recording := pagetest.Accepted().Verdict
	recording.Challenge, recording.Waived = "", nil
	two := pagetest.Accepted().Verdict
	two.OK, two.Checks[3].OK, two.Checks[4].OK = false, false, false
	late := pagetest.Accepted().Verdict
	late.OK, late.Checks[3].OK = false, false
	for _, c := range []struct {
		name, title, lead string
		v                 *verdict.Verdict
	}{
		{"accepted", "Accepted", "Your policy trusts this machine with your data: all 50 checks passed. 7 things were not checked: is that what you want?", accepted},
		{
			"raw", "Accepted", "Your policy accepts this evidence: the only check passed. It was not compared with a release. " +
				"It answers no challenge of Safebox: unless you chose its data, it may be a recording.", raw,
		},
		{
			"recording", "Accepted", "Your policy accepts this evidence: all 50 checks passed. It answers no challenge of Safebox: unless you chose its data, it may be a recording.",
			recording,
		},
		{"two", "Refused", "Don’t give your data to this machine: nothing shows that “platform is accepted” (PLAT-1). 1 more check failed.", two},
		{"one", "Refused", "Don’t give your data to this machine: nothing shows that “platform is accepted” (PLAT-1).", late},
		{
			"refused", "Refused", "Don’t give your data to this machine: nothing shows that “challenge is alive” (FR-3). 3 more checks failed.",
			pagetest.Refused().Verdict,
		},
		{
			"unreached", "Refused", "Don’t give your data to this machine: nothing shows that “list of revoked certificates is fresh” (SNP-C5). " +
				"4 more checks failed. 5 checks were not reached because of that.", pagetest.Unreached().Verdict,
		},
		{
			"empty", "Refused", "Don’t give your data to this machine: the verdict is no acceptance, and no check in it says why. Treat it as a refusal.",
			new(verdict.Verdict),
		},
	} {
		root := parse(t, render(t, c.v, nil))
		if got := one(t, root, "h1", ""); got != c.title {
			t.Errorf("%s: got heading %q, want %q", c.name, got, c.title)
		}
		if got := one(t, root, "title", ""); got != c.title+": verdict of Safebox" {
			t.Errorf("%s: got title %q", c.name, got)
		}
		if got := one(t, root, "p", "lead"); got != c.lead {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.lead)
		}
	}
	root := parse(t, render(t, accepted, nil))
	want := "Platformvirtual TPM (vTPM)Checked as of21 November 2026, 07:17:04 UTCPolicytestChecks50 passed, 0 failed, 0 not reached; 1 leaves something open"
	if got := strings.ReplaceAll(one(t, root, "dl", "facts"), "\n", ""); got != want {
		t.Errorf("got facts\n%s\nwant\n%s", got, want)
	}
}

// TestContradiction: a verdict that is not an acceptance in every respect is
// shown as a refusal.
func TestContradiction(t *testing.T) {
	if _, err := page.Render(nil, nil); err == nil {
		t.Error("no verdict: got a page")
	}
	for name, change := range map[string]func(*verdict.Verdict){
		"ok is false":            func(v *verdict.Verdict) { v.OK = false },
		"no checks":              func(v *verdict.Verdict) { v.Checks = nil },
		"a check failed":         func(v *verdict.Verdict) { v.Checks[49].OK = false },
		"a check is not reached": func(v *verdict.Verdict) { v.Checks[0].OK, v.Checks[0].Reached = false, false },
	} {
		v := pagetest.Accepted().Verdict
		change(v)
		b := render(t, v, nil)
		root := parse(t, b)
		if got := one(t, root, "h1", ""); got != "Refused" || bytes.Contains(b, []byte("Accepted")) {
			t.Errorf("%s: got heading %q, want Refused and nothing of an acceptance", name, got)
		}
		links := find(root, "li", "link")
		if last := text(links[len(links)-1]); strings.HasPrefix(strings.TrimSpace(last), "passed") {
			t.Errorf("%s: the release of keys passed", name)
		}
	}
}

// TestEverythingIsShown: no check, value, hint, waiver or digest of the
// examples is left out of the page.
func TestEverythingIsShown(t *testing.T) {
	for _, e := range []pagetest.Example{pagetest.Accepted(), pagetest.Refused(), pagetest.Unreached()} {
		root := parse(t, render(t, e.Verdict, e.Events))
		all := text(root)
		rows := map[string]string{}
		for _, r := range find(root, "tr", "") {
			if ids := find(r, "span", "id"); len(ids) == 1 {
				rows[text(ids[0])] = text(r)
			}
		}
		if len(rows) != len(e.Verdict.Checks) {
			t.Errorf("%s: got %d rows, want %d", e.Name, len(rows), len(e.Verdict.Checks))
		}
		for _, c := range e.Verdict.Checks {
			for _, want := range []string{c.Name, c.Want, c.Got, c.Hint, c.Source} {
				if !strings.Contains(rows[c.ID], want) {
					t.Errorf("%s: row of %s: got %q, want %q in it", e.Name, c.ID, rows[c.ID], want)
				}
			}
		}
		for _, w := range e.Verdict.Waived {
			if !strings.Contains(all, w.What+" decided by: "+w.Reason) {
				t.Errorf("%s: waiver of %q is not shown", e.Name, w.What)
			}
		}
		v := e.Verdict
		for _, want := range []string{v.Evidence, v.Bundle, v.Policy, v.Challenge, v.Release, v.Collateral, v.Type, v.At} {
			if !strings.Contains(all, want) {
				t.Errorf("%s: %q is not shown", e.Name, want)
			}
		}
		for _, ev := range e.Events {
			if !strings.Contains(all, ev.Digest) || !strings.Contains(all, ev.Description) {
				t.Errorf("%s: event %d is not shown", e.Name, ev.Index)
			}
		}
	}
}

// TestFailures: what failed by itself comes first, each with its hint; what was
// not reached follows.
func TestFailures(t *testing.T) {
	root := parse(t, render(t, pagetest.Unreached().Verdict, nil))
	var ids []string
	for _, a := range find(root, "article", "failure") {
		ids = append(ids, text(find(a, "span", "id")[0]))
	}
	if got, want := strings.Join(ids, " "), "SNP-C5 SNP-B1 SNP-B2 SNP-P1 SNP-T2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	want := "not reachedThese checks had nothing to look at, because an earlier one failed. They have not passed either.\n\n" +
		"SNP-S1 report is signed by the chip\nSNP-D1 report answers the challenge\nSNP-M1 measurement is the release's\n" +
		"SNP-M2 host data is the configuration's\nSNP-I1 chip is on the list\n"
	if got := one(t, root, "div", "unreached"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestMarks: the part that differs is marked, where failures are listed and in
// the table. The examples' values differ in these bytes.
func TestMarks(t *testing.T) {
	want := map[string]string{
		"SNP-B2": "6b ff", "REL-2": "f2b47e ffffff", "TPM-R11-sha256": "06 0e",
		"TPM-R4-sha256": "ad2be2fc5920cee67a70885ae474125dc9e1c25ad500066474917166fec04b15 " +
			"9e1c52ad5920cee67a70885ae474125dc9e1c25ad500066474917166fe77a0c3",
	}
	seen := 0
	for _, e := range []pagetest.Example{pagetest.Refused(), pagetest.Unreached()} {
		root := parse(t, render(t, e.Verdict, nil))
		for _, n := range append(find(root, "article", "failure"), find(root, "tr", "bad")...) {
			var marks []string
			for _, m := range find(n, "mark", "") {
				marks = append(marks, text(m))
			}
			id := text(find(n, "span", "id")[0])
			if got := strings.Join(marks, " "); got != want[id] {
				t.Errorf("%s: got marks %q, want %q", id, got, want[id])
			}
			seen++
		}
	}
	if seen != 2*(4+5) { // failed checks of the two examples, in both places
		t.Errorf("got %d failed checks", seen)
	}
}

// TestPolicyOfThePage: the page allows itself its own style and nothing else.
func TestPolicyOfThePage(t *testing.T) {
	root := parse(t, render(t, pagetest.Accepted().Verdict, nil))
	sum := sha256.Sum256([]byte(find(root, "style", "")[0].FirstChild.Data))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
	meta := find(root, "meta", "")
	if got := attribute(meta[1], "content"); attribute(meta[1], "http-equiv") != "Content-Security-Policy" || got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := attribute(find(root, "html", "")[0], "lang"); got != "en" {
		t.Errorf("got language %q", got)
	}
}

// TestSame: equal input, equal bytes; a page of one verdict is not that of
// another.
func TestSame(t *testing.T) {
	for _, e := range pagetest.Examples() {
		if !bytes.Equal(render(t, e.Verdict, e.Events), render(t, e.Verdict, e.Events)) {
			t.Errorf("%s: two renderings differ", e.Name)
		}
	}
	v := pagetest.Accepted().Verdict
	before := render(t, v, nil)
	v.Checks[7].Got += "x"
	if bytes.Equal(before, render(t, v, nil)) {
		t.Error("a change of a value is not seen")
	}
}

// TestBounded: what a machine may send without end does not make an endless
// page, and the page says what it leaves out.
func TestBounded(t *testing.T) {
	v := pagetest.Unreached().Verdict
	v.Checks[0].Got = strings.Repeat("é", 8<<20)
	b := render(t, v, pagetest.Many(100000, 50000))
	if len(b) > 1<<20 {
		t.Errorf("got %d bytes, want at most %d", len(b), 1<<20)
	}
	for _, want := range []string{
		fmt.Sprint(16<<20-4096) + " bytes more",
		"49770 events are left out here", // from 200 to 49969
		"49949 events are left out here", // from 50031 to 99979
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func BenchmarkRender(b *testing.B) {
	e := pagetest.Refused()
	for b.Loop() {
		if _, err := page.Render(e.Verdict, e.Events); err != nil {
			b.Fatal(err)
		}
	}
}
