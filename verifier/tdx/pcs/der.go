package pcs

import (
	"bytes"
	"fmt"
)

// derReader walks over DER (ITU-T X.690, section 10) with lengths of up
// to two bytes. The first error stays, in err,
// which all readers of one extension share; after it everything reads as empty.
type derReader struct {
	b   []byte
	at  int // where b begins in the extension
	err *error
}

func newDERReader(b []byte) *derReader { return &derReader{b: b, err: new(error)} }

func (d *derReader) fail(format string, args ...any) {
	if *d.err == nil {
		*d.err = fmt.Errorf("at byte %d: "+format, append([]any{d.at}, args...)...)
	}
	d.b = nil
}

func (d *derReader) more() bool { return len(d.b) > 0 }

// end wants nothing left.
func (d *derReader) end(what string) {
	if d.more() {
		d.fail("%d bytes more than the %s has", len(d.b), what)
	}
}

// value reads one element of a tag.
func (d *derReader) value(tag byte) *derReader {
	inner := &derReader{err: d.err, at: d.at}
	if *d.err != nil {
		return inner
	}
	if len(d.b) < 2 || d.b[0] != tag {
		d.fail("no element with tag %#02x", tag)
		return inner
	}
	header, length := 2, int(d.b[1])
	switch {
	case length == 0x81 && len(d.b) > 2 && d.b[2] >= 0x80:
		header, length = 3, int(d.b[2])
	case length == 0x82 && len(d.b) > 3 && d.b[2] != 0:
		header, length = 4, int(d.b[2])<<8|int(d.b[3])
	case length >= 0x80:
		d.fail("length of an element is not in its shortest form, or over 65535")
		return inner
	}
	if length > len(d.b)-header {
		d.fail("element of %d bytes, %d left", length, len(d.b)-header)
		return inner
	}
	inner.at += header
	inner.b = d.b[header : header+length]
	d.b = d.b[header+length:]
	d.at += header + length
	return inner
}

// member reads the sequence of an OID and a value, where the OID is the
// extension's with the given arcs. It returns what follows the OID.
func (d *derReader) member(arcs ...byte) *derReader {
	m := d.value(tagSequence)
	oid := m.value(tagOID)
	// 1.2.840.113741.1.13.1 in the form of X.690, section 8.19
	want := append([]byte{0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01}, arcs...)
	if *d.err == nil && !bytes.Equal(oid.b, want) {
		oid.fail("object identifier %x, want %x: a member is missing, unknown or in another order", oid.b, want)
	}
	return m
}

// octets reads the octet string that is all of the rest.
func (d *derReader) octets(n int) []byte {
	v := d.value(tagOctets)
	if *d.err == nil && len(v.b) != n {
		v.fail("octet string of %d bytes, want %d", len(v.b), n)
	}
	d.end("octet string")
	if *d.err != nil {
		return make([]byte, n)
	}
	return v.b
}

// number reads the integer, not negative, that is all of the rest.
func (d *derReader) number(tag byte, most uint64) uint64 {
	v := d.value(tag)
	d.end("number")
	if *d.err != nil {
		return 0
	}
	if len(v.b) == 0 || len(v.b) > 8 || v.b[0] >= 0x80 || len(v.b) > 1 && v.b[0] == 0 && v.b[1] < 0x80 {
		v.fail("number %x is empty, negative, too long or not in its shortest form", v.b)
		return 0
	}
	var n uint64
	for _, b := range v.b {
		n = n<<8 | uint64(b)
	}
	if n > most {
		v.fail("number %d, want at most %d", n, most)
		return 0
	}
	return n
}

// boolean reads the boolean that is all of the rest.
func (d *derReader) boolean() bool {
	v := d.value(tagBoolean)
	d.end("boolean")
	if *d.err == nil && (len(v.b) != 1 || v.b[0] != 0 && v.b[0] != 0xff) {
		v.fail("boolean %x, want 00 or ff", v.b)
	}
	return *d.err == nil && v.b[0] == 0xff
}
