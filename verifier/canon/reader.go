package canon

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
)

// Reader reads a canonical encoding from front to back, for documents that are
// read by the thousand: without reflection, and it accepts what Unmarshal
// accepts. Whoever uses it writes out the document's members in their order;
// what is not there in that order and form is an error. The first error stays:
// everything after it gives zero values, and End returns it.
type Reader struct {
	d    direct
	size int
	err  error
}

// NewReader reads b.
func NewReader(b []byte) *Reader { return &Reader{d: direct{b: b}, size: len(b)} }

// Literal takes exactly these bytes.
func (r *Reader) Literal(s string) {
	if r.err == nil && !r.d.literal(s) {
		r.fail(fmt.Sprintf("%q", s))
	}
}

// Next takes these bytes if they are next, and says whether they were.
func (r *Reader) Next(s string) bool { return r.err == nil && r.d.literal(s) }

// Text takes a string.
func (r *Reader) Text() string {
	if r.err != nil {
		return ""
	}
	before := r.d.b
	s, ok := r.d.text()
	if !ok {
		r.d.b = before
		r.fail("a string in canonical form")
	}
	return s
}

// Integer takes a number.
func (r *Reader) Integer() int64 {
	if r.err != nil {
		return 0
	}
	n, ok := r.d.integer()
	if !ok {
		r.fail("an integer within ±(2^53-1)")
	}
	return n
}

// Octets32 takes a string of 64 digits of lower-case hex.
func (r *Reader) Octets32() Octets32 {
	if r.err != nil {
		return Octets32{}
	}
	before := r.d.b
	var o Octets32
	if raw, ok := r.d.quoted(); !ok || o.UnmarshalText(raw) != nil {
		r.d.b = before
		r.fail("32 bytes of lower-case hex")
		return Octets32{}
	}
	return o
}

// Base64 takes a string of standard base64 with padding, in its one form. What
// it returns is not nil unless it is an error.
func (r *Reader) Base64() []byte {
	if r.err != nil {
		return nil
	}
	before := r.d.b
	raw, ok := r.d.quoted()
	out := make([]byte, base64.StdEncoding.DecodedLen(len(raw)))
	n, err := base64.StdEncoding.Strict().Decode(out, raw)
	if !ok || err != nil || bytes.ContainsAny(raw, "\r\n") { // which encoding/base64 passes over
		r.d.b = before
		r.fail("standard base64 with padding")
		return nil
	}
	return out[:n]
}

// End wants that nothing is left, and gives the first error.
func (r *Reader) End() error {
	if r.err == nil && len(r.d.b) != 0 {
		r.fail("the end")
	}
	return r.err
}

// fail says where the reader stands. It does not show what is there: secrets
// are documents too.
func (r *Reader) fail(want string) {
	r.err = errors.New("decoding canonical JSON: byte " + fmt.Sprint(r.size-len(r.d.b)) + ": want " + want)
}
