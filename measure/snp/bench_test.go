package snp

import (
	"crypto/sha512"
	"testing"
	"time"

	"safebox/measure/benchtest"
)

// BenchmarkPages: the page loop over bytes of which no two pages are alike,
// against crypto/sha512 over the same bytes in blocks of a page. Every page
// costs 35 blocks of SHA-512, of which the peer does 33: 94 percent at best.
func BenchmarkPages(b *testing.B) {
	data := benchtest.Bytes(4 << 20)
	var c Chain
	var theirs time.Duration
	ours := benchtest.Ratio(b, "x-of-sha384", func() { c.Normal(0, data, "") }, func() {
		start := b.Elapsed()
		for p := data; len(p) > 0; p = p[pageSize:] {
			sha512.Sum384(p[:pageSize])
		}
		theirs += b.Elapsed() - start
	})
	percent := 100 * float64(theirs) / float64(b.N+1) / float64(ours) // one run is before the loop
	b.ReportMetric(percent, "%-of-sha384-rate")
	if percent < 85 && b.N > 10 {
		b.Errorf("page loop: got %.1f percent of the rate of SHA-384, want at least 85", percent)
	}
}

// BenchmarkMeasure: a whole launch of 4 processors with Debian's OVMF of 4 MiB.
func BenchmarkMeasure(b *testing.B) {
	firmware := debian(b)
	l := plain()
	l.Firmware, l.VCPUs = NewFirmware(image(b, firmware)), 4
	benchtest.Ratio(b, "x-of-sha384", func() {
		if _, err := Measure(l); err != nil {
			b.Fatal(err)
		}
	}, func() {
		for p := firmware; len(p) > 0; p = p[pageSize:] {
			sha512.Sum384(p[:pageSize])
		}
	})
}

// BenchmarkMeasureUpTo: digests for 1 to 512 processors against a launch with
// one.
func BenchmarkMeasureUpTo(b *testing.B) {
	l := plain()
	l.Firmware, l.VCPUs = NewFirmware(image(b, debian(b))), 1
	benchtest.Ratio(b, "x-of-one-launch", func() {
		if _, err := MeasureUpTo(l, MaxVCPUs); err != nil {
			b.Fatal(err)
		}
	}, func() {
		if _, err := Measure(l); err != nil {
			b.Fatal(err)
		}
	})
}
