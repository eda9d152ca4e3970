// Package canon is the canonical JSON of every document that is hashed or
// signed here: the subset of RFC 8785 (JSON Canonicalization Scheme) without
// floating-point numbers. One value has exactly one encoding, so two programs
// that agree on the value agree on the digest.
//
// The rules, which Unmarshal repeats in order:
//
//  1. UTF-8, no byte order mark, no white space outside strings.
//  2. Object members sorted by name (bytewise: names are ASCII), no name twice.
//  3. Integers only, from -(2^53-1) to 2^53-1, without exponent or leading zero.
//  4. Strings escape only what RFC 8259 demands, in RFC 8785 form.
//  5. Every field of the Go type is present, but for optional lists and objects,
//     which are absent when they are empty; none is unknown.
package canon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"
)

// maxDepth bounds nesting.
const maxDepth = 32

// maxInteger is the largest magnitude that every JSON reader keeps exactly
// (RFC 8785, section 3.2.2.3).
const maxInteger = 1<<53 - 1

// Marshal gives the canonical encoding of v.
func Marshal(v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding canonical JSON: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(plain))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return nil, fmt.Errorf("encoding canonical JSON: %w", err)
	}
	var out bytes.Buffer
	if err := write(&out, tree, 0); err != nil {
		return nil, fmt.Errorf("encoding canonical JSON: %w", err)
	}
	return out.Bytes(), nil
}

// Unmarshal decodes b into v, a pointer to a zero value, and refuses every b
// that Marshal would not have written for that value. On error v holds nothing
// of use.
func Unmarshal(b []byte, v any) error {
	if decodeDirect(b, v) {
		return nil
	}
	return decodeTwice(b, v)
}

// decodeTwice decodes, encodes again and compares. That is what Unmarshal
// means; direct does the same in one pass for what is canonical, so this one
// has the errors to explain.
func decodeTwice(b []byte, v any) error {
	if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer && !p.IsNil() {
		p.Elem().SetZero()
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("decoding canonical JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("decoding canonical JSON: trailing data after byte %d", d.InputOffset())
	}
	again, err := Marshal(v)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, b) {
		return fmt.Errorf("decoding canonical JSON: not in canonical form: first difference at byte %d", firstDifference(again, b))
	}
	return nil
}

func firstDifference(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

func write(out *bytes.Buffer, v any, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	switch v := v.(type) {
	case nil:
		out.WriteString("null")
	case bool:
		out.WriteString(strconv.FormatBool(v))
	case json.Number:
		n, err := v.Int64()
		if err != nil || n > maxInteger || n < -maxInteger || strconv.FormatInt(n, 10) != v.String() {
			return fmt.Errorf("number %s is no integer within ±(2^53-1)", v)
		}
		out.WriteString(v.String())
	case string:
		return writeString(out, v)
	case []any:
		return writeArray(out, v, depth)
	case map[string]any:
		return writeObject(out, v, depth)
	default:
		return fmt.Errorf("value of type %T", v)
	}
	return nil
}

func writeArray(out *bytes.Buffer, v []any, depth int) error {
	out.WriteByte('[')
	for i, e := range v {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := write(out, e, depth+1); err != nil {
			return err
		}
	}
	out.WriteByte(']')
	return nil
}

func writeObject(out *bytes.Buffer, v map[string]any, depth int) error {
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	slices.Sort(names)
	out.WriteByte('{')
	for i, name := range names {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := writeString(out, name); err != nil {
			return err
		}
		out.WriteByte(':')
		if err := write(out, v[name], depth+1); err != nil {
			return err
		}
	}
	out.WriteByte('}')
	return nil
}

// writeString escapes as RFC 8785, section 3.2.2.2 says.
func writeString(out *bytes.Buffer, s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("string %q is not UTF-8", s)
	}
	out.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		case r >= 0x20:
			out.WriteRune(r)
		case r == '\b':
			out.WriteString(`\b`)
		case r == '\t':
			out.WriteString(`\t`)
		case r == '\n':
			out.WriteString(`\n`)
		case r == '\f':
			out.WriteString(`\f`)
		case r == '\r':
			out.WriteString(`\r`)
		default:
			fmt.Fprintf(out, `\u%04x`, r)
		}
	}
	out.WriteByte('"')
	return nil
}
