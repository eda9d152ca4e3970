// Package kernel builds the appliance's own Linux kernel from the source
// package that the lock pins, with the tools that the lock pins, and reads what
// the builder needs to know of any kernel image.
//
// It implements section 7 of the image specification (7.2 to 7.5: what is in
// the kernel and what is not) and the line "kernel build" of its section 3, and
// of Linux Documentation/arch/x86/boot.rst (6.12), "The Real-Mode Kernel
// Header", boot protocol 2.00 and later.
//
// Three texts say what the kernel is: config/fragment (what is turned on),
// config/policy (what must come of it, whatever Kconfig makes of the fragment)
// and patches/. Equal inputs give equal bytes: the build runs in namespaces of
// its own, where nothing of the host is to be seen, at a path and with an
// environment that are the same everywhere.
package kernel

import (
	"context"
	"errors"
	"fmt"

	"safebox/image/lock"
)

// Options says what to build from, and how.
type Options struct {
	Lock     *lock.Lock     // pins the source, the tools and the epoch
	Resolver *lock.Resolver // finds them; its cache keeps the result
	Jobs     int            // compilers at a time; 0: as many as there are CPUs
	Progress func(Step)     // called now and then, if set; by one goroutine at a time
}

func (o Options) validate() error {
	switch {
	case o.Lock == nil || o.Resolver == nil:
		return errors.New("want a lock and a resolver")
	case o.Resolver.CacheDir == "":
		return errors.New("the resolver has no cache folder")
	case o.Jobs < 0:
		return fmt.Errorf("jobs: got %d, want 0 or more", o.Jobs)
	}
	return nil
}

// Step is how far a build is.
type Step struct {
	Name  string // of the phase: "unpacking tools", "compiling", ...
	Done  int    // of Total, in the phase's own unit; both 0 if there is none
	Total int    // an estimate when compiling
	Note  string // something that a person should know, such as a damaged cache
}

func (o Options) report(s Step) {
	if o.Progress != nil {
		o.Progress(s)
	}
}

// Kernel is a kernel that was built.
type Kernel struct {
	Image   []byte // bzImage
	Config  []byte // the resolved .config
	Release string // what `uname -r` prints
	Cached  bool   // it was built before, from the same inputs
}

// Build gives the kernel that the lock's source and tools make. It comes from
// the cache if all that goes into it went into a build before; then neither
// source nor tools are read. When two builds of the same kernel run at a time,
// the second waits for the first.
func Build(ctx context.Context, o Options) (*Kernel, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("building kernel: %w", err)
	}
	source, err := o.Lock.File(lock.KernelSource)
	if err != nil {
		return nil, fmt.Errorf("building kernel: %w", err)
	}
	r, err := standardRecipe(o.Lock.Epoch)
	if err != nil {
		return nil, fmt.Errorf("building kernel: %w", err)
	}
	k, err := o.store(r.key(source, o.Lock.Tools)).build(ctx, o.report, func(log string) (*Kernel, error) {
		return o.make(ctx, r, source, log)
	})
	if err == nil {
		// Also what comes from the cache: the check costs a millisecond.
		err = CheckConfig(k.Config)
	}
	if err != nil {
		return nil, fmt.Errorf("building kernel: %w", err)
	}
	return k, nil
}

// make builds the kernel in a temporary folder that is gone afterwards.
func (o Options) make(ctx context.Context, r recipe, source lock.Input, log string) (_ *Kernel, err error) {
	box, err := newSandbox(r.environment())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, box.remove()) }()
	if err := o.unpackTools(ctx, box); err != nil {
		return nil, err
	}
	if err := box.enterable(ctx); err != nil {
		return nil, err
	}
	o.report(Step{Name: "unpacking source"})
	in, err := o.Resolver.Open(ctx, source.Package, source.File)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	return r.compile(ctx, box, in, compilation{jobs: o.Jobs, log: log, report: o.report})
}
