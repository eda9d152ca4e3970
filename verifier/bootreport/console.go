package bootreport

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Prefix starts every line that PID 1 writes to the console.
const Prefix = "safebox: "

// Outcome says what a console line reports.
type Outcome string

// The kinds of console line.
const (
	StepDone Outcome = "ok"        // a step ended well
	Refused  Outcome = "refused"   // a step found a reason not to go on
	PowerOff Outcome = "power-off" // the machine stops now
	Ready    Outcome = "ready"     // the API answers
)

// Line is one console line of PID 1:
//
//	safebox: [   1.234567] ok command-line 0.000120s form esp
//	safebox: [   1.240000] refused command-line: "evil=1" is none of ...
//	safebox: [   1.240100] power-off command-line
//	safebox: [   2.000000] ready
type Line struct {
	At       time.Duration // since the kernel started
	Outcome  Outcome
	Name     string        // step or refusal ID; empty for Ready
	Duration time.Duration // StepDone only
	Detail   string
}

// String gives the line without its newline. Control characters in Detail
// come out as spaces, so that a line stays a line and moves no cursor.
func (l Line) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s[%11.6f] %s", Prefix, l.At.Seconds(), l.Outcome)
	if l.Name != "" {
		b.WriteString(" " + l.Name)
	}
	switch {
	case l.Outcome == StepDone:
		fmt.Fprintf(&b, " %.6fs", l.Duration.Seconds())
		if l.Detail != "" {
			b.WriteString(" " + printable(l.Detail))
		}
	case l.Detail != "":
		b.WriteString(": " + printable(l.Detail))
	}
	return b.String()
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// ParseLine reads a console line; ok is false for lines of anybody else (the
// firmware, the kernel) and for malformed ones. It takes no line with control
// characters or broken UTF-8, which String never writes: a console is the
// other side's, and what is parsed from it ends up on somebody's terminal.
func ParseLine(s string) (l Line, ok bool) {
	s, ok = strings.CutPrefix(strings.TrimRight(s, "\r\n"), Prefix+"[")
	if !ok || len(s) > MaxText || s != printable(s) {
		return Line{}, false
	}
	at, rest, ok := strings.Cut(s, "] ")
	if !ok {
		return Line{}, false
	}
	if l.At, ok = parseSeconds(strings.TrimLeft(at, " ")); !ok {
		return Line{}, false
	}
	word, rest, _ := strings.Cut(rest, " ")
	l.Outcome = Outcome(word)
	switch l.Outcome {
	case Ready:
		return l, rest == ""
	case StepDone:
		l.Name, rest, _ = strings.Cut(rest, " ")
		var d string
		d, l.Detail, _ = strings.Cut(rest, " ")
		d, ok = strings.CutSuffix(d, "s")
		if !ok {
			return Line{}, false
		}
		l.Duration, ok = parseSeconds(d)
		return l, ok && l.Name != ""
	case Refused, PowerOff:
		l.Name, l.Detail, _ = strings.Cut(rest, ": ")
		return l, l.Name != "" && !strings.Contains(l.Name, " ")
	}
	return Line{}, false
}

// parseSeconds reads "12.345678": digits, a point, six digits.
func parseSeconds(s string) (time.Duration, bool) {
	whole, frac, ok := strings.Cut(s, ".")
	if !ok || whole == "" || len(whole) > 9 || len(frac) != 6 {
		return 0, false
	}
	var us int64
	for _, c := range []byte(whole + frac) {
		if c < '0' || c > '9' {
			return 0, false
		}
		us = us*10 + int64(c-'0')
	}
	return time.Duration(us) * time.Microsecond, true
}
