package receipt_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/verifier/canon"
	"safebox/verifier/dsse"
	"safebox/verifier/object"
	"safebox/verifier/receipt"
)

func testKey() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f"))
}

func public() [32]byte { return [32]byte(testKey().Public().(ed25519.PublicKey)) }

// sum is the SHA-256 of a word, as testdata/vectors.py has it.
func sum(word string) canon.Octets32 { return sha256.Sum256([]byte(word)) }

// example is the receipt of testdata/vectors.py.
func example() *receipt.Document {
	return &receipt.Document{
		Type: receipt.Type, Grant: sum("grant"), Module: sum("module"), Params: sum("params"),
		Evidence: sum("evidence"), Transcript: sum("transcript"), Release: sum("release"),
		Inputs:     []receipt.Input{{Root: object.CID([]byte("manifest")), Ranges: object.Ranges{{0, 3}, {8, 9}}}},
		Outputs:    []receipt.Output{{Slot: 0, Kind: "object", Size: 6, Sealed: []canon.Octets32{sum("sealed a"), sum("sealed b")}}},
		MemoryPeak: 1 << 20, WallMicros: 1500, Serial: canon.Octets16{15: 1}, Sequence: 1, Time: 1767225600,
	}
}

// The envelope is byte for byte the one that testdata/vectors.py made without
// our code.
func TestVector(t *testing.T) {
	want, err := os.ReadFile("testdata/receipt.json")
	if err != nil {
		t.Fatal(err)
	}
	got, err := receipt.Sign(example(), testKey())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error(diff)
	}
	d, err := receipt.Open(want, public())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(example(), d); diff != "" {
		t.Error(diff)
	}
}

func TestOpenRefuses(t *testing.T) {
	good, err := receipt.Sign(example(), testKey())
	if err != nil {
		t.Fatal(err)
	}
	payload, err := dsse.Payload(good, dsse.TypeReceipt, receipt.MaxSize)
	if err != nil {
		t.Fatal(err)
	}
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32))
	byOther, err := receipt.Sign(example(), other)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ envelope, want string }{
		"other key":      {string(byOther), "keyid: got"},
		"flipped bit":    {strings.Replace(string(good), `"payload":"ey`, `"payload":"ez`, 1), "does not verify"},
		"grant":          {string(dsse.Sign(dsse.TypeGrant, payload, testKey())), "payload type: got"},
		"newline":        {string(dsse.Sign(dsse.TypeReceipt, append(bytes.Clone(payload), '\n'), testKey())), "not in canonical form"},
		"unknown member": {string(dsse.Sign(dsse.TypeReceipt, bytes.Replace(payload, []byte(`{"evidence"`), []byte(`{"a":1,"evidence"`), 1), testKey())), "unknown field"},
		"member less":    {string(dsse.Sign(dsse.TypeReceipt, bytes.Replace(payload, []byte(`"exit":0,`), nil, 1), testKey())), "not in canonical form"},
		"empty":          {"", ""},
		"too large":      {string(dsse.Sign(dsse.TypeReceipt, make([]byte, receipt.MaxSize+1), testKey())), "want at most"},
	} {
		if _, err := receipt.Open([]byte(tt.envelope), public()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, tt.want)
		}
	}
}

// Each rule of the table in docs/format-receipt.md: Sign does not write what
// breaks it, and Open refuses it though the guest signed it.
func TestRules(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(d *receipt.Document)
		want   string
	}{
		"type":           {func(d *receipt.Document) { d.Type = "safebox/receipt/v2" }, `type: got "safebox/receipt/v2"`},
		"grant":          {func(d *receipt.Document) { d.Grant = canon.Octets32{} }, "grant: all zero"},
		"module":         {func(d *receipt.Document) { d.Module = canon.Octets32{} }, "module: all zero"},
		"params":         {func(d *receipt.Document) { d.Params = canon.Octets32{} }, "params: all zero"},
		"evidence":       {func(d *receipt.Document) { d.Evidence = canon.Octets32{} }, "evidence: all zero"},
		"transcript":     {func(d *receipt.Document) { d.Transcript = canon.Octets32{} }, "transcript: all zero"},
		"release":        {func(d *receipt.Document) { d.Release = canon.Octets32{} }, "release: all zero"},
		"serial":         {func(d *receipt.Document) { d.Serial = canon.Octets16{} }, "serial: all zero"},
		"no input":       {func(d *receipt.Document) { d.Inputs = []receipt.Input{} }, "inputs: got 0, want 1 to 16"},
		"inputs null":    {func(d *receipt.Document) { d.Inputs = nil }, "inputs: got 0, want 1 to 16"},
		"17 inputs":      {func(d *receipt.Document) { d.Inputs = make([]receipt.Input, 17) }, "inputs: got 17, want 1 to 16"},
		"root":           {func(d *receipt.Document) { d.Inputs[0].Root = "b" }, "inputs: entry 0: root: "},
		"ranges":         {func(d *receipt.Document) { d.Inputs[0].Ranges = object.Ranges{{3, 3}} }, "inputs: entry 0: ranges: "},
		"no ranges":      {func(d *receipt.Document) { d.Inputs[0].Ranges = nil }, "inputs: entry 0: ranges: "},
		"outputs null":   {func(d *receipt.Document) { d.Outputs = nil }, "outputs: got null, want a list"},
		"65 outputs":     {func(d *receipt.Document) { d.Outputs = make([]receipt.Output, 65) }, "outputs: got 65, want at most 64"},
		"slot twice":     {func(d *receipt.Document) { d.Outputs = append(d.Outputs, d.Outputs[0]) }, "outputs: entry 1: slot 0 after 0"},
		"kind":           {func(d *receipt.Document) { d.Outputs[0].Kind = "Object" }, `outputs: entry 0: kind: got "Object"`},
		"no kind":        {func(d *receipt.Document) { d.Outputs[0].Kind = "" }, `outputs: entry 0: kind: got ""`},
		"long kind":      {func(d *receipt.Document) { d.Outputs[0].Kind = strings.Repeat("a", 33) }, "outputs: entry 0: kind: got"},
		"size":           {func(d *receipt.Document) { d.Outputs[0].Size = -1 }, "outputs: entry 0: size: got -1"},
		"no ciphertext":  {func(d *receipt.Document) { d.Outputs[0].Sealed = []canon.Octets32{} }, "outputs: entry 0: sealed: got 0 digests"},
		"17 ciphertexts": {func(d *receipt.Document) { d.Outputs[0].Sealed = make([]canon.Octets32, 17) }, "outputs: entry 0: sealed: got 17 digests"},
		"other recipients": {func(d *receipt.Document) {
			d.Outputs = append(d.Outputs, receipt.Output{Slot: 1, Kind: "a", Sealed: d.Outputs[0].Sealed[:1]})
		}, "outputs: entry 1: sealed: got 1 digests, want 2 as in entry 0"},
		"exit, low":         {func(d *receipt.Document) { d.Exit = -1<<31 - 1 }, "exit: got -2147483649, want 32 bits"},
		"exit, high":        {func(d *receipt.Document) { d.Exit = 1 << 32 }, "exit: got 4294967296, want 32 bits"},
		"trap":              {func(d *receipt.Document) { d.Trap = "out of memory" }, `trap: got "out of memory"`},
		"negative memory":   {func(d *receipt.Document) { d.MemoryPeak = -1 }, "memory_peak: got -1, want 0 or more"},
		"negative time":     {func(d *receipt.Document) { d.WallMicros = -1 }, "wall_us: got -1, want 0 or more"},
		"sequence":          {func(d *receipt.Document) { d.Sequence = 0 }, "sequence: got 0, want 1 or more"},
		"clock before 1970": {func(d *receipt.Document) { d.Time = -1 }, "time: got -1, want 0 or more"},
	} {
		d := example()
		tt.change(d)
		if _, err := receipt.Sign(d, testKey()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Sign: got %v, want an error with %q", name, err, tt.want)
		}
		payload, err := canon.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := receipt.Open(dsse.Sign(dsse.TypeReceipt, payload, testKey()), public()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Open: got %v, want an error with %q", name, err, tt.want)
		}
	}
	if _, err := receipt.Sign(example(), nil); err == nil || !strings.Contains(err.Error(), "key: got 0 bytes") {
		t.Errorf("no key: got %v", err)
	}
}

// The largest receipt that the rules allow fits.
func TestLargest(t *testing.T) {
	d := example()
	d.Inputs, d.Outputs = nil, nil
	for range 16 {
		in := receipt.Input{Root: object.CID([]byte("manifest"))}
		for i := range uint32(object.MaxRanges) {
			in.Ranges = append(in.Ranges, [2]uint32{4000000000 + 4*i, 4000000002 + 4*i})
		}
		d.Inputs = append(d.Inputs, in)
	}
	for slot := range uint32(64) {
		o := receipt.Output{Slot: 4000000000 + slot, Kind: strings.Repeat("k", 32), Size: 1<<53 - 1}
		for i := range 16 {
			o.Sealed = append(o.Sealed, sum(fmt.Sprint(i)))
		}
		d.Outputs = append(d.Outputs, o)
	}
	b, err := receipt.Sign(d, testKey())
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > receipt.MaxFile {
		t.Errorf("got %d bytes, want at most %d", len(b), receipt.MaxFile)
	}
	if _, err := receipt.Open(b, public()); err != nil {
		t.Error(err)
	}
}

// FuzzOpen feeds envelopes.
func FuzzOpen(f *testing.F) {
	good, err := receipt.Sign(example(), testKey())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := receipt.Open(b, public())
		if err != nil {
			return
		}
		if again, err := receipt.Sign(d, testKey()); err != nil || !bytes.Equal(again, b) {
			t.Errorf("accepted %q, signs as %q, %v", b, again, err)
		}
	})
}

// FuzzDocument feeds documents that the guest signed.
func FuzzDocument(f *testing.F) {
	payload, err := canon.Marshal(example())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(payload)
	f.Fuzz(func(t *testing.T, b []byte) {
		envelope := dsse.Sign(dsse.TypeReceipt, b, testKey())
		d, err := receipt.Open(envelope, public())
		if err != nil {
			return
		}
		if again, err := receipt.Sign(d, testKey()); err != nil || !bytes.Equal(again, envelope) {
			t.Errorf("accepted %q, signs as %q, %v", b, again, err)
		}
	})
}

// How a run may end, at the ends of what is allowed.
func TestEnds(t *testing.T) {
	for _, end := range []struct {
		trap string
		exit int64
	}{
		{"", 0},
		{"", math.MinInt32},
		{"", math.MaxUint32},
		{"memory", 0},
		{strings.Repeat("a-9z", 8), -1},
	} {
		want := example()
		want.Trap, want.Exit = end.trap, end.exit
		b, err := receipt.Sign(want, testKey())
		if err != nil {
			t.Errorf("%+v: %v", end, err)
			continue
		}
		got, err := receipt.Open(b, public())
		if err != nil {
			t.Errorf("%+v: %v", end, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%+v: %s", end, diff)
		}
	}
}
