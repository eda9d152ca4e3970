// Package output makes results appear whole or not at all: what is written
// lies under a temporary name beside the target until it is complete and on
// disk, and takes the target's name in one step.
package output

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// File modes of results, whatever the umask says.
const (
	fileMode   = 0o644
	secretMode = 0o600
	dirMode    = 0o755
)

// File writes a file at path through write. When write or anything else fails,
// path is as it was before.
func File(path string, write func(io.Writer) error) error {
	return file(path, fileMode, write)
}

// SecretFile is File for what only its owner may read.
func SecretFile(path string, write func(io.Writer) error) error {
	return file(path, secretMode, write)
}

func file(path string, mode fs.FileMode, write func(io.Writer) error) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("writing %s: %w", path, err), removeAll(tmp.Name()))
		}
	}()
	if err := fill(tmp, mode, write); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

func fill(f *os.File, mode fs.FileMode, write func(io.Writer) error) error {
	err := write(f)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Folder is a folder of results under construction.
type Folder struct {
	path string // where it will appear
	tmp  string // where it lies until then
}

// NewFolder starts a folder that will appear at path. What is there now must
// be nothing, an empty folder, or an earlier result, known by holding a file
// named marker; anything else is refused, so that no stranger's folder is
// ever replaced.
func NewFolder(path, marker string) (*Folder, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("preparing output folder: %w", err)
	}
	if err := replaceable(path, marker); err != nil {
		return nil, fmt.Errorf("preparing output folder: %w", err)
	}
	parent := filepath.Dir(path)
	if err := os.MkdirAll(parent, dirMode); err != nil {
		return nil, fmt.Errorf("preparing output folder: %w", err)
	}
	tmp, err := os.MkdirTemp(parent, "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, fmt.Errorf("preparing output folder: %w", err)
	}
	if err := os.Chmod(tmp, dirMode); err != nil {
		return nil, errors.Join(fmt.Errorf("preparing output folder: %w", err), removeAll(tmp))
	}
	return &Folder{path: path, tmp: tmp}, nil
}

func replaceable(path, marker string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	found := slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == marker })
	if len(entries) > 0 && !found {
		return fmt.Errorf("%s holds files but no %s: not replacing a folder that is not ours", path, marker)
	}
	return nil
}

// Write adds a file; name may have folders in it.
func (f *Folder) Write(name string, write func(io.Writer) error) error {
	return f.write(name, fileMode, write)
}

// WriteSecret is Write for what only its owner may read.
func (f *Folder) WriteSecret(name string, write func(io.Writer) error) error {
	return f.write(name, secretMode, write)
}

func (f *Folder) write(name string, mode fs.FileMode, write func(io.Writer) error) error {
	if !filepath.IsLocal(name) {
		return fmt.Errorf("writing %q: not a path below the output folder", name)
	}
	target := filepath.Join(f.tmp, name)
	dir := filepath.Dir(target)
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := os.Chmod(dir, dirMode); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	w, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, secretMode)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := fill(w, mode, write); err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Join(f.path, name), err)
	}
	return nil
}

// Commit makes the folder appear at its path, in place of an earlier result.
func (f *Folder) Commit() error {
	if err := f.checkReplaced(); err != nil {
		return fmt.Errorf("putting %s in place: %w", f.path, errors.Join(err, f.Discard()))
	}
	err := unix.Renameat2(unix.AT_FDCWD, f.tmp, unix.AT_FDCWD, f.path, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.ENOENT) {
		err = unix.Renameat2(unix.AT_FDCWD, f.tmp, unix.AT_FDCWD, f.path, unix.RENAME_NOREPLACE)
		if err == nil {
			f.tmp = ""
		}
	}
	if err != nil {
		return fmt.Errorf("putting %s in place: %w", f.path, err)
	}
	return f.Discard() // after an exchange tmp names the earlier result
}

// checkReplaced refuses to remove files of an earlier result's folder that the
// new one does not bring: they may be somebody's.
func (f *Folder) checkReplaced() error {
	err := filepath.WalkDir(f.path, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(f.path, path)
		if err != nil {
			return err
		}
		if _, err := os.Lstat(filepath.Join(f.tmp, rel)); err != nil {
			return fmt.Errorf("%s would be lost: it is not part of the new result; move it away", rel)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		if _, statErr := os.Lstat(f.path); errors.Is(statErr, fs.ErrNotExist) {
			return nil
		}
	}
	return err
}

// Discard removes what is under construction; after Commit it does nothing.
func (f *Folder) Discard() error {
	if f.tmp == "" {
		return nil
	}
	tmp := f.tmp
	f.tmp = ""
	return removeAll(tmp)
}

func removeAll(path string) error {
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("cleaning up: %w", err)
	}
	return nil
}
