package page

import (
	"strings"

	"safebox/verifier/verdict"
)

// state is how a check or a stage stands. It is never shown by colour alone:
// each has a word and a sign of its own shape.
type state uint8

const (
	failed state = iota
	notReached
	withheld // a stage whose own checks passed, and nothing follows from it
	absent   // a stage without a check
	open     // passed, and would pass with any value
	passed
)

// stateOf: a check that was not reached has failed too, but says nothing about
// the machine.
func stateOf(c verdict.Check) state {
	switch {
	case c.OK && (saysAny(c.Want) || saysAny(c.Got)):
		return open
	case c.OK:
		return passed
	case c.Reached:
		return failed
	}
	return notReached
}

// saysAny looks for the word by which checks tell that the policy lets any value
// pass. The words are for people, so this misses some and finds others that
// meant nothing by it: the list of waivers is complete, this is only a sign
// where to look. It never makes anything look better than it is.
func saysAny(s string) bool {
	const word = "any"
	for at := 0; ; {
		i := strings.Index(s[at:], word)
		if i < 0 {
			return false
		}
		from, to := at+i, at+i+len(word)
		if (from == 0 || !wordByte(s[from-1])) && (to == len(s) || !wordByte(s[to])) {
			return true
		}
		at = to
	}
}

// state of a stage is the worst of its checks.
func (g *grouped) state(accepted bool) state {
	if len(g.deciding) == 0 && g.name != keyRelease {
		return absent
	}
	worst := passed
	for _, c := range g.deciding {
		worst = min(worst, stateOf(c))
	}
	if g.name == keyRelease && worst == passed && !accepted {
		return withheld
	}
	return worst
}

// class is the state's class in the style.
func (s state) class() literal {
	switch s {
	case passed:
		return "ok"
	case failed:
		return "bad"
	case notReached, withheld, open:
		return "wait"
	}
	return "gone"
}

// word is the state in words.
func (s state) word() literal {
	switch s {
	case passed:
		return "passed"
	case failed:
		return "failed"
	case notReached:
		return "not reached"
	case withheld:
		return "withheld"
	case open:
		return "any accepted"
	}
	return "no check"
}

// sign is the state's picture: a disc with a tick, an octagon with a cross, a
// ring with a bar, a triangle with a mark, a broken ring. The word beside it is what is read aloud.
func (s state) sign() literal {
	const start = `<svg class="sign" viewBox="0 0 16 16" aria-hidden="true" focusable="false">`
	switch s {
	case passed:
		return start + `<circle class="fill" cx="8" cy="8" r="8"/><path class="cut" d="M4.2 8.4l2.6 2.6 5-5.6"/></svg>`
	case failed:
		return start + `<path class="fill" d="M4.7 0h6.6L16 4.7v6.6L11.3 16H4.7L0 11.3V4.7z"/><path class="cut" d="M5 5l6 6M11 5l-6 6"/></svg>`
	case notReached, withheld:
		return start + `<circle class="ring" cx="8" cy="8" r="7"/><path class="ring" d="M4.5 8h7"/></svg>`
	case open:
		return start + `<path class="ring" d="M8 1.8L14.8 14H1.2zM8 6.2v3.6M8 11.6v.6"/></svg>`
	}
	return start + `<circle class="ring broken" cx="8" cy="8" r="7"/></svg>`
}

// badge writes sign and word.
func (w *writer) badge(s state) {
	w.raw(`<span class="badge `, s.class(), `">`, s.sign(), s.word(), `</span>`)
}
