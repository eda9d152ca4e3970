package confine

import (
	"os"

	"golang.org/x/sys/unix"
)

// filter gives the system calls of a role. What is not listed fails with
// EPERM, so that code with a fallback takes it; what only an attacker asks for
// ends the process.
func filter(r Role, compiles bool) []call {
	calls := runtimeCalls(os.Getpid())
	calls = append(calls, memoryCalls(compiles)...)
	switch r {
	case Keeper:
		calls = append(calls, allowed(keeperCalls())...)
		calls = append(calls, killed(networkCalls())...)
	case API:
		calls = append(calls, allowed(apiCalls())...)
	case Worker:
		calls = append(calls, killed(networkCalls())...)
	}
	calls = append(calls, killed(initCalls())...)
	return append(calls, killed(hostileCalls())...)
}

// initFilter gives the system calls that PID 1 loses, and everything after it:
// what is not listed stays allowed.
func initFilter() []call {
	return append(memoryCalls(true), killed(hostileCalls())...)
}

func allowed(numbers []int) []call { return actions(numbers, allow) }

func killed(numbers []int) []call { return actions(numbers, kill) }

func actions(numbers []int, action uint32) []call {
	calls := make([]call, len(numbers))
	for i, n := range numbers {
		calls[i] = call{number: n, action: action}
	}
	return calls
}

// runtimeCalls is what Go's runtime, package os on open files, and Check need,
// without those that map memory. The frequent ones come first.
func runtimeCalls(pid int) []call {
	calls := allowed([]int{
		unix.SYS_FUTEX, unix.SYS_READ, unix.SYS_WRITE, unix.SYS_EPOLL_PWAIT, unix.SYS_NANOSLEEP,
		unix.SYS_CLOCK_GETTIME, // where the vDSO can't read the clock
		unix.SYS_CLOCK_NANOSLEEP, unix.SYS_SCHED_YIELD, unix.SYS_GETRANDOM,
		unix.SYS_GETPID, unix.SYS_GETTID, unix.SYS_RT_SIGRETURN, unix.SYS_RT_SIGPROCMASK,
		unix.SYS_RT_SIGACTION, unix.SYS_SIGALTSTACK, unix.SYS_RESTART_SYSCALL,
		unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
		unix.SYS_MUNMAP, unix.SYS_MADVISE,
		unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EVENTFD2,
		unix.SYS_READV, unix.SYS_WRITEV, unix.SYS_PREAD64, unix.SYS_LSEEK, unix.SYS_FSTAT, unix.SYS_CLOSE,
		unix.SYS_GETTIMEOFDAY, unix.SYS_SCHED_GETAFFINITY,
		unix.SYS_GETRESUID, unix.SYS_GETRESGID, unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID,
		unix.SYS_GETGROUPS, unix.SYS_CAPGET, unix.SYS_GETRLIMIT,
		// A file of package net or os finds out what it has taken over.
		unix.SYS_GETSOCKOPT, unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME, unix.SYS_SHUTDOWN,
	})
	return append(calls,
		// Preemption of our own threads; signals to others are not ours to send.
		call{unix.SYS_TGKILL, allow, []match{{0, wholeInt, uint64(pid)}}, deny},
		// A thread, with the flags of Go's runtime (runtime/os_linux.go,
		// cloneFlags, and sys_linux_amd64.s); with any others it would be a process.
		call{unix.SYS_CLONE, allow, []match{{0, wholeLong, threadFlags}}, kill},
		call{unix.SYS_FCNTL, allow, oneOf(1,
			unix.F_GETFD, unix.F_SETFD, unix.F_GETFL, unix.F_SETFL, unix.F_DUPFD_CLOEXEC, unix.F_GET_SEALS), deny},
		call{unix.SYS_PRCTL, allow, oneOf(0,
			unix.PR_GET_NO_NEW_PRIVS, unix.PR_GET_SECCOMP, unix.PR_GET_DUMPABLE, unix.PR_CAPBSET_READ,
			unix.PR_CAP_AMBIENT), deny}, // of no use without a permitted capability
		// Reading a limit, not setting one.
		call{unix.SYS_PRLIMIT64, allow, []match{{2, wholeLong, 0}}, deny},
	)
}

const threadFlags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM |
	unix.CLONE_THREAD | unix.CLONE_SETTLS

// oneOf matches an int argument with any of some values.
func oneOf(argument int, values ...uint64) []match {
	matches := make([]match, len(values))
	for i, v := range values {
		matches[i] = match{argument, wholeInt, v}
	}
	return matches
}

// memoryCalls map memory: none that can be run, save for a compiler, which may
// turn memory from writable to executable; both at once nobody gets.
func memoryCalls(compiles bool) []call {
	const protection = 2 // third argument of mmap(2) and mprotect(2)
	notExecutable := match{protection, unix.PROT_EXEC, 0}
	protect := []match{notExecutable}
	if compiles {
		protect = append(protect, match{protection, wholeLong, unix.PROT_READ | unix.PROT_EXEC})
	}
	return []call{
		{unix.SYS_MMAP, allow, []match{notExecutable}, deny},
		{unix.SYS_MPROTECT, allow, protect, deny},
		// The same by other ways.
		{number: unix.SYS_PKEY_MPROTECT, action: deny},
		{number: unix.SYS_SHMAT, action: deny},
	}
}

// keeperCalls: PID 1's messages, which carry files; keys in locked memory; the
// TPM device, on which go-tpm polls. It sends no file, and what it says goes
// through write(2).
func keeperCalls() []int {
	return []int{
		unix.SYS_RECVMSG, unix.SYS_POLL, unix.SYS_PPOLL,
		unix.SYS_MLOCK, unix.SYS_MUNLOCK,
	}
}

// apiCalls: connections on the listening socket that PID 1 made. It makes no
// socket of its own: that fails. It reads and writes as on any file: what
// send(2) and recv(2) do beyond that, flags (out-of-band data of Unix sockets
// among them) and files in messages, is of use to nobody but an attacker.
func apiCalls() []int {
	return []int{unix.SYS_ACCEPT4, unix.SYS_SETSOCKOPT}
}

// networkCalls end a process that has no business with any network.
func networkCalls() []int {
	return []int{
		unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN,
		unix.SYS_ACCEPT, unix.SYS_ACCEPT4,
	}
}

// initCalls are PID 1's own: to start processes, and to power off.
func initCalls() []int {
	return []int{
		unix.SYS_EXECVE, unix.SYS_CLONE3, unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_REBOOT,
	}
}

// hostileCalls end the process in every role, PID 1's included: nothing here
// asks for them but code that somebody else brought in.
func hostileCalls() []int {
	return []int{
		// other programs and processes
		unix.SYS_EXECVEAT, unix.SYS_FORK, unix.SYS_VFORK, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP,
		unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE,
		// file systems and namespaces
		unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE,
		unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR,
		unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT,
		// the kernel itself
		unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
		unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
		unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
		unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_SWAPON, unix.SYS_SWAPOFF,
		unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
		unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT, unix.SYS_PERSONALITY, unix.SYS_ACCT, unix.SYS_QUOTACTL,
		unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_SYSLOG, unix.SYS_VHANGUP,
	}
}
