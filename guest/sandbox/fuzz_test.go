package sandbox

import (
	"context"
	"testing"

	"safebox/guest/wire"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// seeds are modules that run, use most sections, and end.
func seeds() [][]byte {
	exit := []imported{{"wasi_snapshot_preview1", "proc_exit", "i>"}}
	log := []imported{{"safebox_v1", "log", "iii>l"}}
	output := []imported{{"safebox_v1", "out_open", "iii>l"}, {"safebox_v1", "out_write", "iii>l"}, {"safebox_v1", "out_close", "i>l"}}
	return [][]byte{
		assemble(nil, nil),
		assemble(exit, join(i32(3), []byte{opCall, 0})),
		assemble(log, join(i32(0), i32(0), i32(5), []byte{opCall, 0, opDrop}),
			section(sectionData, vector(join([]byte{0}, i32(0), []byte{opEnd}, named("hello"))))),
		assemble(output, join(i32(0), i32(0), i32(0), []byte{opCall, 0, opDrop}, i32(0), i32(0), i32(9), []byte{opCall, 1, opDrop}, i32(0), []byte{opCall, 2, opDrop})),
		assemble(exit, nil, section(8, leb(1)), section(sectionTable, vector([]byte{0x70, 1, 1, 8})),
			section(sectionElement, vector(join([]byte{0}, i32(0), []byte{opEnd, 1, 0}))),
			section(sectionGlobal, vector(join([]byte{0x7e, 1}, i64(-5), []byte{opEnd})))),
		reactor(nil, i32(4)),
		append(assemble(nil, make128AndDrop()), section(sectionCustom, join(named("name"), section(1, vector(join(leb(0), named("f"))))))...),
		assemble(nil, []byte{opLoop, empty, opEnd}, section(sectionCode, vector(sized(join(leb(1), leb(3), []byte{0x7f, opEnd}))))),
	}
}

func make128AndDrop() []byte { return append(make128(), opDrop) }

// FuzzAdmit: whatever the bytes, admission ends, without a panic and without
// memory that a few bytes announce, and what it admits has its entry points.
func FuzzAdmit(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ctx := context.Background()
		config, err := engine(wire.Info{Engine: "interpreter", Memory: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		r := wazero.NewRuntimeWithConfig(ctx, config)
		m, trap := admit(ctx, r, b, 16)
		if (trap == "") != (m.code != nil && len(m.calls) > 0) {
			t.Errorf("trap %q, %v", trap, m)
		}
		for _, name := range m.calls {
			if m.code.ExportedFunctions()[name] == nil {
				t.Errorf("calls %s, which is not there", name)
			}
		}
		if err := r.Close(ctx); err != nil {
			t.Error(err)
		}
	})
}

// FuzzRun calls each host function from WASM, twice, with any arguments over any
// memory. Bodies are not the fuzzer's: a worker that loops is killed from
// outside, which a fuzz target can't be.
func FuzzRun(f *testing.F) {
	for n := range 45 {
		f.Add(byte(n), uint64(0), uint64(1), uint64(2), uint64(3), []byte("\x01\x02\x03\x04 memory"))
	}
	var all []imported
	for _, m := range hostModules() {
		for _, h := range m.functions {
			all = append(all, imported{m.name, h.name, letters(h.params) + ">" + letters(h.results)})
		}
	}
	f.Fuzz(func(t *testing.T, which byte, a, b, c, d uint64, data []byte) {
		h := all[int(which)%len(all)]
		values, code := []uint64{a, b, c, d}, []byte{}
		params, results := signature(h.types)
		for i, p := range params {
			if v := values[i%4]; p == api.ValueTypeI32 {
				code = append(code, i32(int32(v))...)
			} else {
				code = append(code, i64(int64(v))...)
			}
		}
		code = append(code, opCall, 0)
		if len(results) > 0 {
			code = append(code, opDrop)
		}
		m := assemble([]imported{h}, join(code, code), section(sectionData, vector(join([]byte{0}, i32(0), []byte{opEnd}, sized(data)))))
		done, _, err := job{module: m, text: "0123456789abcdef", chunk: 10, ranges: [][2]uint32{{0, 1}}, memory: 1 << 20, params: "p"}.on(t, "interpreter")
		if err != nil || done.Trap != "" && done.Trap != TrapAbort && !(done.Trap == TrapCrash && len(data) > pageSize) {
			t.Errorf("%s: %+v, %v", h.name, done, err)
		}
	})
}

func letters(list []api.ValueType) (s string) {
	for _, v := range list {
		s += map[api.ValueType]string{api.ValueTypeI32: "i", api.ValueTypeI64: "l"}[v]
	}
	return s
}
