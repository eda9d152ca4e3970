package page

import "slices"

// Which events a long log shows: its beginning, its end, and what lies around
// the first that diverges.
const (
	firstEvents  = 200
	lastEvents   = 20
	aroundEvents = 30 // on each side
)

// events is the log of the boot.
func (w *writer) events(list []Event) {
	w.raw("<section aria-labelledby=\"events\">\n<h2 id=\"events\">Event log</h2>\n")
	if len(list) == 0 {
		w.raw("<p>There is no event log to show with this verdict.</p>\n</section>\n")
		return
	}
	first := slices.IndexFunc(list, func(e Event) bool { return e.Diverges })
	w.raw("<p>What the machine says that it measured while it started, in order: ")
	w.count(len(list), "entry", "entries")
	w.raw(". Nobody signs a log: it counts only where it leads to the signed values. ")
	w.divergence(list, first)
	w.raw("</p>\n<table role=\"table\" class=\"log\" aria-labelledby=\"events\">\n<thead role=\"rowgroup\"><tr role=\"row\">",
		`<th scope="col" role="columnheader" class="c-index">No.</th>`,
		`<th scope="col" role="columnheader" class="c-register">Register</th>`,
		`<th scope="col" role="columnheader" class="c-type">Type</th>`,
		`<th scope="col" role="columnheader" class="c-what">What it says</th>`,
		`<th scope="col" role="columnheader">Digest</th>`,
		"</tr></thead>\n<tbody role=\"rowgroup\">\n")
	left := 0
	for i, e := range list {
		if i >= firstEvents && i < len(list)-lastEvents && (first < 0 || i < first-aroundEvents || i > first+aroundEvents) {
			left++
			continue
		}
		w.leftOut(left)
		left = 0
		w.event(e, i == first)
	}
	w.raw("</tbody>\n</table>\n</section>\n")
}

// divergence says where the log leaves the release, if it does.
func (w *writer) divergence(list []Event, first int) {
	if first >= 0 {
		w.raw(`<strong>The first event that is not what the release expects is <a href="#event">number `)
		w.number(list[first].Index)
		w.raw("</a>.</strong>")
		more := 0
		for _, e := range list[first+1:] {
			if e.Diverges {
				more++
			}
		}
		if more > 0 {
			w.raw(" After it ")
			w.count(more, "more event is marked.", "more events are marked.")
		}
		return
	}
	if slices.ContainsFunc(list, func(e Event) bool { return e.Want != "" }) {
		w.raw("No event was found to differ from the release.")
		return
	}
	w.raw("Single events were not compared with a release.")
}

// leftOut stands for events that are not shown.
func (w *writer) leftOut(n int) {
	if n == 0 {
		return
	}
	w.raw(`<tr role="row" class="gap"><td role="cell" colspan="5">`)
	w.count(n, "event is", "events are")
	w.raw(" left out here</td></tr>\n")
}

func (w *writer) event(e Event, first bool) {
	switch {
	case first:
		w.raw(`<tr role="row" class="bad first" id="event">`)
	case e.Diverges:
		w.raw(`<tr role="row" class="bad">`)
	default:
		w.raw(`<tr role="row">`)
	}
	w.raw(`<td role="cell" class="c-index"><span class="label">No.</span>`)
	w.number(e.Index)
	w.raw(`</td><td role="cell" class="c-register"><span class="label">Register</span>`)
	w.short(e.Register)
	w.raw(`</td><td role="cell" class="c-type"><span class="label">Type</span>`)
	w.short(e.Type)
	w.raw(`</td><td role="cell" class="c-what"><span class="label">What it says</span>`)
	if first {
		w.raw(`<strong class="badge bad">`, failed.sign(), "first to differ</strong> ")
	} else if e.Diverges {
		w.raw(`<span class="badge bad">`, failed.sign(), "differs</span> ")
	}
	w.short(e.Description)
	w.raw(`</td><td role="cell" class="value">`)
	w.digests(e)
	w.raw("</td></tr>\n")
}

// digests writes the digest and, where the event differs, the one expected.
func (w *writer) digests(e Event) {
	w.raw(`<span class="label">Digest</span>`)
	if !e.Diverges {
		w.short(e.Digest)
		return
	}
	inWant, inGot := differing(e.Want, e.Digest)
	w.marked(e.Digest, maxShort, inGot)
	w.raw(`<p class="hint"><strong>Expected:</strong> `)
	if e.Want == "" {
		w.raw("no such event</p>")
		return
	}
	w.marked(e.Want, maxShort, inWant)
	w.raw("</p>")
}
