package browser

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"safebox/verifier/verdict/page"
	"safebox/verifier/verdict/page/pagetest"
)

var screenshots = flag.String("screenshots", "", "folder for pictures of every page on every screen")

func render(t *testing.T, e pagetest.Example) []byte {
	t.Helper()
	b, err := page.Render(e.Verdict, e.Events)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "verdict.html")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestVerdictPage looks at every example on every screen.
func TestVerdictPage(t *testing.T) {
	tab := start(t).open()
	for _, e := range pagetest.Examples() {
		path := write(t, render(t, e))
		want := "Refused"
		if e.Name == "accepted" {
			want = "Accepted"
		}
		for _, s := range []screen{phone(), desktop()} {
			light := tab.look(path, s)
			faults := append(light.Faults, tab.spoken(want, e)...)
			if !strings.HasPrefix(light.Title, want+":") || !strings.Contains(light.Text, want) {
				t.Errorf("%s, %s: got title %q, want %s in title and text", e.Name, s.name, light.Title, want)
			}
			tab.picture(e.Name + "-" + s.name + "-light.png")
			day := tab.background()
			tab.media("", "dark")
			if night := tab.background(); night == day {
				t.Errorf("%s, %s: the page is %s in light and in dark colours", e.Name, s.name, day)
			}
			for _, f := range append(faults, tab.examine(s.width).Faults...) {
				t.Errorf("%s, %s: %s", e.Name, s.name, f)
			}
			tab.picture(e.Name + "-" + s.name + "-dark.png")
		}
		tab.checkBetween(e.Name)
		tab.checkPrint(e.Name)
	}
	tab.checkKeyboard(write(t, render(t, pagetest.Refused())))
}

// background is the colour behind everything.
func (t *tab) background() string {
	t.t.Helper()
	var colour string
	t.evaluate(t.session, "getComputedStyle(document.body).backgroundColor", &colour)
	return colour
}

// picture writes what is shown, if pictures are wanted.
func (t *tab) picture(name string) {
	t.t.Helper()
	if *screenshots != "" {
		t.screenshot(filepath.Join(*screenshots, name))
	}
}

// TestFaultsAreSeen: what TestVerdictPage looks for, it finds.
func TestFaultsAreSeen(t *testing.T) {
	tab := start(t).open()
	good := render(t, pagetest.Accepted())
	for _, fault := range []struct{ insert, want string }{
		{`<script>document.title = "Refused"</script>`, "script: "},
		{`<script>1</script>`, "console: Log.entryAdded"},
		{`<p style="margin:1px">x</p>`, "issue: "},
		{`<img src="picture.png" alt="x">`, "console: Log.entryAdded"},
		{`<img src="http://safebox.invalid/x.png" alt="x">`, "console: Log.entryAdded"},
		{`<hr width="1400">`, "overflow: page is"},
		{`<font color="#777777">pale</font>`, "contrast: "},
		{`<details><summary>x</summary><p>hidden</p></details>`, "clipped: no box"},
		{`<p class="none">nothing is wrong with this</p>`, ""},
	} {
		bad := bytes.Replace(good, []byte("</main>"), []byte(fault.insert+"</main>"), 1)
		if bytes.Equal(bad, good) {
			t.Fatal("nothing was inserted")
		}
		seen := tab.look(write(t, bad), desktop())
		found := slices.ContainsFunc(seen.Faults, func(f string) bool { return strings.HasPrefix(f, fault.want) })
		if fault.want == "" && len(seen.Faults) > 0 || fault.want != "" && !found {
			t.Errorf("%s: got %q, want %q", fault.insert, seen.Faults, fault.want)
		}
		if strings.HasPrefix(seen.Title, "Refused") {
			t.Errorf("%s: the script ran", fault.insert)
		}
	}
	// Without its policy the page would load what it names: requests are seen.
	open := bytes.Replace(good, []byte("default-src 'none';"), nil, 1)
	open = bytes.Replace(open, []byte("</main>"), []byte(`<img src="picture.png" alt="x"></main>`), 1)
	seen := tab.look(write(t, open), phone())
	if !slices.ContainsFunc(seen.Faults, func(f string) bool { return strings.HasPrefix(f, "request: file:") }) {
		t.Errorf("a request was not seen: %q", seen.Faults)
	}
}

// node is a part of what a screen reader is given.
type node struct {
	Ignored bool `json:"ignored"`
	Role    struct {
		Value string `json:"value"`
	} `json:"role"`
	Name struct {
		Value string `json:"value"`
	} `json:"name"`
	Properties []struct {
		Name  string `json:"name"`
		Value struct {
			Value json.RawMessage `json:"value"`
		} `json:"value"`
	} `json:"properties"`
}

// spoken checks the tree of what is read aloud: headings with their levels, the
// chain as a list with a name, tables that are tables on a phone too.
func (t *tab) spoken(verdict string, e pagetest.Example) []string {
	t.t.Helper()
	var tree struct {
		Nodes []node `json:"nodes"`
	}
	t.call(t.session, "Accessibility.getFullAXTree", map[string]any{}, &tree)
	var headings []string
	roles := map[string]int{}
	chain := false
	for _, n := range tree.Nodes {
		if n.Ignored {
			continue
		}
		roles[n.Role.Value]++
		chain = chain || n.Role.Value == "list" && strings.HasPrefix(n.Name.Value, "Chain of trust")
		for _, p := range n.Properties {
			if n.Role.Value == "heading" && p.Name == "level" {
				headings = append(headings, string(p.Value.Value)+" "+n.Name.Value)
			}
		}
	}
	var faults []string
	for _, want := range []string{"1 " + verdict, "2 What was not checked", "2 The chain of trust", "2 All checks", "2 Event log", "2 What was checked"} {
		if !slices.Contains(headings, want) {
			faults = append(faults, fmt.Sprintf("no heading %q among %q", want, firstFew(headings)))
		}
	}
	if !chain {
		faults = append(faults, "the chain is no list with a name")
	}
	if roles["main"] != 1 || roles["contentinfo"] != 1 {
		faults = append(faults, fmt.Sprintf("got %d main and %d contentinfo, want one of each", roles["main"], roles["contentinfo"]))
	}
	if len(e.Verdict.Checks) > 0 && (roles["table"] == 0 || roles["columnheader"] < 4 || roles["rowheader"] != len(e.Verdict.Checks)) {
		faults = append(faults, fmt.Sprintf("got %d tables, %d column headers, %d row headers for %d checks",
			roles["table"], roles["columnheader"], roles["rowheader"], len(e.Verdict.Checks)))
	}
	return faults
}

// checkBetween looks at the page in windows of other widths: the smallest
// phones, and both sides of each width at which the layout changes.
func (t *tab) checkBetween(name string) {
	t.t.Helper()
	for _, width := range []int{320, 767, 768, 1151, 1152} {
		t.resize(width, 800)
		for _, f := range t.examine(width).Faults {
			t.t.Errorf("%s, %d pixels wide: %s", name, width, f)
		}
	}
}

// checkPrint looks at the page as it would be printed by somebody who
// otherwise prefers dark colours.
func (t *tab) checkPrint(name string) {
	t.t.Helper()
	const paper = 688 // A4 without its margins, in CSS pixels
	t.resize(paper, 1000)
	t.media("print", "dark")
	for _, f := range t.examine(paper).Faults {
		t.t.Errorf("%s, printed: %s", name, f)
	}
	var body string
	t.evaluate(t.session, "getComputedStyle(document.body).color", &body)
	if ratio, err := contrast(body, "rgb(255, 255, 255)"); err != nil || ratio < pagetest.EnoughContrast {
		t.t.Errorf("%s, printed: text is %s on paper (%v)", name, body, err)
	}
	t.picture(name + "-print.png")
	t.media("", "light")
}

// checkKeyboard walks through the page with the Tab key: every link is
// reached, in order, and shows that it is.
func (t *tab) checkKeyboard(path string) {
	t.t.Helper()
	t.look(path, desktop())
	var want []string
	t.evaluate(t.session, "[...document.querySelectorAll('a')].map(a => a.textContent)", &want)
	if len(want) == 0 {
		t.t.Fatal("keyboard: no link on the page")
	}
	for _, link := range want {
		for _, kind := range []string{"rawKeyDown", "keyUp"} {
			t.call(t.session, "Input.dispatchKeyEvent", map[string]any{"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}, nil)
		}
		var at struct{ Text, Outline string }
		t.evaluate(t.session, "({text: document.activeElement.textContent, outline: getComputedStyle(document.activeElement).outlineStyle})", &at)
		if at.Text != link || at.Outline != "solid" {
			t.t.Fatalf("keyboard: at %.50q with outline %s, want link %q with a solid one", at.Text, at.Outline, link)
		}
	}
}
