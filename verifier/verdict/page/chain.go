package page

import (
	"strings"

	"safebox/verifier/verdict"
)

// chain draws the chain of trust: an ordered list of boxes, so that it is read
// aloud in its order and fits any width.
func (w *writer) chain(v *verdict.Verdict, groups []grouped) {
	w.raw("<section aria-labelledby=\"chain\">\n<h2 id=\"chain\">The chain of trust</h2>\n",
		"<p>From the maker of the hardware to the keys of your data. A chain holds if every link does.")
	if n := len(v.Waived); n > 0 {
		w.raw(" Each link is only as strong as your policy makes it: <a href=\"#waived\">")
		w.count(n, "thing was", "things were")
		w.raw(" not checked</a>.")
	}
	w.raw("</p>\n",
		"<ol class=\"chain\" role=\"list\" aria-label=\"Chain of trust, from the hardware root to the release of keys\">\n")
	for i := range groups {
		g := &groups[i]
		s := g.state(accepted(v))
		w.raw(`<li class="link `, s.class(), `">`, "\n<div class=\"box\">")
		if s == open {
			w.raw(`<span class="badge wait">`, s.sign(), "has gaps</span>")
		} else {
			w.badge(s)
		}
		w.raw("<h3>")
		if len(g.listed) > 0 {
			w.raw(`<a href="#stage-`)
			w.number(i + 1)
			w.raw(`">`, g.name, "</a>")
		} else {
			w.raw(g.name)
		}
		w.raw("</h3><p class=\"question\">", g.question, "</p><p class=\"ids\">")
		w.ids(g, s)
		w.raw("</p></div>\n</li>\n")
	}
	w.raw("</ol>\n</section>\n")
}

// ids lists the checks that decide a link, those that failed first: they are
// why it looks as it does.
func (w *writer) ids(g *grouped, s state) {
	if len(g.deciding) == 0 {
		w.raw("nothing in this verdict answers this")
		return
	}
	first := true
	for _, kind := range []state{failed, notReached, open, passed} {
		for _, id := range together(g.deciding, kind) {
			if !first {
				w.raw(" ")
			}
			first = false
			w.raw(`<span class="id `, kind.class(), `">`)
			w.id(id)
			if kind != s && s != withheld || kind == failed || kind == open {
				w.raw(" ", kind.word())
			}
			w.raw("</span>")
		}
	}
}

// together gives the IDs of the checks in one state; the registers of a bank
// are one entry, for there are two dozen of them.
func together(checks []verdict.Check, kind state) []string {
	var ids []string
	seen := map[string]bool{}
	for _, c := range checks {
		if stateOf(c) != kind {
			continue
		}
		id := c.ID
		if rest, ok := strings.CutPrefix(id, "TPM-R"); ok && kind != failed {
			if _, bank, ok := strings.Cut(rest, "-"); ok {
				id = "TPM-R*-" + bank
			}
		}
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}
