package configuration

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/verifier/canon"
	"safebox/verifier/vectortest"
)

// example is the document in docs/format-configuration.md, written by hand.
func example(t testing.TB) string {
	t.Helper()
	doc, err := os.ReadFile("../../docs/format-configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(vectortest.Block(t, doc, "Example"), "\n", "")
}

func TestExample(t *testing.T) {
	b, err := Default().Encode()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(example(t), string(b)); d != "" {
		t.Errorf("what holds without a document: %s", d)
	}
	got, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Default(), got); d != "" {
		t.Error(d)
	}
}

// TestLimits: the smallest and the largest values, and one beyond each.
func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Document)
		want   string // empty: accepted
	}{
		{"interpreter", func(d *Document) { d.Worker.Engine = "interpreter" }, ""},
		{"least memory", func(d *Document) { d.Worker.Memory = 1048576 }, ""},
		{"most memory", func(d *Document) { d.Worker.Memory = 536870912 }, ""},
		{"least time", func(d *Document) { d.Worker.Wall = 1 }, ""},
		{"most time", func(d *Document) { d.Worker.Wall = 900 }, ""},
		{"least output", func(d *Document) { d.Worker.Output = 1 }, ""},
		{"most output", func(d *Document) { d.Worker.Output = 67108864 }, ""},

		{"no type", func(d *Document) { d.Type = "" }, `type: got "", want "safebox/config/v1"`},
		{"other type", func(d *Document) { d.Type = "safebox/config/v2" }, `type: got "safebox/config/v2"`},
		{"no engine", func(d *Document) { d.Worker.Engine = "" }, `worker.engine: got "", want "compiler" or "interpreter"`},
		{"other engine", func(d *Document) { d.Worker.Engine = "Compiler" }, `worker.engine: got "Compiler"`},
		{"no memory", func(d *Document) { d.Worker.Memory = 0 }, "worker.memory: got 0 bytes, want 1048576 to 536870912"},
		{"little memory", func(d *Document) { d.Worker.Memory = 1048575 }, "worker.memory: got 1048575 bytes"},
		{"much memory", func(d *Document) { d.Worker.Memory = 536870913 }, "worker.memory: got 536870913 bytes, want 1048576 to"},
		{"a page too much", func(d *Document) { d.Worker.Memory = 536936448 }, "worker.memory: got 536936448 bytes, want 1048576 to"},
		{"negative memory", func(d *Document) { d.Worker.Memory = -65536 }, "worker.memory: got -65536 bytes"},
		{"part of a page", func(d *Document) { d.Worker.Memory++ }, "worker.memory: got 268435457 bytes, want a multiple of 65536"},
		{"no time", func(d *Document) { d.Worker.Wall = 0 }, "worker.wall: got 0 s, want 1 to 900"},
		{"much time", func(d *Document) { d.Worker.Wall = 901 }, "worker.wall: got 901 s"},
		{"no output", func(d *Document) { d.Worker.Output = 0 }, "worker.output: got 0 bytes, want 1 to 67108864"},
		{"much output", func(d *Document) { d.Worker.Output = 67108865 }, "worker.output: got 67108865 bytes"},
	} {
		d := Default()
		tt.change(d)
		_, encodeErr := d.Encode()
		b, err := canon.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		_, decodeErr := Decode(b)
		if tt.want == "" {
			if encodeErr != nil || decodeErr != nil {
				t.Errorf("%s: refused: %v, %v", tt.name, encodeErr, decodeErr)
			}
			continue
		}
		if encodeErr == nil || !strings.HasPrefix(encodeErr.Error(), "encoding configuration: "+tt.want) {
			t.Errorf("%s: Encode: got %v, want %s", tt.name, encodeErr, tt.want)
		}
		if decodeErr == nil || !strings.HasPrefix(decodeErr.Error(), "decoding configuration: "+tt.want) {
			t.Errorf("%s: Decode: got %v, want %s", tt.name, decodeErr, tt.want)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := example(t)
	change := func(old, changed string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the example has no %s", old)
		}
		return strings.Replace(good, old, changed, 1)
	}
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", "EOF"},
		{"null", "null", "not in canonical form"},
		{"newline at end", good + "\n", "not in canonical form"},
		{"trailing bytes", good + "{}", "trailing data"},
		{"unknown member", change(`"wall":60`, `"wall":60,"zone":1`), `unknown field "zone"`},
		{"missing member", change(`"engine":"compiler",`, ""), "not in canonical form"},
		{"no worker", `{"type":"safebox/config/v1"}`, "not in canonical form"},
		{"worker is null", `{"type":"safebox/config/v1","worker":null}`, "not in canonical form"},
		{"member twice", change(`"wall":60`, `"wall":60,"wall":60`), "not in canonical form"},
		{"float", change(`"wall":60`, `"wall":60.5`), "cannot unmarshal"},
		{"exponent", change(`"wall":60`, `"wall":6e1`), "cannot unmarshal"},
		{"too large", good + strings.Repeat(" ", 64<<10), "want at most 65536"},
	} {
		if _, err := Decode([]byte(tt.in)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(example(f)))
	f.Add([]byte(`{"type":"safebox/config/v1","worker":{"engine":"interpreter","memory":1048576,"output":1,"wall":900}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Decode(b)
		if err != nil {
			return
		}
		again, err := d.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("accepted %s, encodes as %s, %v", b, again, err)
		}
	})
}
