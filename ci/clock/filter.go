package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data: linux/seccomp.h.
const (
	offNumber = 0
	offArch   = 4
	offArg0   = 16
)

// clockTAI is CLOCK_TAI of linux/time.h, which follows the time of day.
const clockTAI = 11

// program stops who asks for the time of day, and lets all else pass. A process
// of another architecture is killed: it would see the real time.
func program() []unix.SockFilter {
	load := func(off uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: off}
	}
	equal := func(k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jt: yes, Jf: no}
	}
	end := func(k uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k}
	}
	return []unix.SockFilter{
		load(offArch),
		equal(unix.AUDIT_ARCH_X86_64, 1, 0),
		end(unix.SECCOMP_RET_KILL_PROCESS),
		load(offNumber),
		equal(unix.SYS_GETTIMEOFDAY, 6, 0),
		equal(unix.SYS_TIME, 5, 0),
		equal(unix.SYS_CLOCK_GETTIME, 0, 5),
		load(offArg0),
		equal(unix.CLOCK_REALTIME, 2, 0),
		equal(unix.CLOCK_REALTIME_COARSE, 1, 0),
		equal(clockTAI, 0, 1),
		end(unix.SECCOMP_RET_TRACE),
		end(unix.SECCOMP_RET_ALLOW),
	}
}

// filter installs the program for this thread and all that it becomes.
func filter() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	list := program()
	f := unix.SockFprog{Len: uint16(len(list)), Filter: &list[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&f)), 0, 0)
}
