package boot

import (
	"fmt"
	"os"

	"safebox/guest/confine"

	"golang.org/x/sys/unix"
)

// confine takes from PID 1, and so from everything that it starts, what
// nothing here needs again: gaining privileges by running a program. PID 1
// keeps its own capabilities, which it needs to power off. It also prepares
// what bounds the processes to come (package spawn); each of them confines
// itself further (package confine).
func (b *machine) confine() (string, error) {
	if err := confine.ForbidNewPrivileges(); err != nil {
		return "", err
	}
	n, err := confine.EmptyBoundingSet()
	if err != nil {
		return "", err
	}
	// Files that PID 1 has open by now are not handed on by accident.
	if err := unix.CloseRange(firstFile, ^uint(0)>>32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return "", os.NewSyscallError("close_range", err)
	}
	if err := <-b.enabled; err != nil {
		return "", err
	}
	if err := confine.ApplyInit(); err != nil {
		return "", err
	}
	return fmt.Sprintf("no new privileges, bounding set empty of %d, memory and threads bounded by cgroups", n), nil
}

const firstFile = 3 // after the standard streams
