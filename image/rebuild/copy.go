package rebuild

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
)

// Copy puts the files that Sum counts, and no others, into a temporary folder,
// which Close removes. What is built from it is built from what the sum says:
// a package in bin or out, which the sum leaves out, is not there to import,
// and nobody changes a file between the sum and the compiler.
func (s *Source) Copy(ctx context.Context) (_ *Source, err error) {
	from, err := os.OpenRoot(s.Dir)
	if err != nil {
		return nil, fmt.Errorf("copying source: %w", err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	c := &Source{Digest: s.Digest}
	if c.temporary, err = os.MkdirTemp("", "safebox-source-"); err != nil {
		return nil, fmt.Errorf("copying source: %w", err)
	}
	c.Dir = c.temporary
	if err := copySource(ctx, from, c.Dir); err != nil {
		return nil, errors.Join(fmt.Errorf("copying source %s: %w", s.Dir, err), c.Close())
	}
	return c, nil
}

func copySource(ctx context.Context, from *os.Root, dir string) error {
	names, err := sourceFiles(from.FS())
	if err != nil {
		return err
	}
	to, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err = ctx.Err(); err != nil {
			break
		}
		if err = copyFile(from, to, name); err != nil {
			err = fmt.Errorf("%s: %w", name, err)
			break
		}
	}
	return errors.Join(err, to.Close())
}

func copyFile(from, to *os.Root, name string) error {
	if err := to.MkdirAll(filepath.FromSlash(path.Dir(name)), 0o755); err != nil {
		return err
	}
	r, err := openSourceFile(from, name)
	if err != nil {
		return err
	}
	w, err := to.OpenFile(filepath.FromSlash(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return errors.Join(err, r.Close())
	}
	n, err := io.Copy(w, io.LimitReader(r, maxUnpacked+1))
	if err == nil && n > maxUnpacked {
		err = fmt.Errorf("more than %d bytes", int64(maxUnpacked))
	}
	return errors.Join(err, w.Close(), r.Close())
}
