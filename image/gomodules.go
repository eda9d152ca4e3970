package image

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/mod/module"

	"safebox/image/lock"
	"safebox/initrd/gobuild"
)

// compiler says how the init is compiled. Offline, modules may also come from
// an unpacked archive.
func (o Options) compiler(l *lock.Lock) (gobuild.Options, error) {
	proxy, err := o.Resolver.GoProxy()
	return gobuild.Options{
		SourceDir: o.Source,
		Package:   o.Init,
		GoVersion: l.Go,
		Offline:   o.Resolver.Offline,
		Proxy:     proxy,
	}, err
}

// BuilderPackage is the program that builds releases.
const BuilderPackage = "./cmd/safebox"

// GoModules fetches what a rebuild compiles besides the source: the modules of
// the init and of the builder, as the source's go.sum has them, and the lock's
// toolchain. Of o it needs Resolver and Source.
func GoModules(ctx context.Context, o Options, l *lock.Lock) ([]lock.GoModule, error) {
	var list []module.Version
	for _, program := range []string{InitPackage, BuilderPackage} {
		o.Init = program
		compiler, err := o.compiler(l)
		if err != nil {
			return nil, err
		}
		modules, err := gobuild.Modules(ctx, compiler)
		if err != nil {
			return nil, err
		}
		list = append(list, modules...)
	}
	module.Sort(list)
	list = slices.Compact(list)
	sums, err := os.ReadFile(filepath.Join(o.Source, "go.sum"))
	if err != nil {
		return nil, fmt.Errorf("fetching modules: %w", err)
	}
	return o.Resolver.GoModules(ctx, l, sums, list)
}
