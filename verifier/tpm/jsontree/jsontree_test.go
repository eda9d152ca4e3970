package jsontree

import (
	"bytes"
	"encoding/base64"
	"os"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	o, err := Parse([]byte(` {"n": 7, "s": "text", "b": true, "o": {"x": [1, 255]}, "l": [[0], [2, 3]], "h": "00ff", "hs": ["01"], "u": "-_8=", "os": [{"k": "v"}]} `))
	if err != nil {
		t.Fatal(err)
	}
	inner := o.Object("o")
	if n, s, b := o.Number("n", 7), o.Text("s"), o.Bool("b"); n != 7 || s != "text" || !b {
		t.Errorf("got %d, %q, %t", n, s, b)
	}
	if x := inner.Octets("x", 2); !bytes.Equal(x, []byte{1, 255}) || inner.End() != nil {
		t.Errorf("got %x", x)
	}
	if l := o.Lists("l", 2, 2); len(l) != 2 || !bytes.Equal(l[1], []byte{2, 3}) {
		t.Errorf("got %x", l)
	}
	if h, hs := o.Hex("h", 2), o.HexList("hs", 1, 1); !bytes.Equal(h, []byte{0, 255}) || len(hs) != 1 || hs[0][0] != 1 {
		t.Errorf("got %x, %x", h, hs)
	}
	if u := o.Base64("u", base64.URLEncoding, 2); !bytes.Equal(u, []byte{0xfb, 0xff}) {
		t.Errorf("got %x", u)
	}
	if os := o.Objects("os", 1); len(os) != 1 || os[0].Text("k") != "v" {
		t.Errorf("got %v", os)
	}
	if o.Has("n") || o.End() != nil {
		t.Errorf("left over: %v", o.End())
	}
}

func TestParseRefuses(t *testing.T) {
	for name, b := range map[string]string{
		"empty":          ``,
		"list":           `[]`,
		"text":           `"a"`,
		"name twice":     `{"a":1,"a":1}`,
		"twice, escaped": `{"a":1,"\u0061":1}`,
		"twice, inside":  `{"o":[{"a":1,"a":2}]}`,
		"two values":     `{} {}`,
		"trailing":       `{}x`,
		"comma":          `{"a":1,}`,
		"comment":        `{/**/}`,
		"not UTF-8":      "{\"a\":\"\xff\"}",
		"deep":           strings.Repeat(`{"a":`, maxDepth+1) + `1` + strings.Repeat(`}`, maxDepth+1),
		"very deep":      `{"a":` + strings.Repeat(`[`, 100_000) + strings.Repeat(`]`, 100_000) + `}`,
		"too long":       `{"a":"` + strings.Repeat(`x`, MaxSize) + `"}`,
	} {
		if _, err := Parse([]byte(b)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestValuesRefuse(t *testing.T) {
	for name, c := range map[string]struct {
		b    string
		read func(*Object)
	}{
		"missing":          {`{}`, func(o *Object) { o.Text("a") }},
		"another case":     {`{"A":"x"}`, func(o *Object) { o.Text("a") }},
		"null":             {`{"a":null}`, func(o *Object) { o.Text("a") }},
		"unknown":          {`{"a":1}`, func(*Object) {}},
		"no text":          {`{"a":1}`, func(o *Object) { o.Text("a") }},
		"no bool":          {`{"a":1}`, func(o *Object) { o.Bool("a") }},
		"no object":        {`{"a":[]}`, func(o *Object) { o.Object("a") }},
		"no objects":       {`{"a":[1]}`, func(o *Object) { o.Objects("a", 1) }},
		"empty objects":    {`{"a":[]}`, func(o *Object) { o.Objects("a", 1) }},
		"many objects":     {`{"a":[{},{}]}`, func(o *Object) { o.Objects("a", 1) }},
		"no texts":         {`{"a":[1]}`, func(o *Object) { o.Texts("a", 1) }},
		"number too large": {`{"a":8}`, func(o *Object) { o.Number("a", 7) }},
		"number negative":  {`{"a":-1}`, func(o *Object) { o.Number("a", 7) }},
		"number -0":        {`{"a":-0}`, func(o *Object) { o.Number("a", 7) }},
		"fraction":         {`{"a":1.0}`, func(o *Object) { o.Number("a", 7) }},
		"exponent":         {`{"a":1e0}`, func(o *Object) { o.Number("a", 7) }},
		"number as text":   {`{"a":"1"}`, func(o *Object) { o.Number("a", 7) }},
		"octet 256":        {`{"a":[256]}`, func(o *Object) { o.Octets("a", 1) }},
		"too many octets":  {`{"a":[1,2]}`, func(o *Object) { o.Octets("a", 1) }},
		"octets as text":   {`{"a":"12"}`, func(o *Object) { o.Octets("a", 2) }},
		"lists of texts":   {`{"a":["x"]}`, func(o *Object) { o.Lists("a", 1, 1) }},
		"odd hex":          {`{"a":"000"}`, func(o *Object) { o.Hex("a", 2) }},
		"upper hex":        {`{"a":"AB"}`, func(o *Object) { o.Hex("a", 2) }},
		"long hex":         {`{"a":"000000"}`, func(o *Object) { o.Hex("a", 2) }},
		"base64 newline":   {`{"a":"AAAA\n"}`, func(o *Object) { o.Base64("a", base64.StdEncoding, 9) }},
		"base64 bits":      {`{"a":"AB=="}`, func(o *Object) { o.Base64("a", base64.StdEncoding, 9) }},
		"base64 alphabet":  {`{"a":"-_8="}`, func(o *Object) { o.Base64("a", base64.StdEncoding, 9) }},
		"base64 unpadded":  {`{"a":"AA"}`, func(o *Object) { o.Base64("a", base64.StdEncoding, 9) }},
		"base64 long":      {`{"a":"AAAA"}`, func(o *Object) { o.Base64("a", base64.StdEncoding, 2) }},
	} {
		o, err := Parse([]byte(c.b))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c.read(o)
		if o.End() == nil {
			t.Errorf("%s: accepted", name)
		}
		if o.Err() == nil {
			t.Errorf("%s: error lost", name)
		}
	}
}

// FuzzParse: no input makes it panic, and readings of what it took don't
// either.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"az-snp-vtpm/tpm-quote-v1.json", "tpm_evidence.json"} {
		b, err := os.ReadFile("../../testdata/evidence/vtpm/trustee/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"a":{"b":[1,[2]]},"a":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := Parse(b)
		if err != nil {
			return
		}
		if n := len(o.Object("a").Octets("b", 10)); n > 10 {
			t.Errorf("got %d octets, want at most 10", n)
		}
		for _, v := range o.HexList("pcrs", 24, 32) {
			if len(v) > 32 {
				t.Errorf("got %d bytes, want at most 32", len(v))
			}
		}
		if o.Has("other") && o.End() == nil {
			t.Error("a name that nobody asked for is passed over")
		}
	})
}
