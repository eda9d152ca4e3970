// Package table reads TOML 1.0 strictly, for policies: every key that is asked
// for must be there, every key that is there must be asked for, a list is never
// empty, and a value of another type is an error that names the key and its
// line. There is no default: what is not checked is written out as "any".
package table

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/pelletier/go-toml/v2"
)

// Any is written where something is not checked.
const Any = "any"

// maxList bounds the entries of a list.
const maxList = 64

// Table is a table of the file. The first error of a whole file is kept:
// after it readings give zero values, and Close tells it.
type Table struct {
	state  *state
	name   string
	entry  int // place in a list of tables
	values map[string]any
}

// state is what the tables of a file share.
type state struct {
	file  []byte
	key   string // that the error is about
	entry int    // of its table
	err   error
}

// Parse reads a file.
func Parse(file []byte) (*Table, error) {
	values := map[string]any{}
	if err := toml.Unmarshal(file, &values); err != nil {
		var d *toml.DecodeError
		if errors.As(err, &d) {
			line, _ := d.Position()
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		return nil, err
	}
	return &Table{state: &state{file: file}, values: values}, nil
}

// Close gives the first error of the file, with the line of its key where the
// key is there. It wants End to have been called on every table.
func (t *Table) Close() error {
	s := t.state
	if s.err == nil {
		return nil
	}
	return fmt.Errorf("%s%w", place(s.file, s.key, s.entry), s.err)
}

// Failed reports whether there was an error.
func (t *Table) Failed() bool { return t.state.err != nil }

// Fail notes an error about a key of the table.
func (t *Table) Fail(key, format string, args ...any) {
	if t.state.err == nil {
		path := t.Path(key)
		t.state.key, t.state.entry, t.state.err = path, t.entry, fmt.Errorf("key %s: %s", path, fmt.Sprintf(format, args...))
	}
}

// Path is the whole name of a key.
func (t *Table) Path(key string) string {
	if t.name == "" {
		return key
	}
	return t.name + "." + key
}

// End refuses keys that nobody has asked for.
func (t *Table) End() {
	var left []string
	for key := range t.values {
		left = append(left, key)
	}
	slices.Sort(left)
	for _, key := range left {
		t.Fail(key, "unknown")
	}
}

// Has reports whether a key is there and has not been read.
func (t *Table) Has(key string) bool {
	_, ok := t.values[key]
	return ok
}

// is reports whether a key has this text, and takes it out if so.
func (t *Table) is(key, word string) bool {
	if t.values[key] != word {
		return false
	}
	delete(t.values, key)
	return true
}

func (t *Table) take(key string) any {
	v, ok := t.values[key]
	if !ok {
		t.Fail(key, "missing")
	}
	delete(t.values, key)
	return v
}

// Table reads a table within the table.
func (t *Table) Table(key string) *Table {
	v := t.take(key)
	m, ok := v.(map[string]any)
	if !ok {
		t.Fail(key, "got %s, want a table", shown(v))
	}
	return &Table{state: t.state, name: t.Path(key), values: m}
}

// Tables reads a list of tables, at least one.
func (t *Table) Tables(key string) []*Table {
	var list []*Table
	for i, v := range t.list(key) {
		m, ok := v.(map[string]any)
		if !ok {
			t.Fail(key, "entry %d: got %s, want a table", i, shown(v))
		}
		list = append(list, &Table{state: t.state, name: t.Path(key), entry: i, values: m})
	}
	return list
}

// TablesOr reads a list of tables or one of the words, which it returns.
func (t *Table) TablesOr(key string, words ...string) ([]*Table, string) {
	for _, w := range words {
		if t.is(key, w) {
			return nil, w
		}
	}
	return t.Tables(key), ""
}

func (t *Table) list(key string) []any {
	v := t.take(key)
	list, ok := v.([]any)
	if !ok {
		t.Fail(key, "got %s, want a list", shown(v))
		return nil
	}
	if n := len(list); n < 1 || n > maxList {
		t.Fail(key, "got %d entries, want 1 to %d", n, maxList)
	}
	return list
}

// Text reads 1 to most bytes of printable text.
func (t *Table) Text(key string, most int) string {
	v := t.take(key)
	s, ok := v.(string)
	if !ok {
		t.Fail(key, "got %s, want a text in quotes", shown(v))
	} else if n := len(s); n == 0 || n > most || !printable(s) {
		t.Fail(key, "got %s, want 1 to %d bytes of printable text", shown(s), most)
	}
	return s
}

// Block reads 1 to most bytes of printable text in lines, each of which ends in
// a line break, or one of the words, which it returns.
func (t *Table) Block(key string, most int, words ...string) (text, word string) {
	for _, w := range words {
		if t.is(key, w) {
			return "", w
		}
	}
	v := t.take(key)
	s, ok := v.(string)
	if !ok {
		t.Fail(key, "got %s, want lines of text in quotes%s", shown(v), orWords(words))
	} else if n := len(s); n == 0 || n > most || s[n-1] != '\n' || !printable(strings.NewReplacer("\n", "", "\t", "").Replace(s)) {
		t.Fail(key, "got %s (%d bytes), want 1 to %d bytes of lines of printable text%s", shown(s), n, most, orWords(words))
	}
	return s, ""
}

// Texts reads a list of texts as Text does, each once, or one of the words, which it
// returns.
func (t *Table) Texts(key string, most int, words ...string) (list []string, word string) {
	for _, w := range words {
		if t.is(key, w) {
			return nil, w
		}
	}
	for _, v := range t.list(key) {
		s, ok := v.(string)
		if !ok || len(s) == 0 || len(s) > most || !printable(s) || slices.Contains(list, s) {
			t.Fail(key, "got %s, want 1 to %d bytes of printable text, each once%s", shown(v), most, orWords(words))
		}
		list = append(list, s)
	}
	return list, ""
}

// Choice reads a text that must be one of a list.
func (t *Table) Choice(key string, allowed ...string) string {
	v := t.take(key)
	s, ok := v.(string)
	if !ok || !slices.Contains(allowed, s) {
		t.Fail(key, "got %s, want %s", shown(v), strings.Join(quoted(allowed), " or "))
	}
	return s
}

// Choices reads a list of such texts, each once.
func (t *Table) Choices(key string, allowed ...string) []string {
	var out []string
	for _, v := range t.list(key) {
		s, ok := v.(string)
		if !ok || !slices.Contains(allowed, s) || slices.Contains(out, s) {
			t.Fail(key, "got %s, want %s, each once", shown(v), strings.Join(quoted(allowed), " or "))
		}
		out = append(out, s)
	}
	return out
}

// Date reads a TOML local date and gives the first moment after that day, UTC.
func (t *Table) Date(key string) time.Time {
	v := t.take(key)
	d, ok := v.(toml.LocalDate)
	if !ok {
		t.Fail(key, "got %s, want a date such as 2027-05-31, without quotes", shown(v))
	}
	return time.Date(d.Year, time.Month(d.Month), d.Day+1, 0, 0, 0, 0, time.UTC)
}

// Number reads an integer of low to high.
func (t *Table) Number(key string, low, high int64) int64 {
	v := t.take(key)
	n, ok := v.(int64)
	if !ok || n < low || n > high {
		t.Fail(key, "got %s, want a number from %d to %d", shown(v), low, high)
	}
	return n
}

// NumberOrAny reads an integer of low to high, or Any.
func (t *Table) NumberOrAny(key string, low, high int64) (n int64, unchecked bool) {
	if t.is(key, Any) {
		return 0, true
	}
	v := t.take(key)
	n, ok := v.(int64)
	if !ok || n < low || n > high {
		t.Fail(key, "got %s, want a number from %d to %d, or %q", shown(v), low, high, Any)
	}
	return n, false
}

// Numbers reads a list of integers of low to high, ascending.
func (t *Table) Numbers(key string, low, high int64) []int {
	var list []int
	for _, v := range t.list(key) {
		n, ok := v.(int64)
		if !ok || n < low || n > high || len(list) > 0 && int(n) <= list[len(list)-1] {
			t.Fail(key, "got %s, want numbers from %d to %d, ascending", shown(v), low, high)
			return nil
		}
		list = append(list, int(n))
	}
	return list
}

// Hex reads exactly size bytes in lower-case hex.
func (t *Table) Hex(key string, size int) []byte {
	v := t.take(key)
	b, ok := decodeHex(v, size)
	if !ok {
		t.Fail(key, "got %s, want %d bytes of lower-case hex", shown(v), size)
	}
	return b
}

// HexList reads a list of values of exactly size bytes in lower-case hex, each
// once, or one of the words, which it returns.
func (t *Table) HexList(key string, size int, words ...string) (list [][]byte, word string) {
	for _, w := range words {
		if t.is(key, w) {
			return nil, w
		}
	}
	for _, v := range t.list(key) {
		b, ok := decodeHex(v, size)
		if !ok || slices.ContainsFunc(list, func(o []byte) bool { return bytes.Equal(o, b) }) {
			t.Fail(key, "got %s, want %d bytes of lower-case hex, each once%s", shown(v), size, orWords(words))
		}
		list = append(list, b)
	}
	return list, ""
}

func decodeHex(v any, size int) ([]byte, bool) {
	s, ok := v.(string)
	if !ok {
		return nil, false
	}
	b, err := hex.DecodeString(s)
	return b, err == nil && len(b) == size && hex.EncodeToString(b) == s
}

func orWords(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return ", or " + strings.Join(quoted(words), " or ")
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

func quoted(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = fmt.Sprintf("%q", s)
	}
	return out
}

// shown is a value in an error, cut to a bearable length.
func shown(v any) string {
	if s, ok := v.(string); ok {
		return fmt.Sprintf("%.100q", s)
	}
	return fmt.Sprintf("%.100s", fmt.Sprint(v)) // a precision would pad a number
}

// place says where a key stands in the file: the parser tells no position of
// keys. It is empty for a key that is missing. entry counts the tables of that
// name.
func place(file []byte, key string, entry int) string {
	section, name := "", key
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		section, name = key[:i], key[i+1:]
	}
	current, n := "", 0
	for line := range bytes.Lines(file) {
		n++
		text := strings.TrimSpace(string(line))
		if header, _, ok := strings.Cut(text, "]"); ok && strings.HasPrefix(text, "[") {
			current = strings.Trim(header, "[ ")
			if current == key {
				return fmt.Sprintf("line %d: ", n)
			}
			if current == section {
				entry--
			}
			continue
		}
		before, _, found := strings.Cut(text, "=")
		if found && current == section && (entry < 0 || section == "") && strings.Trim(strings.TrimSpace(before), `"'`) == name {
			return fmt.Sprintf("line %d: ", n)
		}
	}
	return ""
}
