package published_test

import (
	"bytes"
	"testing"

	"safebox/verifier/bundle"
	"safebox/verifier/checktest"
	"safebox/verifier/publishtest"
)

// TestFlippedBits: with a bit of a bundle flipped there is no bundle, or the
// release is not published. Nothing travels in it that does not count. Every
// 11th byte is taken: all of them are a quarter of a minute.
func TestFlippedBits(t *testing.T) {
	const stride = 11
	pub := publishtest.New(t, []byte(releaseJSON), at()).Publish(t)
	file, in := pub.Encode(t), input(t, pub)
	decided := func(file []byte) (ok, opened bool) {
		b, err := bundle.Decode(file)
		if err != nil {
			return false, false
		}
		in.Bundle = b
		v, _, _ := decide(in)
		return v.OK, true
	}
	v, _, _ := decide(in)
	checktest.Passes(t, v)
	if ok, _ := decided(file); !ok {
		t.Fatal("intact: refused")
	}
	bundles := 0
	for i := 0; i < len(file); i += stride {
		flipped := bytes.Clone(file)
		flipped[i] ^= 1 << (i % 8)
		ok, opened := decided(flipped)
		if ok {
			t.Errorf("byte %d, bit %d: accepted", i, i%8)
		}
		if opened {
			bundles++
		}
	}
	if bundles == 0 {
		t.Error("no flipped file was a bundle: nothing was decided")
	}
}
