// Package layout is the one description of what an appliance initramfs holds.
// The assembler (package initrd) writes exactly this; PID 1 (package
// guest/boot) refuses to go on when it finds anything else.
package layout

import "fmt"

// Init is the path of the one executable, PID 1.
const Init = "init"

// ModuleDir holds the kernel modules, decompressed, one file each.
const ModuleDir = "modules"

// KernelBuiltin lists what the kernel's own built-in initramfs brings besides
// ours (Linux usr/default_cpio_list). /dev/console, character device 5,1, is
// what the kernel opens for PID 1 before anything is mounted.
func KernelBuiltin() []string {
	return []string{"dev", "dev/console", "root"}
}

// Kernel says which of the two kernels the archive is for: they need different
// things in it.
type Kernel string

// The kernels of a release (docs/format-release.md, "kernel").
const (
	Distro Kernel = "distro" // the distribution's, with modules
	Source Kernel = "source" // ours, built from source: it can't load modules
)

// Directories lists every directory of the archive in archive order, parents
// first. All but ModuleDir, which comes with modules, are empty: mount points.
func Directories(k Kernel) []string {
	if len(Modules(k)) == 0 {
		return []string{"dev", "proc", "run", "sys", "tmp"}
	}
	return []string{"dev", ModuleDir, "proc", "run", "sys", "tmp"}
}

// Modules lists the kernel modules of the appliance, all of them, in load
// order and by the name that the kernel uses (underscores). The assembler
// refuses to build with any other list, so a kernel whose modules depend on
// others needs a change here first.
func Modules(k Kernel) []string {
	if k == Source {
		return nil
	}
	return []string{"failover", "net_failover", "virtio_net"}
}

// maxModules bounds the number in a module's file name.
const maxModules = 99

// ModuleFile names the file of the n-th module (from 0) in load order:
// "modules/00-failover.ko". The position in the name shows the order to whoever
// lists the archive.
func ModuleFile(n int, name string) (string, error) {
	if n < 0 || n > maxModules {
		return "", fmt.Errorf("naming module %q: position %d, want 0 to %d", name, n, maxModules)
	}
	if !validModuleName(name) {
		return "", fmt.Errorf("naming module: %q is not a module name", name)
	}
	return fmt.Sprintf("%s/%02d-%s.ko", ModuleDir, n, name), nil
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func validModuleName(s string) bool {
	if s == "" || len(s) > 55 { // MODULE_NAME_LEN of the kernel: 64 - sizeof(long), with its NUL
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !digit(c) && (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return true
}
