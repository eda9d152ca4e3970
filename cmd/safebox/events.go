package main

import (
	"encoding/json"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"safebox/cmd/internal/cli"
	"safebox/image"
)

// eventsEvery is how often an event says how far a step is.
const eventsEvery = 500 * time.Millisecond

// event is one line of a long command's standard error under --json
// (docs/cli.md, "Progress").
type event struct {
	Event string `json:"event"` // step, progress, download
	Name  string `json:"name"`
	Done  int64  `json:"done"`
	Total int64  `json:"total"` // 0 where nothing is counted
}

// events shows how far long work is: a bar on a terminal, plain lines
// elsewhere, JSON under --json.
type events struct {
	w    io.Writer
	json bool
	bar  *bar // nil when w is no terminal
	last string
	next time.Time
}

func newEvents(w io.Writer, asJSON bool) *events {
	e := &events{w: w, json: asJSON}
	if f, ok := w.(*os.File); ok && !asJSON && term.IsTerminal(int(f.Fd())) {
		e.bar = &bar{w: w}
	}
	return e
}

// build is told of the steps of a build.
func (e *events) build(p image.Progress) {
	begins := p.Step != e.last
	if begins {
		e.last = p.Step
		e.bar.end()
	}
	switch {
	case e.json && begins:
		e.encode(event{"step", p.Step, p.Done, p.Total})
	case e.json && e.due(eventsEvery):
		e.encode(event{"progress", p.Step, p.Done, p.Total})
	case e.json:
	case begins:
		e.next = time.Now().Add(progressEvery)
		cli.Say(e.w, "%s", p.Step)
	case e.bar != nil:
		e.bar.show(p.Step, p.Done, p.Total)
	case p.Total > 0 && p.Done < p.Total && e.due(progressEvery):
		cli.Say(e.w, "%s: %d of %d (%d %%)", p.Step, p.Done, p.Total, 100*p.Done/p.Total)
	}
}

// download is told of downloads.
func (e *events) download(name string, done, total int64) {
	begins := name != e.last
	e.last = name
	switch {
	case e.json && (begins || done == total || e.due(eventsEvery)):
		e.encode(event{"download", name, done, total})
	case e.json:
	case e.bar != nil:
		e.bar.show("fetching "+name, done, total)
	case begins:
		cli.Say(e.w, "fetching %s%s", name, ofSize(total))
	case done == total:
		cli.Say(e.w, "fetched %s", name)
	}
}

func (e *events) due(every time.Duration) bool {
	now := time.Now()
	if now.Before(e.next) {
		return false
	}
	e.next = now.Add(every)
	return true
}

// encode writes a line. When that fails there is nobody left to tell.
func (e *events) encode(v event) {
	if json.NewEncoder(e.w).Encode(v) != nil {
		return
	}
}

// bar is a progress bar that changes its text and its total. A nil bar shows
// nothing.
type bar struct {
	w    io.Writer
	text string
	bar  *progressbar.ProgressBar // nil between two, and when it can't be drawn
}

func (b *bar) show(text string, done, total int64) {
	if text != b.text {
		b.end()
		b.text = text
		b.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(b.w),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetDescription(text))
	}
	if b.bar != nil && b.bar.Set64(done) != nil {
		b.bar = nil // a bar that can't be drawn is no reason to stop the work
	}
}

// end removes the bar.
func (b *bar) end() {
	if b != nil && b.bar != nil && b.bar.Clear() == nil {
		b.bar, b.text = nil, ""
	}
}
