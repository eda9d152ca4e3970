package boot

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"safebox/guest/confine"

	"golang.org/x/sys/unix"
)

// confine takes from PID 1, and so from everything that it starts, what
// nothing here needs again: gaining privileges by running a program. PID 1
// keeps its own capabilities, which it needs to power off. It also prepares
// what bounds the processes to come (package spawn); each of them confines
// itself further (package confine).
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
	// Files that PID 1 has open by now are not handed on by accident.
	if err := unix.CloseRange(firstFile, ^uint(0)>>32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return "", os.NewSyscallError("close_range", err)
	}
	if err := b.groups.Enable(); err != nil {
		return "", err
	}
	if err := confine.ApplyInit(); err != nil {
		return "", err
	}
	return fmt.Sprintf("no new privileges, bounding set empty of %d, memory and threads bounded by cgroups", n), nil
}

const firstFile = 3 // after the standard streams

func prctlAll(option int, argument uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall6(syscall.SYS_PRCTL, uintptr(option), argument, 0, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
