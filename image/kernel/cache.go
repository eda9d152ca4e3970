package kernel

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"safebox/image/output"
)

// The files of a cached kernel. The sums are of the other two, as sha256sum(1)
// writes them, and say that all of it is there.
const (
	imageName  = "bzImage"
	configName = "config"
	sumsName   = "SHA256SUMS"
)

// store keeps one kernel under the key of all that went into it.
type store struct {
	dir string // of all kernels
	key string
}

func (o Options) store(key string) store {
	return store{dir: filepath.Join(o.Resolver.CacheDir, "kernel"), key: key}
}

func (s store) folder() string { return filepath.Join(s.dir, s.key) }

// build returns the cached kernel, or else the one that compile makes. It gets
// the name of a file for its log, which stays only if it fails.
func (s store) build(ctx context.Context, report func(Step), compile func(log string) (*Kernel, error)) (_ *Kernel, err error) {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, err
	}
	unlock, err := s.lock(ctx, report)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	k, err := s.read()
	if err == nil {
		return k, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		report(Step{Name: "reading cache", Note: fmt.Sprintf("%v: building it again", err)})
		if err := os.RemoveAll(s.folder()); err != nil {
			return nil, err
		}
	}
	log := s.folder() + ".log"
	if k, err = compile(log); err != nil {
		if _, statErr := os.Stat(log); statErr == nil {
			err = fmt.Errorf("%w (log: %s)", err, log)
		}
		return nil, err
	}
	if err := s.write(k); err != nil {
		return nil, err
	}
	if err := os.Remove(log); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return k, nil
}

// lock keeps other builds of the same kernel waiting, also those of other
// processes, until the returned function is called.
func (s store) lock(ctx context.Context, report func(Step)) (unlock func() error, err error) {
	f, err := os.OpenFile(s.folder()+".lock", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for waiting := false; ; waiting = true {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f.Close, nil // the lock goes with the last descriptor
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("locking %s: %w", f.Name(), err), f.Close())
		}
		if !waiting {
			report(Step{Name: "waiting", Note: "another build makes the same kernel"})
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func sums(image, config []byte) []byte {
	return fmt.Appendf(nil, "%x  %s\n%x  %s\n", sha256.Sum256(image), imageName, sha256.Sum256(config), configName)
}

// read returns the cached kernel if its bytes are those that were written. An
// error that is not fs.ErrNotExist tells of a damaged one.
func (s store) read() (*Kernel, error) {
	if _, err := os.Stat(s.folder()); err != nil {
		return nil, err
	}
	content := map[string][]byte{}
	for _, name := range []string{imageName, configName, sumsName} {
		b, err := os.ReadFile(filepath.Join(s.folder(), name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("cached kernel %s is damaged: no %s", s.folder(), name)
		}
		if err != nil {
			return nil, err
		}
		content[name] = b
	}
	if !bytes.Equal(sums(content[imageName], content[configName]), content[sumsName]) {
		return nil, fmt.Errorf("cached kernel %s is damaged: its bytes do not have the sums of %s", s.folder(), sumsName)
	}
	release, err := Release(content[imageName])
	if err != nil {
		return nil, err
	}
	return &Kernel{Image: content[imageName], Config: content[configName], Release: release, Cached: true}, nil
}

// write makes the kernel appear in the cache whole.
func (s store) write(k *Kernel) error {
	f, err := output.NewFolder(s.folder(), sumsName)
	if err != nil {
		return err
	}
	for _, file := range []struct {
		name string
		b    []byte
	}{{imageName, k.Image}, {configName, k.Config}, {sumsName, sums(k.Image, k.Config)}} {
		err := f.Write(file.name, func(w io.Writer) error {
			_, err := w.Write(file.b)
			return err
		})
		if err != nil {
			return errors.Join(err, f.Discard())
		}
	}
	return f.Commit()
}
