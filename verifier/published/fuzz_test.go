package published_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"safebox/verifier/bundle"
	"safebox/verifier/published"
	"safebox/verifier/publishtest"
)

// parts are the pieces of a bundle that an attacker can exchange.
func parts(b *bundle.Bundle) []*[]byte {
	list := []*[]byte{&b.Release, &b.Record, &b.Proof}
	for i := range b.Rebuilds {
		list = append(list, &b.Rebuilds[i].Record, &b.Rebuilds[i].Proof)
	}
	for i := range b.Entries {
		list = append(list, &b.Entries[i])
	}
	return list
}

// FuzzCheck exchanges one part of a publication for any bytes, at any time: no
// panic, and what passes is the part that was there.
func FuzzCheck(f *testing.F) {
	whole := plan(f, nil)
	for i, part := range parts(whole.Bundle) {
		f.Add(uint8(i), *part, int64(0))
	}
	f.Add(uint8(2), bytes.Replace(whole.Bundle.Proof, []byte("\nindex "), []byte("\nextra AAAA\nindex "), 1), int64(0))
	for _, a := range publishtest.Attacks() {
		for i, part := range parts(a.Make(f, []byte(releaseJSON), at()).Bundle) {
			f.Add(uint8(i), *part, int64(-8*24*3600))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, content []byte, shift int64) {
		in := whole
		b := *whole.Bundle
		b.Rebuilds, b.Entries = slices.Clone(b.Rebuilds), slices.Clone(b.Entries)
		list := parts(&b)
		part := list[int(which)%len(list)]
		old := *part
		*part = content
		in.Bundle, in.At = &b, at().Add(time.Duration(shift%(1<<30))*time.Second)
		v, _, _ := decide(in)
		if len(v.Checks) != len(published.Definitions()) {
			t.Fatalf("%d checks", len(v.Checks))
		}
		intact := bytes.Equal(old, content)
		if v.OK && !intact {
			t.Errorf("accepted with part %d exchanged:\n%s", which, content)
		}
		if intact && shift == 0 && !v.OK {
			t.Errorf("refused:\n%s", v.Text())
		}
	})
}
