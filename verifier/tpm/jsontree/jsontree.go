// Package jsontree reads JSON that others wrote and that a verdict rests on:
// every key is asked for by its exact name, none comes twice, and what an
// object holds beyond that is refused unless the caller says otherwise.
//
// It implements RFC 8259 through encoding/json's scanner, with the choices
// that the RFC leaves open made strictly: duplicate names are errors (section
// 4), numbers are integers, nothing follows the value.
package jsontree

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of a document.
const (
	MaxSize  = 512 << 10 // bytes; the largest real evidence has 37 kB
	maxDepth = 8
)

// Object is a JSON object. The objects of a document share its first error:
// after it readings give zero values.
type Object struct {
	err    *error
	name   string
	values map[string]any
}

// Parse reads a document whose value is an object.
func Parse(b []byte) (*Object, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("length: got %d, want at most %d", len(b), MaxSize)
	}
	if !utf8.Valid(b) {
		return nil, errors.New("text is not UTF-8")
	}
	if !json.Valid(b) { // so that the walk below only has to look at what it is about
		return nil, errors.New("text is no JSON value")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := value(d, 0)
	if err != nil {
		return nil, fmt.Errorf("at byte %d: %w", d.InputOffset(), err)
	}
	values, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("value: got no object")
	}
	return &Object{err: new(error), values: values}, nil
}

// value reads one value: an object, a list, or what stands for itself.
func value(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if depth == maxDepth {
		return nil, fmt.Errorf("nesting: got more than %d levels", maxDepth)
	}
	if delim == '{' {
		return object(d, depth+1)
	}
	return list(d, depth+1)
}

func object(d *json.Decoder, depth int) (any, error) {
	values := map[string]any{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if !ok {
			return nil, fmt.Errorf("name: got %v", t)
		}
		if _, twice := values[name]; twice {
			return nil, fmt.Errorf("name %.100q comes twice", name)
		}
		if values[name], err = value(d, depth); err != nil {
			return nil, err
		}
	}
	_, err := d.Token() // the closing brace
	return values, err
}

func list(d *json.Decoder, depth int) (any, error) {
	values := []any{}
	for d.More() {
		v, err := value(d, depth)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	_, err := d.Token() // the closing bracket
	return values, err
}

// Err is the first error of the document.
func (o *Object) Err() error { return *o.err }

// End refuses names that nobody has asked for, and gives the first error.
func (o *Object) End() error {
	left := make([]string, 0, len(o.values))
	for name := range o.values {
		left = append(left, name)
	}
	if len(left) > 0 {
		slices.Sort(left)
		o.fail(left[0], "unknown")
	}
	return *o.err
}

// Has reports whether a name is there and was not asked for.
func (o *Object) Has(name string) bool {
	_, ok := o.values[name]
	return ok
}

func (o *Object) path(name string) string {
	if o.name == "" {
		return name
	}
	return o.name + "." + name
}

func (o *Object) fail(name, format string, args ...any) {
	if *o.err == nil {
		*o.err = fmt.Errorf("%.100s: %s", o.path(name), fmt.Sprintf(format, args...))
	}
}

func (o *Object) take(name string) any {
	v, ok := o.values[name]
	if !ok {
		o.fail(name, "missing")
	}
	delete(o.values, name)
	return v
}

// Object reads an object.
func (o *Object) Object(name string) *Object {
	values, ok := o.take(name).(map[string]any)
	if !ok {
		o.fail(name, "want an object")
	}
	return &Object{err: o.err, name: o.path(name), values: values}
}

// Objects reads a list of 1 to most objects.
func (o *Object) Objects(name string, most int) []*Object {
	var out []*Object
	for _, v := range o.list(name, most) {
		values, ok := v.(map[string]any)
		if !ok {
			o.fail(name, "want a list of objects")
		}
		out = append(out, &Object{err: o.err, name: o.path(name), values: values})
	}
	return out
}

func (o *Object) list(name string, most int) []any {
	list, ok := o.take(name).([]any)
	if !ok || len(list) == 0 || len(list) > most {
		o.fail(name, "got %d entries, want a list of 1 to %d", len(list), most)
		return nil
	}
	return list
}

// Lists reads a list of 1 to most lists of octets, as Octets reads one.
func (o *Object) Lists(name string, most, size int) [][]byte {
	var out [][]byte
	for _, v := range o.list(name, most) {
		out = append(out, o.octets(name, v, size))
	}
	return out
}

// Texts reads a list of 1 to most texts.
func (o *Object) Texts(name string, most int) []string {
	var out []string
	for _, v := range o.list(name, most) {
		s, ok := v.(string)
		if !ok {
			o.fail(name, "want a list of texts")
		}
		out = append(out, s)
	}
	return out
}

// Text reads a text.
func (o *Object) Text(name string) string {
	s, ok := o.take(name).(string)
	if !ok {
		o.fail(name, "want a text")
	}
	return s
}

// Bool reads true or false.
func (o *Object) Bool(name string) bool {
	v, ok := o.take(name).(bool)
	if !ok {
		o.fail(name, "want true or false")
	}
	return v
}

// Number reads an integer of 0 to most.
func (o *Object) Number(name string, most int) int {
	return o.number(name, o.take(name), most)
}

func (o *Object) number(name string, v any, most int) int {
	text, _ := v.(json.Number)
	n, err := strconv.Atoi(text.String())
	if err != nil || n < 0 || n > most || strconv.Itoa(n) != text.String() {
		o.fail(name, "got %.20q, want an integer from 0 to %d", text.String(), most)
		return 0
	}
	return n
}

// Octets reads a list of at most size integers from 0 to 255.
func (o *Object) Octets(name string, size int) []byte {
	return o.octets(name, o.take(name), size)
}

func (o *Object) octets(name string, v any, size int) []byte {
	list, ok := v.([]any)
	if !ok || len(list) > size {
		o.fail(name, "got %d entries, want a list of at most %d octets", len(list), size)
		return nil
	}
	b := make([]byte, len(list))
	for i, entry := range list {
		b[i] = byte(o.number(name, entry, 0xff))
	}
	return b
}

// Hex reads at most size bytes in lower-case hex.
func (o *Object) Hex(name string, size int) []byte {
	return o.hex(name, o.Text(name), size)
}

// HexList reads a list of 1 to most such texts.
func (o *Object) HexList(name string, most, size int) [][]byte {
	var out [][]byte
	for _, s := range o.Texts(name, most) {
		out = append(out, o.hex(name, s, size))
	}
	return out
}

func (o *Object) hex(name, s string, size int) []byte {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) > size || hex.EncodeToString(b) != s {
		o.fail(name, "got %d characters, want at most %d bytes of lower-case hex", len(s), size)
		return nil
	}
	return b
}

// Base64 reads at most size bytes in base64, in one of its alphabets with
// padding (RFC 4648, sections 4 and 5).
func (o *Object) Base64(name string, alphabet *base64.Encoding, size int) []byte {
	s := o.Text(name)
	b, err := alphabet.Strict().DecodeString(s)
	if err != nil || len(b) > size || strings.ContainsAny(s, "\r\n") {
		o.fail(name, "got %d characters, want at most %d bytes of base64", len(s), size)
		return nil
	}
	return b
}
