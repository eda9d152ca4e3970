package main

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"safebox/cmd/internal/cli"
)

// progressEvery is how often plain lines say how far the work is.
const progressEvery = 5 * time.Second

// progress shows how many bytes are done: a bar on a terminal, elsewhere a
// line now and then, so none for short work.
type progress struct {
	w     io.Writer
	what  string
	total int64
	bar   *progressbar.ProgressBar // nil when w is no terminal
	next  time.Time
}

func newProgress(w io.Writer, what string, total int64) *progress {
	p := &progress{w: w, what: what, total: total, next: time.Now().Add(progressEvery)}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(w), progressbar.OptionShowBytes(true),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetDescription(what))
	}
	return p
}

// set says that so many bytes are done.
func (p *progress) set(done int64) {
	if p.bar != nil {
		if p.bar.Set64(done) != nil {
			p.bar = nil // a bar that can't be drawn is no reason to stop the work
		}
		return
	}
	if now := time.Now(); now.After(p.next) && done < p.total {
		p.next = now.Add(progressEvery)
		cli.Say(p.w, "%s: %d of %d bytes (%d %%)", p.what, done, p.total, 100*done/p.total)
	}
}

// end removes the bar.
func (p *progress) end() {
	if p.bar != nil && p.bar.Clear() != nil {
		p.bar = nil
	}
}
