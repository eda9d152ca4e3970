package measure

import (
	"fmt"
	"strings"

	"safebox/measure/tdx"
)

// tdxResult is what `measure tdx` prints.
type tdxResult struct {
	Platform  string        `json:"platform"`
	Registers []tdxRegister `json:"registers"`
}

type tdxRegister struct {
	Name    string     `json:"name"`
	Value   string     `json:"value"`  // empty if something is missing
	Source  string     `json:"source"` // the weakest of its events: "computed", "from file", "given", "from log", "unknown"
	Missing string     `json:"missing,omitempty"`
	Events  []tdxEvent `json:"events"`
}

type tdxEvent struct {
	Type        string `json:"type"`
	Description string `json:"description"`
	Digest      string `json:"digest"` // empty if the source is "unknown"
	Source      string `json:"source"`
}

func newTDXResult(p *tdx.Prediction) *tdxResult {
	result := &tdxResult{Platform: "tdx"}
	for _, r := range p.Registers {
		reg := tdxRegister{Name: r.Name, Source: r.Source().String(), Missing: r.Missing, Events: []tdxEvent{}}
		if r.Value != nil {
			reg.Value = r.Value.String()
		}
		for _, e := range r.Events {
			event := tdxEvent{Type: e.Type.String(), Description: e.Description, Source: e.Source.String()}
			if e.Source != tdx.Unknown {
				event.Digest = e.Digest.String()
			}
			reg.Events = append(reg.Events, event)
		}
		result.Registers = append(result.Registers, reg)
	}
	return result
}

// text is a line for each register with a value, with trace for the others too. One that rests on a digest
// which was not computed says so behind the value.
func (r *tdxResult) text(trace bool) string {
	var b strings.Builder
	for _, reg := range r.Registers {
		switch {
		case reg.Value != "":
			fmt.Fprintf(&b, "%s %s%s\n", reg.Name, reg.Value, label(reg.Source))
		case trace:
			fmt.Fprintf(&b, "%s -\n", reg.Name) // or its events would seem to be those of the one before
		}
		if !trace {
			continue
		}
		for _, e := range reg.Events {
			digest := e.Digest
			if digest == "" {
				digest = "-"
			}
			fmt.Fprintf(&b, "  %s %s %s%s\n", digest, e.Type, e.Description, label(e.Source))
		}
	}
	return b.String()
}

// label marks digests that were not computed from bytes at hand.
func label(source string) string {
	switch source {
	case tdx.FromLog.String(), tdx.Given.String(), tdx.Unknown.String():
		return " " + strings.ReplaceAll(source, " ", "-")
	}
	return ""
}
