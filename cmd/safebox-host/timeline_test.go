package main

import (
	"strings"
	"testing"
	"time"

	"safebox/host/agent"
	"safebox/host/instance"
)

// TestLongestSteps: five of six steps, the longest first, of two equal ones the
// earlier.
func TestLongestSteps(t *testing.T) {
	var out, text strings.Builder
	shown := &timeline{out: &out, err: &text}
	for name, ms := range map[string]int{"a": 3, "b": 7, "c": 1, "d": 9, "e": 5, "f": 2} {
		shown.event(agent.Event{Kind: agent.Step, Name: name, Duration: time.Duration(ms) * time.Millisecond})
	}
	shown.event(agent.Event{Kind: agent.Ready, Instance: instance.Info{URL: "http://127.0.0.1:1"}})
	if want := "longest steps: d 0.009s, b 0.007s, e 0.005s, a 0.003s, f 0.002s\n"; !strings.Contains(text.String(), want) {
		t.Errorf("got %q, want it to contain %q", text.String(), want)
	}
	if shown.failed != nil {
		t.Error(shown.failed)
	}
}
