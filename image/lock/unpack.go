package lock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"safebox/image/deb"
)

// File returns the bytes of one file of a package. They come from the cache if
// they are there and all that the lock says of the package was found true once;
// else the package is fetched and unpacked, and all of its locked files enter
// the cache. The bytes are verified every time.
func (r *Resolver) File(ctx context.Context, p Package, f File) ([]byte, error) {
	return locked(ctx, r, p, f, func(cache store) ([]byte, bool, error) { return cache.read(f.pinned(p)) })
}

// Open is File for bytes that need not all lie in memory: the file in the cache,
// read and verified, standing at its beginning.
func (r *Resolver) Open(ctx context.Context, p Package, f File) (*os.File, error) {
	return locked(ctx, r, p, f, func(cache store) (*os.File, bool, error) { return cache.open(ctx, f.pinned(p)) })
}

// locked takes a locked file out of the cache with read, which says false when
// it is not there.
func locked[T any](ctx context.Context, r *Resolver, p Package, f File, read func(store) (T, bool, error)) (T, error) {
	var none T
	cache, err := r.cache()
	if err != nil {
		return none, err
	}
	if !slices.Contains(p.Files, f) {
		return none, fmt.Errorf("package %s: the lock lists no file %s %s", p, f.Role, f.Path)
	}
	checked, err := cache.checked(p)
	if err != nil {
		return none, err
	}
	if checked {
		if v, ok, err := read(cache); err != nil || ok {
			return v, err
		}
	}
	if err := r.unpack(ctx, cache, p); err != nil {
		return none, err
	}
	v, ok, err := read(cache)
	if err == nil && !ok {
		err = fmt.Errorf("reading cache: file %s of package %s: gone again", f.Path, p)
	}
	return v, err
}

// Walk calls visit for every entry of a package, in its order, as
// [deb.Package.Files] does. The package has its locked hash, and its control
// fields are those of the lock.
func (r *Resolver) Walk(ctx context.Context, p Package, visit func(deb.Entry, io.Reader) error) error {
	name, err := r.Package(ctx, p)
	if err != nil {
		return err
	}
	return withPackage(name, p, func(d *deb.Package) error { return d.Files(visit) })
}

// unpack takes the locked files out of the package, verifies all of them and
// stores them.
func (r *Resolver) unpack(ctx context.Context, cache store, p Package) error {
	name, err := r.Package(ctx, p)
	if err != nil {
		return err
	}
	files := make(map[string]File, len(p.Files))
	for _, f := range p.Files {
		files[f.Path] = f
	}
	err = extract(name, p, func(path string, content io.Reader) error {
		return cache.keep(ctx, files[path].pinned(p), content, name+":"+path, hintPackage)
	})
	if err != nil {
		return err
	}
	return cache.setChecked(p)
}

// extract calls visit for each locked file of the package.
func extract(name string, p Package, visit func(path string, content io.Reader) error) error {
	paths := make([]string, len(p.Files))
	for i, f := range p.Files {
		paths[i] = f.Path
	}
	return withPackage(name, p, func(d *deb.Package) error { return d.ExtractEach(visit, paths...) })
}

// withPackage opens the package and checks that it is the one that its line says.
func withPackage(name string, p Package, use func(*deb.Package) error) (err error) {
	defer func() {
		var mismatch *MismatchError // names the package itself
		if err != nil && !errors.As(err, &mismatch) {
			err = fmt.Errorf("package %s: %w", p, err)
		}
	}()
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	d, err := deb.Open(f, p.Size, deb.DefaultLimits())
	if err != nil {
		return err
	}
	if d.Name != p.Name || d.Version != p.Version || d.Architecture != p.Architecture {
		return fmt.Errorf("control fields: got %s %s %s, want %s %s %s as the lock says",
			d.Name, d.Version, d.Architecture, p.Name, p.Version, p.Architecture)
	}
	return use(d)
}
