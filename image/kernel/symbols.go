package kernel

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// declaredOptions lists the options that a kernel source declares for x86: the
// words behind "config" and "menuconfig" in its Kconfig files (Linux
// Documentation/kbuild/kconfig-language.rst, "Menu entries").
func declaredOptions(source *os.Root) (map[string]bool, error) {
	declared := map[string]bool{}
	err := fs.WalkDir(source.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			// Another architecture's options, or files that are not the kernel's.
			if path.Dir(name) == "arch" && name != "arch/x86" || name == "Documentation" || name == "scripts" {
				return fs.SkipDir
			}
			return nil
		}
		if !e.Type().IsRegular() || !strings.HasPrefix(path.Base(name), "Kconfig") {
			return nil
		}
		return declarations(source, name, declared)
	})
	if err != nil {
		return nil, fmt.Errorf("listing the options of the kernel: %w", err)
	}
	if len(declared) == 0 {
		return nil, errors.New("listing the options of the kernel: got none")
	}
	return declared, nil
}

func declarations(source *os.Root, name string, declared map[string]bool) (err error) {
	f, err := source.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 2 && (words[0] == "config" || words[0] == "menuconfig") && validOption(words[1]) {
			declared[words[1]] = true
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
