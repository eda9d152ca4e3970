// Package explain says why a reported measurement is not the expected one. It
// takes what was expected apart into axes (how many vCPUs, which CPU type, which
// order of hashing), computes the neighbours that differ in one axis, then in
// two, then in all that are often wrong together, and names those that give the
// reported value.
//
// This package is the answer. The questions are in a package for each platform:
// explainsev, explaintdx, explaintpm and explainnitro, with an Explain method. Their
// axes are those in which launches and measuring tools were seen to differ: what the
// documents that they name leave to VMMs, firmware and tools.
//
// A finding is an explanation and never a verdict: the verdict stays "differs".
// Whether a value is good is looked up in a release; a launch whose difference is
// understood was still not the launch that was agreed on. No function here says
// "match", and equal values are refused with an EqualError.
//
// Hashes do not collide: when several findings are listed, they describe the same
// measured bytes in different words.
package explain

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// Differs is the one verdict of this package.
const Differs = "differs"

// Result is what was found out about one value. Its JSON members stand in this
// order.
type Result struct {
	Value    string    `json:"value"`    // "launch_digest", "mrtd", "rtmr1", "pcr4"
	Verdict  string    `json:"verdict"`  // always Differs
	Expected string    `json:"expected"` // hex; empty if no value was predicted
	Reported string    `json:"reported"` // hex
	Findings []Finding `json:"findings"` // fewest changes first
	Tried    int       `json:"tried"`    // values computed and compared
	Searched []Axis    `json:"searched"`
	Notes    []string  `json:"notes"` // what the value alone can't tell
}

// Finding is one explanation.
type Finding struct {
	Changes  []Change `json:"changes"`
	Sentence string   `json:"sentence"`
}

// Change is an axis on which the reported value lies elsewhere than expected.
type Change struct {
	Axis     string `json:"axis"`
	Expected string `json:"expected"`
	Explains string `json:"explains"` // what gives the reported value
}

// Axis is a way in which the search went.
type Axis struct {
	Name     string `json:"name"`
	Expected string `json:"expected"`
	Values   int    `json:"values"` // other values that were looked at
}

// EqualError says that there is nothing to explain.
type EqualError struct {
	Value string // its name
}

// Error implements error.
func (e *EqualError) Error() string {
	return fmt.Sprintf("explaining %s: the reported value equals the expected one", e.Value)
}

// Named is another input than the expected one, with a name for the sentence:
// "OVMF of release 1.2".
type Named[T any] struct {
	Name  string
	Value T
}

// New is the result of a search that has found nothing yet. Equal values and no
// value are refused; expected is empty if no value was predicted.
func New(name string, expected, reported []byte) (*Result, error) {
	if len(reported) == 0 {
		return nil, fmt.Errorf("explaining %s: reported value: got none", name)
	}
	if bytes.Equal(expected, reported) {
		return nil, &EqualError{Value: name}
	}
	return &Result{
		Value: name, Verdict: Differs, Expected: hex.EncodeToString(expected), Reported: hex.EncodeToString(reported),
		Findings: []Finding{}, Searched: []Axis{}, Notes: []string{},
	}, nil
}

// Note adds a remark.
func (r *Result) Note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// Summary is the result in sentences: each finding, or what was searched in vain,
// then the notes.
func (r *Result) Summary() []string {
	var list []string
	for _, f := range r.Findings {
		list = append(list, f.Sentence)
	}
	if len(r.Findings) == 0 {
		list = append(list, r.nothing())
	}
	return append(list, r.Notes...)
}

// nothing says what was searched.
func (r *Result) nothing() string {
	if len(r.Searched) == 0 {
		return fmt.Sprintf("nothing explains the reported %s", r.Noun())
	}
	var axes []string
	for _, a := range r.Searched {
		axes = append(axes, fmt.Sprintf("%s (%d)", a.Name, a.Values))
	}
	return fmt.Sprintf("nothing explains the reported %s: %d values were tried, by %s; a hash does not tell what it was made from",
		r.Noun(), r.Tried, strings.Join(axes, ", "))
}

// WriteText prints the result as lines.
func (r *Result) WriteText(w io.Writer) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s %s\n", r.Value, r.Verdict)
	if r.Expected != "" {
		fmt.Fprintf(&out, "expected %s\n", r.Expected)
	}
	fmt.Fprintf(&out, "reported %s\n", r.Reported)
	for _, s := range r.Summary() {
		fmt.Fprintf(&out, "- %s\n", s)
	}
	_, err := w.Write(out.Bytes())
	return err
}

// Noun is the value's name in a sentence.
func (r *Result) Noun() string {
	switch r.Value {
	case "launch_digest":
		return "launch digest"
	case "mrtd":
		return "MRTD"
	}
	for _, prefix := range []string{"rtmr", "pcr"} {
		if n, ok := strings.CutPrefix(r.Value, prefix); ok {
			return strings.ToUpper(prefix) + " " + n
		}
	}
	return r.Value
}
