package image

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"safebox/image/lock"
	"safebox/initrd/layout"
	"safebox/verifier/release"
)

// LockError is a lock file that can't be built from: it can't be read, or a
// role is missing in it. Its text begins with the file's name, and the line if
// one is wrong.
type LockError struct {
	Name string
	Err  error
}

// Error is the message, in one line.
func (e *LockError) Error() string {
	var at *lock.ParseError
	if errors.As(e.Err, &at) {
		return fmt.Sprintf("%s:%d: %v", e.Name, at.Line, at.Err)
	}
	return fmt.Sprintf("%s: %v", e.Name, e.Err)
}

// Unwrap gives the cause.
func (e *LockError) Unwrap() error { return e.Err }

// parseLock reads the lock file and looks for the roles that a build needs, so
// that nothing is fetched for a lock that can't be used.
func (o *Options) parseLock() (*lock.Lock, error) {
	l, err := lock.Parse(o.Lock)
	if err != nil {
		return nil, &LockError{Name: o.LockName, Err: err}
	}
	roles := o.roles()
	if o.Kernel == layout.Source {
		roles = append(roles, lock.KernelSource)
	}
	for _, role := range roles {
		if _, err := l.File(role); err != nil {
			return nil, &LockError{Name: o.LockName, Err: err}
		}
	}
	return l, nil
}

// roles are those of the files that a build takes out of packages as they are.
func (o *Options) roles() []lock.Role {
	var roles []lock.Role
	if o.Kernel == layout.Distro {
		roles = append(roles, lock.Kernel)
	}
	roles = append(roles, lock.Stub, lock.FirmwareCode, lock.FirmwareVars)
	if o.builds(release.PlatformSNP) {
		roles = append(roles, lock.FirmwareSNP)
	}
	if o.builds(release.PlatformTDX) {
		roles = append(roles, lock.FirmwareTDX)
	}
	return roles
}

// inputs is what a build takes out of the pinned packages.
type inputs struct {
	kernel        []byte // nil when it is built from source
	kernelPackage string
	stub          []byte
	stubPackage   string
	modules       map[string][]byte // by path inside the package
	firmware      []Artifact        // in the order of the lock file
	packages      []release.Input
}

// readInputs fetches every file that the build uses, each checked against the
// lock. Packages of which nothing is used are no inputs.
func (o *Options) readInputs(ctx context.Context, l *lock.Lock) (*inputs, error) {
	in := &inputs{modules: map[string][]byte{}}
	used := map[string]bool{}
	for _, role := range o.roles() {
		file, err := l.File(role)
		if err != nil {
			return nil, err
		}
		data, err := o.Resolver.File(ctx, file.Package, file.File)
		if err != nil {
			return nil, err
		}
		used[file.Package.Name] = true
		switch role {
		case lock.Kernel:
			in.kernel, in.kernelPackage = data, file.Package.Name
		case lock.Stub:
			in.stub, in.stubPackage = data, file.Package.Name
		default:
			in.firmware = append(in.firmware, Artifact{
				Name: firmwareName(file.File.Path), Data: data, From: []string{file.Package.Name},
			})
		}
	}
	if o.Kernel == layout.Distro {
		if err := o.readModules(ctx, l, in, used); err != nil {
			return nil, err
		}
	}
	in.packages = o.usedPackages(l, used)
	return in, nil
}

func (o *Options) readModules(ctx context.Context, l *lock.Lock, in *inputs, used map[string]bool) error {
	for _, file := range l.Files(lock.Module) {
		data, err := o.Resolver.File(ctx, file.Package, file.File)
		if err != nil {
			return err
		}
		used[file.Package.Name] = true
		in.modules[file.File.Path] = data
	}
	return nil
}

// usedPackages lists the packages that the release is made of, in the order of
// the lock: for a kernel from source its source and every tool.
func (o *Options) usedPackages(l *lock.Lock, used map[string]bool) []release.Input {
	packages := l.Packages
	if o.Kernel == layout.Source {
		for _, file := range l.Files(lock.KernelSource) {
			used[file.Package.Name] = true
		}
		for _, p := range l.Tools {
			used[p.Name] = true
		}
		packages = slices.Concat(l.Packages, l.Tools)
	}
	var list []release.Input
	for _, p := range packages {
		if used[p.Name] {
			list = append(list, release.Input{
				Package: p.Name, Version: p.Version, Architecture: p.Architecture, SHA256: p.SHA256.String(),
			})
		}
	}
	return list
}

// firmwareName is the artifact that a package's file becomes.
func firmwareName(packaged string) string { return "firmware/" + path.Base(packaged) }
