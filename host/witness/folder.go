package witness

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"safebox/host/lockfile"
)

// Names and modes in a state folder.
const (
	lockName    = "lock"
	stateSuffix = ".state"
	tmpSuffix   = ".tmp" // of a state being replaced
	newSuffix   = ".new" // of a first state being made, maybe while a witness runs
	evidenceDir = "evidence"
	dirMode     = 0o700
	fileMode    = 0o600
)

// ErrExists says that a log is added once.
var ErrExists = errors.New("the log has a state already")

// folder keeps a file for each log. It is opened once: should somebody put
// another folder in its place, writing fails instead of going there.
type folder struct {
	path string
	root *os.Root
	dir  *os.File // the folder itself, for fsync
	sync func(*os.File) error
}

func openFolder(path string) (*folder, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("opening state folder: %w", err)
	}
	dir, err := root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("opening state folder: %w", errors.Join(err, root.Close()))
	}
	return &folder{path: path, root: root, dir: dir, sync: (*os.File).Sync}, nil
}

func (f *folder) close() error { return errors.Join(f.dir.Close(), f.root.Close()) }

// lock takes the folder for this process until the file is closed.
func (f *folder) lock() (*os.File, error) {
	lock, err := lockfile.Try(filepath.Join(f.path, lockName))
	if errors.Is(err, lockfile.ErrHeld) {
		return nil, fmt.Errorf("state folder %s: another witness works in it: %w", f.path, err)
	}
	return lock, err
}

// stateName is the name of a log's file: origins may hold slashes.
func stateName(origin string) string {
	return fmt.Sprintf("%x%s", sha256.Sum256([]byte(origin)), stateSuffix)
}

// load reads the state of a log, which must be there.
func (f *folder) load(origin string) (*state, error) {
	name := stateName(origin)
	s, err := f.read(name)
	if err != nil {
		return nil, fmt.Errorf("state of log %q: %w", origin, err)
	}
	if s.origin != origin {
		return nil, fmt.Errorf("state of log %q: %s is of log %q", origin, filepath.Join(f.path, name), s.origin)
	}
	return s, nil
}

func (f *folder) read(name string) (*state, error) {
	file, err := f.root.Open(name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(file, maxState+1))
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	s, err := decodeState(b)
	if err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", filepath.Join(f.path, name), err)
	}
	return s, nil
}

// list reads the states of all logs, in the order of their file names.
func (f *folder) list() ([]*state, error) {
	entries, err := fs.ReadDir(f.root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("listing state folder: %w", err)
	}
	var list []*state
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), stateSuffix) {
			continue
		}
		s, err := f.read(e.Name())
		if err != nil {
			return nil, fmt.Errorf("state file: %w", err)
		}
		list = append(list, s)
	}
	return list, nil
}

// create writes the first state of a log, never over another.
func (f *folder) create(s *state) error {
	name := stateName(s.origin)
	tmp := name + newSuffix
	if err := f.fill(tmp, s.encode()); err != nil {
		return err
	}
	err := f.root.Link(tmp, name) // unlike rename, link fails if name is there
	if errors.Is(err, fs.ErrExist) {
		err = ErrExists
	}
	return errors.Join(err, f.root.Remove(tmp), f.sync(f.dir))
}

// save replaces the state of a log. Replaced tells whether the new state may
// be the one that a crash leaves; an error with it means that it may not.
func (f *folder) save(s *state) (replaced bool, err error) {
	name := stateName(s.origin)
	tmp := name + tmpSuffix // one writer for each log: the lock and log.mu
	if err := f.fill(tmp, s.encode()); err != nil {
		return false, err
	}
	if err := f.root.Rename(tmp, name); err != nil {
		return false, err
	}
	return true, f.sync(f.dir)
}

// fill writes a file whose bytes are on disk when it returns.
func (f *folder) fill(name string, b []byte) error {
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	if err == nil {
		err = f.sync(file)
	}
	return errors.Join(err, file.Close())
}
