// Package lockfile asks the kernel who is alive: a lock by flock(2) on a file
// is dropped by the end of the process that holds it, however it comes. The
// descriptor is not inherited by children.
package lockfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// ErrHeld is what Try gives when somebody else holds the lock.
var ErrHeld = errors.New("held by another process")

// Wait opens path, makes it if needed, and waits for its lock. Closing the
// file drops the lock.
func Wait(path string) (*os.File, error) { return lock(path, unix.LOCK_EX) }

// Try is Wait for those who would rather have ErrHeld than wait.
func Try(path string) (*os.File, error) { return lock(path, unix.LOCK_EX|unix.LOCK_NB) }

func lock(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := flock(f, how); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return ErrHeld
		case !errors.Is(err, unix.EINTR):
			return fmt.Errorf("locking %s: %w", f.Name(), err)
		}
	}
}

// Held tells whether somebody holds the lock of path. Nobody holds the lock of
// a file that does not exist.
func Held(path string) (held bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	err = flock(f, unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, ErrHeld) {
		return true, nil
	}
	return false, err
}
