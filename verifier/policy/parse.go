package policy

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

	"safebox/measure/tpm/golden"
)

// Limits of lists and texts.
const (
	maxLife    = 7 * 24 * 3600 // seconds
	maxList    = 64            // entries
	maxSubject = 256           // bytes
)

// Parse reads a policy file. Errors name the key and, where there is one, the
// line.
func Parse(b []byte) (*Policy, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("parsing policy: got %d bytes, want at most %d", len(b), MaxSize)
	}
	tree := map[string]any{}
	if err := toml.Unmarshal(b, &tree); err != nil {
		var d *toml.DecodeError
		if errors.As(err, &d) {
			line, _ := d.Position()
			return nil, fmt.Errorf("parsing policy: line %d: %w", line, err)
		}
		return nil, fmt.Errorf("parsing policy: %w", err)
	}
	r := &reader{}
	p := r.policy(&table{r: r, values: tree})
	if r.err != nil {
		return nil, fmt.Errorf("parsing policy: %s%w", place(b, r.key), r.err)
	}
	return p, nil
}

// place says where a key stands in the file: the parser tells no position of
// keys. It is empty for a key that is missing.
func place(file []byte, key string) string {
	section, name := "", key
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		section, name = key[:i], key[i+1:]
	}
	section, _, _ = strings.Cut(section, "[")
	current, n := "", 0
	for line := range bytes.Lines(file) {
		n++
		text := strings.TrimSpace(string(line))
		if strings.HasPrefix(text, "[") && !strings.Contains(text, "=") {
			current = strings.Trim(text, "[] ")
			if current == key {
				return fmt.Sprintf("line %d: ", n)
			}
			continue
		}
		before, _, found := strings.Cut(text, "=")
		if found && current == section && strings.Trim(strings.TrimSpace(before), `"'`) == name {
			return fmt.Sprintf("line %d: ", n)
		}
	}
	return ""
}

// reader keeps the first error and the key it is about.
type reader struct {
	key string
	err error
}

func (r *reader) fail(key, format string, args ...any) {
	if r.err == nil {
		r.key, r.err = key, fmt.Errorf("key %s: %s", key, fmt.Sprintf(format, args...))
	}
}

// policy reads the whole file, in the order in which it is written.
func (r *reader) policy(t *table) *Policy {
	p := &Policy{}
	t.choice("type", Type)
	p.Profile = t.choice("profile", Strict, Cloud, Test)
	p.Review = t.date("review")
	p.AnyReview = t.choice("stale", "refuse", Any) == Any
	p.Platforms = t.choices("platforms", "vtpm")
	p.Release = t.choice("release", Signed, Unsigned)

	challenge := t.table("challenge")
	p.MaxLife, p.AnyLife = challenge.life("max_life")
	challenge.end()

	configuration := t.table("configuration")
	p.Documents, p.AnyDocument = configuration.documents("documents")
	p.State = configuration.choice("state", Fresh, Working)
	configuration.end()

	r.vtpm(t.table("vtpm"), &p.VTPM)
	t.end()
	r.profile(p)
	return p
}

func (r *reader) vtpm(t *table, v *VTPM) {
	for _, name := range t.choices("banks", "sha256", "sha384") {
		bank, err := golden.ParseBank(name)
		if err != nil {
			r.fail(t.path("banks"), "%v", err)
		}
		v.Banks = append(v.Banks, bank)
	}
	v.PCRs = t.registers("pcrs")
	v.Boots = t.choices("boots", "esp", "kernel")
	v.AnyDisk = t.choice("disk", "fixed", Any) == Any
	if !v.AnyDisk && !slices.Contains(v.PCRs, diskPCR) {
		r.fail(t.path("pcrs"), "lacks %d: disk is fixed", diskPCR)
	}
	v.AnyClock = t.choice("clock", "safe", Any) == Any
	v.SoftwareAccept = t.choice("software_roots", "refuse", "accept") == "accept"
	for i, root := range t.tables("roots") {
		v.Roots = append(v.Roots, root.root())
		root.end()
		if r.err == nil && slices.ContainsFunc(v.Roots[:i], func(o Root) bool { return o.SHA256 == v.Roots[i].SHA256 }) {
			r.fail(root.path("sha256"), "got %v twice", v.Roots[i].SHA256)
		}
	}
	t.end()
}

// profile refuses a file that promises more by its name than it asks for.
func (r *reader) profile(p *Policy) {
	if p.Profile == Test {
		return
	}
	const rule = "want %q in profile %s; only profile test may say otherwise"
	switch {
	case p.Release == Unsigned:
		r.fail("release", rule, Signed, p.Profile)
	case p.VTPM.SoftwareAccept:
		r.fail("vtpm.software_roots", rule, "refuse", p.Profile)
	case p.AnyReview:
		r.fail("stale", rule, "refuse", p.Profile)
	case p.AnyLife:
		r.fail("challenge.max_life", "want a number of seconds in profile %s", p.Profile)
	}
}

// table is a table of the file. Each key that is read is taken out, so that
// end finds those that nobody asked for.
type table struct {
	r      *reader
	name   string
	values map[string]any
}

func (t *table) path(key string) string {
	if t.name == "" {
		return key
	}
	return t.name + "." + key
}

func (t *table) take(key string) any {
	v, ok := t.values[key]
	if !ok {
		t.r.fail(t.path(key), "missing")
	}
	delete(t.values, key)
	return v
}

// end refuses keys that are left.
func (t *table) end() {
	var left []string
	for key := range t.values {
		left = append(left, key)
	}
	slices.Sort(left)
	for _, key := range left {
		t.r.fail(t.path(key), "unknown")
	}
}

func (t *table) table(key string) *table {
	v := t.take(key)
	m, ok := v.(map[string]any)
	if !ok {
		t.r.fail(t.path(key), "got %T, want a table", v)
	}
	return &table{r: t.r, name: t.path(key), values: m}
}

func (t *table) tables(key string) []*table {
	var list []*table
	for i, v := range t.list(key, 0) {
		m, ok := v.(map[string]any)
		if !ok {
			t.r.fail(t.path(key), "entry %d: got %T, want a table", i, v)
		}
		list = append(list, &table{r: t.r, name: t.path(key), values: m})
	}
	return list
}

func (t *table) list(key string, least int) []any {
	v := t.take(key)
	list, ok := v.([]any)
	if !ok {
		t.r.fail(t.path(key), "got %s, want a list", shown(v))
	}
	if n := len(list); n < least || n > maxList {
		t.r.fail(t.path(key), "got %d entries, want %d to %d", n, least, maxList)
	}
	return list
}

func (t *table) text(key string) string {
	v := t.take(key)
	s, ok := v.(string)
	if !ok {
		t.r.fail(t.path(key), "got %s, want a text in quotes", shown(v))
	}
	return s
}

// choice reads a text that must be one of a list.
func (t *table) choice(key string, allowed ...string) string {
	s := t.text(key)
	if !slices.Contains(allowed, s) {
		t.r.fail(t.path(key), "got %.100q, want %s", s, strings.Join(quoted(allowed), " or "))
	}
	return s
}

// choices reads a list of such texts, at least one and each once.
func (t *table) choices(key string, allowed ...string) []string {
	var out []string
	for _, v := range t.list(key, 1) {
		s, ok := v.(string)
		if !ok || !slices.Contains(allowed, s) || slices.Contains(out, s) {
			t.r.fail(t.path(key), "got %s, want %s, each once", shown(v), strings.Join(quoted(allowed), " or "))
		}
		out = append(out, s)
	}
	return out
}

// date reads a TOML local date and gives the first moment after that day.
func (t *table) date(key string) time.Time {
	v := t.take(key)
	d, ok := v.(toml.LocalDate)
	if !ok {
		t.r.fail(t.path(key), "got %s, want a date such as 2027-05-31, without quotes", shown(v))
	}
	return time.Date(d.Year, time.Month(d.Month), d.Day+1, 0, 0, 0, 0, time.UTC)
}

// life reads a number of seconds or Any.
func (t *table) life(key string) (seconds int64, unbounded bool) {
	v := t.take(key)
	if v == Any {
		return 0, true
	}
	n, ok := v.(int64)
	if !ok || n < 1 || n > maxLife {
		t.r.fail(t.path(key), "got %s, want 1 to %d seconds, or %q", shown(v), maxLife, Any)
	}
	return n, false
}

// documents reads Any or a list of NoDocument and SHA-256 digests.
func (t *table) documents(key string) (list []string, unchecked bool) {
	if t.values[key] == Any {
		delete(t.values, key)
		return nil, true
	}
	for _, v := range t.list(key, 1) {
		s, ok := v.(string)
		if !ok || s != NoDocument && !digest(s) || slices.Contains(list, s) {
			t.r.fail(t.path(key), "got %s, want %q or a SHA-256 in lower-case hex, each once", shown(v), NoDocument)
		}
		list = append(list, s)
	}
	return list, false
}

// registers reads the selection of PCRs.
func (t *table) registers(key string) []int {
	var list []int
	for _, v := range t.list(key, 1) {
		n, ok := v.(int64)
		if !ok || n < 0 || n > lastPCR || len(list) > 0 && int(n) <= list[len(list)-1] {
			t.r.fail(t.path(key), "got %s, want numbers from 0 to %d, ascending", shown(v), lastPCR)
			return nil
		}
		list = append(list, int(n))
	}
	for _, n := range requiredPCRs() {
		if !slices.Contains(list, n) {
			t.r.fail(t.path(key), "lacks %d: a release has a rule for it", n)
		}
	}
	return list
}

func (t *table) root() Root {
	root := Root{Kind: t.choice("kind", Hardware, Software)}
	s := t.text("sha256")
	if err := root.SHA256.UnmarshalText([]byte(s)); err != nil {
		t.r.fail(t.path("sha256"), "%v", err)
	}
	root.Subject = t.text("subject")
	if n := len(root.Subject); n == 0 || n > maxSubject || !printable(root.Subject) {
		t.r.fail(t.path("subject"), "got %s, want 1 to %d bytes of printable text", shown(root.Subject), maxSubject)
	}
	return root
}

func digest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32 && hex.EncodeToString(b) == s
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
