package page

import (
	"strings"
	"testing"
)

// TestText: what could act on a reader's screen is written out.
func TestText(t *testing.T) {
	code := func(s string) string { return `<span class="code">` + s + `</span>` }
	for in, want := range map[string]string{
		"plain":            "plain",
		`<a b="c">&'`:      "&lt;a b=&#34;c&#34;&gt;&amp;&#39;",
		"&lt;":             "&amp;lt;",
		"Grüße, мир, 世界 ☃": "Grüße, мир, 世界 ☃",
		"a\x00b":           "a" + code("U+0000") + "b",
		"\x1b[31m":         code("U+001B") + "[31m",
		"a\r\n\tb":         "a" + code("U+000D") + code("U+000A") + code("U+0009") + "b",
		"\x7f\u0085":       code("U+007F") + code("U+0085"),
		"\xff\xfe":         code("0xFF") + code("0xFE"),
		"\xe2\x82":         code("0xE2") + code("0x82"), // begins like a euro sign
		"\ufffd":           "\ufffd",
		"\u202eexe":        code("U+202E") + "exe", // right-to-left override
		"\u2066\u2069":     code("U+2066") + code("U+2069"),
		"\u200b\u200d":     code("U+200B") + code("U+200D"), // zero width
		"\u00a0\u2003":     code("U+00A0") + code("U+2003"), // other spaces
		"\u00ad\ufeff":     code("U+00AD") + code("U+FEFF"), // soft hyphen, byte order mark
		"a\u0301":          "a" + code("U+0301"),            // combining acute
		"\u3164\u115f":     code("U+3164") + code("U+115F"), // Hangul fillers
		"\u2800":           code("U+2800"),
		"\u2028":           code("U+2028"),
		"\ufe0f":           code("U+FE0F"),
		"\U000e0041":       code("U+E0041"), // tag
		"\ue000":           code("U+E000"),  // private use
		"EV_IPL":           "EV_<wbr>IPL",
	} {
		w := new(writer)
		w.text(in)
		if got := string(w.bytes()); got != `<bdo dir="ltr">`+want+`</bdo>` {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
	w := new(writer)
	w.text("")
	if got := string(w.bytes()); got != `<span class="none">nothing</span>` {
		t.Errorf("empty: got %s", got)
	}
}

// TestID: an ID of ours stays on one line; what could be long when it is shown
// does not.
func TestID(t *testing.T) {
	for in, want := range map[string]bool{
		"TPM-R11-sha256": true, strings.Repeat("x", 16): true, strings.Repeat("x", 17): false, "a b": false, "\u202e": false, "é": false,
	} {
		w := new(writer)
		w.id(in)
		if got := strings.HasPrefix(string(w.bytes()), `<span class="whole">`); got != want {
			t.Errorf("%q: got %t, want %t", in, got, want)
		}
	}
}

// TestCut: the bound is in bytes and splits no character.
func TestCut(t *testing.T) {
	for _, c := range []struct {
		in    string
		limit int
		want  string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "abc"}, {"aéb", 2, "a"}, {"aéb", 3, "aé"}, {"\x80\x80\x80", 2, ""}, {"", 0, ""},
	} {
		if got := cut(c.in, c.limit); got != c.want {
			t.Errorf("%q to %d: got %q, want %q", c.in, c.limit, got, c.want)
		}
	}
	w := new(writer)
	w.short(strings.Repeat("x", maxShort+1))
	if got := string(w.bytes()); !strings.HasSuffix(got, `x</bdo><span class="none"> and 1 byte more</span>`) || strings.Count(got, "x") != maxShort {
		t.Errorf("got %s", got)
	}
}

// TestDiffering: brackets stand where the marks are.
func TestDiffering(t *testing.T) {
	const x = "00112233445566778899aabbccddeeff"
	for _, c := range []struct{ want, got, inWant, inGot string }{
		{x, x, x, x},
		{x, "00112233445566778899aabbccddee0f", x[:30] + "[ff]", "00112233445566778899aabbccddee[0f]"},
		{x, "00112233445566778899aabbccddeef0", x[:30] + "[ff]", "00112233445566778899aabbccddee[f0]"},
		{x, "ff112233445566778899aabbccddeeff", "[00]" + x[2:], "[ff]" + x[2:]},
		{x, "001122ff445566ff8899aabbccddeeff", "001122[3344556677]" + x[16:], "001122[ff445566ff]" + x[16:]},
		{x, x[:30], x, x[:30]}, // lengths differ
		{"a " + x + ", b", "(ff112233445566778899aabbccddeeff)", "a [00]" + x[2:] + ", b", "([ff]" + x[2:] + ")"},
		{x, x + " ff112233445566778899aabbccddeeff", "[00]" + x[2:], x + " [ff]" + x[2:]},
		{x + " or " + x, "ff" + x[2:], x + " or " + x, "ff" + x[2:]}, // two wanted, one found: which?
		{x + "," + x, x + ",ff" + x[2:], x + ",[00]" + x[2:], x + ",[ff]" + x[2:]},
		{"0011223344556677", "0011223344556678", "00112233445566[77]", "00112233445566[78]"},
		{"001122334455667", "001122334455668", "001122334455667", "001122334455668"}, // too short
		{x + "z", "ff" + x[2:] + "z", x + "z", "ff" + x[2:] + "z"},                   // a word
		{"", "", "", ""},
		{"abc", x, "abc", x},
		// Found twice, differing in two places: the marks of want don't overlap.
		{x, "ff" + x[2:] + " " + "00ff" + x[4:], "[00]" + x[2:], "[ff]" + x[2:] + " 00[ff]" + x[4:]},
	} {
		w, g := differing(c.want, c.got)
		if gotWant, gotGot := bracketed(c.want, w), bracketed(c.got, g); gotWant != c.inWant || gotGot != c.inGot {
			t.Errorf("%s and %s: got %s and %s, want %s and %s", c.want, c.got, gotWant, gotGot, c.inWant, c.inGot)
		}
	}
}

func bracketed(s string, marks []span) string {
	var b strings.Builder
	at := 0
	for _, m := range marks {
		b.WriteString(s[at:m.from] + "[" + s[m.from:m.to] + "]")
		at = m.to
	}
	return b.String() + s[at:]
}

// TestSaysAny: the word alone, wherever it stands.
func TestSaysAny(t *testing.T) {
	for in, want := range map[string]bool{
		"any": true, "MRTD any": true, "any: the policy asks for none": true, "a, any, b": true, `"any"`: true, "many, then any": true,
		"": false, "many": false, "anyone": false, "ANY": false, "germany": false, "any1": false, "zany anyhow": false,
	} {
		if got := saysAny(in); got != want {
			t.Errorf("%q: got %t, want %t", in, got, want)
		}
	}
}

// TestMarkedAtTheBound: marks beyond what is shown are left out.
func TestMarkedAtTheBound(t *testing.T) {
	const rest = `</bdo><span class="none"> and 2 bytes more</span>`
	for want, marks := range map[string][]span{
		"a<mark>b</mark>c<mark>d</mark>": {{1, 2}, {3, 6}},
		"a<mark>b</mark>cd":              {{1, 2}, {4, 6}},
		"abcd":                           {{5, 6}},
	} {
		w := new(writer)
		w.marked("abcdef", 4, marks)
		if got := string(w.bytes()); got != `<bdo dir="ltr">`+want+rest {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
