package lock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
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

// Fetch brings everything that the lock names into the cache. What a build with
// the distribution's kernel needs is the lock's WithoutSource.
func (r *Resolver) Fetch(ctx context.Context, l *Lock) error {
	for _, p := range l.Packages {
		for _, f := range p.Files {
			if _, err := locked(ctx, r, p, f, func(cache store) (struct{}, bool, error) {
				ok, err := cache.has(ctx, f.pinned(p))
				return struct{}{}, ok, err
			}); err != nil {
				return err
			}
		}
	}
	// Whoever fetches means to have the packages too, all of them.
	for _, p := range slices.Concat(l.Packages, l.Tools) {
		if _, err := r.Package(ctx, p); err != nil {
			return err
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
