package image

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

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

// GoModules fetches what a build of o compiles besides the source: the modules of
// the init, as the source's go.sum has them, and the lock's toolchain. Of o it
// needs Resolver, Source and Init.
func GoModules(ctx context.Context, o Options, l *lock.Lock) ([]lock.GoModule, error) {
	compiler, err := o.compiler(l)
	if err != nil {
		return nil, err
	}
	list, err := gobuild.Modules(ctx, compiler)
	if err != nil {
		return nil, err
	}
	sums, err := os.ReadFile(filepath.Join(o.Source, "go.sum"))
	if err != nil {
		return nil, fmt.Errorf("fetching modules: %w", err)
	}
	return o.Resolver.GoModules(ctx, l, sums, list)
}
