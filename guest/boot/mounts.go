package boot

import (
	"fmt"
	"strings"

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
func (b *machine) mount() (string, error) {
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
	return strings.Join(names, " ") + ", / read-only", nil
}
