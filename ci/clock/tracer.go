package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// tracer answers for the kernel.
type tracer struct {
	offset time.Duration
	vdso   vdso
	root   int          // the program's process
	known  map[int]bool // threads that have stopped before
}

const options = unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_TRACEEXEC |
	unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK

// run traces until the program ends. What it leaves running ends with us.
func (t *tracer) run() (int, error) {
	var status unix.WaitStatus
	if _, err := unix.Wait4(t.root, &status, unix.WALL, nil); err != nil {
		return 0, err
	}
	if err := unix.PtraceSetOptions(t.root, options); err != nil {
		return 0, err
	}
	if err := unix.PtraceCont(t.root, 0); err != nil {
		return 0, err
	}
	for {
		pid, err := unix.Wait4(-1, &status, unix.WALL, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, err
		}
		switch {
		case status.Exited() && pid == t.root:
			return status.ExitStatus(), nil
		case status.Signaled() && pid == t.root:
			return 128 + int(status.Signal()), nil // as shells do
		case status.Exited(), status.Signaled():
			delete(t.known, pid)
			continue
		}
		signal, err := t.stopped(pid, status)
		if err == nil {
			err = unix.PtraceCont(pid, int(signal))
		}
		// A thread may be killed at any time, by its group's end above all.
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return 0, fmt.Errorf("process %d: %w", pid, err)
		}
	}
}

// stopped handles one stop and gives the signal to go on with.
func (t *tracer) stopped(pid int, status unix.WaitStatus) (unix.Signal, error) {
	signal := status.StopSignal()
	first := !t.known[pid]
	t.known[pid] = true
	switch cause := status.TrapCause(); {
	case signal == unix.SIGTRAP && cause == unix.PTRACE_EVENT_SECCOMP:
		return 0, t.answer(pid)
	case signal == unix.SIGTRAP && cause == unix.PTRACE_EVENT_EXEC:
		return 0, t.vdso.patch(pid, t.offset)
	case signal == unix.SIGTRAP && cause > 0:
		return 0, nil // a new thread or process, which stops by itself
	case signal == unix.SIGSTOP && first:
		return 0, nil // how a new thread begins
	}
	return signal, nil
}

// answer does what the system call would have done, at another time.
func (t *tracer) answer(pid int) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(pid, &regs); err != nil {
		return err
	}
	now := time.Now().Add(t.offset)
	var err error
	regs.Rax = 0
	switch regs.Orig_rax {
	case unix.SYS_CLOCK_GETTIME: // the offset between TAI and UTC is zero on most machines
		err = poke(pid, regs.Rsi, uint64(now.Unix()), uint64(now.Nanosecond()))
	case unix.SYS_GETTIMEOFDAY:
		if regs.Rdi != 0 {
			err = poke(pid, regs.Rdi, uint64(now.Unix()), uint64(now.Nanosecond()/1000))
		}
		if err == nil && regs.Rsi != 0 {
			err = poke(pid, regs.Rsi, 0) // struct timezone: obsolete
		}
	case unix.SYS_TIME:
		regs.Rax = uint64(now.Unix())
		if regs.Rdi != 0 {
			err = poke(pid, regs.Rdi, regs.Rax)
		}
	default:
		return fmt.Errorf("stopped at system call %d, which the filter lets pass", regs.Orig_rax)
	}
	if errors.Is(err, unix.EIO) || errors.Is(err, unix.EFAULT) {
		err, regs.Rax = nil, ^uint64(0)-uint64(unix.EFAULT)+1
	}
	if err != nil {
		return err
	}
	regs.Orig_rax = ^uint64(0) // seccomp(2), SECCOMP_RET_TRACE: -1 skips the call
	return unix.PtraceSetRegs(pid, &regs)
}

func poke(pid int, address uint64, words ...uint64) error {
	var b []byte
	for _, w := range words {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	_, err := unix.PtracePokeData(pid, uintptr(address), b)
	return err
}
