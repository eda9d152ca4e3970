// Package benchtest says how fast something is without naming a machine: as a
// ratio to other work that the same run does, on the same bytes.
package benchtest

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Ratio runs work and peer in turn and reports the time of work as ns/op, and
// in the given unit how many times that of peer it is. Peer is a bound (what no
// implementation can do without) or another program's way to the same result.
// Both run once before, to fill caches. It returns the time of work.
func Ratio(b *testing.B, unit string, work, peer func()) time.Duration {
	b.Helper()
	work()
	peer()
	var ours, theirs time.Duration
	for b.Loop() {
		start := b.Elapsed()
		work()
		between := b.Elapsed()
		peer()
		ours, theirs = ours+between-start, theirs+b.Elapsed()-between
	}
	b.ReportMetric(float64(ours)/float64(b.N), "ns/op")
	b.ReportMetric(float64(ours)/float64(theirs), unit)
	return ours / time.Duration(b.N)
}

// Bytes gives n bytes that don't compress, the same in every run.
func Bytes(n int) []byte {
	b := make([]byte, n)
	source := rand.NewChaCha8([32]byte{})
	for i := range b {
		b[i] = byte(source.Uint64())
	}
	return b
}
