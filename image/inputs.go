package image

import (
	"context"
	"errors"
	"fmt"
	"path"

	"safebox/image/lock"
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
	for _, role := range []lock.Role{lock.Kernel, lock.Stub, lock.FirmwareCode, lock.FirmwareVars} {
		if _, err := l.File(role); err != nil {
			return nil, &LockError{Name: o.LockName, Err: err}
		}
	}
	return l, nil
}

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
