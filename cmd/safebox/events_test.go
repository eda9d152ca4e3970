package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"safebox/image"
)

// tell reports a build of two steps, a second report of the first one at once,
// and a download.
func tell(e *events) {
	e.build(image.Progress{Step: "one", Total: 4})
	e.build(image.Progress{Step: "one", Done: 2, Total: 4})
	e.build(image.Progress{Step: "two"})
	e.download("a.deb", 0, 10)
	e.download("a.deb", 10, 10)
}

func TestEvents(t *testing.T) {
	var plain, asJSON strings.Builder
	tell(newEvents(&plain, false))
	tell(newEvents(&asJSON, true))
	want := "safebox: one\nsafebox: two\nsafebox: fetching a.deb (10 bytes)\nsafebox: fetched a.deb\n"
	if d := cmp.Diff(want, plain.String()); d != "" {
		t.Error(d)
	}
	want = `{"event":"step","name":"one","done":0,"total":4}
{"event":"progress","name":"one","done":2,"total":4}
{"event":"step","name":"two","done":0,"total":0}
{"event":"download","name":"a.deb","done":0,"total":10}
{"event":"download","name":"a.deb","done":10,"total":10}
`
	if d := cmp.Diff(want, asJSON.String()); d != "" {
		t.Error(d)
	}
}

// TestEventsAreSparse: long work speaks now and then, not at every file.
func TestEventsAreSparse(t *testing.T) {
	var plain, asJSON strings.Builder
	for _, e := range []*events{newEvents(&plain, false), newEvents(&asJSON, true)} {
		e.build(image.Progress{Step: "one", Total: 1000})
		for i := range int64(1000) {
			e.build(image.Progress{Step: "one", Done: i, Total: 1000})
		}
		e.next = time.Now()
		e.build(image.Progress{Step: "one", Done: 500, Total: 1000})
	}
	if got, want := plain.String(), "safebox: one\nsafebox: one: 500 of 1000 (50 %)\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := strings.Count(asJSON.String(), "\n"); got != 3 {
		t.Errorf("%d events, want the step, the first progress and the last:\n%s", got, asJSON.String())
	}
}
