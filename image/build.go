// Package image turns pinned inputs into the artifacts of a release: kernel,
// initrd, unified kernel image, disks, enclave image, bill of materials and
// release.json. It runs without root and without any program of this machine
// but the Go compiler, and equal inputs give equal bytes anywhere
// (specs/image.md, section 3).
package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"safebox/guest/boot/cmdline"
	"safebox/image/kernel"
	"safebox/image/lock"
	"safebox/initrd"
	"safebox/initrd/gobuild"
	"safebox/initrd/layout"
)

// InitPackage is the init of every release.
const InitPackage = "./cmd/safebox-init"

// Options says what to build from what.
type Options struct {
	Lock     []byte         // content of the lock file
	LockName string         // its name, for error messages
	Resolver *lock.Resolver // where inputs come from
	Source   string         // root folder of this module, from which the init is compiled
	Init     string         // package of the init; InitPackage but in tests

	Kernel    layout.Kernel // the distribution's, or ours from source
	Platforms []string      // PlatformVTPM and what is wanted beside it: PlatformSNP, PlatformTDX, PlatformNitro
	Disks     []string      // containers wanted beside the raw disk: qcow2, vhd, gcp

	IGVM bool // also the IGVM file of platform snp

	// Progress is told each step as it begins, and how far long ones are.
	Progress func(Progress)
}

// Progress is how far a build is.
type Progress struct {
	Step  string // what is being done
	Done  int64  // of Total, in whatever the step counts; both 0 where it counts nothing
	Total int64
}

// step tells that a step begins, unless the build was interrupted: some steps
// take a second and ask nobody.
func (o *Options) step(ctx context.Context, format string, args ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o.Progress(Progress{Step: fmt.Sprintf(format, args...)})
	return nil
}

// Build makes the artifacts. The order of the lines is the order of events.
func Build(ctx context.Context, o Options) (*Artifacts, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	l, err := o.parseLock()
	if err != nil {
		return nil, err
	}
	if err := o.step(ctx, "reading the pinned inputs"); err != nil {
		return nil, err
	}
	in, err := o.readInputs(ctx, l)
	if err != nil {
		return nil, err
	}
	a := newArtifacts()
	if err := o.addKernel(ctx, a, l, in); err != nil {
		return nil, err
	}
	if err := o.addInit(ctx, a, l); err != nil {
		return nil, err
	}
	if err := o.addInitrd(ctx, a, in); err != nil {
		return nil, err
	}
	a.add(commandLine, []byte(cmdline.Text(o.Kernel)))
	for _, f := range in.firmware {
		a.add(f.Name, f.Data, f.From...)
	}
	if err := o.addImages(ctx, a, l, in); err != nil {
		return nil, err
	}
	if err := o.step(ctx, "predicting the measurements"); err != nil {
		return nil, err
	}
	if err := o.describe(a, l, in); err != nil {
		return nil, err
	}
	return a, ctx.Err()
}

// addInit compiles PID 1.
func (o *Options) addInit(ctx context.Context, a *Artifacts, l *lock.Lock) error {
	if err := o.step(ctx, "compiling the init with go %s", l.Go); err != nil {
		return err
	}
	compiler, err := o.compiler(l)
	if err != nil {
		return err
	}
	init, err := gobuild.Build(ctx, compiler)
	if err != nil {
		return err
	}
	a.add(initProgram, init)
	return nil
}

// addInitrd packs the initramfs for the kernel.
func (o *Options) addInitrd(ctx context.Context, a *Artifacts, in *inputs) error {
	if err := o.step(ctx, "packing the initrd"); err != nil {
		return err
	}
	release, err := kernel.Release(a.File(vmlinuz))
	if err != nil {
		return err
	}
	modules, err := initrd.LoadOrder(release, layout.Modules(o.Kernel), in.modules)
	if err != nil {
		return err
	}
	if err := checkModules(o.Kernel, modules); err != nil {
		return err
	}
	archive, err := initrd.Archive(o.Kernel, a.File(initProgram), modules)
	if err != nil {
		return err
	}
	ramdisk, err := initrd.Compress(archive)
	if err != nil {
		return err
	}
	from := []string{initProgram}
	if len(modules) > 0 {
		from = append(from, in.kernelPackage)
	}
	a.add(ramdiskName, ramdisk, from...)
	return nil
}

// checkModules refuses a list that PID 1 would refuse.
func checkModules(k layout.Kernel, modules []initrd.Module) error {
	names := make([]string, len(modules))
	for i, m := range modules {
		names[i] = m.Name
	}
	if want := layout.Modules(k); !slices.Equal(names, want) {
		return fmt.Errorf("kernel modules in load order: got %q, want %q: PID 1 accepts the list of initrd/layout only", names, want)
	}
	return nil
}

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
