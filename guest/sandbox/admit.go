package sandbox

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// Entry points. A module exports one of the first two.
const (
	entryHandle     = "sb_handle"   // () -> i32, of reactors; the result is the exit code
	entryStart      = "_start"      // () -> (), of WASI commands
	entryInitialize = "_initialize" // () -> (), of reactors that have one: called before sb_handle
)

// admitted is a module that may run, and the exports to call.
type admitted struct {
	code  wazero.CompiledModule
	calls []string
}

// admit validates a module and looks at what it wants, before any of it runs.
// It gives the trap's name if the module is refused:
//
//  1. what it would allocate, see inspect: TrapInvalid, TrapLimit, TrapImport,
//     TrapMemory
//  2. validation of all of it by wazero: TrapInvalid
//  3. imports are functions that exist, with their types: TrapImport
//  4. there is one entry point: TrapEntry
func admit(ctx context.Context, runtime wazero.Runtime, module []byte, pages uint32) (admitted, string) {
	if trap := inspect(module, pages); trap != "" {
		return admitted{}, trap
	}
	code, err := runtime.CompileModule(ctx, module)
	if err != nil {
		return admitted{}, TrapInvalid
	}
	if !importsKnown(code) {
		return admitted{}, TrapImport
	}
	calls := entries(code.ExportedFunctions())
	if calls == nil {
		return admitted{}, TrapEntry
	}
	return admitted{code, calls}, ""
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

// entries lists the exports to call; none if that is not clear.
func entries(exports map[string]api.FunctionDefinition) []string {
	handle, start, initialize := exports[entryHandle], exports[entryStart], exports[entryInitialize]
	switch {
	case handle == nil && initialize == nil && own(start, ">"):
		return []string{entryStart}
	case start == nil && initialize == nil && own(handle, ">i"):
		return []string{entryHandle}
	case start == nil && own(initialize, ">") && own(handle, ">i"):
		return []string{entryInitialize, entryHandle}
	}
	return nil
}

// own tells whether f is there, of that type, and the module's own: an import
// that it passes on is no entry point.
func own(f api.FunctionDefinition, types string) bool {
	if f == nil {
		return false
	}
	params, results := signature(types)
	_, _, imported := f.Import()
	return !imported && same(f.ParamTypes(), params) && same(f.ResultTypes(), results)
}
