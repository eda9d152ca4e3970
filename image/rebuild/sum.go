package rebuild

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/dirhash"
)

// Sum is what a release record calls its source: Go's directory hash, version
// h1 (golang.org/x/mod/sumdb/dirhash, Hash1), over every file below dir by its
// slash path, but for what is no source: .git, and the folders bin and out that
// builds write (.gitignore). A link or a device is refused: what it leads to is
// not in the sum. Modes, times and empty folders do not count.
func Sum(ctx context.Context, dir string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("summing source: %w", err)
	}
	sum, err := sumRoot(ctx, root)
	if err = errors.Join(err, root.Close()); err != nil {
		return "", fmt.Errorf("summing source %s: %w", dir, err)
	}
	return sum, nil
}

func sumRoot(ctx context.Context, root *os.Root) (string, error) {
	names, err := sourceFiles(root.FS())
	if err != nil {
		return "", err
	}
	return dirhash.Hash1(names, func(name string) (io.ReadCloser, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return openSourceFile(root, name)
	})
}

// openSourceFile opens a file that was one when it was listed, and still is.
func openSourceFile(root *os.Root, name string) (io.ReadCloser, error) {
	info, err := root.Lstat(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: got %v, want a file: it changed meanwhile", name, info.Mode().Type())
	}
	return root.Open(filepath.FromSlash(name))
}

// sourceFiles lists the files that are source, by slash path.
func sourceFiles(fsys fs.FS) ([]string, error) {
	var names []string
	var total int64
	err := fs.WalkDir(fsys, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch {
		case name == ".git" && e.Type().IsRegular(): // of a second working tree
			return nil
		case e.IsDir() && (name == ".git" || name == "bin" || name == "out"):
			return fs.SkipDir
		case e.IsDir():
			return nil
		case !e.Type().IsRegular():
			return fmt.Errorf("%s: got %v, want files and folders only", name, e.Type())
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		names = append(names, name)
		if total += info.Size(); total > maxUnpacked || len(names) > maxMembers {
			return fmt.Errorf("more than %d bytes or %d files", int64(maxUnpacked), maxMembers)
		}
		return nil
	})
	if err == nil && len(names) == 0 {
		err = errors.New("no file in it")
	}
	return names, err
}
