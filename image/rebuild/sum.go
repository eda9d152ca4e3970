package rebuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

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

// DifferentFile names the first file, by name, that one of two sources has and
// the other has not, or not with the same content, and says which it is. It is
// empty if Sum is the same for both.
func DifferentFile(ctx context.Context, a, b string) (string, error) {
	files := [2]map[string]bool{}
	var all []string
	for i, dir := range []string{a, b} {
		names, err := sourceFiles(os.DirFS(dir))
		if err != nil {
			return "", fmt.Errorf("comparing sources: %s: %w", dir, err)
		}
		files[i] = map[string]bool{}
		for _, name := range names {
			files[i][name] = true
		}
		all = append(all, names...)
	}
	slices.Sort(all)
	for _, name := range slices.Compact(all) {
		switch {
		case ctx.Err() != nil:
			return "", ctx.Err()
		case !files[1][name]:
			return fmt.Sprintf("%q is not in it", name), nil
		case !files[0][name]:
			return fmt.Sprintf("%q is missing", name), nil
		}
		same, err := sameFile(filepath.Join(a, filepath.FromSlash(name)), filepath.Join(b, filepath.FromSlash(name)))
		if err != nil {
			return "", fmt.Errorf("comparing sources: %w", err)
		}
		if !same {
			return fmt.Sprintf("%q differs", name), nil
		}
	}
	return "", nil
}

func sameFile(a, b string) (bool, error) {
	one, err := readRegular(a, maxUnpacked)
	if err != nil {
		return false, err
	}
	two, err := readRegular(b, maxUnpacked)
	return bytes.Equal(one, two), err
}
