package boot

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// confine takes from PID 1, and so from everything that it starts, what
// nothing here needs again: gaining privileges by running a program. PID 1
// keeps its own capabilities, which it needs to power off.
//
// The calls change one thread each; AllThreadsSyscall makes them in all
// threads of the process, those that start later included.
func (b *machine) confine() (string, error) {
	if err := prctlAll(unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return "", fmt.Errorf("setting no_new_privs: %w", err)
	}
	n := uintptr(0)
	for ; ; n++ {
		err := prctlAll(unix.PR_CAPBSET_DROP, n)
		if errors.Is(err, unix.EINVAL) && n > unix.CAP_SETPCAP {
			break // past the last capability that this kernel knows
		}
		if err != nil {
			return "", fmt.Errorf("dropping capability %d: %w", n, err)
		}
	}
	return fmt.Sprintf("no new privileges, bounding set empty of %d", n), nil
}

func prctlAll(option int, argument uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall6(syscall.SYS_PRCTL, uintptr(option), argument, 0, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
