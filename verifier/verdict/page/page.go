// Package page shows a verdict to people who own data and to people who must
// act on a refusal: one HTML file that needs nothing else, runs no script and
// fetches nothing. It is for people only; programs read the JSON.
//
// The verdict's strings come from an untrusted machine. Markup is made of
// constants of this package alone (markup.go), and whatever could act on a
// reader's screen is written out (text.go).
//
// It implements docs/format-verdict.md, "Page". The file is HTML (WHATWG HTML,
// living standard) with a policy for itself (W3C Content Security Policy Level
// 3, 3.3: the meta element).
package page

import (
	"errors"

	"safebox/verifier/verdict"
)

// Event is one entry of an event log as the page shows it.
type Event = verdict.Event

// Render gives the page. Equal input gives equal bytes.
func Render(v *verdict.Verdict, events []Event) ([]byte, error) {
	if v == nil {
		return nil, errors.New("rendering verdict: no verdict")
	}
	w := new(writer)
	w.head(accepted(v))
	w.summary(v)
	groups := group(v)
	if accepted(v) {
		w.waivers(v.Waived) // what an acceptance leaves open comes first
		w.chain(v, groups)
	} else {
		w.failures(v)
		w.chain(v, groups)
		w.waivers(v.Waived)
	}
	w.checks(groups)
	w.events(events)
	w.files(v)
	w.foot()
	return w.bytes(), nil
}

// accepted repeats the verdict's own rule, so that a verdict which contradicts
// itself is shown as the refusal that it is.
func accepted(v *verdict.Verdict) bool {
	return v.OK && len(v.Checks) > 0 && len(v.Failed()) == 0
}

// head writes everything before the content. A page opened by accident in
// the wrong place still fetches nothing: its own policy forbids it.
func (w *writer) head(ok bool) {
	w.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
		`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-`)
	w.styleHash()
	w.raw("'; base-uri 'none'; form-action 'none'\">\n",
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
		"<meta name=\"color-scheme\" content=\"light dark\">\n",
		"<meta name=\"referrer\" content=\"no-referrer\">\n<title>")
	if ok {
		w.raw("Accepted: verdict of Safebox")
	} else {
		w.raw("Refused: verdict of Safebox")
	}
	w.raw("</title>\n<style>", style, "</style>\n</head>\n<body>\n<main>\n")
}

func (w *writer) foot() {
	w.raw("</main>\n<footer>\n<p>Written by <code>safebox verify --html</code>. Anyone can write a page that looks like this one: ",
		"rely on it only if you ran the command yourself, or had it from somebody who did and whom you trust. ",
		"This page is for reading; programs use <code>--json</code>.</p>\n</footer>\n</body>\n</html>\n")
}
