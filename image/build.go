// Package image turns pinned inputs into the artifacts of a release: kernel,
// initrd, unified kernel image, disk, bill of materials and release.json. It
// runs without root and without any external program but the Go compiler, and
// equal inputs give equal bytes anywhere (specs/image.md, section 3).
package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"safebox/guest/boot/cmdline"
	"safebox/image/disk"
	"safebox/image/kernel"
	"safebox/image/lock"
	"safebox/image/uki"
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
	Kernel   layout.Kernel  // the distribution's, or ours from source

	// Launches names the platforms of confidential VMs for which the release
	// holds firmware and what they measure: release.PlatformSNP, PlatformTDX.
	Launches []string

	// Progress is told each step as it begins.
	Progress func(step string)
}

// Build makes the artifacts for platform vtpm and o.Launches. The order of the
// lines is the order of events.
func Build(ctx context.Context, o Options) (*Artifacts, error) {
	l, err := o.parseLock()
	if err != nil {
		return nil, err
	}
	o.Progress("reading the pinned inputs")
	in, err := readInputs(ctx, o.Resolver, l, o.Launches)
	if err != nil {
		return nil, err
	}
	o.Progress("compiling the init with go " + l.Go)
	compiler, err := o.compiler(l)
	if err != nil {
		return nil, err
	}
	init, err := gobuild.Build(ctx, compiler)
	if err != nil {
		return nil, err
	}
	o.Progress("packing the initrd")
	release, ramdisk, err := packInitrd(o.Kernel, in, init)
	if err != nil {
		return nil, err
	}
	o.Progress("assembling the unified kernel image and the disk")
	a := newArtifacts()
	a.add("vmlinuz", in.kernel)
	a.add("safebox-init", init)
	a.add("initrd.cpio.zst", ramdisk)
	a.add("cmdline", []byte(cmdline.Text(o.Kernel)))
	for _, f := range in.firmware {
		a.add(f.Name, f.Data)
	}
	if err := assemble(a, in, release); err != nil {
		return nil, err
	}
	o.Progress("predicting the measurements")
	return a, describe(a, o, l, in)
}

// packInitrd gives the kernel's release name and the compressed initramfs.
func packInitrd(k layout.Kernel, in *inputs, init []byte) (release string, ramdisk []byte, err error) {
	release, err = kernel.Release(in.kernel)
	if err != nil {
		return "", nil, err
	}
	modules, err := initrd.LoadOrder(release, layout.Modules(k), in.modules)
	if err != nil {
		return "", nil, err
	}
	if err := checkModules(k, modules); err != nil {
		return "", nil, err
	}
	archive, err := initrd.Archive(k, init, modules)
	if err != nil {
		return "", nil, err
	}
	ramdisk, err = initrd.Compress(archive)
	return release, ramdisk, err
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

// assemble adds the UKI and the disk that holds it. The order of the sections
// in the file is ukify's; PCR 11 has an order of its own.
func assemble(a *Artifacts, in *inputs, release string) error {
	unified, err := uki.Assemble(in.stub, []uki.Section{
		{Name: ".cmdline", Data: a.File("cmdline")},
		{Name: ".uname", Data: []byte(release)},
		{Name: ".linux", Data: a.File("vmlinuz")},
		{Name: ".initrd", Data: a.File("initrd.cpio.zst")},
	})
	if err != nil {
		return err
	}
	raw, err := Disk(unified)
	if err != nil {
		return err
	}
	a.add(UKI, unified)
	a.add(RawDisk, raw)
	return nil
}

// diskSeed fixes every GUID and serial number of the disk.
const diskSeed = "safebox/disk/v1"

// Disk gives the disk image whose one partition boots the UKI, with further
// files on it, none in a release.
func Disk(unified []byte, more ...disk.File) ([]byte, error) {
	im, err := disk.Assemble(append([]disk.File{{Path: disk.Boot, Data: unified}}, more...), diskSeed)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.Grow(int(im.Size()))
	if _, err := im.WriteTo(&out); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
