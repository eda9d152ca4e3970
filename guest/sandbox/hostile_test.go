package sandbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"safebox/guest/wire"

	"golang.org/x/sys/unix"
)

// TestAdmission: modules that must be refused by name before any of them runs.
// All of them start with a start function that would write a log line, if it
// were run.
func TestAdmission(t *testing.T) {
	two := []imported{{"safebox_v1", "log", "iii>l"}, {"safebox_v1", "in_count", ">i"}}
	start := section(8, leb(uint32(len(two))))
	logs := join(i32(0), i32(0), i32(1), []byte{opCall, 0, opDrop})
	with := func(extra ...[]byte) []byte { return assemble(two, logs, append(extra, start)...) }
	imports := func(entries ...[]byte) []byte {
		return moduleOf(section(sectionType, vector(functionType(">"))), section(sectionImport, vector(entries...)))
	}
	entry := func(module, name string, description ...byte) []byte {
		return join(named(module), named(name), description)
	}
	export := func(name string, kind byte, index uint32) []byte {
		return section(sectionExport, vector(join(named(name), []byte{kind}, leb(index))))
	}
	function := func(b []byte) []byte { return section(sectionCode, vector(b)) }
	function2 := func(b ...[]byte) []byte { return section(sectionCode, vector(b...)) }
	tests := []struct {
		name, want string
		module     []byte
	}{
		{"nothing", TrapInvalid, nil},
		{"no WASM", TrapInvalid, []byte("\x7fELF and so on")},
		{"header alone", TrapEntry, []byte(wasmHeader)},
		{"another version", TrapInvalid, []byte("\x00asm\x02\x00\x00\x00")},
		{"a component", TrapInvalid, []byte("\x00asm\x0d\x00\x01\x00")},
		{"trailing byte", TrapInvalid, append(assemble(nil, nil), 0)},
		{"too large", TrapInvalid, append(assemble(nil, nil), section(sectionCustom, make([]byte, maxModule))...)},
		{"section twice", TrapInvalid, append(assemble(nil, nil), function(body())...)},
		{"section cut off", TrapInvalid, assemble(nil, nil)[:len(assemble(nil, nil))-1]},
		{"sections out of order", TrapInvalid, moduleOf(section(sectionMemory, vector([]byte{0, 1})), section(sectionType, vector()))},
		{"unknown section", TrapInvalid, append(assemble(nil, nil), section(13, vector())...)},
		{"body of wrong type", TrapInvalid, with(function(body(i32(1))))},
		{"global that is not there", TrapInvalid, with(function(body(i64(1<<62), []byte{opGlobalSet, 0})))}, // F5

		{"another module", TrapImport, imports(entry("env", "log", 0, 0))},
		{"another function", TrapImport, imports(entry("safebox_v1", "emit", 0, 0))},
		{"another type", TrapImport, imports(entry("safebox_v1", "log", 0, 0))},
		{"WASI preview 2", TrapImport, imports(entry("wasi:io/poll@0.2.0", "poll", 0, 0))},
		{"memory", TrapImport, imports(entry("safebox_v1", "memory", 2, 0, 1))},
		{"huge memory", TrapImport, imports(entry("env", "memory", 2, 0, 0xff, 0xff, 3))},
		{"table", TrapImport, imports(entry("safebox_v1", "table", 1, 0x70, 0, 1))},
		{"global", TrapImport, imports(entry("safebox_v1", "global", 3, 0x7f, 1))},
		{"tag", TrapImport, imports(entry("safebox_v1", "tag", 4, 0, 0))},

		{"no entry point", TrapEntry, with(export("main", 0, 2))},
		{"memory as entry point", TrapEntry, with(export("_start", 2, 0))},
		{"entry point with a result", TrapEntry, with(export("_start", 0, 1))},
		{"sb_handle without a result", TrapEntry, with(export("sb_handle", 0, 2))},
		{"two entry points", TrapEntry, with(section(sectionType, vector(functionType(">"), functionType("iii>l"), functionType(">i"))),
			section(sectionFunction, vector([]byte{0}, []byte{2})), function2(body(logs), body(i32(0))),
			section(sectionExport, vector(join(named("_start"), []byte{0, 2}), join(named("sb_handle"), []byte{0, 3}))))},
		{"an initialiser of a command", TrapEntry, with(section(sectionExport, vector(join(named("_start"), []byte{0, 2}), join(named("_initialize"), []byte{0, 2}))))},
		{"an initialiser alone", TrapEntry, with(export("_initialize", 0, 2))},
		{"an import as entry point", TrapEntry, with(export("sb_handle", 0, 1))},

		{"minimum over the limit", TrapMemory, with(section(sectionMemory, vector(join([]byte{0}, leb(1025)))))},
		{"maximum of WASM", TrapMemory, with(section(sectionMemory, vector(join([]byte{0}, leb(65536)))))},
		{"minimum over all memory", TrapMemory, with(section(sectionMemory, vector(join([]byte{0}, leb(1<<32-1)))))},
		{"maximum over all memory", TrapInvalid, with(section(sectionMemory, vector(join([]byte{1, 1}, leb(1<<32-1)))))},
		{"error text of another fault", TrapInvalid, with(section(sectionExport, vector(
			join(named("over limit of"), []byte{0, 2}), join(named("over limit of"), []byte{0, 2}))))},
		{"two memories", TrapInvalid, with(section(sectionMemory, vector([]byte{0, 1}, []byte{0, 1})))},
		{"shared memory", TrapInvalid, with(section(sectionMemory, vector([]byte{3, 1, 2})))},
		{"memory of 64 bits", TrapInvalid, with(section(sectionMemory, vector([]byte{4, 1})))},

		{"large table", TrapLimit, with(section(sectionTable, vector(join([]byte{0x70, 0}, leb(maxTable+1)))))},
		{"huge table", TrapLimit, with(section(sectionTable, vector(join([]byte{0x70, 0}, leb(1<<27)))))},
		{"large maximum of a table", TrapLimit, with(section(sectionTable, vector(join([]byte{0x70, 1, 0}, leb(maxTable+1)))))},
		{"many tables", TrapLimit, with(section(sectionTable, vector(slices.Repeat([][]byte{{0x70, 0, 0}}, maxTables+1)...)))},
		{"table of no size", TrapInvalid, with(section(sectionTable, vector([]byte{0x70, 1, 2, 1})))},
		{"table with an initialiser", TrapInvalid, with(section(sectionTable, vector([]byte{0x40, 0, 0x70, 0, 0, 0xd0, 0x70, opEnd})))},
		{"table of typed references", TrapInvalid, with(section(sectionTable, vector([]byte{0x64, 0, 0, 0})))},
		{"many locals", TrapLimit, with(function(sized(join(leb(1), leb(maxLocals+1), []byte{0x7f, opEnd}))))},
		{"locals beyond counting", TrapLimit, with(function(sized(join(leb(2), leb(1<<32-1), []byte{0x7f}, leb(1<<32-1), []byte{0x7f, opEnd}))))},
		{"long body", TrapLimit, with(function(body(make([]byte, maxBody))))},
		{"many functions", TrapLimit, with(section(sectionFunction, join(leb(maxFunctions+1), make([]byte, maxFunctions+1))))},
		{"many parameters", TrapLimit, with(section(sectionType, vector(join([]byte{0x60}, leb(maxValues+1), bytes.Repeat([]byte{0x7f}, maxValues+1), leb(0)))))},

		{"types beyond counting", TrapInvalid, moduleOf(section(sectionType, leb(1<<32-1)))},
		{"imports beyond counting", TrapInvalid, moduleOf(section(sectionImport, leb(1<<32-1)))},
		{"functions beyond counting", TrapInvalid, moduleOf(section(sectionFunction, leb(1<<32-1)))},
		{"globals beyond counting", TrapInvalid, moduleOf(section(sectionGlobal, leb(1<<32-1)))},
		{"exports beyond counting", TrapInvalid, moduleOf(section(sectionExport, leb(1<<32-1)))},
		{"elements beyond counting", TrapInvalid, moduleOf(section(sectionElement, leb(1<<32-1)))},
		{"element indices beyond counting", TrapInvalid, moduleOf(section(sectionElement, vector(join([]byte{1, 0}, leb(1<<32-1)))))},
		{"bodies beyond counting", TrapInvalid, moduleOf(section(sectionCode, leb(1<<32-1)))},
		{"data beyond counting", TrapInvalid, moduleOf(section(sectionData, leb(1<<32-1)))},
		{"number of six bytes", TrapInvalid, moduleOf([]byte{1, 0x81, 0x80, 0x80, 0x80, 0x80, 0, 0})},
		{"number of 33 bits", TrapInvalid, moduleOf([]byte{1, 0x81, 0x80, 0x80, 0x80, 0x10, 0})},

		// Features beyond WebAssembly 2.0.
		{"atomics", TrapInvalid, with(function(body([]byte{0xfe, 0x03, 0x00})))},
		{"tail call", TrapInvalid, with(function(body([]byte{0x12, 2})))},
		{"exceptions", TrapInvalid, with(function(body([]byte{0x08, 0})))},
		{"relaxed SIMD", TrapInvalid, with(function(body(make128(), make128(), []byte{0xfd, 0x80, 0x02, opDrop})))},
		{"typed reference", TrapInvalid, with(function(sized([]byte{1, 1, 0x63, 0, opEnd})))},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			done, k := job{module: test.module}.both(t)
			if done != (wire.Done{Trap: test.want}) || len(k.logs) != 0 || len(k.outputs) != 0 {
				t.Errorf("got %+v, logs %q; want trap %q and no memory", done, k.logs, test.want)
			}
		})
	}
	done, k := job{module: with()}.both(t)
	if done.Trap != "" || len(k.logs) != 2 {
		t.Errorf("the same without a fault: %+v, logs %q, want a line of the start function and one of _start", done, k.logs)
	}
}

// make128 pushes v128.const 0.
func make128() []byte { return append([]byte{0xfd, 12}, make([]byte, 16)...) }

// TestEnds: how programs end that do start.
func TestEnds(t *testing.T) {
	exit := []imported{{"wasi_snapshot_preview1", "proc_exit", "i>"}}
	abort := []imported{{"safebox_v1", "abort", "i>"}}
	call0 := func(n int32) []byte { return join(i32(n), []byte{opCall, 0}) }
	startAt1 := section(8, leb(1))
	handle := func(code []byte) []byte {
		return assemble(nil, code, section(sectionType, vector(functionType(">i"))), section(sectionExport, vector(join(named("sb_handle"), []byte{0, 0}))))
	}
	const page, most = pageSize, 1024 * pageSize // of the job's 64 MiB
	tests := []struct {
		name   string
		module []byte
		want   wire.Done
	}{
		{"end", assemble(nil, nil), wire.Done{MemoryPeak: page}},
		{"unreachable", assemble(nil, []byte{opUnreachable}), wire.Done{Trap: TrapCrash, MemoryPeak: page}},
		{"endless recursion", assemble(nil, []byte{opCall, 0}), wire.Done{Trap: TrapCrash, MemoryPeak: page}},
		{"division by zero", assemble(nil, join(i32(1), i32(0), []byte{0x6d, opDrop})), wire.Done{Trap: TrapCrash, MemoryPeak: page}},
		{"load behind the end", assemble(nil, join(i32(page-3), []byte{0x28, 2, 0, opDrop})), wire.Done{Trap: TrapCrash, MemoryPeak: page}},
		{"load at the end of 32 bits", assemble(nil, join(i32(-1), []byte{0x28, 2}, leb(1<<32-1), []byte{opDrop})), wire.Done{Trap: TrapCrash, MemoryPeak: page}},
		{"missing table entry", assemble(nil, join(i32(0), []byte{0x11, 0, 0}), section(sectionTable, vector([]byte{0x70, 0, 1}))), wire.Done{Trap: TrapCrash, MemoryPeak: page}},
		{"data behind the memory", assemble(nil, nil, section(sectionData, vector(join([]byte{0}, i32(page), []byte{opEnd}, named("x"))))), wire.Done{Trap: TrapCrash, MemoryPeak: page}},
		{"trap in the start function", assemble(exit, []byte{opUnreachable}, startAt1), wire.Done{Trap: TrapCrash, MemoryPeak: page}},
		{"exit in the start function", assemble(exit, call0(3), startAt1), wire.Done{Exit: 3, MemoryPeak: page}},
		{"exit 0 in the start function", assemble(exit, join(call0(0), []byte{opUnreachable}), startAt1), wire.Done{MemoryPeak: page}},
		{"abort in the start function", assemble(abort, call0(4), startAt1), wire.Done{Exit: 4, Trap: TrapAbort, MemoryPeak: page}},
		{"exit", assemble(exit, call0(5)), wire.Done{Exit: 5, MemoryPeak: page}},
		{"exit -1", assemble(exit, call0(-1)), wire.Done{Exit: 1<<32 - 1, MemoryPeak: page}},
		{"exit as when cancelled", assemble(exit, call0(-268435457)), wire.Done{Exit: 0xefffffff, MemoryPeak: page}},
		{"abort 0", assemble(abort, call0(0)), wire.Done{Trap: TrapAbort, MemoryPeak: page}},
		{"sb_handle", handle(i32(-6)), wire.Done{Exit: -6, MemoryPeak: page}},
		{"no memory", assemble(exit, call0(1), section(sectionMemory, vector())), wire.Done{Exit: 1}},
		{"memory of no page", assemble(exit, call0(1), section(sectionMemory, vector([]byte{0, 0}))), wire.Done{Exit: 1}},
		{"all memory at once", assemble(exit, call0(1), section(sectionMemory, vector(join([]byte{0}, leb(1024))))), wire.Done{Exit: 1, MemoryPeak: most}},
		// grow gives the old number of pages, or -1; it is the exit code.
		{"grow to the limit", assemble(exit, join(i32(1023), []byte{opGrow, 0, opCall, 0})), wire.Done{Exit: 1, MemoryPeak: most}},
		{"grow beyond the limit", assemble(exit, join(i32(1024), []byte{opGrow, 0, opCall, 0})), wire.Done{Exit: 1<<32 - 1, MemoryPeak: page}},
		{"grow without end", assemble(exit, join(i32(-1), []byte{opGrow, 0, opCall, 0})), wire.Done{Exit: 1<<32 - 1, MemoryPeak: page}},
		{"grow storm", assemble(exit, join([]byte{opLoop, empty}, i32(1), []byte{opGrow, 0}, i32(-1), []byte{0x47, 0x0d, 0, opEnd}, call0(8))), wire.Done{Exit: 8, MemoryPeak: most}},
		{"table that grows", tableGrow(1000), wire.Done{Exit: 1, MemoryPeak: page}},
		{"table beyond its maximum", assemble(exit, join([]byte{0xd0, 0x70}, i32(maxTable), []byte{0xfc, 15, 0, opCall, 0}),
			section(sectionTable, vector(join([]byte{0x70, 1, 1}, leb(maxTable))))), wire.Done{Exit: 1<<32 - 1, MemoryPeak: page}},
		{"both parts of a reactor", reactor(nil, i32(9)), wire.Done{Exit: 9, MemoryPeak: page}},
		{"trap in the first part", reactor([]byte{opUnreachable}, i32(9)), wire.Done{Trap: TrapCrash, MemoryPeak: page}},
		{"SIMD", assemble(nil, join(make128(), []byte{opDrop})), wire.Done{MemoryPeak: page}}, // WebAssembly 2.0
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			done, _ := job{module: test.module}.both(t)
			if done != test.want {
				t.Errorf("got %+v, want %+v", done, test.want)
			}
		})
	}
}

// tableGrow has a table of one entry and no maximum, and leaves with what
// table.grow says.
func tableGrow(n int32) []byte {
	return assemble([]imported{{"wasi_snapshot_preview1", "proc_exit", "i>"}},
		join([]byte{0xd0, 0x70}, i32(n), []byte{0xfc, 15, 0, opCall, 0}),
		section(sectionTable, vector([]byte{0x70, 0, 1})))
}

// reactor exports _initialize and sb_handle.
func reactor(initialize, handle []byte) []byte {
	return assemble(nil, nil,
		section(sectionType, vector(functionType(">"), functionType(">i"))),
		section(sectionFunction, vector([]byte{0}, []byte{1})),
		section(sectionCode, vector(body(initialize), body(handle))),
		section(sectionExport, vector(join(named("_initialize"), []byte{0, 0}), join(named("sb_handle"), []byte{0, 1}))))
}

// TestNoMemory: host functions that get pointers from a program without any.
func TestNoMemory(t *testing.T) {
	for _, m := range hostModules() {
		for _, f := range m.functions {
			code := []byte{}
			for _, p := range f.params {
				if p == i32Type {
					code = append(code, i32(1)...)
				} else {
					code = append(code, i64(1)...)
				}
			}
			code = append(code, opCall, 0)
			if len(f.results) > 0 {
				code = append(code, opDrop)
			}
			var types string
			for _, p := range f.params {
				types += map[byte]string{0x7f: "i", 0x7e: "l"}[p]
			}
			types += ">"
			for _, r := range f.results {
				types += map[byte]string{0x7f: "i", 0x7e: "l"}[r]
			}
			done, _ := job{module: assemble([]imported{{m.name, f.name, types}}, code, section(sectionMemory, vector()))}.both(t)
			if done.Trap != "" && f.name != "abort" {
				t.Errorf("%s: %+v", f.name, done)
			}
		}
	}
}

const i32Type = 0x7f

// TestCustomSections: names count for nothing, and cost nothing.
func TestCustomSections(t *testing.T) {
	subsection := func(id byte, content []byte) []byte { return section(id, content) }
	names := func(parts ...[]byte) []byte {
		return append(assemble(nil, nil), section(sectionCustom, join(named("name"), join(parts...)))...)
	}
	good := names(subsection(0, named("module")), subsection(1, vector(join(leb(0), named("f")))),
		subsection(2, vector(join(leb(0), vector(join(leb(0), named("l")))))), subsection(9, []byte("later")))
	other := append(assemble(nil, nil), section(sectionCustom, join(named("producers"), []byte{0xff, 0xff}))...)
	for _, m := range [][]byte{good, other} {
		if done, _ := (job{module: m}).both(t); done != (wire.Done{MemoryPeak: pageSize}) {
			t.Errorf("%+v", done)
		}
	}
	most := leb(1<<32 - 1)
	for _, m := range [][]byte{
		names(subsection(1, most)), names(subsection(2, most)), names(subsection(2, vector(join(leb(0), most)))),
		append(assemble(nil, nil), section(sectionCustom, most)...),
	} {
		if done, _ := (job{module: m}).both(t); done.Trap != TrapInvalid {
			t.Errorf("%+v", done)
		}
	}
}

// broken is a keeper, and a part of ours, with a fault.
type broken struct{ Keeper }

func (broken) Log(uint8, string) error { var b []byte; b[3]++; return nil }

// TestOwnFault: what goes wrong in a host function is not what the program did.
func TestOwnFault(t *testing.T) {
	code := assemble([]imported{{"safebox_v1", "log", "iii>l"}}, join(i32(0), i32(0), i32(1), []byte{opCall, 0, opDrop}))
	for _, engine := range engines() {
		done, err := Run(context.Background(), &wire.Job{Info: wire.Info{Engine: engine, Memory: 1 << 20}, Module: code}, broken{})
		if err == nil || done != (wire.Done{}) {
			t.Errorf("%s: got %+v, %v; want an error", engine, done, err)
		}
	}
}

const spinVariable = "SAFEBOX_TEST_SPIN"

// TestMain is this test binary, or the process of TestKilled or TestTableBomb.
func TestMain(m *testing.M) {
	engine := os.Getenv(spinVariable)
	if engine == "" {
		os.Exit(m.Run())
	}
	if engine == "table" {
		limit := unix.Rlimit{Cur: 4 << 30, Max: 4 << 30}
		err := unix.Setrlimit(unix.RLIMIT_AS, &limit)
		if err == nil {
			_, err = Run(context.Background(), &wire.Job{Info: wire.Info{Engine: "compiler", Memory: 1 << 20}, Module: tableGrow(1<<31 - 1)}, shouter{})
		}
		_, err = io.WriteString(os.Stdout, "came back: "+errors.Join(err, errTest).Error())
		os.Exit(map[bool]int{true: 3, false: 4}[err == nil])
	}
	loop := assemble([]imported{{"safebox_v1", "log", "iii>l"}},
		join(i32(0), i32(0), i32(1), []byte{opCall, 0, opDrop, opLoop, empty, opBr, 0, opEnd}))
	_, err := Run(context.Background(), &wire.Job{Info: wire.Info{Engine: engine, Memory: 1 << 20}, Module: loop}, shouter{})
	_, err = io.WriteString(os.Stdout, "came back: "+errors.Join(err, errTest).Error())
	os.Exit(map[bool]int{true: 3, false: 4}[err == nil])
}

// shouter is a keeper that passes on that the program runs.
type shouter struct{ Keeper }

func (shouter) Log(uint8, string) error {
	_, err := io.WriteString(os.Stdout, "running")
	return err
}

// TestKilled: a loop without end holds the whole process, and ends with it at
// once when PID 1 kills it.
func TestKilled(t *testing.T) {
	for _, engine := range engines() {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), spinVariable+"="+engine)
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said := make([]byte, len("running"))
		if _, err := io.ReadFull(stdout, said); err != nil || string(said) != "running" {
			t.Errorf("%s: %q, %v", engine, said, err)
		}
		time.Sleep(300 * time.Millisecond) // well into the loop
		began := time.Now()
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		rest, readErr := io.ReadAll(stdout)
		err = cmd.Wait()
		if err == nil || err.Error() != "signal: killed" || len(rest) != 0 || readErr != nil {
			t.Errorf("%s: %v, %q, %v", engine, err, rest, readErr)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: gone after %v", engine, took)
		}
	}
}

// TestTableBomb: tables lie in the Go heap, which the process limits, and not
// this package: the run ends with the process.
func TestTableBomb(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), spinVariable+"=table")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err == nil || len(out) != 0 || !strings.Contains(stderr.String(), "out of memory") {
		t.Errorf("%v, %q, %.200s", err, out, stderr.String())
	}
}
