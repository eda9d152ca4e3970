package lock

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// store is a folder of files named by the hash of their content, sha256/HEX:
// the cache, and the layout of an archive that Pack writes.
type store string

func (s store) path(d Digest) string { return filepath.Join(string(s), "sha256", d.String()) }

// pinned is what the lock says about some bytes, and how messages call them.
type pinned struct {
	subject string
	size    int64
	sum     Digest
}

func (p Package) pinned() pinned {
	return pinned{subject: "package " + p.String(), size: p.Size, sum: p.SHA256}
}

func (f File) pinned(owner Package) pinned {
	return pinned{subject: "file " + f.Path + " of package " + owner.String(), size: f.Size, sum: f.SHA256}
}

// check compares the size and hash that were found with those pinned.
func (p pinned) check(place, hint string, size int64, sum Digest) error {
	if size != p.size {
		return p.mismatch(place, hint, "size", strconv.FormatInt(size, 10), strconv.FormatInt(p.size, 10))
	}
	if sum != p.sum {
		return p.mismatch(place, hint, "sha256", sum.String(), p.sum.String())
	}
	return nil
}

func (p pinned) mismatch(place, hint, field, got, want string) error {
	return &MismatchError{Subject: p.subject, Place: place, Field: field, Got: got, Want: want, hint: hint}
}

// read returns the stored bytes, verified; false when there are none.
func (s store) read(p pinned) ([]byte, bool, error) {
	name := s.path(p.sum)
	f, err := openRegular(name, p, hintCache)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	b, err := io.ReadAll(io.LimitReader(f, p.size+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, false, fmt.Errorf("reading cache: %w", err)
	}
	if err := p.check(name, hintCache, int64(len(b)), sha256.Sum256(b)); err != nil {
		return nil, false, err
	}
	return b, true, nil
}

// has verifies the stored bytes without keeping them; false when there are none.
func (s store) has(ctx context.Context, p pinned) (bool, error) {
	f, ok, err := s.open(ctx, p)
	if !ok || err != nil {
		return false, err
	}
	if err := f.Close(); err != nil {
		return false, fmt.Errorf("reading cache: %w", err)
	}
	return true, nil
}

// open verifies the stored bytes and returns the file, at its beginning; false
// when there is none.
func (s store) open(ctx context.Context, p pinned) (*os.File, bool, error) {
	name := s.path(p.sum)
	f, err := openRegular(name, p, hintCache)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	size, sum, err := digest(ctx, io.Discard, f, p.size)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, false, errors.Join(fmt.Errorf("reading cache: %w", err), f.Close())
	}
	if err := p.check(name, hintCache, size, sum); err != nil {
		return nil, false, errors.Join(err, f.Close())
	}
	return f, true, nil
}

// keep stores what src holds if it is what p pins. What is stored already stays,
// but src must hold the same.
func (s store) keep(ctx context.Context, p pinned, src io.Reader, place, hint string) error {
	ok, err := s.has(ctx, p)
	if err != nil {
		return err
	}
	if !ok {
		return s.write(ctx, p, src, place, hint)
	}
	size, sum, err := digest(ctx, io.Discard, src, p.size)
	if err != nil {
		return err
	}
	return p.check(place, hint, size, sum)
}

// openRegular opens a file whose size can be right; a fifo or a device could
// block, or go on for ever.
func openRegular(name string, p pinned, hint string) (*os.File, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, p.mismatch(name, hint, "type", info.Mode().Type().String(), "a regular file")
	}
	if info.Size() != p.size {
		return nil, p.check(name, hint, info.Size(), p.sum)
	}
	return os.Open(name)
}

// write stores what src holds if it is what p pins. The bytes get their name
// only when they are complete, verified and on the disk, so a failure at any
// point leaves nothing behind that could be taken for them.
func (s store) write(ctx context.Context, p pinned, src io.Reader, place, hint string) (err error) {
	dir := filepath.Dir(s.path(p.sum))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("writing cache: %w", err)
	}
	tmp, err := os.CreateTemp(dir, ".partial-")
	if err != nil {
		return fmt.Errorf("writing cache: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	size, sum, err := digest(ctx, tmp, src, p.size)
	if err == nil {
		err = p.check(place, hint, size, sum)
	}
	if err == nil {
		err = errors.Join(tmp.Chmod(0o644), tmp.Sync())
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), s.path(p.sum)); err != nil {
		return fmt.Errorf("writing cache: %w", err)
	}
	return nil
}

// checkedName is the file that stands for "every line of p is true": the package
// had its hash, its control fields and all its files. A file in the cache has
// only its own hash to show, so without this a wrong package line would go
// unnoticed, and into release.json, wherever the cache is warm.
func (s store) checkedName(p Package) string {
	return filepath.Join(string(s), "checked", Digest(sha256.Sum256([]byte(p.lines("package")))).String())
}

func (s store) checked(p Package) (bool, error) {
	_, err := os.Stat(s.checkedName(p))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (s store) setChecked(p Package) error {
	name := s.checkedName(p)
	err := os.MkdirAll(filepath.Dir(name), 0o755)
	if err == nil {
		err = os.WriteFile(name, nil, 0o644)
	}
	if err != nil {
		return fmt.Errorf("writing cache: %w", err)
	}
	return nil
}

// sourceError is a failure to read the source, as opposed to one to write the
// copy: another place may do better.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

// digest copies at most limit+1 bytes, so that a source that is too long shows
// in the size returned but costs nothing.
func digest(ctx context.Context, dst io.Writer, src io.Reader, limit int64) (size int64, sum Digest, err error) {
	h := sha256.New()
	buf := make([]byte, 128<<10)
	src = io.LimitReader(src, limit+1)
	for {
		if err := ctx.Err(); err != nil {
			return size, sum, err
		}
		n, rerr := src.Read(buf)
		size += int64(n)
		if _, err := io.MultiWriter(h, dst).Write(buf[:n]); err != nil {
			return size, sum, fmt.Errorf("writing copy: %w", err)
		}
		if errors.Is(rerr, io.EOF) {
			return size, Digest(h.Sum(nil)), nil
		}
		if rerr != nil {
			return size, sum, &sourceError{fmt.Errorf("reading after %d bytes: %w", size, rerr)}
		}
	}
}
