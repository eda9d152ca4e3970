package confine

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// ForbidNewPrivileges keeps the process, and all that it starts, from gaining
// privileges by running a program.
func ForbidNewPrivileges() error {
	if err := prctlAll(unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return fmt.Errorf("setting no_new_privs: %w", err)
	}
	return nil
}

// EmptyBoundingSet takes every capability out of the bounding set: what this
// process starts can't have any. It gives their number.
func EmptyBoundingSet() (int, error) {
	for n := 0; ; n++ {
		err := prctlAll(unix.PR_CAPBSET_DROP, uintptr(n))
		if errors.Is(err, unix.EINVAL) && n > unix.CAP_SETPCAP {
			return n, nil // past the last capability that this kernel knows
		}
		if err != nil {
			return n, fmt.Errorf("dropping capability %d: %w", n, err)
		}
	}
}

// prctlAll calls prctl(2), which changes one thread, in all threads of the
// process; those that start later inherit it.
func prctlAll(option int, argument uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall6(syscall.SYS_PRCTL, uintptr(option), argument, 0, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
