package tlog_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	formats "github.com/transparency-dev/formats/proof"

	"safebox/verifier/tlog"
)

// exampleProof is the example of tlog-proof with the note of the example of
// tlog-cosignature: its own has elided signatures.
const exampleProof = `c2sp.org/tlog-proof@v1
extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ
index 73894
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=
RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=
AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=

` + sofa

func TestDecodeProof(t *testing.T) {
	p, err := tlog.DecodeProof([]byte(exampleProof))
	if err != nil {
		t.Fatal(err)
	}
	if p.Index != 73894 || len(p.Hashes) != 5 || p.Hashes[0][0] != 0x81 || p.Hashes[4][31] != 0xf9 ||
		!strings.HasPrefix(string(p.Extra), "age-v1.2.1-darwin-arm64.tar.gz") || string(p.Checkpoint) != sofa {
		t.Errorf("got %+v", p)
	}
	if got := string(p.Encode()); got != exampleProof {
		t.Errorf("encoded: got %q, want %q", got, exampleProof)
	}
	p.Extra = nil
	if got, want := string(p.Encode()), strings.Replace(exampleProof, "extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ\n", "", 1); got != want {
		t.Errorf("encoded without extra data: got %q, want %q", got, want)
	}
}

// The forms that the library reads all the same are marked.
func TestDecodeProofRefuses(t *testing.T) {
	const hash = "gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ="
	head := "c2sp.org/tlog-proof@v1\n"
	extra := func(n int) string { return "extra " + base64.StdEncoding.EncodeToString(make([]byte, n)) + "\n" }
	for _, tt := range []struct {
		name, proof, want string
		lenient           bool // transparency-dev/formats/proof takes it
	}{
		{"nothing", "", "no empty line", false},
		{"version 2", "c2sp.org/tlog-proof@v2\nindex 0\n\n" + sofa, "line 1", false},
		{"no header", "index 0\n\n" + sofa, "line 1", false},
		{"header alone", head + "\n" + sofa, "no index", false},
		{"CR LF before the note", strings.ReplaceAll(head+"index 0\n", "\n", "\r\n") + "\n" + sofa, "line 1", true},
		{"CR LF all through", strings.ReplaceAll(head+"index 0\n\n"+sofa, "\n", "\r\n"), "no empty line", true},
		{"CR after a hash", head + "index 0\n" + hash + "\r\n\n" + sofa, "45 characters", true},
		{"index 00", head + "index 00\n\n" + sofa, "decimal", true},
		{"index 07", head + "index 07\n\n" + sofa, "decimal", true},
		{"index -1", head + "index -1\n\n" + sofa, "decimal", false},
		{"index +1", head + "index +1\n\n" + sofa, "decimal", false},
		{"index of 2^63", head + "index 9223372036854775808\n\n" + sofa, "decimal", true},
		{"index with a space", head + "index 1 \n\n" + sofa, "decimal", false},
		{"no index", head + "index \n\n" + sofa, "decimal", false},
		{"Index", head + "Index 1\n\n" + sofa, "no index", false},
		{"index twice", head + "index 1\nindex 1\n\n" + sofa, "hash 1", false},
		{"extra after the index", head + "index 1\n" + extra(1) + "\n" + sofa, "hash 1", false},
		{"extra twice", head + extra(1) + extra(1) + "index 1\n\n" + sofa, "no index", false},
		{"empty extra", head + "extra \nindex 1\n\n" + sofa, "want 1 to 4096", true},
		{"extra without padding", head + "extra AA\nindex 1\n\n" + sofa, "base64", false},
		{"extra with unused bits", head + "extra " + loose(t, "AA==") + "\nindex 1\n\n" + sofa, "one form", true},
		{"large extra", head + extra(tlog.MaxExtra+1) + "index 1\n\n" + sofa, "want 1 to 4096", true},
		{"hash of 31 bytes", head + "index 1\n" + base64.StdEncoding.EncodeToString(make([]byte, 31)) + "\n\n" + sofa, "31 bytes", false},
		{"hash of 33 bytes", head + "index 1\n" + base64.StdEncoding.EncodeToString(make([]byte, 33)) + "\n\n" + sofa, "33 bytes", false},
		{"hash with unused bits", head + "index 1\n" + loose(t, hash) + "\n\n" + sofa, "one form", true},
		{"hash with a space", head + "index 1\n" + hash + " \n\n" + sofa, "45 characters", false},
		{"hash in hex", head + "index 1\n" + strings.Repeat("ab", 32) + "\n\n" + sofa, "64 characters", false},
		{"64 hashes", head + "index 1\n" + strings.Repeat(hash+"\n", 64) + "\n" + sofa, "at most 63", true},
		{"no checkpoint", head + "index 1\n\n", "checkpoint", true},
		{"poem for a checkpoint", head + "index 1\n\n" + poem, "checkpoint", true},
		{"unsigned checkpoint", head + "index 1\n\n" + sofa[:strings.Index(sofa, "\n\n")+1], "checkpoint", true},
		{"no newline at the end", head + "index 1\n\n" + sofa[:len(sofa)-1], "newline", true},
		{"two empty lines", head + "index 1\n\n\n" + sofa, "line 1 is empty", true},
		{"text after it", head + "index 1\n\n" + sofa + "\n", "newline", true},
		{"empty line before the index", head + "\nindex 1\n\n" + sofa, "no index", false},
		{"too long", head + "index 1\n\n" + strings.Repeat("a", tlog.MaxProof), "decoding proof: got", false},
	} {
		_, err := tlog.DecodeProof([]byte(tt.proof))
		wantError(t, tt.name, err, tt.want)
		var p formats.TLogProof
		if err := p.Unmarshal([]byte(tt.proof)); (err == nil) != tt.lenient {
			t.Errorf("%s: library: got error %v, want lenient %v", tt.name, err, tt.lenient)
		}
	}
	most := head + extra(tlog.MaxExtra) + "index 9223372036854775807\n" + strings.Repeat(hash+"\n", 63) + "\n" + sofa
	if p, err := tlog.DecodeProof([]byte(most)); err != nil || p.Index != 1<<63-1 || len(p.Hashes) != 63 {
		t.Errorf("the largest: %v", err)
	}
}

// A proof of tessera's log: of each entry, in each of its trees.
func TestProofOfTessera(t *testing.T) {
	entries, err := tlog.DecodeEntries(read(t, "tessera/entries.15"))
	if err != nil {
		t.Fatal(err)
	}
	var hashes [][32]byte
	for _, e := range entries {
		hashes = append(hashes, tlog.LeafHash(e))
	}
	pol := policy(t, "log "+tesseraKey, "quorum none")
	for _, n := range []string{"1", "2", "7", "8", "15"} {
		note := read(t, "tessera/checkpoint."+n)
		opened, err := pol.Open(note)
		if err != nil {
			t.Fatal(err)
		}
		c := &opened.Checkpoint
		for i := range c.Size {
			file := (&tlog.Proof{Index: i, Hashes: tlog.Inclusion(hashes[:c.Size], i), Checkpoint: note}).Encode()
			p, err := tlog.DecodeProof(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Check(entries[i], c); err != nil {
				t.Errorf("entry %d of %d: %v", i, c.Size, err)
			}
			if err := p.Check(append([]byte("x"), entries[i]...), c); err == nil {
				t.Errorf("entry %d of %d: accepted another", i, c.Size)
			}
			p.Index = (i + 1) % c.Size
			if err := p.Check(entries[i], c); err == nil && c.Size > 1 {
				t.Errorf("entry %d of %d: accepted at another index", i, c.Size)
			}
		}
	}
}

func FuzzDecodeProof(f *testing.F) {
	f.Add([]byte(exampleProof))
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 0\n\n" + sofa))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := tlog.DecodeProof(b)
		if err != nil {
			return
		}
		if got := p.Encode(); !bytes.Equal(got, b) {
			t.Errorf("got %q, want %q", got, b)
		}
		var theirs formats.TLogProof
		if err := theirs.Unmarshal(b); err != nil {
			// Its scanner gives up at lines of 64 KiB.
			if !strings.Contains(err.Error(), "token too long") {
				t.Errorf("the library refuses %q: %v", b, err)
			}
			return
		}
		want := formats.TLogProof{Index: uint64(p.Index), Hashes: p.Hashes, Checkpoint: p.Checkpoint, ExtraData: p.Extra}
		if diff := cmp.Diff(want, theirs); diff != "" {
			t.Errorf("(-ours +library):\n%s", diff)
		}
		if !bytes.Equal(theirs.Marshal(), b) {
			t.Errorf("the library writes %q, want %q", theirs.Marshal(), b)
		}
	})
}
