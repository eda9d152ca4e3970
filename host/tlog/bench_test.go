package tlog

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"safebox/verifier/tlog"
)

// quantile is the value that a part p of the durations does not exceed.
func quantile(d []time.Duration, p float64) time.Duration {
	slices.Sort(d)
	return d[min(int(p*float64(len(d))), len(d)-1)]
}

// fsyncTime is how long this disk takes for 1 KiB, the size of an entry,
// written, synced and renamed, and its folder synced: what making one entry
// last costs anybody.
func fsyncTime(b *testing.B) time.Duration {
	const n = 50
	path := filepath.Join(b.TempDir(), "peer")
	start := time.Now()
	for range n {
		if err := writeWhole(path, make([]byte, 1<<10)); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start) / n
}

// BenchmarkAppend appends over HTTP, each entry acknowledged after it is on
// disk and published. The peer is one entry after the other, made to last by
// itself: appends/fsync is how many entries come to one such write, and
// p50/fsync how many such writes an entry waits for.
func BenchmarkAppend(b *testing.B) {
	for _, clients := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			l := newLab(b)
			c, _ := serve(b, l.open(b))
			entries := make([][]byte, b.N)
			for i := range entries {
				entries[i] = l.entry(b, i)
			}
			took := make([]time.Duration, b.N)
			next := make(chan int, b.N)
			for i := range b.N {
				next <- i
			}
			close(next)
			peer := fsyncTime(b)
			b.ResetTimer()
			var wg sync.WaitGroup
			for range clients {
				wg.Go(func() {
					for i := range next {
						start := time.Now()
						if _, err := c.Append(b.Context(), entries[i]); err != nil {
							b.Error(err)
						}
						took[i] = time.Since(start)
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			rate := float64(b.N) / b.Elapsed().Seconds()
			peer = (peer + fsyncTime(b)) / 2
			b.ReportMetric(rate, "appends/s")
			b.ReportMetric(rate*peer.Seconds(), "appends/fsync")
			p50 := quantile(took, 0.5)
			b.ReportMetric(float64(p50)/1e6, "p50-ms")
			b.ReportMetric(float64(quantile(took, 0.99))/1e6, "p99-ms")
			b.ReportMetric(float64(p50)/float64(peer), "p50/fsync")
		})
	}
}

// BenchmarkProof asks over HTTP for proofs in a log of 4,096 entries, the most
// that a bundle takes. The peer is the checkpoint over the same connection,
// which needs no work.
func BenchmarkProof(b *testing.B) {
	const size = 4096
	l := newLab(b)
	log := l.open(b)
	for i := 0; i < size; i += 512 {
		l.fill(b, log, i, i+512)
	}
	var paths []string
	for i := range 64 {
		leaf := tlog.LeafHash(l.entry(b, i*size/64))
		paths = append(paths, ProofPath+hex.EncodeToString(leaf[:]))
	}
	c, _ := serve(b, log)
	ask := func(path string) time.Duration {
		start := time.Now()
		if _, _, err := c.do(b.Context(), http.MethodGet, path, nil, tlog.MaxProof); err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}
	ask("/checkpoint")
	var proofs, peers []time.Duration
	for i := 0; b.Loop(); i++ {
		proofs = append(proofs, ask(paths[i%len(paths)]))
		peers = append(peers, ask("/checkpoint"))
	}
	p50 := quantile(proofs, 0.5)
	b.ReportMetric(float64(p50)/1e6, "p50-ms")
	b.ReportMetric(float64(quantile(proofs, 0.99))/1e6, "p99-ms")
	b.ReportMetric(float64(p50)/float64(quantile(peers, 0.5)), "p50/checkpoint")
}

// BenchmarkOpen reads a log of 4,096 entries and compares all of it with what
// was signed. The peer is reading its files.
func BenchmarkOpen(b *testing.B) {
	l := newLab(b)
	log := l.open(b)
	for i := 0; i < 4096; i += 512 {
		l.fill(b, log, i, i+512)
	}
	if err := log.Close(); err != nil {
		b.Fatal(err)
	}
	var ours, theirs time.Duration
	for b.Loop() {
		start := time.Now()
		log, err := Open(l.Options)
		ours += time.Since(start)
		if err != nil {
			b.Fatal(err)
		}
		if err := log.Close(); err != nil {
			b.Fatal(err)
		}
		start = time.Now()
		for i := range 16 {
			for _, level := range []string{"entries", "0"} {
				if _, err := os.ReadFile(filepath.Join(l.Dir, "tile", level, fmt.Sprintf("%03d", i))); err != nil {
					b.Fatal(err)
				}
			}
		}
		theirs += time.Since(start)
	}
	b.ReportMetric(float64(ours)/float64(b.N), "ns/op")
	b.ReportMetric(float64(ours)/float64(theirs), "x-read")
}
