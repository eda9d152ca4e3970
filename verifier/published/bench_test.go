package published_test

import (
	"fmt"
	"testing"

	"safebox/verifier/bundle"
	"safebox/verifier/checktest"
	"safebox/verifier/publishtest"
)

// BenchmarkPublished is what a verdict spends on a publication: a release, three
// rebuilds, two witnesses, the bundle's file read and every check made, with
// 20 and with 1,000 entries in the log.
func BenchmarkPublished(b *testing.B) {
	for _, n := range []int{20, 1000} {
		b.Run(fmt.Sprintf("entries=%d", n), func(b *testing.B) {
			p := many(b, n).Publish(b)
			file, in := p.Encode(b), input(b, p)
			v, _, _ := decide(in)
			checktest.Passes(b, v)
			for b.Loop() {
				var err error
				if in.Bundle, err = bundle.Decode(file); err != nil {
					b.Fatal(err)
				}
				if v, _, _ := decide(in); !v.OK {
					b.Fatal(v.Text())
				}
			}
			b.ReportMetric(float64(len(file)), "bundle-bytes")
			b.ReportMetric(float64(len(p.Bundle.Proof)), "proof-bytes")
		})
	}
}

// many is a publication late in the life of a log: releases with three rebuilds
// each before it, and two witnesses, one of them with ML-DSA-44.
func many(t testing.TB, n int) *publishtest.Plan {
	t.Helper()
	p := publishtest.New(t, []byte(releaseJSON), at())
	p.Cosigners = p.Cosigners[1:]
	older := publishtest.New(t, []byte("{}"), at())
	for i := 0; len(p.Before) < n-4; i++ {
		older.Release.NotBefore = int64(i)
		r := older.Records(t)
		p.Before = append(append(p.Before, r.Release), r.Rebuilds...)
	}
	p.Before = p.Before[:n-4]
	return p
}

// TestSizes: a bundle of a log with 1,000 entries is below 5 MB, and a proof
// with a post-quantum cosignature below 5 KB (specs/runtime.md, section E).
func TestSizes(t *testing.T) {
	p := many(t, 1000).Publish(t)
	if got := len(p.Encode(t)); got > 5_000_000 || len(p.Bundle.Entries) != 1000 {
		t.Errorf("bundle of %d entries: got %d bytes", len(p.Bundle.Entries), got)
	}
	if got := len(p.Bundle.Proof); got > 5_000 {
		t.Errorf("proof: got %d bytes", got)
	}
}
