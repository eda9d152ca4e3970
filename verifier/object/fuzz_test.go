package object

import (
	"bytes"
	"slices"
	"testing"
)

func FuzzDecodeManifest(f *testing.F) {
	v := vectors(f)
	f.Add([]byte(v["manifest"]))
	f.Add(bytes.Replace([]byte(v["manifest"]), []byte("null"), []byte(`"`+v["cid"]+`"`), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeManifest(b)
		if err != nil {
			return
		}
		again, err := m.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("accepted %q, encodes as %q, %v", b, again, err)
		}
	})
}

func FuzzDecodeLeaves(f *testing.F) {
	v := vectors(f)
	f.Add(slices.Concat(octets(f, v, "leaf0"), octets(f, v, "leaf1"), octets(f, v, "leaf2"), octets(f, v, "leaf3")))
	f.Add(octets(f, v, "leaf2"))
	f.Fuzz(func(t *testing.T, b []byte) {
		leaves, err := DecodeLeaves(b)
		if err != nil {
			return
		}
		if again := EncodeLeaves(leaves); !bytes.Equal(again, b) {
			t.Errorf("accepted %x, encodes as %x", b, again)
		}
	})
}

func FuzzDecodeNodes(f *testing.F) {
	root, _ := testRoot()
	for _, s := range []string{"0", "0-9,20-29", "3-17,300-5000"} {
		r, err := ParseRanges(s)
		if err != nil {
			f.Fatal(err)
		}
		nodes, err := root.Cover(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(EncodeNodes(nodes), s)
	}
	f.Fuzz(func(t *testing.T, b []byte, text string) {
		r, err := ParseRanges(text)
		if err != nil {
			return
		}
		if text != r.String() { // a range of one may be written as 3-3
			if back, err := ParseRanges(r.String()); err != nil || !slices.Equal(back, r) {
				t.Fatalf("%q: written as %q, read as %v, %v", text, r.String(), back, err)
			}
		}
		nodes, err := DecodeNodes(b, r)
		if err != nil {
			return
		}
		if again := EncodeNodes(nodes); !bytes.Equal(again, b) {
			t.Errorf("accepted %x, encodes as %x", b, again)
		}
		var covered int64
		for _, n := range nodes {
			lo, hi := interval(n)
			covered += int64(hi - lo)
			if !r.Contains(uint32(lo)) || !r.Contains(uint32(hi-1)) {
				t.Errorf("%s: node %d/%d reaches outside", text, n.Depth, n.Prefix)
			}
		}
		if covered != r.Count() {
			t.Errorf("%s: %d chunks covered, want %d", text, covered, r.Count())
		}
	})
}

func FuzzDecodeKeys(f *testing.F) {
	v := vectors(f)
	f.Add([]byte(`{"fs":"` + v["fs"] + `","oid":"` + v["oid"] + `","root_cid":"` + v["cid"] +
		`","type":"safebox/object-keys/v1","writer_seed":"` + v["writer_seed"] + `"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := DecodeKeys(b)
		if err != nil {
			return
		}
		again, err := k.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("accepted %q, encodes as %q, %v", b, again, err)
		}
	})
}
