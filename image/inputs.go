package image

import (
	"context"
	"path"

	"safebox/image/lock"
	"safebox/verifier/release"
)

// inputs is what a build takes out of the pinned packages.
type inputs struct {
	kernel   []byte
	stub     []byte
	modules  map[string][]byte // by path inside the package
	firmware []Artifact        // in the order of the lock file
	packages []release.Input
}

// readInputs fetches every file that the lock lists, each checked against it.
func readInputs(ctx context.Context, r *lock.Resolver, l *lock.Lock) (*inputs, error) {
	in := &inputs{modules: map[string][]byte{}}
	for _, p := range l.Packages {
		in.packages = append(in.packages, release.Input{
			Package: p.Name, Version: p.Version, Architecture: p.Architecture, SHA256: p.SHA256.String(),
		})
	}
	for _, one := range []struct {
		role lock.Role
		keep func(name string, data []byte)
	}{
		{lock.Kernel, func(_ string, data []byte) { in.kernel = data }},
		{lock.Stub, func(_ string, data []byte) { in.stub = data }},
		{lock.FirmwareCode, in.addFirmware},
		{lock.FirmwareVars, in.addFirmware},
	} {
		file, err := l.File(one.role)
		if err != nil {
			return nil, err
		}
		data, err := r.File(ctx, file.Package, file.File)
		if err != nil {
			return nil, err
		}
		one.keep(file.File.Path, data)
	}
	for _, file := range l.Files(lock.Module) {
		data, err := r.File(ctx, file.Package, file.File)
		if err != nil {
			return nil, err
		}
		in.modules[file.File.Path] = data
	}
	return in, nil
}

func (in *inputs) addFirmware(name string, data []byte) {
	in.firmware = append(in.firmware, Artifact{Name: "firmware/" + path.Base(name), Data: data})
}
