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
// markup, text and its relatives for everything else.
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
