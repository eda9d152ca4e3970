package page

import "safebox/verifier/verdict"

// failures shows every check that did not pass: first those that failed by
// themselves, with what to do, then those that were never reached.
func (w *writer) failures(v *verdict.Verdict) {
	var fails, unreached []verdict.Check
	marks := false
	for _, c := range v.Failed() {
		if stateOf(c) == failed {
			fails = append(fails, c)
			_, inGot := differing(c.Want, c.Got)
			marks = marks || len(inGot) > 0
		} else {
			unreached = append(unreached, c)
		}
	}
	if len(fails)+len(unreached) == 0 {
		return
	}
	w.raw("<section aria-labelledby=\"failed\">\n<h2 id=\"failed\">What failed</h2>\n")
	if marks {
		w.raw("<p>Where two values of one length were compared, the part that is not the same is <mark>marked</mark>.</p>\n")
	}
	for _, c := range fails {
		w.failure(c)
	}
	if len(unreached) > 0 {
		w.raw("<div class=\"unreached\"><h3>")
		w.badge(notReached)
		w.raw("</h3><p>These checks had nothing to look at, because an earlier one failed. They have not passed either.</p>\n<ul>\n")
		for _, c := range unreached {
			w.raw("<li><span class=\"id wait\">")
			w.id(c.ID)
			w.raw("</span> ")
			w.text(c.Name)
			w.raw("</li>\n")
		}
		w.raw("</ul></div>\n")
	}
	w.raw("</section>\n")
}

// failure shows one failed check.
func (w *writer) failure(c verdict.Check) {
	inWant, inGot := differing(c.Want, c.Got)
	w.raw("<article class=\"failure\">\n<h3>")
	w.badge(failed)
	w.raw(` <span class="id bad">`)
	w.id(c.ID)
	w.raw("</span> ")
	w.text(c.Name)
	w.raw("</h3>\n<dl>\n<div><dt>Wanted</dt><dd class=\"value\">")
	w.marked(c.Want, maxText, inWant)
	w.raw("</dd></div>\n<div><dt>Found</dt><dd class=\"value\">")
	w.marked(c.Got, maxText, inGot)
	w.raw("</dd></div>\n<div><dt>What to do</dt><dd>")
	w.text(c.Hint)
	w.raw("</dd></div>\n</dl>\n</article>\n")
}

// checks is the whole table, by stage.
func (w *writer) checks(groups []grouped) {
	w.raw("<section aria-labelledby=\"checks\">\n<h2 id=\"checks\">All checks</h2>\n")
	for i := range groups {
		if len(groups[i].listed) > 0 {
			w.table(i+1, &groups[i])
		}
	}
	w.raw("</section>\n")
}

// table is one stage's checks. The roles say again what the elements are,
// because on a phone the rows are laid out as cards, and browsers then forget.
func (w *writer) table(number int, g *grouped) {
	w.raw(`<h3 id="stage-`)
	w.number(number)
	w.raw(`">`, g.name, "</h3>\n<p class=\"question\">", g.question, "</p>\n",
		`<table role="table" aria-labelledby="stage-`)
	w.number(number)
	w.raw("\">\n<thead role=\"rowgroup\"><tr role=\"row\">",
		`<th scope="col" role="columnheader" class="c-state">Result</th>`,
		`<th scope="col" role="columnheader" class="c-name">Check</th>`,
		`<th scope="col" role="columnheader">Wanted</th>`,
		`<th scope="col" role="columnheader">Found</th>`,
		"</tr></thead>\n<tbody role=\"rowgroup\">\n")
	for _, c := range g.listed {
		w.row(c)
	}
	w.raw("</tbody>\n</table>\n")
}

func (w *writer) row(c verdict.Check) {
	s := stateOf(c)
	var inWant, inGot []span
	if s == failed {
		inWant, inGot = differing(c.Want, c.Got)
	}
	w.raw(`<tr role="row" class="`, s.class(), `"><td role="cell" class="c-state">`)
	w.badge(s)
	w.raw(`</td><th scope="row" role="rowheader" class="c-name"><span class="id">`)
	w.id(c.ID)
	w.raw("</span> ")
	w.text(c.Name)
	w.raw(`<span class="source">`)
	w.text(c.Source)
	w.raw(`</span></th><td role="cell" class="value"><span class="label">Wanted</span>`)
	w.marked(c.Want, maxText, inWant)
	w.raw(`</td><td role="cell" class="value"><span class="label">Found</span>`)
	w.marked(c.Got, maxText, inGot)
	if s != passed && c.Hint != "" {
		w.raw(`<p class="hint"><strong>What to do:</strong> `)
		w.text(c.Hint)
		w.raw("</p>")
	}
	w.raw("</td></tr>\n")
}
