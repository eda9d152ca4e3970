package record_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"safebox/verifier/canon"
	"safebox/verifier/dsse"
	"safebox/verifier/release/record"
)

// wantForm wants a *FormError of this kind.
func wantForm(t *testing.T, name string, err error, kind record.Kind, detail string) {
	t.Helper()
	var e *record.FormError
	if !errors.As(err, &e) || e.Kind != kind || !strings.Contains(err.Error(), detail) {
		t.Errorf("%s: got %v, want %s with %q", name, err, kind, detail)
	}
}

// around puts any payload into an envelope that TEST 1's key signs: the
// signature verifies, whatever is inside.
func around(t testing.TB, payload []byte) []byte {
	t.Helper()
	e := &dsse.Envelope{Payload: payload, PayloadType: record.PayloadType}
	if err := e.Add(signers(t)[0]); err != nil {
		t.Fatal(err)
	}
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// refused wants the same of a statement alone and of one that is signed.
func refused(t *testing.T, name, statement string, kind record.Kind, detail string) {
	t.Helper()
	if r, err := record.DecodeStatement([]byte(statement)); err == nil || r != nil {
		t.Errorf("%s: got %v, %v", name, r, err)
	} else {
		wantForm(t, name, err, kind, detail)
	}
	_, err := record.Decode(around(t, []byte(statement)))
	wantForm(t, name+", signed", err, kind, detail)
}

// objects gives, for each object in a JSON text, the place behind its brace and
// the name of its first member. The texts have no brace inside a string.
func objects(text string) map[int]string {
	list := map[int]string{}
	for i := range text {
		if text[i] == '{' {
			name, _, _ := strings.Cut(text[i+2:], `"`)
			list[i+1] = name
		}
	}
	return list
}

// TestNameTwice doubles the first name of every object, in the envelope and in
// the payload that it signs, also with an escape, and with another value.
func TestNameTwice(t *testing.T) {
	double := func(text string, at int, name string) []string {
		var list []string
		escaped := fmt.Sprintf(`\u%04x`, name[0]) + name[1:]
		for _, member := range []string{`"` + name + `":null,`, `"` + escaped + `":1,`, `"` + name + `":{"a":[]},`} {
			list = append(list, text[:at]+member+text[at:])
		}
		return list
	}
	n := 0
	for kind, statement := range statements(t) {
		for at, name := range objects(string(statement)) {
			for _, text := range double(string(statement), at, name) {
				refused(t, kind+": "+name, text, record.Syntax, fmt.Sprintf("statement: byte %d: name %q twice", secondName(text, at, name), name))
				n++
			}
		}
	}
	entry := string(readEntry(t, "release.dsse"))
	for at, name := range objects(entry) {
		for _, text := range double(entry, at, name) {
			_, err := record.Decode([]byte(text))
			wantForm(t, "envelope: "+name, err, record.Syntax, fmt.Sprintf("envelope: byte %d: name %q twice", secondName(text, at, name), name))
			n++
		}
	}
	if n < 3*(5+5+7+6+3) {
		t.Errorf("the test tried %d only", n)
	}
}

// secondName is where the second of two equal names ends.
func secondName(text string, at int, name string) int {
	quoted := `"` + name + `"`
	first := strings.Index(text[at:], quoted)
	if strings.HasPrefix(text[at:], `"\u`) { // the first is escaped
		return at + first + len(quoted)
	}
	return at + first + len(quoted) + strings.Index(text[at+first+len(quoted):], quoted) + len(quoted)
}

// TestSyntax: what is no strict JSON.
func TestSyntax(t *testing.T) {
	entry := string(readEntry(t, "release.dsse"))
	good := string(statements(t)["release"])
	for name, text := range map[string]func(string) string{
		"cut":                func(s string) string { return s[:len(s)-1] },
		"half":               func(s string) string { return s[:len(s)/2] },
		"trailing value":     func(s string) string { return s + "{}" },
		"trailing brace":     func(s string) string { return s + "}" },
		"trailing NUL":       func(s string) string { return s + "\x00" },
		"comma at the end":   func(s string) string { return s[:len(s)-1] + ",}" },
		"comma in the list":  func(s string) string { return s[:len(s)-2] + ",]}" },
		"no comma":           func(s string) string { return strings.Replace(s, ",", " ", 1) },
		"single quotes":      func(s string) string { return strings.Replace(s, `"`, `'`, 2) },
		"no UTF-8":           func(s string) string { return strings.Replace(s, `{"`, "{\"\xff", 1) },
		"overlong UTF-8":     func(s string) string { return strings.Replace(s, `{"`, "{\"\xc0\x80", 1) },
		"surrogate in UTF-8": func(s string) string { return strings.Replace(s, `{"`, "{\"\xed\xa0\x80", 1) },
		"byte order mark":    func(s string) string { return "\ufeff" + s },
		"control character":  func(s string) string { return strings.Replace(s, `{"`, "{\"\x01", 1) },
		"comment":            func(s string) string { return "/**/" + s },
		"NaN":                func(s string) string { return strings.Replace(s, `{`, `{"A":NaN,`, 1) },
		"leading zero":       func(s string) string { return strings.Replace(s, `{`, `{"A":01,`, 1) },
		"deep": func(s string) string {
			return strings.Replace(s, `{`, `{"A":`+strings.Repeat("[", 33)+strings.Repeat("]", 33)+`,`, 1)
		},
		"empty":     func(string) string { return "" },
		"space":     func(string) string { return " " },
		"no quotes": func(string) string { return "x" },
	} {
		_, err := record.Decode([]byte(text(entry)))
		wantForm(t, "envelope: "+name, err, record.Syntax, "envelope: ")
		refused(t, name, text(good), record.Syntax, "statement: ")
	}
}

// TestSize: one byte more than the limits is too large, whatever it is.
func TestSize(t *testing.T) {
	_, err := record.Decode(bytes.Repeat([]byte(" "), record.MaxEntry+1))
	wantForm(t, "entry", err, record.Syntax, "got 61441 bytes, want at most 61440") // 60 KiB
	_, err = record.Decode(bytes.Repeat([]byte(" "), record.MaxEntry))
	wantForm(t, "entry of spaces", err, record.Syntax, "envelope: ")
	refusedAlone := func(n int) error {
		_, err := record.DecodeStatement([]byte(`{"a":"` + strings.Repeat("x", n-8) + `"}`))
		return err
	}
	wantForm(t, "statement", refusedAlone(record.MaxStatement+1), record.Syntax, "got 43009 bytes, want at most 43008") // 42 KiB
	wantForm(t, "smaller statement", refusedAlone(record.MaxStatement), record.Fields, "predicateType: got none")
	_, err = record.Decode(around(t, []byte(`{"a":"`+strings.Repeat("x", record.MaxStatement-7)+`"}`)))
	wantForm(t, "statement in envelope", err, record.Syntax, "got 43009 bytes")
}

// TestCanonical: entries whose signature verifies, of which a reader of JSON
// says the same as of the good one, in other bytes.
func TestCanonical(t *testing.T) {
	for name, text := range map[string]func(string) string{
		"space":           func(s string) string { return strings.Replace(s, ":", ": ", 1) },
		"newline at end":  func(s string) string { return s + "\n" },
		"tab before":      func(s string) string { return "\t" + s },
		"escaped letter":  func(s string) string { return strings.Replace(s, "application/", `\u0061pplication/`, 1) },
		"escaped slash":   func(s string) string { return strings.Replace(s, "/", `\/`, 1) },
		"escaped in name": func(s string) string { return strings.Replace(s, `"payload"`, `"p\u0061yload"`, 1) },
		"other order": func(s string) string {
			payload, rest, _ := strings.Cut(s[1:], ",")
			return "{" + strings.TrimSuffix(rest, "}") + "," + payload + "}"
		},
	} {
		for _, of := range []string{"release", "match", "mismatch", "revoke"} {
			entry := string(readEntry(t, of+".dsse"))
			changed := text(entry)
			var one, two any
			if changed == entry || json.Unmarshal([]byte(entry), &one) != nil || json.Unmarshal([]byte(changed), &two) != nil || fmt.Sprint(one) != fmt.Sprint(two) {
				t.Fatalf("%s: the test does not say the same", name)
			}
			_, err := record.Decode([]byte(changed))
			wantForm(t, "envelope of "+of+": "+name, err, record.Canonical, "envelope: ")
		}
	}
	good := string(statements(t)["release"])
	subject := strings.LastIndex(good, `,"subject"`)
	for name, text := range map[string]string{
		"space":          strings.Replace(good, ":", ": ", 1),
		"newline at end": good + "\n",
		"indented":       indented(t, good),
		"escaped letter": strings.Replace(good, "safebox:", `\u0073afebox:`, 1),
		"exponent":       strings.Replace(good, `"svn":3`, `"svn":3e0`, 1),
		"fraction":       strings.Replace(good, `"svn":3`, `"svn":3.0`, 1),
		"minus zero":     strings.Replace(good, `"svn":3`, `"svn":-0`, 1),
		"beyond 2^53":    strings.Replace(good, `"svn":3`, `"svn":9007199254740993`, 1),
		"beyond int64":   strings.Replace(good, `"svn":3`, `"svn":99999999999999999999`, 1),
		"subject first":  "{" + good[subject+1:len(good)-1] + "," + good[1:subject] + "}",
		"members":        strings.Replace(good, `"svn":3,"version":"1.2.0"`, `"version":"1.2.0","svn":3`, 1),
	} {
		if text == good {
			t.Fatalf("%s: the test changes nothing", name)
		}
		refused(t, name, text, record.Canonical, "statement: ")
	}
}

func indented(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(s), "", " "); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestBase64Forms: other base64 of the same bytes, which DSSE allows and we do
// not, is no second entry.
func TestBase64Forms(t *testing.T) {
	// A statement whose base64 has a + and a padding, and a signature whose has.
	var e *dsse.Envelope
	for i := 0; e == nil; i++ {
		r := goodRelease()
		r.Version = fmt.Sprintf("1.2.%d~~~~", i)
		got, err := record.Decode(sign(t, r.Encode, signers(t)[0]))
		if err != nil {
			t.Fatal(err)
		}
		encoded := base64.StdEncoding.EncodeToString(got.Envelope.Payload)
		if sig := base64.StdEncoding.EncodeToString(got.Envelope.Signatures[0].Sig); strings.Contains(sig, "+") &&
			strings.HasSuffix(encoded, "==") && strings.Contains(sig, "/") {
			e = got.Envelope
		}
	}
	entry, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	payload := base64.StdEncoding.EncodeToString(e.Payload)
	sig := base64.StdEncoding.EncodeToString(e.Signatures[0].Sig)
	urlSafe := strings.NewReplacer("+", "-", "/", "_")
	for name, tt := range map[string]struct{ old, now string }{
		"payload without padding":    {payload, strings.TrimRight(payload, "=")},
		"payload with newline":       {payload, payload[:4] + `\n` + payload[4:]},
		"payload with bits behind":   {payload, payload[:len(payload)-3] + string(payload[len(payload)-3]+1) + "=="},
		"signature without padding":  {sig, strings.TrimRight(sig, "=")},
		"signature URL-safe":         {sig, urlSafe.Replace(sig)},
		"signature URL-safe, plain":  {sig, strings.TrimRight(urlSafe.Replace(sig), "=")},
		"signature with two returns": {sig, sig[:1] + `\r\r` + sig[1:]},
	} {
		changed := strings.Replace(string(entry), tt.old, tt.now, 1)
		if changed == string(entry) {
			t.Fatalf("%s: the test changes nothing", name)
		}
		_, err := record.Decode([]byte(changed))
		wantForm(t, name, err, record.Canonical, "envelope: base64 not in its one form")
	}
	_, err = record.Decode([]byte(strings.Replace(string(entry), sig, "!"+sig[1:], 1)))
	wantForm(t, "no base64", err, record.Fields, "want standard base64 with padding")
}

// TestPredicate: a predicate type that we don't know, however near.
func TestPredicate(t *testing.T) {
	for kind, statement := range statements(t) {
		for _, other := range []string{
			"", "safebox:release/v2", "safebox:release/v1 ", "Safebox:release/v1", "safebox:release", "https://slsa.dev/provenance/v1",
			"safebox:rebuild/v10", "safebox:revoke/v",
		} {
			s := string(statement)
			for _, own := range []string{record.TypeRelease, record.TypeRebuild, record.TypeRevoke} {
				s = strings.Replace(s, `"predicateType":"`+own+`"`, `"predicateType":"`+other+`"`, 1)
			}
			refused(t, kind+" as "+other, s, record.Predicate, fmt.Sprintf("statement: got %q, want one of", other))
		}
	}
	good := string(statements(t)["release"])
	for name, text := range map[string]string{
		"in the predicate only": strings.Replace(strings.Replace(good, record.TypeRelease, "x", 1), `"notBefore"`, `"a":{"a":"","predicateType":"safebox:release/v1"},"notBefore"`, 1),
		"in a text":             strings.Replace(strings.Replace(good, record.TypeRelease, "x", 1), `"1.2.0"`, `",\"predicateType\":\"safebox:release/v1\""`, 1),
		"behind":                strings.Replace(strings.Replace(good, record.TypeRelease, "x", 1), `"name":"release.json"`, `"name":"release.json","predicateType":"safebox:release/v1"`, 1),
	} {
		refused(t, name, text, record.Predicate, `statement: got "x"`)
	}
}

// TestEveryByte changes each byte of an entry and of each statement: what is
// still a record has one form, and what is none has a kind.
func TestEveryByte(t *testing.T) {
	everyByte(readEntry(t, "revoke.dsse"), func(b []byte) { check(t, b) })
	for _, statement := range statements(t) {
		everyByte(statement, func(b []byte) { checkAlone(t, b) })
	}
}

func everyByte(good []byte, try func([]byte)) {
	for i := range good {
		for _, c := range []byte("\",}") {
			try(append(append(bytes.Clone(good[:i]), c), good[i+1:]...))
			try(append(append(bytes.Clone(good[:i]), c), good[i:]...))
		}
		try(append(bytes.Clone(good[:i]), good[i+1:]...))
		try(bytes.Clone(good[:i]))
	}
}

// check decodes anything.
func check(t *testing.T, entry []byte) {
	t.Helper()
	r, err := record.Decode(entry)
	if err != nil {
		var e *record.FormError
		if !errors.As(err, &e) || e.Kind < record.Syntax || e.Kind > record.Fields || r != nil {
			t.Errorf("got %v, %v for %q", r, err, entry)
			return
		}
		checkKind(t, entry, e)
		return
	}
	again, err := r.Envelope.Encode()
	if err != nil || !bytes.Equal(again, entry) {
		t.Errorf("accepted %q, encodes as %q, %v", entry, again, err)
	}
	checkStatement(t, r.Envelope.Payload)
}

// checkKind holds the kind of an entry's error against other readers of JSON:
// what encoding/json does not read is Syntax; what it reads, but package canon
// writes differently, is no less than Canonical.
func checkKind(t *testing.T, entry []byte, e *record.FormError) {
	t.Helper()
	if !json.Valid(entry) {
		if e.Kind != record.Syntax {
			t.Errorf("got %v, want syntax: %q", e, entry)
		}
		return
	}
	var tree any
	d := json.NewDecoder(bytes.NewReader(entry))
	d.UseNumber() // a number may be larger than any float
	if err := d.Decode(&tree); err != nil {
		t.Errorf("valid, but %v", err)
	}
	again, err := canon.Marshal(tree)
	if (err != nil || !bytes.Equal(again, entry)) && e.Kind > record.Canonical {
		t.Errorf("got %v of what is not canonical: %q", e, entry)
	}
}

// checkStatement wants that what was read writes the same bytes.
func checkStatement(t *testing.T, b []byte) {
	t.Helper()
	r, err := record.DecodeStatement(b)
	if err != nil {
		t.Errorf("accepted in an envelope: %v", err)
		return
	}
	var again []byte
	switch {
	case r.Release != nil && r.Rebuild == nil && r.Revoke == nil:
		again, err = r.Release.Encode()
	case r.Release == nil && r.Rebuild != nil && r.Revoke == nil:
		again, err = r.Rebuild.Encode()
	case r.Release == nil && r.Rebuild == nil && r.Revoke != nil:
		again, err = r.Revoke.Encode()
	default:
		t.Errorf("none or several: %+v", r)
	}
	if err != nil || !bytes.Equal(again, b) {
		t.Errorf("accepted %q, encodes as %q, %v", b, again, err)
	}
}

// TestMemory: the largest entry of the worst kind takes bounded memory.
func TestMemory(t *testing.T) {
	fill := func(unit string) []byte {
		n := record.MaxEntry/len(unit) - 1
		return []byte("[" + strings.TrimSuffix(strings.Repeat(unit, n), ",") + "]")
	}
	for name, entry := range map[string][]byte{
		"objects":    fill("{},"),
		"members":    fill(`{"a":0},`),
		"numbers":    fill("0,"),
		"open":       bytes.Repeat([]byte("["), record.MaxEntry),
		"quotes":     bytes.Repeat([]byte(`"`), record.MaxEntry),
		"escapes":    []byte(`"` + strings.Repeat(`\n`, record.MaxEntry/2-1) + `"`),
		"signatures": []byte(`{"payload":"","payloadType":"` + record.PayloadType + `","signatures":[` + strings.TrimSuffix(strings.Repeat(`{"keyid":"","sig":""},`, 2000), ",") + `]}`),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := record.Decode(entry)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 24<<20 {
			t.Errorf("%s: allocated %d bytes for %d", name, got, len(entry))
		}
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"release.dsse", "match.dsse", "mismatch.dsse", "revoke.dsse"} {
		f.Add(readEntry(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) { check(t, b) })
}

// FuzzDecodeStatement is for what a signature hides from FuzzDecode.
func FuzzDecodeStatement(f *testing.F) {
	for _, b := range statements(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkAlone(t, b) })
}

// checkAlone is check for a statement.
func checkAlone(t *testing.T, b []byte) {
	t.Helper()
	_, err := record.DecodeStatement(b)
	if err == nil {
		checkStatement(t, b)
		return
	}
	var e *record.FormError
	if !errors.As(err, &e) || e.Kind < record.Syntax || e.Kind > record.Fields {
		t.Errorf("got %v", err)
		return
	}
	if len(b) <= record.MaxStatement {
		checkKind(t, b, e)
	}
}
