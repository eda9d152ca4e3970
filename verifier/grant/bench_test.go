package grant_test

import (
	"crypto/hpke"
	"math"
	"testing"

	"safebox/measure/benchtest"
	"safebox/verifier/grant"
	"safebox/verifier/object"
)

// BenchmarkSeal seals the most nodes that one range can need, 62, and compares
// with what no grant can do without: one HPKE message of that size.
func BenchmarkSeal(b *testing.B) {
	s := newScene(b)
	s.doc.Ranges = object.Ranges{{1, math.MaxUint32}}
	s.nodes = s.cover(b, s.doc.Ranges)
	if len(s.nodes) != 62 {
		b.Fatalf("got %d nodes, want 62", len(s.nodes))
	}
	plain, key := object.EncodeNodes(s.nodes), s.guest.PublicKey()
	info := make([]byte, len("safebox/grant/v1\x00")+64)
	benchtest.Ratio(b, "x-of-hpke.Seal", func() { s.seal(b) }, func() {
		if _, err := hpke.Seal(key, hpke.HKDFSHA256(), hpke.AES256GCM(), info, plain); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkOpen is the guest's side: Open and Unseal, against one hpke.Open.
func BenchmarkOpen(b *testing.B) {
	s := newScene(b)
	s.doc.Ranges = object.Ranges{{1, math.MaxUint32}}
	s.nodes = s.cover(b, s.doc.Ranges)
	file := s.seal(b)
	info := make([]byte, len("safebox/grant/v1\x00")+64)
	message, err := hpke.Seal(s.guest.PublicKey(), hpke.HKDFSHA256(), hpke.AES256GCM(), info, object.EncodeNodes(s.nodes))
	if err != nil {
		b.Fatal(err)
	}
	benchtest.Ratio(b, "x-of-hpke.Open", func() {
		o, err := grant.Open(file, s.expect)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := o.Unseal(s.guest, s.t); err != nil {
			b.Fatal(err)
		}
	}, func() {
		if _, err := hpke.Open(s.guest, hpke.HKDFSHA256(), hpke.AES256GCM(), info, message); err != nil {
			b.Fatal(err)
		}
	})
}
