package lock

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"safebox/image/deb"
)

// Resolver finds the bytes that a lock names. Places are asked in this order:
// CacheDir, Inputs, Mirrors, Snapshot. Whatever is found enters the cache, and
// only through it reaches the caller.
type Resolver struct {
	CacheDir string   // required
	Inputs   []string // folders with packages under their file names, or an unpacked archive (Pack)
	Mirrors  []string // http or https URLs of roots, above "pool" and "dists"
	Snapshot string   // one more such URL, asked last; empty for none
	Offline  bool     // never open a connection

	// FindMirrors, if set, names more mirrors, asked after Mirrors: AptMirrors.
	// It is called once and only when a mirror is needed, for apt takes longer
	// to answer than a build from the cache has left to do.
	FindMirrors func(context.Context) ([]string, error)

	// Progress, if set, is called while a download goes on, with the bytes so
	// far and in all (0 if unknown).
	Progress func(name string, done, total int64)

	transport http.RoundTripper // for tests; nil for the network

	find     sync.Once
	found    []string // what FindMirrors returned
	notFound error
}

func (r *Resolver) cache() (store, error) {
	if r.CacheDir == "" {
		return "", errors.New("resolving inputs: no cache folder given")
	}
	return store(r.CacheDir), nil
}

// File returns the bytes of one file of a package. They come from the cache if
// they are there and all that the lock says of the package was found true once;
// else the package is fetched and unpacked, and all of its locked files enter
// the cache. The bytes are verified every time.
func (r *Resolver) File(ctx context.Context, p Package, f File) ([]byte, error) {
	cache, err := r.cache()
	if err != nil {
		return nil, err
	}
	checked, err := cache.checked(p)
	if err != nil {
		return nil, err
	}
	if checked {
		b, ok, err := cache.read(f.pinned(p))
		if err != nil || ok {
			return b, err
		}
	}
	files, err := r.unpack(ctx, p)
	if err != nil {
		return nil, err
	}
	b, ok := files[f]
	if !ok {
		return nil, fmt.Errorf("package %s: the lock lists no file %s %s", p, f.Role, f.Path)
	}
	return b, nil
}

// Package returns the path of the package in the cache, verified.
func (r *Resolver) Package(ctx context.Context, p Package) (string, error) {
	cache, err := r.cache()
	if err != nil {
		return "", err
	}
	if err := p.checkPool(); err != nil {
		return "", fmt.Errorf("package %s: %w", p, err)
	}
	ok, err := cache.has(ctx, p.pinned())
	if err != nil {
		return "", err
	}
	if ok {
		return cache.path(p.SHA256), nil
	}
	missing := &MissingError{Package: p, Offline: r.Offline, Looked: []string{"cache " + r.CacheDir}}
	for _, dir := range r.Inputs {
		found, err := r.fromInput(ctx, cache, p, dir)
		if err != nil {
			return "", err
		}
		if found {
			return cache.path(p.SHA256), nil
		}
		missing.Looked = append(missing.Looked, "inputs "+dir)
	}
	if r.Offline {
		return "", missing
	}
	servers, err := r.servers(ctx)
	if err != nil {
		return "", err
	}
	for _, base := range servers {
		reason, err := r.fromServer(ctx, cache, p, base)
		if err != nil {
			return "", err
		}
		if reason == "" {
			return cache.path(p.SHA256), nil
		}
		missing.Looked = append(missing.Looked, reason)
	}
	if len(servers) == 0 {
		missing.Looked = append(missing.Looked, "no mirror, for none is configured")
	}
	return "", missing
}

// Fetch brings everything that a build with this lock needs into the cache.
func (r *Resolver) Fetch(ctx context.Context, l *Lock) error {
	for _, p := range l.Packages {
		if _, err := r.Package(ctx, p); err != nil {
			return err
		}
		for _, f := range p.Files {
			if _, err := r.File(ctx, p, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// fromInput copies a package out of a folder. A file with the package's name
// and other content is an error: whoever put it there meant it to be used.
func (r *Resolver) fromInput(ctx context.Context, cache store, p Package, dir string) (bool, error) {
	if info, err := os.Stat(dir); err != nil {
		return false, fmt.Errorf("looking in inputs: %w", err)
	} else if !info.IsDir() {
		return false, fmt.Errorf("looking in inputs: %s is not a folder", dir)
	}
	for _, name := range []string{filepath.Join(dir, p.base()), store(dir).path(p.SHA256)} {
		f, err := openRegular(name, p.pinned(), hintInput)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return false, err
		}
		err = cache.write(ctx, p.pinned(), f, name, hintInput)
		return err == nil, errors.Join(err, f.Close())
	}
	return false, nil
}

// unpack takes the locked files out of the package, verifies all of them and
// stores them.
func (r *Resolver) unpack(ctx context.Context, p Package) (map[File][]byte, error) {
	cache, err := r.cache()
	if err != nil {
		return nil, err
	}
	name, err := r.Package(ctx, p)
	if err != nil {
		return nil, err
	}
	paths := make([]string, len(p.Files))
	for i, f := range p.Files {
		paths[i] = f.Path
	}
	contents, err := extract(name, p, paths)
	if err != nil {
		return nil, err
	}
	files := make(map[File][]byte, len(p.Files))
	for _, f := range p.Files {
		b := contents[f.Path]
		if err := f.pinned(p).check(name+":"+f.Path, hintPackage, int64(len(b)), sha256.Sum256(b)); err != nil {
			return nil, err
		}
		files[f] = b
		if ok, err := cache.has(ctx, f.pinned(p)); err != nil {
			return nil, err
		} else if ok {
			continue
		}
		if err := cache.write(ctx, f.pinned(p), bytes.NewReader(b), name, hintPackage); err != nil {
			return nil, err
		}
	}
	return files, cache.setChecked(p)
}

// extract opens the package and checks that it is the one that its line says.
func extract(name string, p Package, paths []string) (_ map[string][]byte, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("package %s: %w", p, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	d, err := deb.Open(f, p.Size, deb.DefaultLimits())
	if err != nil {
		return nil, fmt.Errorf("package %s: %w", p, err)
	}
	if d.Name != p.Name || d.Version != p.Version || d.Architecture != p.Architecture {
		return nil, fmt.Errorf("package %s: control fields: got %s %s %s, want %s %s %s as the lock says",
			p, d.Name, d.Version, d.Architecture, p.Name, p.Version, p.Architecture)
	}
	contents, err := d.Extract(paths...)
	if err != nil {
		return nil, fmt.Errorf("package %s: %w", p, err)
	}
	return contents, nil
}
