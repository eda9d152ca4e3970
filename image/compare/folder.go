package compare

import (
	"fmt"
	"io"
	"io/fs"
	"slices"
)

// maxFiles bounds a folder. A build has about a dozen files.
const maxFiles = 4096

// buildOrder lists the files of a build, causes before what is made of them.
// All others come after these, sorted, and release.json, which describes all,
// comes last.
func buildOrder() []string {
	return []string{
		"kernel.config", "vmlinuz", "safebox-init", "cmdline", "initrd.cpio.zst", "safebox.efi",
		"safebox.raw", "safebox.qcow2", "safebox.vhd", "safebox.gcp.tar.gz", "safebox.eif",
	}
}

const lastFile = "release.json"

// Folders compares two build folders by the names and contents of their files
// and returns one difference for each file that differs, the first cause first.
// Modes, owners and times are not looked at: they are the file system's.
func Folders(a, b fs.FS) ([]Difference, error) {
	filesA, err := list(a)
	if err != nil {
		return nil, fmt.Errorf("comparing folders: the first: %w", err)
	}
	filesB, err := list(b)
	if err != nil {
		return nil, fmt.Errorf("comparing folders: the second: %w", err)
	}
	var found []Difference
	for _, name := range Order(slices.Concat(filesA, filesB)) {
		d, err := files(name, a, b, slices.Contains(filesA, name), slices.Contains(filesB, name))
		if err != nil {
			return nil, fmt.Errorf("comparing folders: %w", err)
		}
		if d != nil {
			found = append(found, *d)
		}
	}
	return found, nil
}

// list gives the paths of all files. What is neither a file nor a folder is
// refused, so that no link leads out of a build.
func list(folder fs.FS) ([]string, error) {
	var names []string
	err := fs.WalkDir(folder, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if !e.Type().IsRegular() {
			return fmt.Errorf("%s: got %v, want a file or a folder", path, e.Type())
		}
		if len(names) == maxFiles {
			return fmt.Errorf("%s: more than %d files", path, maxFiles)
		}
		names = append(names, path)
		return nil
	})
	return names, err
}

// Order puts the names of a build's files, each once, in the order in which
// they are compared: causes before consequences.
func Order(names []string) []string {
	all := slices.Clone(names)
	slices.Sort(all)
	all = slices.Compact(all)
	slices.SortStableFunc(all, func(x, y string) int { return rank(x) - rank(y) })
	return all
}

// rank is the place of a file in Order.
func rank(name string) int {
	if i := slices.Index(buildOrder(), name); i >= 0 {
		return i
	}
	if name == lastFile {
		return len(buildOrder()) + 1
	}
	return len(buildOrder())
}

func files(name string, a, b fs.FS, inA, inB bool) (*Difference, error) {
	if !inA || !inB {
		folder := a
		if inB {
			folder = b
		}
		info, err := fs.Stat(folder, name)
		if err != nil {
			return nil, err
		}
		return onOneSide(count(info.Size()), inA).in(name), nil
	}
	contentA, err := read(a, name)
	if err != nil {
		return nil, err
	}
	contentB, err := read(b, name)
	if err != nil {
		return nil, err
	}
	return Files(name, contentA, contentB)
}

// read reads one byte more than is allowed, which Files then refuses.
func read(folder fs.FS, name string) (content []byte, err error) {
	f, err := folder.Open(name)
	if err != nil {
		return nil, err
	}
	content, err = io.ReadAll(io.LimitReader(f, MaxFile+1))
	if errClose := f.Close(); err == nil {
		err = errClose
	}
	return content, err
}
