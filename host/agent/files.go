package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Names below the instance's temporary state.
const (
	tpmDir   = "tpm"
	varsName = "vars.fd"
)

// maxVars bounds the firmware's variables; OVMF's are 528 KiB.
const maxVars = 64 << 20

// path names a file of the instance's temporary state.
func (l *launch) path(name string) string { return filepath.Join(l.inst.RunDir(), name) }

func makeDir(path string) error { return os.Mkdir(path, 0o700) }

// copyWhole copies a file: whole or not at all. The space is taken first, so
// that a full disk shows here and not when the guest writes a variable.
func copyWhole(dst, src string) (err error) {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	fi, err := in.Stat()
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() || fi.Size() == 0 || fi.Size() > maxVars {
		return fmt.Errorf("%s: %v of %d bytes, want a file of 1 to %d", src, fi.Mode().Type(), fi.Size(), maxVars)
	}
	temp := dst + ".new"
	out, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp))
		}
	}()
	if err := fill(out, in, fi.Size()); err != nil {
		return errors.Join(err, out.Close())
	}
	if err := out.Close(); err != nil {
		return err
	}
	return os.Rename(temp, dst)
}

func fill(out, in *os.File, size int64) error {
	// Some file systems can't; then the copy itself finds out.
	if err := unix.Fallocate(int(out.Fd()), 0, 0, size); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return &os.PathError{Op: "reserving space for", Path: out.Name(), Err: err}
	}
	n, err := io.Copy(out, io.LimitReader(in, size))
	if err == nil && n != size {
		err = fmt.Errorf("%s: got %d bytes, want %d", in.Name(), n, size)
	}
	return err
}
