package gobuild

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/module"
)

// listFormat prints the module of a package: go help list. The standard library
// has none, and the main one is the source.
const listFormat = `{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}{{if .Replace}} replaced{{end}}{{end}}{{end}}`

// Modules lists the modules that the build compiles packages of, sorted by path.
// Of the other modules in go.mod it needs nothing.
func Modules(ctx context.Context, o Options) ([]module.Version, error) {
	list, err := modules(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("listing the modules of %s: %w", o.Package, err)
	}
	return list, nil
}

func modules(ctx context.Context, o Options) (list []module.Version, err error) {
	c, err := newCompiler(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.dir)) }()
	printed, err := run(ctx, c.tool, o.SourceDir, c.env, "list", "-deps", "-f", listFormat, "--", o.Package)
	if err != nil {
		return nil, err
	}
	return parseModules(printed)
}

// parseModules reads what listFormat prints. What a replacement consists of,
// go.sum need not say.
func parseModules(printed string) ([]module.Version, error) {
	seen := map[module.Version]bool{}
	var list []module.Version
	for line := range strings.Lines(printed) {
		f := strings.Fields(line)
		if len(f) != 2 {
			return nil, fmt.Errorf("go list: got %q, want a module that is not replaced and its version", strings.TrimSpace(line))
		}
		m := module.Version{Path: f[0], Version: f[1]}
		if !seen[m] {
			seen[m] = true
			list = append(list, m)
		}
	}
	module.Sort(list)
	return list, nil
}
