package canon

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// direct reads the canonical encoding of a value and nothing else: it expects
// the members of an object in the one order that they can have, so it needs no
// second encoding to compare with. It reports false for anything that it does
// not read: bytes that are not canonical, and Go types that no document has
// (maps, interfaces, floats, embedded fields, options in tags other than
// omitempty).
type direct struct {
	b       []byte // what is left
	members map[reflect.Type][]member
}

// member is a field of a struct under its name in JSON.
type member struct {
	prefix   string // the name in quotes and the colon
	index    int
	optional bool // absent when empty, never there and empty
}

// decodeDirect fills in v, a pointer that is not nil.
func decodeDirect(b []byte, v any) bool {
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return false
	}
	d := &direct{b: b, members: map[reflect.Type][]member{}}
	return d.value(p.Elem(), 0) && len(d.b) == 0
}

// literal takes exactly these bytes.
func (d *direct) literal(s string) bool {
	if len(d.b) < len(s) || string(d.b[:len(s)]) != s {
		return false
	}
	d.b = d.b[len(s):]
	return true
}

func (d *direct) value(v reflect.Value, depth int) bool {
	if depth > maxDepth {
		return false
	}
	if t, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok && v.Kind() != reflect.Pointer {
		return d.textValue(t)
	}
	switch v.Kind() {
	case reflect.Pointer:
		if d.literal("null") {
			v.SetZero()
			return true
		}
		v.Set(reflect.New(v.Type().Elem()))
		return d.value(v.Elem(), depth)
	case reflect.Struct:
		return d.object(v, depth)
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[[]byte]() {
			return d.octets(v)
		}
		return d.list(v, depth)
	case reflect.Array:
		return d.array(v, depth)
	case reflect.String:
		s, ok := d.text()
		v.SetString(s)
		return ok
	case reflect.Bool:
		v.SetBool(d.literal("true"))
		return v.Bool() || d.literal("false")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, ok := d.integer()
		return ok && !v.OverflowInt(n) && set(v.SetInt, n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, ok := d.integer()
		return ok && n >= 0 && !v.OverflowUint(uint64(n)) && set(v.SetUint, uint64(n))
	default:
		return false
	}
}

// set is a setter as part of a condition.
func set[T any](to func(T), v T) bool {
	to(v)
	return true
}

// textValue reads a string for a type with a text form, which must be the one
// that it writes.
func (d *direct) textValue(t encoding.TextUnmarshaler) bool {
	s, ok := d.text()
	if !ok || t.UnmarshalText([]byte(s)) != nil {
		return false
	}
	m, ok := t.(encoding.TextMarshaler)
	if !ok {
		return false
	}
	again, err := m.MarshalText()
	return err == nil && string(again) == s
}

func (d *direct) object(v reflect.Value, depth int) bool {
	list, ok := d.membersOf(v.Type())
	if !ok || !d.literal("{") {
		return false
	}
	comma := ""
	for _, m := range list {
		field := v.Field(m.index)
		if !d.literal(comma + m.prefix) {
			if !m.optional {
				return false
			}
			field.SetZero()
			continue
		}
		comma = ","
		if !d.value(field, depth+1) || m.optional && empty(field) {
			return false
		}
	}
	return d.literal("}")
}

// empty is what encoding/json leaves out under omitempty, of the kinds that
// membersOf lets be optional.
func empty(v reflect.Value) bool {
	if v.Kind() == reflect.Pointer {
		return v.IsNil()
	}
	return v.Len() == 0
}

// membersOf lists the fields of a struct type, sorted by their names.
func (d *direct) membersOf(t reflect.Type) ([]member, bool) {
	if list, ok := d.members[t]; ok {
		return list, true
	}
	list := make([]member, 0, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		name, ok := strings.CutPrefix(string(f.Tag), `json:`) // and no other key
		name, optional := cutOption(name, f.Type)
		if !ok || f.Anonymous || !f.IsExported() || !plainName(name) {
			return nil, false
		}
		list = append(list, member{prefix: name + ":", index: i, optional: optional})
	}
	slices.SortFunc(list, func(a, b member) int { return cmp.Compare(a.name(), b.name()) })
	for i := 1; i < len(list); i++ {
		if list[i].prefix == list[i-1].prefix {
			return nil, false
		}
	}
	d.members[t] = list
	return list, true
}

// name is what members are sorted by. A quote sorts before most of what names
// are made of, so it can't be left on.
func (m member) name() string { return m.prefix[1 : len(m.prefix)-2] }

// cutOption takes omitempty off a name in quotes, for lists and pointers.
func cutOption(name string, t reflect.Type) (string, bool) {
	if plain, ok := strings.CutSuffix(name, `,omitempty"`); ok && (t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer) {
		return plain + `"`, true
	}
	return name, false
}

// plainName accepts a name in quotes that needs no escape and holds no option.
func plainName(s string) bool {
	if len(s) < 3 || s[0] != '"' || s[len(s)-1] != '"' {
		return false
	}
	s = s[1 : len(s)-1]
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

func (d *direct) list(v reflect.Value, depth int) bool {
	if d.literal("null") {
		v.SetZero()
		return true
	}
	if !d.literal("[") {
		return false
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	for n := 0; !d.literal("]"); n++ {
		if n > 0 && !d.literal(",") {
			return false
		}
		v.Grow(1)
		v.SetLen(n + 1)
		v.Index(n).SetZero()
		if !d.value(v.Index(n), depth+1) {
			return false
		}
	}
	return true
}

func (d *direct) array(v reflect.Value, depth int) bool {
	if !d.literal("[") {
		return false
	}
	for i := range v.Len() {
		if i > 0 && !d.literal(",") {
			return false
		}
		if !d.value(v.Index(i), depth+1) {
			return false
		}
	}
	return d.literal("]")
}

// integer reads a number of the subset.
func (d *direct) integer() (int64, bool) {
	n := 0
	for n < len(d.b) && (d.b[n] == '-' || d.b[n] >= '0' && d.b[n] <= '9') {
		n++
	}
	text := string(d.b[:n])
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil || value > maxInteger || value < -maxInteger || strconv.FormatInt(value, 10) != text {
		return 0, false
	}
	d.b = d.b[n:]
	return value, true
}

// octets reads the standard base64 of bytes, which has one form.
func (d *direct) octets(v reflect.Value) bool {
	if d.literal("null") {
		v.SetZero()
		return true
	}
	raw, ok := d.quoted()
	if !ok || bytes.ContainsAny(raw, "\r\n") { // which encoding/base64 passes over
		return false
	}
	out := make([]byte, base64.StdEncoding.DecodedLen(len(raw)))
	n, err := base64.StdEncoding.Strict().Decode(out, raw)
	if err != nil {
		return false
	}
	v.SetBytes(out[:n])
	return true
}

// text reads a string. One with an escape is written again and compared, for
// each character has one form only.
func (d *direct) text() (string, bool) {
	raw, ok := d.quoted()
	if !ok {
		return "", false
	}
	plain := true
	for _, c := range raw {
		if c < ' ' {
			return "", false
		}
		plain = plain && c != '\\' && c < utf8.RuneSelf
	}
	if plain {
		return string(raw), true
	}
	return unescape(raw)
}

// quoted takes a string and gives the bytes between its quotes. A quote ends
// it unless an odd number of backslashes stands before.
func (d *direct) quoted() ([]byte, bool) {
	if !d.literal(`"`) {
		return nil, false
	}
	for end := 0; ; end++ {
		n := bytes.IndexByte(d.b[end:], '"')
		if n < 0 {
			return nil, false
		}
		end += n
		raw := d.b[:end]
		if slashes := len(raw) - len(bytes.TrimRight(raw, `\`)); slashes%2 == 0 {
			d.b = d.b[end+1:]
			return raw, true
		}
	}
}

// unescape reads what stands between quotes, and refuses another form than the
// one that Marshal writes.
func unescape(raw []byte) (string, bool) {
	quoted := append(append([]byte{'"'}, raw...), '"')
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return "", false
	}
	var again bytes.Buffer
	if writeString(&again, s) != nil || !bytes.Equal(again.Bytes(), quoted) {
		return "", false
	}
	return s, true
}
