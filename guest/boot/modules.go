package boot

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"safebox/initrd/layout"

	"golang.org/x/sys/unix"
)

// loadModules loads the modules of the initramfs in their order
// and then closes the door for good. The kernel checks their signatures
// (module.sig_enforce=1). Our own kernel has no such door.
func (b *machine) loadModules() (string, error) {
	if b.kernel == layout.Source {
		return "none: all drivers are in the kernel", nil
	}
	for n, name := range layout.Modules(b.kernel) {
		file, err := layout.ModuleFile(n, name)
		if err != nil {
			return "", err
		}
		if err := loadModule(filepath.Join("/", file)); err != nil {
			return "", err
		}
		b.report.Modules = append(b.report.Modules, name)
	}
	closed, err := setSysctl(sysctlRoot, setting{"kernel.modules_disabled", "1"})
	if err != nil {
		return "", err
	}
	if !closed.Set {
		return "", fmt.Errorf("kernel.modules_disabled is absent from a kernel that loads modules")
	}
	b.report.Sysctls = append(b.report.Sysctls, closed)
	return strings.Join(b.report.Modules, " ") + ", loading closed", nil
}

func loadModule(path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil {
		return fmt.Errorf("loading %s: %w", path, err)
	}
	return nil
}
