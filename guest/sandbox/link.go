package sandbox

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// call is one call of a host function: its parameters, and the memory of the
// program that makes it.
type call struct {
	*memory
	stack []uint64 // parameters, then results in their place
}

func (c *call) u32(n int) uint32 { return api.DecodeU32(c.stack[n]) }
func (c *call) u64(n int) uint64 { return c.stack[n] }

// function is one host function.
type function struct {
	name            string
	params, results []api.ValueType
	do              func(p *program, c *call) uint64
}

// hostModule is what programs can import.
type hostModule struct {
	name      string
	functions []function
}

func hostModules() []hostModule {
	return []hostModule{{"safebox_v1", safeboxFunctions()}, {"wasi_snapshot_preview1", wasiFunctions()}}
}

// signature reads "ilii>l": parameters, then results; i is i32, l is i64.
func signature(s string) (params, results []api.ValueType) {
	into := &params
	for _, c := range []byte(s) {
		switch c {
		case 'i':
			*into = append(*into, api.ValueTypeI32)
		case 'l':
			*into = append(*into, api.ValueTypeI64)
		case '>':
			into = &results
		default:
			panic("sandbox: constant table: signature " + s)
		}
	}
	return params, results
}

func define(name, types string, do func(p *program, c *call) uint64) function {
	params, results := signature(types)
	return function{name, params, results, do}
}

// link makes the host modules of a run.
func (p *program) link(ctx context.Context, runtime wazero.Runtime) error {
	for _, m := range hostModules() {
		b := runtime.NewHostModuleBuilder(m.name)
		for _, f := range m.functions {
			b.NewFunctionBuilder().WithGoModuleFunction(p.bound(f), f.params, f.results).Export(f.name)
		}
		if _, err := b.Instantiate(ctx); err != nil {
			return fmt.Errorf("linking %s: %w", m.name, err)
		}
	}
	return nil
}

// bound counts each call, and ends the program where it must not go on.
func (p *program) bound(f function) api.GoModuleFunc {
	return func(_ context.Context, _ api.Module, stack []uint64) {
		if p.calls++; p.calls > maxCalls {
			p.stop(TrapCalls)
		}
		result := f.do(p, &call{p.memory, stack})
		if len(f.results) > 0 {
			stack[0] = result
		}
	}
}

// stopped unwinds the program's stack; Run knows why from p.
type stopped struct{}

func (stopped) Error() string { return "stopped" }

// stop ends the program under a trap's name. wazero turns the panic of a host
// function into the error of the call that led there.
func (p *program) stop(trap string) {
	p.trap = trap
	panic(stopped{})
}

// fail ends the program for the keeper's reason.
func (p *program) fail(err error) {
	p.failed = fmt.Errorf("%w: %w", errHost, err)
	panic(stopped{})
}
