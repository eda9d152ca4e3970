package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"safebox/guest/object"
	"safebox/guest/wire"
	"safebox/verifier/guestapi"

	"github.com/google/go-cmp/cmp"
	"github.com/tetratelabs/wazero"
	wazerowasi "github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
)

// started is a program of one page that calls host functions directly.
func started(t testing.TB) (*program, *keeper) {
	t.Helper()
	m, err := newMemory(2 * pageSize)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.close(); err != nil {
			t.Error(err)
		}
	})
	m.Reallocate(pageSize)
	info := wire.Info{
		Params: []byte("parameters"), Output: 1000, Time: 1_700_000_000_000,
		Inputs: []wire.Input{{ChunkSize: 10, Chunks: 4, Size: 35, Ranges: [][2]uint32{{1, 2}, {3, 4}}}},
	}
	k := &keeper{info: info, plain: [][]byte{make([]byte, 35)}, outputs: map[uint32]string{}, kinds: map[uint32]string{}}
	return &program{info: info, keeper: k, memory: m, random: newRandom(info.Seed)}, k
}

// invoke calls a host function and gives its result; ended tells that it did
// not return, which must be by a panic that Run knows.
func invoke(t testing.TB, p *program, f function, args []uint64) (result uint64, ended bool) {
	t.Helper()
	defer func() {
		switch r := recover().(type) {
		case nil:
		case stopped:
			ended = true
		case *sys.ExitError:
			if f.name != "proc_exit" && f.name != "abort" {
				t.Errorf("%s%x: left with %v", f.name, args, r)
			}
			ended = true
		default:
			t.Errorf("%s%x: panic: %v", f.name, args, r)
			ended = true
		}
	}()
	stack := make([]uint64, max(len(args), 1))
	copy(stack, args)
	p.bound(f)(context.Background(), nil, stack)
	return stack[0], false
}

// nasty are arguments at every edge: of numbers, of the memory (one page), of
// inputs (35 bytes in chunks of 10), of handles and descriptors.
func nasty() []uint64 {
	return []uint64{
		0, 1, 3, 8, 10, 35, 64, 1024, pageSize - 1, pageSize, pageSize + 1, 2 * pageSize, math.MaxInt32, math.MaxInt32 + 1,
		math.MaxUint32 - 1, math.MaxUint32, math.MaxInt64, math.MaxUint64,
	}
}

// each calls f with all combinations of nasty values for up to three
// parameters; beyond that, the others walk along.
func each(params int, f func(args []uint64)) {
	values := nasty()
	combinations := 1
	for range min(params, 3) {
		combinations *= len(values)
	}
	for n := range combinations {
		args, rest := make([]uint64, params), n
		for i := range args {
			if rest == 0 && i >= 3 {
				rest = n*7 + i
			}
			args[i] = values[rest%len(values)]
			rest /= len(values)
		}
		f(args)
	}
}

// TestHostileArguments calls every function of every import module. Nothing may
// panic, and an error must be an error of the interface.
func TestHostileArguments(t *testing.T) {
	for _, m := range hostModules() {
		for _, f := range m.functions {
			p, k := started(t)
			each(len(f.params), func(args []uint64) {
				p.calls = 0
				result, ended := invoke(t, p, f, args)
				if ended || len(f.results) == 0 {
					return
				}
				checkResult(t, m.name, f, args, result)
			})
			if p.failed != nil {
				t.Errorf("%s: the keeper refused: %v", f.name, p.failed)
			}
			if len(p.outputs.all) > maxOutputs || p.outputs.size > p.info.Output || len(strings.Join(k.logs, "")) > maxLog {
				t.Errorf("%s: beyond the limits", f.name)
			}
			if !bytes.Equal(p.memory.all[pageSize:], make([]byte, pageSize)) {
				t.Errorf("%s: wrote outside the program's memory", f.name)
			}
		}
	}
}

// checkResult wants errno 0 to 76 of WASI ($errno), or a number that is not
// negative, or a Linux errno.
func checkResult(t *testing.T, module string, f function, args []uint64, result uint64) {
	t.Helper()
	if module == "wasi_snapshot_preview1" {
		if result > 76 {
			t.Errorf("%s%x: got %d, want an errno", f.name, args, result)
		}
		return
	}
	if r := int64(result); r < -133 {
		t.Errorf("%s%x: got %d, want at least the last errno", f.name, args, r)
	}
	reads := map[string]int{"ev_get": 0, "in_info": 1, "in_read": 2, "out_open": 1, "out_write": 1, "rand": 0, "hash": 1, "log": 1}
	at, ok := reads[f.name]
	if ok && uint64(uint32(args[at]))+uint64(uint32(args[at+1])) > pageSize && int64(result) >= 0 && f.name != "in_read" {
		t.Errorf("%s%x: got %d for what is outside the memory", f.name, args, int64(result))
	}
}

// TestWASISignatures: wazero has WASI too, written by others. Each of its
// functions must be here with the same type.
func TestWASISignatures(t *testing.T) {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer func() {
		if err := r.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	theirs, err := wazerowasi.NewBuilder(r).Compile(ctx)
	if err != nil {
		t.Fatal(err)
	}
	want, got := map[string]string{}, map[string]string{}
	for name, f := range theirs.ExportedFunctions() {
		want[name] = fmt.Sprintf("%x %x", f.ParamTypes(), f.ResultTypes())
	}
	for _, f := range wasiFunctions() {
		if _, ok := got[f.name]; ok {
			t.Errorf("%s is there twice", f.name)
		}
		got[f.name] = fmt.Sprintf("%x %x", f.params, f.results)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("wazero's -, ours +:\n%s", d)
	}
}

// TestSafeboxFunctions: the functions of specs/runtime.md A5 that exist, with
// its types, written down again.
func TestSafeboxFunctions(t *testing.T) {
	want := map[string]string{
		"in_count": ">i", "in_info": "iii>l", "in_read": "ilii>l", "in_release": "ii>l", "ev_get": "ii>l", "out_open": "iii>l",
		"out_write": "iii>l", "out_close": "i>l", "now": ">l", "rand": "ii>l", "hash": "iiii>l", "log": "iii>l", "abort": "i>",
	}
	names := []string{}
	for _, f := range safeboxFunctions() {
		names = append(names, f.name)
		if params, results := signature(want[f.name]); !same(f.params, params) || !same(f.results, results) {
			t.Errorf("%s: %x %x, want %s", f.name, f.params, f.results, want[f.name])
		}
	}
	slices.Sort(names)
	if d := cmp.Diff(slices.Sorted(maps.Keys(want)), names); d != "" {
		t.Error(d)
	}
}

func find(t testing.TB, name string) function {
	t.Helper()
	for _, m := range hostModules() {
		for _, f := range m.functions {
			if f.name == name {
				return f
			}
		}
	}
	t.Fatalf("no function %s", name)
	return function{}
}

// TestHash: wanted by printf abc | sha256sum (FIPS 180-4's own example).
func TestHash(t *testing.T) {
	p, _ := started(t)
	copy(p.memory.now, "abc")
	result, _ := invoke(t, p, find(t, "hash"), []uint64{hashSHA256, 0, 3, 100})
	const want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if got := fmt.Sprintf("%x", p.memory.now[100:132]); result != 32 || got != want {
		t.Errorf("got %d, %s", int64(result), got)
	}
	for _, args := range [][]uint64{{0, 0, 3, 100}, {2, 0, 3, 100}, {hashSHA256, 0, 3, pageSize - 31}} {
		if result, _ := invoke(t, p, find(t, "hash"), args); int64(result) >= 0 {
			t.Errorf("hash%v: got %d, want an error", args, result)
		}
	}
}

func TestCallLimit(t *testing.T) {
	p, _ := started(t)
	f := find(t, "now")
	for range maxCalls {
		if _, ended := invoke(t, p, f, nil); ended {
			t.Fatalf("ended at call %d", p.calls)
		}
	}
	if _, ended := invoke(t, p, f, nil); !ended || p.trap != TrapCalls {
		t.Errorf("call %d: ended %t, trap %q", p.calls, ended, p.trap)
	}
}

// TestMissingChunk: what the keeper says about a chunk.
func TestMissingChunk(t *testing.T) {
	if !refused(fmt.Errorf("wrapped: %w", &guestapi.Problem{ID: object.ProblemKey})) {
		t.Error("a refused chunk ends the run")
	}
	for _, err := range []error{nil, errors.New("chunk-key"), &guestapi.Problem{ID: object.ProblemOpen}} {
		if refused(err) {
			t.Errorf("%v is taken for a refusal", err)
		}
	}
}

// TestShortChunk: a keeper that gives less than the object says.
func TestShortChunk(t *testing.T) {
	p, k := started(t)
	k.info.Inputs = slices.Clone(k.info.Inputs)
	k.info.Inputs[0].Size = 15 // the program was told 35
	for offset, want := range map[uint64]int64{14: 1, 15: -5, 19: -5} {
		if got, _ := invoke(t, p, find(t, "in_read"), []uint64{0, offset, 0, 100}); int64(got) != want {
			t.Errorf("at %d: got %d, want %d", offset, int64(got), want)
		}
	}
}

func TestOutputLeavesNoCopies(t *testing.T) {
	o, moved := &output{}, [][]byte(nil)
	for range 100 {
		before := o.data
		o.append([]byte("secret"))
		if len(before) > 0 && &before[0] != &o.data[0] {
			moved = append(moved, before)
		}
	}
	if len(moved) == 0 || string(o.data) != strings.Repeat("secret", 100) {
		t.Fatalf("moved %d times, %q", len(moved), o.data)
	}
	for _, b := range moved {
		if !bytes.Equal(b, make([]byte, len(b))) {
			t.Errorf("left behind: %q", b)
		}
	}
}

// TestMemoryWiped looks at the mapping between wiping and unmapping.
func TestMemoryWiped(t *testing.T) {
	m, err := newMemory(4 * pageSize)
	if err != nil {
		t.Fatal(err)
	}
	l := m.Allocate(pageSize, 4*pageSize)
	for _, pages := range []int{1, 3} {
		b := l.Reallocate(uint64(pages * pageSize))
		for i := range b {
			b[i] = 0xaa
		}
	}
	if l.Reallocate(5*pageSize) != nil {
		t.Error("more than was reserved")
	}
	l.Free()
	if !bytes.Equal(m.all, make([]byte, 4*pageSize)) {
		t.Error("not wiped")
	}
	if m.bytes(0, 1) != nil {
		t.Error("memory that is given back can be read")
	}
	copy(l.Reallocate(pageSize), "again")
	l.Free() // twice is not once too often
	if err := m.close(); err != nil {
		t.Error(err)
	}
}
