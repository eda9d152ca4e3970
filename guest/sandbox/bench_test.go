package sandbox

import (
	"strings"
	"testing"

	"safebox/guest/wire"
	"safebox/measure/benchtest"

	"github.com/tetratelabs/wazero"
)

// BenchmarkTextstat runs the example over 1 MiB of text, from bytes to outcome.
// The peer is what no run of this module can do without: wazero's compiling.
func BenchmarkTextstat(b *testing.B) {
	m, ctx := module(b, textstat), b.Context()
	words := text(b)
	words = strings.Repeat(words, 1<<20/len(words))
	for _, name := range engines() {
		config, err := engine(wire.Info{Engine: name, Memory: 256 << 20})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			run := func() {
				j := job{module: m, params: `{"top":10}`, text: words, chunk: 1 << 20, ranges: [][2]uint32{{0, 1}}, memory: 256 << 20}
				if done, _, err := j.on(b, name); err != nil || done.Exit != 0 || done.Trap != "" {
					b.Fatalf("%+v, %v", done, err)
				}
			}
			compile := func() {
				r := wazero.NewRuntimeWithConfig(ctx, config)
				_, err := r.CompileModule(ctx, m)
				if closeErr := r.Close(ctx); err != nil || closeErr != nil {
					b.Fatal(err, closeErr)
				}
			}
			benchtest.Ratio(b, "x-of-compiling", run, compile)
		})
	}
}

// BenchmarkInspect is the look before compiling, as a share of compiling with
// the faster of the two compilers.
func BenchmarkInspect(b *testing.B) {
	m, ctx := module(b, textstat), b.Context()
	benchtest.Ratio(b, "x-of-compiling", func() {
		if trap := inspect(m, 1<<16); trap != "" {
			b.Fatal(trap)
		}
	}, func() {
		r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
		if _, err := r.CompileModule(ctx, m); err != nil {
			b.Fatal(err)
		}
		if err := r.Close(ctx); err != nil {
			b.Fatal(err)
		}
	})
}
