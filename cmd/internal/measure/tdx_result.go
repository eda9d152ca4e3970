package measure

import (
	"fmt"
	"strings"

	"safebox/measure/tdx"
	"safebox/measure/tdx/tdvf"
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
	Pages   []tdxPage  `json:"pages,omitempty"` // of mrtd, with --trace
	Events  []tdxEvent `json:"events"`
}

// tdxPage is a page of MRTD, or one pass over it.
type tdxPage struct {
	Type     string `json:"type"` // of its section
	GPA      string `json:"gpa"`
	Added    bool   `json:"added"`    // a record MEM.PAGE.ADD
	Extended bool   `json:"extended"` // 16 records MR.EXTEND
	MRTD     string `json:"mrtd"`     // if the launch ended here
}

type tdxEvent struct {
	Type        string `json:"type"`
	Description string `json:"description"`
	Digest      string `json:"digest"` // empty if the source is "unknown"
	Source      string `json:"source"`
}

func newTDXResult(p *tdx.Prediction, pages []tdvf.Page) *tdxResult {
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
	for _, page := range pages {
		mrtd := &result.Registers[tdx.MRTD]
		mrtd.Pages = append(mrtd.Pages, tdxPage{page.Type.String(), fmt.Sprintf("%#x", page.GPA), page.Added, page.Extended, page.Running.String()})
	}
	return result
}

// line is a page in the manner of an event.
func (p tdxPage) line() string {
	s := fmt.Sprintf("  %s page %s %s", p.MRTD, p.Type, p.GPA)
	if p.Added {
		s += " add"
	}
	if p.Extended {
		s += " extend"
	}
	return s
}

// text is a line for each register with a value, with trace for the others
// too. One that rests on a digest which was not computed says so behind the
// value.
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
		for _, p := range reg.Pages {
			b.WriteString(p.line() + "\n")
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
