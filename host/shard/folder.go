// Package shard keeps the shards of sealed objects on the host and serves them
// (specs/runtime.md, section B6). A shard is named by its Merkle root and is
// ciphertext: the store needs no key, and nobody trusts it. It checks names
// all the same, so that damage is found here and not first by a guest.
package shard

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"safebox/verifier/canon"
	"safebox/verifier/object"
)

// Modes of what the store makes, before the umask.
const (
	dirMode  = 0o755
	fileMode = 0o644
)

// Errors that callers tell apart.
var (
	ErrName = errors.New("the bytes are not the shard of that name")
	ErrSize = fmt.Errorf("a shard has 1 to %d bytes", object.ShardSize)
)

// Root names a shard: 64 digits of lower-case hex in paths and file names.
type Root = canon.Octets32

// Folder is a store in one folder: a file for each shard, its root the name.
// `safebox seal` writes such a folder. Several processes may use it at once.
type Folder struct {
	dir string
}

// NewFolder uses the folder at dir and makes it if it is not there.
func NewFolder(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("opening shard store: %w", err)
	}
	return &Folder{dir: dir}, nil
}

func (f *Folder) path(root Root) string { return filepath.Join(f.dir, root.String()) }

// Open gives a shard's file and size; the error is fs.ErrNotExist if there is
// no such shard. The content is not checked: whoever asked does that.
func (f *Folder) Open(root Root) (io.ReadSeekCloser, int64, error) {
	file, err := os.Open(f.path(root))
	if err != nil {
		return nil, 0, fmt.Errorf("opening shard: %w", err)
	}
	info, err := file.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() < 1 || info.Size() > object.ShardSize) {
		err = fmt.Errorf("opening shard %s: %v of %d bytes: %w", root, info.Mode().Type(), info.Size(), ErrSize)
	}
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}

// Put stores a shard if it is not there yet, and reports whether it did. The
// name is computed again. A file that is there but damaged is replaced: that
// is how a repaired shard comes back. When Put returns, the shard is on disk.
func (f *Folder) Put(root Root, shard []byte) (created bool, err error) {
	if len(shard) < 1 || len(shard) > object.ShardSize {
		return false, fmt.Errorf("storing shard %s: got %d bytes: %w", root, len(shard), ErrSize)
	}
	if got := Root(object.ShardRoot(shard)); got != root {
		return false, fmt.Errorf("storing shard: got root %s, want %s: %w", got, root, ErrName)
	}
	intact, err := f.intact(root)
	if err != nil || intact {
		return false, err
	}
	if err := f.write(root, shard); err != nil {
		return false, fmt.Errorf("storing shard %s: %w", root, err)
	}
	if err := f.sync(); err != nil {
		return false, fmt.Errorf("storing shard %s: %w", root, err)
	}
	return true, nil
}

// sync makes the folder's new names last.
func (f *Folder) sync() error {
	d, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// intact reports whether the file is there and is what its name says. One that
// can't be read is damaged too: writing it anew is the repair.
func (f *Folder) intact(root Root) (bool, error) {
	file, size, err := f.Open(root)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrSize) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	b := make([]byte, size)
	_, readErr := io.ReadFull(file, b)
	if err := file.Close(); err != nil {
		return false, err
	}
	return readErr == nil && Root(object.ShardRoot(b)) == root, nil
}

// write puts the shard in place in one step. Two writers of one name write the
// same bytes.
func (f *Folder) write(root Root, shard []byte) (err error) {
	tmp, err := os.CreateTemp(f.dir, ".shard.*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	_, err = tmp.Write(shard)
	if err == nil {
		err = tmp.Chmod(fileMode)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), f.path(root))
}
