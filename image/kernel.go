package image

import (
	"context"
	"errors"

	"safebox/image/lock"
	"safebox/image/sbom"
	"safebox/initrd/layout"
)

// addKernel adds the kernel: the distribution's as it is, or ours.
func (o *Options) addKernel(_ context.Context, a *Artifacts, _ *lock.Lock, in *inputs) error {
	if o.Kernel == layout.Distro {
		a.add(vmlinuz, in.kernel, in.kernelPackage)
		return nil
	}
	return errors.New("kernel from source: not wired")
}

func kernelFiles() []sbom.File { return nil }
