package rebuild

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Source is the source to build from.
type Source struct {
	Dir    string            // its root folder, which holds go.mod
	Digest [sha256.Size]byte // of the archive that it was unpacked from; zero for a folder

	temporary string // to remove; empty if the folder is the caller's
}

// OpenSource takes a folder as it is and unpacks an archive (tar, tar in gzip,
// zip) into a temporary folder, which Close removes.
func OpenSource(ctx context.Context, path string) (_ *Source, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("opening source: %w", err)
	}
	if info.IsDir() {
		return &Source{Dir: path}, nil
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait
		return nil, fmt.Errorf("opening source: %s: want a folder, or an archive in a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening source: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	s := &Source{}
	if s.temporary, err = os.MkdirTemp("", "safebox-source-"); err != nil {
		return nil, fmt.Errorf("opening source: %w", err)
	}
	if err := s.fill(ctx, f); err != nil {
		return nil, errors.Join(fmt.Errorf("unpacking source %s: %w", path, err), s.Close())
	}
	return s, nil
}

// Close removes what was unpacked.
func (s *Source) Close() error {
	if s.temporary == "" {
		return nil
	}
	return os.RemoveAll(s.temporary)
}

// fill hashes and unpacks an archive and finds the root of the source in it.
func (s *Source) fill(ctx context.Context, f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() > maxArchive {
		return fmt.Errorf("got %v of %d bytes, want a folder, or an archive of at most %d", info.Mode().Type(), info.Size(), int64(maxArchive))
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, info.Size())); err != nil {
		return err
	}
	s.Digest = [sha256.Size]byte(h.Sum(nil))
	root, err := os.OpenRoot(s.temporary)
	if err != nil {
		return err
	}
	err = unpack(ctx, f, info.Size(), root)
	if err = errors.Join(err, root.Close()); err != nil {
		return err
	}
	s.Dir, err = moduleRoot(s.temporary)
	return err
}

// moduleRoot is where go.mod lies: at the top, or in the one folder there, as
// in the archives that git and its servers make.
func moduleRoot(dir string) (string, error) {
	for range 2 {
		if _, err := os.Lstat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return "", err
		}
		if len(entries) != 1 || !entries[0].IsDir() {
			break
		}
		dir = filepath.Join(dir, entries[0].Name())
	}
	return "", errors.New("no go.mod at the top of the archive, nor in its one folder: it is no source of safebox")
}
