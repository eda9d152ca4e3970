package deb

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of one control stanza.
const (
	maxControl = 1 << 20
	maxFields  = 256
)

// Control holds the fields of one stanza by name, in the case that the text
// uses. Lines of a folded value are separated by "\n", without the blank that
// starts each of them.
type Control map[string]string

// ParseControl reads one stanza: Debian Policy 5.1, syntax of control files.
// A field given twice, a comment or a second stanza is an error.
func ParseControl(b []byte) (Control, error) {
	if len(b) > maxControl {
		return nil, fmt.Errorf("got %d bytes, limit is %d", len(b), maxControl)
	}
	if !utf8.Valid(b) {
		return nil, errors.New("text is not UTF-8")
	}
	text, ok := strings.CutSuffix(string(b), "\n")
	if !ok {
		return nil, errors.New("last line has no end: truncated")
	}
	c := make(Control)
	lower := make(map[string]bool) // field names do not differ by case, Policy 5.1
	var name string
	for i, line := range strings.Split(text, "\n") {
		if rest, ok := cutFold(line); ok && name != "" {
			c[name] += "\n" + rest
			continue
		}
		var value string
		var err error
		if name, value, err = splitField(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if lower[strings.ToLower(name)] {
			return nil, fmt.Errorf("line %d: field %s: given twice", i+1, name)
		}
		if len(c) == maxFields {
			return nil, fmt.Errorf("line %d: limit of %d fields exceeded", i+1, maxFields)
		}
		lower[strings.ToLower(name)] = true
		c[name] = value
	}
	return c, nil
}

// cutFold recognises a continuation line: it starts with a blank and is not
// all blank.
func cutFold(line string) (string, bool) {
	if line == "" || (line[0] != ' ' && line[0] != '\t') || strings.Trim(line, " \t") == "" {
		return "", false
	}
	return strings.TrimRight(line[1:], " \t"), true
}

func splitField(line string) (name, value string, err error) {
	name, value, ok := strings.Cut(line, ":")
	if !ok || name == "" || name[0] == '-' || name[0] == '#' {
		return "", "", fmt.Errorf("got %.60q, want \"Field: value\"", line)
	}
	for i := range len(name) {
		// Policy 5.1: printable US-ASCII but the colon.
		if name[i] <= ' ' || name[i] > '~' {
			return "", "", fmt.Errorf("field name %.60q: byte %#02x is not allowed", name, name[i])
		}
	}
	return name, strings.Trim(value, " \t"), nil
}

// identity returns the three fields that name a package, checked.
func (c Control) identity() (name, version, architecture string, err error) {
	for _, f := range []struct {
		field string
		value *string
		valid func(string) bool
	}{
		{"Package", &name, ValidName},
		{"Version", &version, ValidVersion},
		{"Architecture", &architecture, ValidArchitecture},
	} {
		v, ok := c[f.field]
		if !ok {
			return "", "", "", fmt.Errorf("field %s: missing", f.field)
		}
		if !f.valid(v) {
			return "", "", "", fmt.Errorf("field %s: got %q, want a value as the Debian Policy has it", f.field, v)
		}
		*f.value = v
	}
	return name, version, architecture, nil
}

// maxIdentity bounds a package's name, version and architecture.
const maxIdentity = 200

// ValidName tells whether s can name a package: Policy 5.6.1, lower-case
// letters, digits, plus, minus and full stop, at least two, an alphanumeric
// first.
func ValidName(s string) bool {
	return len(s) >= 2 && len(s) <= maxIdentity && isLowerOrDigit(s[0]) && consistsOf(s, isLowerOrDigit, "+-.")
}

// ValidArchitecture tells whether s can be an architecture: Policy 5.6.8.
func ValidArchitecture(s string) bool {
	return s != "" && len(s) <= maxIdentity && isLower(s[0]) && consistsOf(s, isLowerOrDigit, "-")
}

// ValidVersion tells whether s can be a version: Policy 5.6.12,
// [epoch:]upstream[-revision].
func ValidVersion(s string) bool {
	if s == "" || len(s) > maxIdentity {
		return false
	}
	v := splitVersion(s)
	return v.epoch != "" && len(v.epoch) <= 9 && consistsOf(v.epoch, isDigit, "") &&
		v.upstream != "" && isDigit(v.upstream[0]) && consistsOf(v.upstream, isAlphanumeric, ".+-:~") &&
		v.revision != "" && consistsOf(v.revision, isAlphanumeric, "+.~")
}

// consistsOf tells whether every byte of s is of the class or one of punctuation.
func consistsOf(s string, class func(byte) bool, punctuation string) bool {
	for i := range len(s) {
		if !class(s[i]) && strings.IndexByte(punctuation, s[i]) < 0 {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool        { return c >= '0' && c <= '9' }
func isLower(c byte) bool        { return c >= 'a' && c <= 'z' }
func isLetter(c byte) bool       { return isLower(c) || (c >= 'A' && c <= 'Z') }
func isLowerOrDigit(c byte) bool { return isLower(c) || isDigit(c) }
func isAlphanumeric(c byte) bool { return isLetter(c) || isDigit(c) }
