package pcs

import (
	"strconv"
	"time"
)

// words reads a short string for people: printable ASCII.
func (r *reader) words() string {
	at := r.at
	s := r.text()
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			r.failAt(at, "string %q, want printable ASCII", s)
			return ""
		}
	}
	if len(s) > 64 {
		r.failAt(at, "string of %d bytes, want at most 64", len(s))
		return ""
	}
	return s
}

// constant wants one string.
func (r *reader) constant(want string) {
	at := r.at
	if s := r.text(); s != want {
		r.failAt(at, "%q, want %q", s, want)
	}
}

// number reads an integer without sign, fraction and exponent.
func (r *reader) number(most uint64) uint64 {
	r.space()
	start := r.at
	digits := r.digits()
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n > most || len(digits) > 1 && digits[0] == '0' || r.at < len(r.s) && (r.s[r.at] == '.' || r.s[r.at]|0x20 == 'e') {
		r.failAt(start, "no integer from 0 to %d", most)
		return 0
	}
	return n
}

func (r *reader) digits() string {
	start := r.at
	for r.at < len(r.s) && r.s[r.at] >= '0' && r.s[r.at] <= '9' {
		r.at++
	}
	return r.s[start:r.at]
}

// exactly wants one number.
func (r *reader) exactly(want uint64) {
	at := r.at
	if n := r.number(1<<32 - 1); n != want {
		r.failAt(at, "%d, want %d", n, want)
	}
}

// hex reads hexadecimal digits of either case, two for each byte of into.
func (r *reader) hex(into []byte) {
	at := r.at
	if s := r.text(); !unhex(into, s) {
		r.failAt(at, "%q, want %d hexadecimal digits", s, 2*len(into))
	}
}

func unhex(into []byte, s string) bool {
	if len(s) != 2*len(into) {
		return false
	}
	bad := byte(0)
	for i := range into {
		high, low := nibble(s[2*i]), nibble(s[2*i+1])
		bad |= (high | low) & 0xf0
		into[i] = high<<4 | low&0x0f
	}
	return bad == 0
}

// nibble gives the value of a hexadecimal digit, 0xff of another byte.
func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

// date reads a date in UTC to the second (RFC 3339; PCS API version 4), in the
// one form that time.Format writes: time.Parse takes others too.
func (r *reader) date() time.Time {
	at := r.at
	s := r.text()
	t, err := time.Parse(time.RFC3339, s)
	var again [32]byte
	if err != nil || string(t.UTC().AppendFormat(again[:0], time.RFC3339)) != s {
		r.failAt(at, "date %q, want the form 2006-01-02T15:04:05Z", s)
	}
	return t
}
