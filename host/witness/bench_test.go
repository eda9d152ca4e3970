package witness

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"safebox/verifier/tlog"
)

// latencies reports the rate and two quantiles of what was timed.
func latencies(b *testing.B, times []time.Duration) {
	slices.Sort(times)
	at := func(q float64) float64 {
		return float64(times[int(q*float64(len(times)-1))].Microseconds())
	}
	b.ReportMetric(at(0.50), "p50-µs")
	b.ReportMetric(at(0.99), "p99-µs")
	b.ReportMetric(float64(len(times))/b.Elapsed().Seconds(), "per-s")
}

// BenchmarkCosign asks over HTTP for one checkpoint after another of a log that
// grows by one entry: consistency proof, two fsyncs, cosignatures. Making the
// requests is not timed.
func BenchmarkCosign(b *testing.B) {
	ed, pq := tlog.CosignatureEd25519, tlog.CosignatureMLDSA44
	for name, kinds := range map[string][]tlog.Algorithm{"ed25519": {ed}, "ml-dsa-44": {pq}, "both": {ed, pq}} {
		b.Run(name, func(b *testing.B) {
			w := newBench(b, kinds...)
			server := httptest.NewServer(w.w.Handler())
			defer server.Close()
			bodies := make([][]byte, b.N)
			for i := range bodies {
				w.log.grow(b, int64(i+1), "main")
				bodies[i] = w.log.step(b, int64(i), int64(i+1))
			}
			times := make([]time.Duration, 0, b.N)
			b.ResetTimer()
			for _, body := range bodies {
				began := time.Now()
				if status, answer, err := submit(server.URL, body); err != nil || status != 200 {
					b.Fatalf("got %d %q, %v", status, answer, err)
				}
				times = append(times, time.Since(began))
			}
			b.StopTimer()
			latencies(b, times)
		})
	}
}

// BenchmarkFsync is what the disk allows: a file of the size of a state,
// written, synced and renamed, and its folder synced, with nothing around it.
func BenchmarkFsync(b *testing.B) {
	path := filepath.Join(b.TempDir(), "state")
	dir, err := os.Open(filepath.Dir(path))
	must(b, err)
	defer func() { must(b, dir.Close()) }()
	content := make([]byte, 400)
	times := make([]time.Duration, 0, b.N)
	for b.Loop() {
		began := time.Now()
		f, err := os.Create(path + ".tmp")
		must(b, err)
		_, err = f.Write(content)
		must(b, err)
		must(b, f.Sync())
		must(b, f.Close())
		must(b, os.Rename(path+".tmp", path))
		must(b, dir.Sync())
		times = append(times, time.Since(began))
	}
	b.StopTimer()
	latencies(b, times)
}

// BenchmarkLogs has several logs ask at once: their states are apart.
func BenchmarkLogs(b *testing.B) {
	const logs = 8
	w := newBench(b)
	list := make([]*testLog, logs)
	for i := range list {
		list[i] = newTestLog(b, fmt.Sprintf("log.example/%d", i))
		_, err := Add(w.dir, list[i].vkey)
		must(b, err)
		w.opts.Logs = append(w.opts.Logs, list[i].vkey)
	}
	w.reopen(b)
	bodies := make([][][]byte, logs)
	for i, l := range list {
		for n := range int64(b.N/logs + 1) {
			l.grow(b, n+1, "main")
			bodies[i] = append(bodies[i], l.step(b, n, n+1))
		}
	}
	b.ResetTimer()
	done := make(chan error, logs)
	for i := range list {
		go func() {
			for _, body := range bodies[i] {
				if _, err := w.w.AddCheckpoint(body); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range list {
		must(b, <-done)
	}
	b.ReportMetric(float64(logs*len(bodies[0]))/b.Elapsed().Seconds(), "per-s")
}
