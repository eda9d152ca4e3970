package image

import (
	"context"

	"safebox/image/eif"
	"safebox/image/kernel"
	"safebox/image/lock"
	"safebox/image/uki"
	"safebox/verifier/release"
)

// addImages adds what machines boot from: the UKI, the disks that hold it, and
// the enclave image.
func (o *Options) addImages(ctx context.Context, a *Artifacts, l *lock.Lock, in *inputs) error {
	if err := o.step(ctx, "assembling the images"); err != nil {
		return err
	}
	version, err := kernel.Release(a.File(vmlinuz))
	if err != nil {
		return err
	}
	if err := o.addUKI(a, in, version); err != nil {
		return err
	}
	if err := o.addDisks(a); err != nil {
		return err
	}
	if err := o.addIGVM(a, l); err != nil {
		return err
	}
	if !o.builds(release.PlatformNitro) {
		return nil
	}
	enclave, err := eif.Encode(eif.Image{
		Kernel:      a.File(vmlinuz),
		CommandLine: a.File(commandLine),
		Ramdisks:    [][]byte{a.File(ramdiskName)},
		Metadata:    eif.ReleaseMetadata(l.Epoch, version),
	})
	if err != nil {
		return err
	}
	a.add(Enclave, enclave, vmlinuz, commandLine, ramdiskName)
	return nil
}

// addUKI adds the unified kernel image. The order of the sections in the file
// is ukify's; PCR 11 has an order of its own.
func (o *Options) addUKI(a *Artifacts, in *inputs, version string) error {
	unified, err := uki.Assemble(in.stub, []uki.Section{
		{Name: ".cmdline", Data: a.File(commandLine)},
		{Name: ".uname", Data: []byte(version)},
		{Name: ".linux", Data: a.File(vmlinuz)},
		{Name: ".initrd", Data: a.File(ramdiskName)},
	})
	if err != nil {
		return err
	}
	a.add(UKI, unified, in.stubPackage, commandLine, vmlinuz, ramdiskName)
	return nil
}
