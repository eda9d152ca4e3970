// Command process is a TEST-ONLY program: it gives up privileges as PID 1
// takes them away, and then is the process of package keeper, whose tests build
// and run it. With the argument "root" it gives up nothing. No release holds
// it.
package main

import (
	"errors"
	"io"
	"os"
	"syscall"

	"safebox/guest/confine"
	"safebox/guest/keeper"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "root" {
		os.Exit(keeper.Main())
	}
	if err := giveUp(confine.Keeper.UID()); err != nil {
		if _, err := io.WriteString(os.Stderr, "giving up privileges: "+err.Error()); err != nil {
			os.Exit(3)
		}
		os.Exit(2)
	}
	os.Exit(keeper.Main())
}

// giveUp leaves nothing that confine.Apply would not accept.
func giveUp(uid int) error {
	if err := allThreads(unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return err
	}
	for n := uintptr(0); ; n++ {
		err := allThreads(unix.PR_CAPBSET_DROP, n)
		if errors.Is(err, unix.EINVAL) && n > unix.CAP_SETPCAP {
			break // past the last capability that this kernel knows
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(syscall.Setgroups([]int{}), syscall.Setresgid(uid, uid, uid), syscall.Setresuid(uid, uid, uid))
}

func allThreads(option int, argument uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall6(syscall.SYS_PRCTL, uintptr(option), argument, 0, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
