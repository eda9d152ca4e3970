package image

import (
	"context"

	"safebox/image/kernel"
	"safebox/image/lock"
	"safebox/image/sbom"
	"safebox/initrd/layout"
)

// addKernel adds the kernel: the distribution's as it is, or ours, with the
// configuration that came of it.
func (o *Options) addKernel(ctx context.Context, a *Artifacts, l *lock.Lock, in *inputs) error {
	if o.Kernel == layout.Distro {
		a.add(vmlinuz, in.kernel, in.kernelPackage)
		return nil
	}
	const building = "building the kernel"
	if err := o.step(ctx, building); err != nil {
		return err
	}
	k, err := kernel.Build(ctx, kernel.Options{Lock: l, Resolver: o.Resolver, Progress: func(s kernel.Step) {
		text := building + ": " + s.Name
		if s.Note != "" {
			text += ": " + s.Note
		}
		o.Progress(Progress{Step: text, Done: int64(s.Done), Total: int64(s.Total)})
	}})
	if err != nil {
		return err
	}
	var from []string
	for _, file := range l.Files(lock.KernelSource) {
		from = append(from, file.Package.Name)
	}
	for _, p := range l.Tools {
		from = append(from, p.Name)
	}
	files, err := kernelFiles()
	if err != nil {
		return err
	}
	for _, f := range files {
		from = append(from, f.Name)
	}
	a.add(vmlinuz, k.Image, from...)
	a.add(KernelConfig, k.Config, from...)
	return nil
}

// kernelFiles lists the files of our source that the kernel is made of.
func kernelFiles() ([]sbom.File, error) {
	files, err := kernel.Files()
	if err != nil {
		return nil, err
	}
	list := make([]sbom.File, len(files))
	for i, f := range files {
		list[i] = sbom.File{Name: f.Name, SHA256: hexSHA256(f.Content)}
	}
	return list, nil
}
