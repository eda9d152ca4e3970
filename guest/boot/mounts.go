package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"safebox/initrd/layout"

	"golang.org/x/sys/unix"
)

// mountPoint is one early mount.
type mountPoint struct {
	target, fstype, data string
	flags                uintptr
}

// cgroupRoot is where the kernel wants its control groups mounted: sysfs has the
// folder (Linux Documentation/admin-guide/cgroup-v2.rst, "Mounting").
const cgroupRoot = "/sys/fs/cgroup"

// mountPoints lists the file systems of the appliance in order. Nothing from
// any of them may be run: the one program lies in the root.
func mountPoints() []mountPoint {
	const (
		noExec = unix.MS_NOSUID | unix.MS_NOEXEC
		strict = noExec | unix.MS_NODEV
	)
	return []mountPoint{
		{"/dev", "devtmpfs", "mode=0755,size=1m", noExec},
		{"/proc", "proc", "hidepid=2", strict}, // a process sees itself only
		{"/sys", "sysfs", "", strict | unix.MS_RDONLY},
		{"/sys/kernel/security", "securityfs", "", strict | unix.MS_RDONLY},
		{cgroupRoot, "cgroup2", "", strict},
		{"/run", "tmpfs", "mode=0755,size=16m", strict},
		{"/tmp", "tmpfs", "mode=1777,size=16m", strict},
	}
}

// mount mounts them and then makes the root read-only, so that the initramfs
// stays what was measured.
func (b *machine) mount() (detail string, err error) {
	var names []string
	for _, m := range mountPoints() {
		if err := unix.Mount(m.fstype, m.target, m.fstype, m.flags, m.data); err != nil {
			return "", fmt.Errorf("mounting %s on %s: %w", m.fstype, m.target, err)
		}
		names = append(names, m.target)
	}
	const readOnly = unix.MS_REMOUNT | unix.MS_BIND | unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV
	if err := unix.Mount("", "/", "", readOnly, ""); err != nil {
		return "", fmt.Errorf("making / read-only: %w", err)
	}
	b.enabled = make(chan error, 1)
	go func() { b.enabled <- b.groups.Enable() }()
	b.kernel, err = kernelKind("/proc/modules")
	return strings.Join(names, " ") + ", / read-only", err
}

// kernelKind tells the two kernels apart by what ours can't do: a kernel
// without module support has no list of loaded modules (proc_modules(5)).
func kernelKind(modules string) (layout.Kernel, error) {
	_, err := os.Stat(modules)
	switch {
	case err == nil:
		return layout.Distro, nil
	case errors.Is(err, fs.ErrNotExist):
		return layout.Source, nil
	}
	return "", err
}
