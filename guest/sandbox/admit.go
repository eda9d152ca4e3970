package sandbox

import (
	"context"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// Entry points: the first that a module exports is called.
const (
	entryHandle = "sb_handle" // () -> i32
	entryStart  = "_start"    // () -> (), of WASI commands
)

// admit validates a module and looks at what it wants, before any of it runs.
// It gives the trap's name if the module is refused.
func admit(ctx context.Context, runtime wazero.Runtime, module []byte) (wazero.CompiledModule, string) {
	if len(module) > maxModule {
		return nil, TrapInvalid
	}
	compiled, err := runtime.CompileModule(ctx, module)
	switch {
	case err != nil && strings.Contains(err.Error(), "over limit of"):
		return nil, TrapMemory
	case err != nil:
		return nil, TrapInvalid
	case !importsKnown(compiled):
		return nil, TrapImport
	case !enters(compiled.ExportedFunctions()):
		return nil, TrapEntry
	}
	return compiled, ""
}

// importsKnown tells whether each import is a function that we have, with its
// very type. Instantiating would fail as well; this says it by name.
func importsKnown(compiled wazero.CompiledModule) bool {
	if len(compiled.ImportedMemories()) != 0 {
		return false
	}
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

func enters(exports map[string]api.FunctionDefinition) bool {
	if f, ok := exports[entryHandle]; ok {
		return len(f.ParamTypes()) == 0 && same(f.ResultTypes(), []api.ValueType{api.ValueTypeI32})
	}
	f, ok := exports[entryStart]
	return ok && len(f.ParamTypes()) == 0 && len(f.ResultTypes()) == 0
}
