package initrd

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// LoadOrder returns the modules that the kernel of that release needs to load
// for roots, each after what it depends on. Modules that do not depend on each
// other come in the order of roots, then of the dependency lists, so the result
// depends on the arguments only.
//
// available holds the module files by path, .ko or .ko.xz. They must be exactly
// the closure of roots: the lock lists what goes in and nothing else.
func LoadOrder(release string, roots []string, available map[string][]byte) ([]Module, error) {
	c := closure{modules: make(map[string]*node, len(available))}
	for _, file := range slices.Sorted(maps.Keys(available)) {
		if err := c.open(release, file, available[file]); err != nil {
			return nil, fmt.Errorf("ordering kernel modules: %s: %w", file, err)
		}
	}
	for _, root := range roots {
		if err := c.visit(moduleName(root), nil); err != nil {
			return nil, fmt.Errorf("ordering kernel modules: %w", err)
		}
	}
	if err := c.checkAllUsed(); err != nil {
		return nil, fmt.Errorf("ordering kernel modules: %w", err)
	}
	return c.order, nil
}

// closure collects modules by a walk in depth.
type closure struct {
	modules  map[string]*node // by the kernel's name
	vermagic string           // of the first module, for all
	order    []Module
}

type node struct {
	file string
	ko   []byte
	info moduleInfo
	done bool
}

// open reads one module file. All must be built for one kernel: the kernel
// compares the whole vermagic and refuses a module of another build.
func (c *closure) open(release, file string, b []byte) error {
	ko, info, err := openModule(file, b)
	if err != nil {
		return err
	}
	if got := info.release(); got != release {
		return fmt.Errorf("kernel release: got %q, want %q", got, release)
	}
	if c.vermagic == "" {
		c.vermagic = info.vermagic
	}
	if info.vermagic != c.vermagic {
		return fmt.Errorf("vermagic: got %q, want %q as in the other modules", info.vermagic, c.vermagic)
	}
	if other, ok := c.modules[info.name]; ok {
		return fmt.Errorf("module %s: already in %s", info.name, other.file)
	}
	c.modules[info.name] = &node{file: file, ko: ko, info: info}
	return nil
}

// visit appends name after its dependencies. from is the path that led here,
// the root first: it names who needs what is missing, and shows a cycle. Its
// length is bounded by the number of modules.
func (c *closure) visit(name string, from []string) error {
	if slices.Contains(from, name) {
		return fmt.Errorf("modules depend on each other: %s", strings.Join(append(from, name), " -> "))
	}
	n, ok := c.modules[name]
	if !ok {
		if len(from) == 0 {
			return fmt.Errorf("module %s: not available", name)
		}
		return fmt.Errorf("module %s: not available, needed by %s", name, from[len(from)-1])
	}
	if n.done {
		return nil
	}
	for _, dep := range n.info.depends {
		if err := c.visit(dep, append(from, name)); err != nil {
			return err
		}
	}
	n.done = true
	c.order = append(c.order, Module{Name: name, Data: n.ko})
	return nil
}

func (c *closure) checkAllUsed() error {
	for _, name := range slices.Sorted(maps.Keys(c.modules)) {
		if n := c.modules[name]; !n.done {
			return fmt.Errorf("module %s: %s is not needed by any module asked for", name, n.file)
		}
	}
	return nil
}
