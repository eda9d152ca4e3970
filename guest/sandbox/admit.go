package sandbox

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// Entry points: the first that a module exports is called.
const (
	entryHandle = "sb_handle" // () -> i32
	entryStart  = "_start"    // () -> (), of WASI commands
)

// admit validates a module and looks at what it wants, before any of it runs.
// It gives the trap's name if the module is refused:
//
//  1. its sections, see prepare: TrapInvalid, TrapLimit, TrapImport, TrapMemory
//  2. validation of every function by wazero: TrapInvalid
//  3. imports are functions that exist, with their types: TrapImport
//  4. there is an entry point: TrapEntry
func admit(ctx context.Context, runtime wazero.Runtime, module []byte, pages uint32) (wazero.CompiledModule, string) {
	prepared, trap := prepare(module, pages)
	if trap != "" {
		return nil, trap
	}
	compiled, err := runtime.CompileModule(ctx, prepared)
	switch {
	case err != nil:
		return nil, TrapInvalid
	case !importsKnown(compiled):
		return nil, TrapImport
	case !enters(compiled.ExportedFunctions()):
		return nil, TrapEntry
	}
	return compiled, ""
}

// importsKnown tells whether each imported function is one that we have, with
// its very type. Instantiating would fail as well; this says it by name.
func importsKnown(compiled wazero.CompiledModule) bool {
	known := map[string]map[string]function{}
	for _, m := range hostModules() {
		known[m.name] = map[string]function{}
		for _, f := range m.functions {
			known[m.name][f.name] = f
		}
	}
	for _, f := range compiled.ImportedFunctions() {
		module, name, _ := f.Import()
		have, ok := known[module][name]
		if !ok || !same(f.ParamTypes(), have.params) || !same(f.ResultTypes(), have.results) {
			return false
		}
	}
	return true
}

func same(got, want []api.ValueType) bool { return string(got) == string(want) }

// enters looks for an entry point of the module's own: an import that it passes
// on is none.
func enters(exports map[string]api.FunctionDefinition) bool {
	var results []api.ValueType
	f, ok := exports[entryHandle]
	if ok {
		results = []api.ValueType{api.ValueTypeI32}
	} else {
		f, ok = exports[entryStart]
	}
	if !ok || len(f.ParamTypes()) != 0 || !same(f.ResultTypes(), results) {
		return false
	}
	_, _, imported := f.Import()
	return !imported
}
