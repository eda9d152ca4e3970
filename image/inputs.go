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
	for _, role := range append(vtpmRoles(), firmwareRoles(o.Launches)...) {
		if _, err := l.File(role); err != nil {
			return nil, &LockError{Name: o.LockName, Err: err}
		}
	}
	return l, nil
}

// vtpmRoles are the roles that every build needs.
func vtpmRoles() []lock.Role {
	return []lock.Role{lock.Kernel, lock.Stub, lock.FirmwareCode, lock.FirmwareVars}
}

// firmwareRoles are the roles that the platforms of confidential VMs need.
func firmwareRoles(launches []string) []lock.Role {
	var roles []lock.Role
	for _, p := range launches {
		switch p {
		case release.PlatformSNP:
			roles = append(roles, lock.FirmwareSNP)
		case release.PlatformTDX:
			roles = append(roles, lock.FirmwareTDX)
		}
	}
	return roles
}

// inputs is what a build takes out of the pinned packages.
type inputs struct {
	kernel   []byte
	stub     []byte
	modules  map[string][]byte // by path inside the package
	firmware []Artifact        // in the order of the lock file
	packages []release.Input
}

// readInputs fetches every file that the build uses, each checked against the
// lock. Packages of which nothing is used are no inputs.
func readInputs(ctx context.Context, r *lock.Resolver, l *lock.Lock, launches []string) (*inputs, error) {
	in := &inputs{modules: map[string][]byte{}}
	used := map[string]bool{}
	fetch := func(file lock.Input) ([]byte, error) {
		used[file.Package.Name] = true
		return r.File(ctx, file.Package, file.File)
	}
	for _, role := range append(vtpmRoles(), firmwareRoles(launches)...) {
		file, err := l.File(role)
		if err != nil {
			return nil, err
		}
		data, err := fetch(file)
		if err != nil {
			return nil, err
		}
		switch role {
		case lock.Kernel:
			in.kernel = data
		case lock.Stub:
			in.stub = data
		default:
			in.firmware = append(in.firmware, Artifact{Name: firmwareName(file.File.Path), Data: data})
		}
	}
	for _, file := range l.Files(lock.Module) {
		data, err := fetch(file)
		if err != nil {
			return nil, err
		}
		in.modules[file.File.Path] = data
	}
	for _, p := range l.Packages {
		if used[p.Name] {
			in.packages = append(in.packages, release.Input{
				Package: p.Name, Version: p.Version, Architecture: p.Architecture, SHA256: p.SHA256.String(),
			})
		}
	}
	return in, nil
}

// firmwareName is the artifact that a package's file becomes.
func firmwareName(packaged string) string { return "firmware/" + path.Base(packaged) }
