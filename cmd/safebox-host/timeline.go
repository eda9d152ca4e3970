package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"safebox/host/agent"
	"safebox/host/vmm"
)

// timeline shows a launch as it goes: for people, or as JSON.
type timeline struct {
	out, err io.Writer
	json     bool
	steps    []agent.Event // until the guest is ready
	failed   error         // of the first write that failed
}

func (t *timeline) event(e agent.Event) {
	if e.Kind == agent.Step {
		t.steps = append(t.steps, e)
	}
	var err error
	if t.json {
		err = printJSON(t.out, t.wire(e))
	} else {
		err = t.text(e)
	}
	if err != nil && t.failed == nil {
		t.failed = fmt.Errorf("writing the timeline: %w", err)
	}
}

// text prints lines such as
//
//	[   1.234] tpm            1.012s  software TPM ...
//	ready http://127.0.0.1:40123
func (t *timeline) text(e agent.Event) error {
	switch e.Kind {
	case agent.Started:
		i := e.Instance
		return t.line(e, fmt.Sprintf("instance %s: %s, %s boot, %d vCPUs, %d MiB", i.ID, i.Platform, i.Boot, i.VCPUs, i.Memory>>20))
	case agent.Step:
		return t.line(e, fmt.Sprintf("%-16s %8.3fs  %s", e.Name, e.Duration.Seconds(), e.Detail))
	case agent.Refused:
		return t.line(e, fmt.Sprintf("refused %s: %s", e.Name, e.Detail))
	case agent.Note:
		return t.line(e, "note: "+e.Detail)
	case agent.Ready:
		err := t.line(e, "longest steps: "+textLongest(t.steps))
		err = errors.Join(err, t.line(e, "ready; root certificate of its TPM: "+e.Instance.TPMRoot))
		_, outErr := fmt.Fprintf(t.out, "ready %s\n", e.Instance.URL)
		return errors.Join(err, outErr)
	case agent.Stopped:
		return t.line(e, "stopped: "+e.Reason)
	}
	return fmt.Errorf("unknown event %q", e.Kind)
}

// listedSteps is how many of the longest steps are named when a guest is ready.
const listedSteps = 5

// longest gives the longest steps, the longest first.
func longest(steps []agent.Event) []agent.Event {
	sorted := slices.Clone(steps)
	slices.SortStableFunc(sorted, func(a, b agent.Event) int { return cmp.Compare(b.Duration, a.Duration) })
	return sorted[:min(len(sorted), listedSteps)]
}

func textLongest(steps []agent.Event) string {
	var texts []string
	for _, e := range longest(steps) {
		texts = append(texts, fmt.Sprintf("%s %.3fs", e.Name, e.Duration.Seconds()))
	}
	return strings.Join(texts, ", ")
}

func wireLongest(steps []agent.Event) []longestStep {
	list := []longestStep{}
	for _, e := range longest(steps) {
		list = append(list, longestStep{e.Name, e.Duration.Microseconds()})
	}
	return list
}

func (t *timeline) line(e agent.Event, text string) error {
	_, err := fmt.Fprintf(t.err, "[%8.3f] %s\n", e.At.Seconds(), strings.TrimRight(text, " "))
	return err
}

// The events as JSON objects; times in microseconds, as in the boot report.
type (
	startedEvent struct {
		Event    agent.Kind `json:"event"`
		At       int64      `json:"at_us"`
		ID       string     `json:"id"`
		Platform string     `json:"platform"`
		Boot     string     `json:"boot"`
		VCPUs    int        `json:"vcpus"`
		Memory   int64      `json:"memory"`
		Console  string     `json:"console"`
		TPMRoot  string     `json:"tpm_root"`
		PID      int        `json:"pid"`
	}
	stepEvent struct {
		Event    agent.Kind `json:"event"`
		At       int64      `json:"at_us"`
		Name     string     `json:"name"`
		Duration int64      `json:"duration_us"`
		Detail   string     `json:"detail"`
	}
	refusedEvent struct {
		Event  agent.Kind `json:"event"`
		At     int64      `json:"at_us"`
		Name   string     `json:"name"`
		Detail string     `json:"detail"`
	}
	noteEvent struct {
		Event  agent.Kind `json:"event"`
		At     int64      `json:"at_us"`
		Detail string     `json:"detail"`
	}
	readyEvent struct {
		Event   agent.Kind    `json:"event"`
		At      int64         `json:"at_us"`
		ID      string        `json:"id"`
		URL     string        `json:"url"`
		Accel   string        `json:"accel"`
		Longest []longestStep `json:"longest"`
	}
	longestStep struct {
		Name     string `json:"name"`
		Duration int64  `json:"duration_us"`
	}
	stoppedEvent struct {
		Event  agent.Kind `json:"event"`
		At     int64      `json:"at_us"`
		ID     string     `json:"id"`
		Reason string     `json:"reason"`
	}
)

func (t *timeline) wire(e agent.Event) any {
	at, i := e.At.Microseconds(), e.Instance
	switch e.Kind {
	case agent.Started:
		return startedEvent{e.Kind, at, i.ID, i.Platform, i.Boot, i.VCPUs, i.Memory, i.Console, i.TPMRoot, i.PID}
	case agent.Step:
		return stepEvent{e.Kind, at, e.Name, e.Duration.Microseconds(), e.Detail}
	case agent.Refused:
		return refusedEvent{e.Kind, at, e.Name, e.Detail}
	case agent.Ready:
		return readyEvent{e.Kind, at, i.ID, i.URL, i.Accel, wireLongest(t.steps)}
	case agent.Stopped:
		return stoppedEvent{e.Kind, at, i.ID, e.Reason}
	}
	return noteEvent{e.Kind, at, e.Detail}
}

// printJSON prints v on one line.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// parseMemory reads "512M" or "1G".
func parseMemory(s string) (int64, error) {
	digits, unit := strings.TrimRight(s, "MG"), int64(0)
	switch strings.TrimLeft(s, "0123456789") {
	case "M":
		unit = 1 << 20
	case "G":
		unit = 1 << 30
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || unit == 0 || n*unit < vmm.MinMemory || n*unit > vmm.MaxMemory {
		return 0, fmt.Errorf("--memory %q, want %dM to %dG", s, vmm.MinMemory>>20, int64(vmm.MaxMemory)>>30)
	}
	return n * unit, nil
}

// shellCommand writes a command for a shell, an option and its value a line.
func shellCommand(args []string) string {
	var b strings.Builder
	for i, a := range args {
		switch {
		case i == 0:
		case strings.HasPrefix(a, "-"):
			b.WriteString(" \\\n  ")
		default:
			b.WriteByte(' ')
		}
		b.WriteString(shellQuote(a))
	}
	return b.String()
}

func shellQuote(s string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=,./:+@%"
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// ago is a duration for people.
func ago(d time.Duration) string { return max(d, 0).Round(time.Second).String() }
