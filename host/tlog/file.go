package tlog

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"safebox/image/output"
)

// dirMode is that of the folders, before the umask: all of the log is public.
const dirMode = 0o755

// writeWhole puts a file in place in one step. When it returns nil, content
// and name are on disk.
func writeWhole(path string, b []byte) error {
	err := output.File(path, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// makeDir makes a folder and those above it that are missing, so that their
// names last.
func makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

// syncDir makes a folder's names last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
