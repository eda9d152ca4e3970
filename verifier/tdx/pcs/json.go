package pcs

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"
)

// What a document may have at most. The largest seen has 12 members in an object
// and nests 6 deep.
const (
	maxMembers = 64
	maxDepth   = 16
)

// reader walks once over JSON (RFC 8259). Unlike encoding/json it refuses a name
// that is in an object twice, at any depth, and takes names letter by letter. The
// first error stays; after it everything reads as empty.
type reader struct {
	s     string
	at    int
	depth int
	names []string // of the members read so far, of all objects that are open
	err   error
}

func newReader(body []byte) *reader {
	r := &reader{s: string(body), names: make([]string, 0, 4*maxMembers)}
	if !utf8.Valid(body) {
		r.fail("not UTF-8")
	}
	return r
}

func (r *reader) fail(format string, args ...any) { r.failAt(r.at, format, args...) }

func (r *reader) failAt(at int, format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("at byte %d: "+format, append([]any{at}, args...)...)
	}
	r.s = ""
	r.at = 0
}

// end wants nothing left but white space.
func (r *reader) end() error {
	if r.space(); r.at < len(r.s) {
		r.fail("%d bytes after the document", len(r.s)-r.at)
	}
	return r.err
}

// space skips white space and returns the byte after it, 0 at the end.
func (r *reader) space() byte {
	for r.at < len(r.s) {
		switch c := r.s[r.at]; c {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return c
		}
	}
	return 0
}

// take wants one byte.
func (r *reader) take(c byte) bool {
	if r.space() != c {
		r.fail("no %q", string(c))
		return false
	}
	r.at++
	return true
}

// object reads an object. member is called for each name and reads its value.
func (r *reader) object(what string, member func(name string), required ...string) {
	start, open := r.at, len(r.names)
	defer func() { r.names = r.names[:open] }()
	if !r.enter('{') {
		return
	}
	for r.space() != '}' {
		if len(r.names) > open && !r.take(',') {
			return
		}
		r.space()
		at := r.at
		name := r.text()
		if !r.take(':') {
			return
		}
		if slices.Contains(r.names[open:], name) {
			r.failAt(at, "%s: member %q twice", what, name)
			return
		}
		if len(r.names)-open == maxMembers {
			r.failAt(at, "%s: over %d members", what, maxMembers)
			return
		}
		r.names = append(r.names, name)
		member(name)
		if r.err != nil {
			return
		}
	}
	r.leave()
	for _, name := range required {
		if !slices.Contains(r.names[open:], name) {
			r.failAt(start, "%s: no member %q", what, name)
		}
	}
}

// array reads an array that is not empty. entry reads each of its values.
func (r *reader) array(what string, entry func()) {
	at, n := r.at, 0
	r.list(func() { n++; entry() })
	if n == 0 {
		r.failAt(at, "%s: empty", what)
	}
}

// list reads an array that may be empty.
func (r *reader) list(entry func()) {
	if !r.enter('[') {
		return
	}
	for first := true; r.space() != ']'; first = false {
		if !first && !r.take(',') {
			return
		}
		if entry(); r.err != nil {
			return
		}
	}
	r.leave()
}

func (r *reader) enter(c byte) bool {
	if r.depth++; r.depth > maxDepth {
		r.fail("nested deeper than %d", maxDepth)
	}
	return r.take(c)
}

func (r *reader) leave() {
	r.depth--
	r.at++
}

// text reads a string.
func (r *reader) text() string {
	if !r.take('"') {
		return ""
	}
	start, escaped := r.at, false
	for r.at < len(r.s) {
		switch c := r.s[r.at]; {
		case c == '"':
			r.at++
			if escaped {
				return r.unescape(start - 1)
			}
			return r.s[start : r.at-1]
		case c < ' ':
			r.fail("control character %#02x in a string", c)
			return ""
		case c == '\\':
			escaped = true
			r.at++
		}
		r.at++
	}
	r.at = len(r.s)
	r.failAt(start, "string does not end")
	return ""
}

func (r *reader) unescape(start int) string {
	var s string
	if err := json.Unmarshal([]byte(r.s[start:r.at]), &s); err != nil {
		r.failAt(start, "string: %w", err)
	}
	return s
}

// skip reads a value of any kind.
func (r *reader) skip() {
	switch c := r.space(); c {
	case '{':
		r.object("object", func(string) { r.skip() })
	case '[':
		r.list(r.skip)
	case '"':
		r.text()
	default:
		start := r.at
		for r.at < len(r.s) && r.s[r.at] > ' ' && r.s[r.at] != ',' && r.s[r.at] != ']' && r.s[r.at] != '}' {
			r.at++
		}
		if !json.Valid([]byte(r.s[start:r.at])) {
			r.failAt(start, "no value")
		}
	}
}
