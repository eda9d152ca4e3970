package endorse

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// maxJSON bounds JSON, which is read once for each level of nesting.
const maxJSON = 2 << 20

// member is one member of a JSON object: the exact bytes of its value.
type member struct {
	name string
	raw  json.RawMessage
}

// members splits a JSON object. No name may be there twice, for then the bytes
// that were verified need not be those that were read.
func members(b []byte) ([]member, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("no object")
	}
	var found []member
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: fmt.Sprint(t)}
		if seen[m.name] {
			return nil, fmt.Errorf("member %q twice", clip(m.name))
		}
		seen[m.name] = true
		if err := d.Decode(&m.raw); err != nil {
			return nil, err
		}
		found = append(found, m)
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("trailing data after byte %d", d.InputOffset())
	}
	return found, nil
}

// object takes what a JSON object holds.
func (a *adder) object(b []byte, depth int) {
	if depth > maxDepth || !a.spend(&a.values, maxValues, "JSON values") {
		return
	}
	if len(b) > maxJSON || !utf8.Valid(b) {
		a.ignore("JSON: got %d bytes, want at most %d of UTF-8", len(b), maxJSON)
		return
	}
	found, err := members(b)
	if err != nil {
		a.ignore("JSON: %v", err)
		return
	}
	value := func(name string) json.RawMessage {
		if i := slices.IndexFunc(found, func(m member) bool { return m.name == name }); i >= 0 {
			return found[i].raw
		}
		return nil
	}
	var kind string
	if raw := value("type"); raw != nil && json.Unmarshal(raw, &kind) == nil && kind == Type {
		a.bundle(b)
		return
	}
	before := a.total()
	a.response(found, value)
	for _, m := range found {
		a.value(m.raw, depth+1)
	}
	if depth == 0 && a.total() == before && len(a.why) == 0 {
		a.ignore("JSON without endorsements")
	}
}

func (a *adder) total() int {
	return len(a.found.Certificates) + len(a.found.CRLs) + len(a.found.TCBInfos) + len(a.found.Identities)
}

// response takes Intel's signed objects: those of its service, whose body is an
// object, and those of combined files, whose body is that object as a string.
func (a *adder) response(found []member, value func(string) json.RawMessage) {
	for _, s := range []struct {
		to              *[]Signed
		body, signature string
	}{
		{&a.found.TCBInfos, "tcbInfo", "signature"},
		{&a.found.Identities, "enclaveIdentity", "signature"},
	} {
		body := value(s.body)
		if body == nil {
			continue
		}
		if len(found) != 2 || value(s.signature) == nil {
			a.ignore("JSON: %s: got %d members, want it and %s alone", s.body, len(found), s.signature)
			continue
		}
		a.signed(s.to, s.body, body, value(s.signature))
	}
	for _, s := range []struct {
		to   *[]Signed
		body string
	}{
		{&a.found.TCBInfos, "tcb_info"},
		{&a.found.Identities, "qe_identity"},
	} {
		raw := value(s.body)
		if raw == nil {
			continue
		}
		var body string
		if err := json.Unmarshal(raw, &body); err != nil {
			a.ignore("JSON: %s: want a string that holds the signed object", s.body)
			continue
		}
		a.signed(s.to, s.body, []byte(body), value(s.body+"_signature"))
	}
}

// signed takes one signed object.
func (a *adder) signed(to *[]Signed, name string, body, signature json.RawMessage) {
	var text string
	if signature == nil || json.Unmarshal(signature, &text) != nil {
		a.ignore("JSON: %s: signature: want one as a string of hex", name)
		return
	}
	raw, err := hex.DecodeString(text)
	if err != nil {
		a.ignore("JSON: %s: signature: %v", name, err)
		return
	}
	s := Signed{Body: slices.Clone(body), Signature: raw}
	if err := s.check(); err != nil {
		a.ignore("JSON: %s: %v", name, err)
		return
	}
	if a.spend(&a.objects, maxObjects, "endorsements") {
		*to = append(*to, s)
	}
}

// check checks the form of a signed object.
func (a Signed) check() error {
	if len(a.Signature) != signatureSize {
		return fmt.Errorf("signature: got %d bytes, want %d", len(a.Signature), signatureSize)
	}
	if len(a.Body) > MaxBody {
		return fmt.Errorf("body: got %d bytes, want at most %d", len(a.Body), MaxBody)
	}
	if len(a.Body) == 0 || a.Body[0] != '{' || !utf8.Valid(a.Body) || !json.Valid(a.Body) {
		return errors.New("body: want a JSON object")
	}
	return nil
}

// value looks at a JSON value for endorsements: in objects, in strings, in
// lists, and in lists of numbers that are the bytes of DER.
func (a *adder) value(raw json.RawMessage, depth int) {
	if len(raw) == 0 || a.refused != nil {
		return
	}
	switch raw[0] {
	case '{':
		a.object(raw, depth)
	case '"':
		var text string
		if json.Unmarshal(raw, &text) == nil && a.spend(&a.values, maxValues, "JSON values") {
			a.inner(text, depth)
		}
	case '[':
		a.list(raw, depth)
	}
}

// inner looks at a string. JSON in a string is evidence of others, not
// collateral, and is left alone: the signed objects were taken already.
func (a *adder) inner(text string, depth int) {
	if b := bytes.TrimSpace([]byte(text)); !bytes.HasPrefix(b, []byte("{")) {
		a.text(b, depth)
	}
}

func (a *adder) list(raw json.RawMessage, depth int) {
	if depth > maxDepth || !a.spend(&a.values, maxValues, "JSON values") {
		return
	}
	if first := bytes.TrimSpace(raw[1:]); len(first) > 0 && first[0] >= '0' && first[0] <= '9' && a.numbers(raw) {
		return
	}
	var values []json.RawMessage
	if json.Unmarshal(raw, &values) != nil {
		return
	}
	for _, v := range values {
		a.value(v, depth+1)
	}
}

// numbers looks at a list of numbers as bytes, the way in which some programs
// put a certificate into JSON, and reports whether it was one.
func (a *adder) numbers(raw json.RawMessage) bool {
	var values []uint16 // of uint8, encoding/json would want base64
	if json.Unmarshal(raw, &values) != nil {
		return false
	}
	der := make([]byte, len(values))
	for i, v := range values {
		if v > 0xff {
			return true
		}
		der[i] = byte(v)
	}
	if isDER(der) {
		a.der(der)
	}
	return true
}

// bundle takes a bundle of our own, all or nothing.
func (a *adder) bundle(b []byte) {
	s, err := Decode(b)
	if err != nil {
		a.ignore("%v", err)
		return
	}
	if err := a.found.merge(s); err != nil {
		a.refused = err
	}
}
