package page_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"safebox/verifier/verdict/page/pagetest"
)

// sheet is the style of a page, as a browser gets it.
func sheet(t *testing.T) string {
	t.Helper()
	return find(parse(t, render(t, pagetest.Hostile().Verdict, nil)), "style", "")[0].FirstChild.Data
}

// schemes gives the colours of the light and the dark scheme by their names.
func schemes(t *testing.T) [2]map[string]pagetest.Colour {
	t.Helper()
	lists := regexp.MustCompile(`:root\{[^}]*\}`).FindAllString(sheet(t), -1)
	if len(lists) != 2 {
		t.Fatalf("got %d lists of colours, want 2", len(lists))
	}
	var out [2]map[string]pagetest.Colour
	for i, list := range lists {
		out[i] = map[string]pagetest.Colour{}
		for _, m := range regexp.MustCompile(`--([a-z-]+):#([0-9a-f]{6})`).FindAllStringSubmatch(list, -1) {
			var c pagetest.Colour
			if _, err := fmt.Sscanf(m[2], "%02x%02x%02x", &c[0], &c[1], &c[2]); err != nil {
				t.Fatal(err)
			}
			out[i][m[1]] = c
		}
	}
	return out
}

// TestContrast: every colour of text against everything that it stands on, in
// both schemes: WCAG 2.2, 1.4.3 (text) and 1.4.11 (edges that carry a state).
func TestContrast(t *testing.T) {
	for scheme, colours := range schemes(t) {
		if len(colours) != 15 {
			t.Errorf("scheme %d: got %d colours, want 15", scheme, len(colours))
		}
		for _, pair := range []string{
			"text page", "text card", "text bad-soft", "text wait-soft", "dim page", "dim card", "dim bad-soft", "dim wait-soft",
			"ok card", "ok wait-soft", "link wait-soft", "ok bad-soft", "bad page", "bad card", "bad bad-soft", "wait card", "wait bad-soft", "wait wait-soft",
			"link page", "link card", "link bad-soft", "mark mark-soft", "bad wait-soft", "cut ok", "cut bad",
		} {
			fore, back, _ := strings.Cut(pair, " ")
			if _, ok := colours[fore]; !ok {
				t.Fatalf("no colour %s", fore)
			}
			if _, ok := colours[back]; !ok {
				t.Fatalf("no colour %s", back)
			}
			if got := pagetest.Contrast(colours[fore], colours[back]); got < pagetest.EnoughContrast {
				t.Errorf("scheme %d: contrast of %s is %.2f, want %.1f", scheme, pair, got, pagetest.EnoughContrast)
			}
		}
	}
}

// TestContrastFormula compares with published ratios: WebAIM's contrast
// checker gives 21 for black on white, 4.48 for #777777 and 4.54 for #767676 on
// white, 8.59 for blue on white.
func TestContrastFormula(t *testing.T) {
	white := pagetest.Colour{255, 255, 255}
	for want, c := range map[string]pagetest.Colour{
		"21.00": {}, "4.48": {0x77, 0x77, 0x77}, "4.54": {0x76, 0x76, 0x76}, "8.59": {0, 0, 255}, "1.00": white,
	} {
		for _, got := range []float64{pagetest.Contrast(c, white), pagetest.Contrast(white, c)} {
			if fmt.Sprintf("%.2f", got) != want {
				t.Errorf("%v: got %.2f, want %s", c, got, want)
			}
		}
	}
}

// TestStyle: the style fetches nothing, takes its colours from the two lists,
// and has a rule for every class but those that only name a column.
func TestStyle(t *testing.T) {
	css := sheet(t)
	for _, banned := range []string{"url(", "@import", "@font-face", "expression(", "<", "http:", "https:"} {
		if strings.Contains(css, banned) {
			t.Errorf("the style has %s", banned)
		}
	}
	rules := css[strings.LastIndex(css, ":root{"):]
	rules = rules[strings.Index(rules, "}"):]
	for _, m := range regexp.MustCompile(`color:([^;}]*)`).FindAllStringSubmatch(rules, -1) {
		if !strings.HasPrefix(m[1], "var(--") && m[1] != "inherit" {
			t.Errorf("a colour of its own: %s", m[0])
		}
	}
	for _, e := range pagetest.Examples() {
		var classes []string
		for n := range parse(t, render(t, e.Verdict, e.Events)).Descendants() {
			for _, c := range strings.Fields(attribute(n, "class")) {
				if !slices.Contains(classes, c) {
					classes = append(classes, c)
				}
			}
		}
		for _, c := range classes {
			if !regexp.MustCompile(`\.` + c + `[^a-z-]`).MatchString(css) {
				t.Errorf("%s: class %s has no rule", e.Name, c)
			}
		}
	}
}
