package page

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds on what is shown of one string, in bytes: --json has all of it.
const (
	maxText  = 4096
	maxShort = 320 // in the summary, and in the event log, which has many
)

// text writes a string of the verdict or of a log, read strictly from left to
// right whatever its letters are, so that no letter moves another.
func (w *writer) text(s string) { w.marked(s, maxText, nil) }

// wholeID is the longest ID that is never broken across lines; ours are shorter.
const wholeID = 16

// id writes the ID of a check.
func (w *writer) id(id string) {
	if len(id) > wholeID || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		w.text(id)
		return
	}
	w.raw(`<span class="whole">`)
	w.text(id)
	w.raw("</span>")
}

// short is text with the smaller bound.
func (w *writer) short(s string) { w.marked(s, maxShort, nil) }

// marked is text with the spans in marks pointed out. They are in order and do
// not overlap.
func (w *writer) marked(s string, limit int, marks []span) {
	if s == "" {
		w.raw(`<span class="none">nothing</span>`)
		return
	}
	shown := cut(s, limit)
	w.raw(`<bdo dir="ltr">`)
	at := 0
	for _, m := range marks {
		if m.from >= len(shown) {
			break
		}
		to := min(m.to, len(shown))
		w.escaped(shown[at:m.from])
		w.raw("<mark>")
		w.escaped(shown[m.from:to])
		w.raw("</mark>")
		at = to
	}
	w.escaped(shown[at:])
	w.raw("</bdo>")
	if left := len(s) - len(shown); left > 0 {
		w.raw(`<span class="none"> and `)
		w.count(left, "byte more", "bytes more")
		w.raw("</span>")
	}
}

// cut gives at most limit bytes of s and splits no character.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// escaped writes the characters of s. What has no glyph of its own, or acts on
// the characters around it, stands as its number.
func (w *writer) escaped(s string) {
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			w.code(fmt.Sprintf("0x%02X", s[0]))
		case !visible(r):
			w.code(fmt.Sprintf("%U", r))
		default:
			w.character(r)
		}
		s = s[size:]
	}
}

// brailleBlank is a printable character without ink.
const brailleBlank = '\u2800'

// visible reports whether a character shows itself and leaves its neighbours
// alone: no control or format character (marks of direction are among them), no
// space but the ordinary one, nothing that sits on another character, no
// letter without ink.
func visible(r rune) bool {
	return unicode.IsPrint(r) && r != brailleBlank &&
		!unicode.In(r, unicode.M, unicode.Other_Default_Ignorable_Code_Point)
}
