package page

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
)

// literal is markup. Its values are constants in this package's source and
// nothing is ever converted to it (a test looks), so no string of a verdict can
// become markup.
type literal string

// writer collects the page. Everything goes through its methods: raw for
// markup, text and its relatives for everything else. No other file touches b.
type writer struct {
	b strings.Builder
}

func (w *writer) bytes() []byte { return []byte(w.b.String()) }

func (w *writer) raw(parts ...literal) {
	for _, p := range parts {
		w.b.WriteString(string(p))
	}
}

func (w *writer) number(n int) { w.b.WriteString(strconv.Itoa(n)) }

// count writes a number with the word for one or for several.
func (w *writer) count(n int, one, several literal) {
	w.number(n)
	w.raw(" ")
	if n == 1 {
		w.raw(one)
	} else {
		w.raw(several)
	}
}

// styleHash is the hash by which the page's policy allows its own style and
// no other (Content Security Policy Level 3, 2.3.1: hash-source).
func (w *writer) styleHash() {
	sum := sha256.Sum256([]byte(style))
	w.b.WriteString(base64.StdEncoding.EncodeToString(sum[:]))
}

// character writes one visible character; the five that HTML has a use for
// become references (WHATWG HTML, 13.1.2.3 and 13.1.4).
func (w *writer) character(r rune) {
	switch r {
	case '<':
		w.raw("&lt;")
	case '>':
		w.raw("&gt;")
	case '&':
		w.raw("&amp;")
	case '"':
		w.raw("&#34;")
	case '\'':
		w.raw("&#39;")
	case '_': // names of events are long, and end their parts so
		w.raw("_<wbr>")
	default:
		w.b.WriteRune(r)
	}
}

// code writes the number of a character; number is made by escaped and holds
// letters, digits and a plus sign.
func (w *writer) code(number string) {
	w.raw(`<span class="code">`)
	w.b.WriteString(number)
	w.raw("</span>")
}
