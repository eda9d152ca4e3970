package main

import (
	"fmt"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// act does one action.
func act(action []string, t threads) error {
	name, args := action[0], action[1:]
	switch name {
	case "call":
		return call(args)
	case "threads":
		return t.each(refusedHere)
	case "int80":
		return fmt.Errorf("survived, got %d", int80(20)) // getpid(2) of i386
	case "protect":
		return protect()
	case "start":
		return startProcess()
	case "kill":
		return killOthers()
	case "work":
		return work()
	case "wasm":
		return runWASM(args[0])
	case "wire":
		return serveWire()
	case "http":
		return serveHTTP()
	case "keys":
		return lockKeys()
	}
	return fmt.Errorf("no such action")
}

// call makes a system call by number, with pointers to zeroes where an
// argument is "p", and gives its error.
func call(args []string) error {
	var zeroes [4096]byte
	var values [7]uintptr
	for i, a := range args {
		if a == "p" {
			values[i] = uintptr(unsafe.Pointer(&zeroes[0]))
			continue
		}
		n, err := strconv.ParseInt(a, 0, 64)
		if err != nil {
			return err
		}
		values[i] = uintptr(n)
	}
	r, _, errno := unix.Syscall6(values[0], values[1], values[2], values[3], values[4], values[5], values[6])
	if errno != 0 {
		return errno
	}
	return fmt.Errorf("returned %d", int(r))
}

// refusedHere wants the calling thread to be filtered.
func refusedHere() error {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY, 0)
	if err == nil {
		return fmt.Errorf("thread %d opened file %d", unix.Gettid(), fd)
	}
	if err != unix.EPERM { //nolint:errorlint // a bare errno
		return fmt.Errorf("thread %d: opening: got %w", unix.Gettid(), err)
	}
	return nil
}

// protect goes through the ways of getting memory that can be run.
func protect() error {
	const anonymous = unix.MAP_PRIVATE | unix.MAP_ANON
	size := os.Getpagesize()
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, anonymous)
	if err != nil {
		return err
	}
	_, direct := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_EXEC, anonymous)
	all := unix.Mprotect(b, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC)
	only := unix.Mprotect(b, unix.PROT_EXEC)
	compiler := unix.Mprotect(b, unix.PROT_READ|unix.PROT_EXEC)
	_, _, key := unix.Syscall6(unix.SYS_PKEY_MPROTECT, uintptr(unsafe.Pointer(&b[0])), uintptr(size), unix.PROT_READ|unix.PROT_EXEC, ^uintptr(0), 0, 0)
	return fmt.Errorf("mmap rx: %s, mprotect rwx: %s, x: %s, rx: %s, by key: %s", words(direct), words(all), words(only), words(compiler), key.Error())
}

// killOthers sends signals to the parent, to everybody, and to itself.
func killOthers() error {
	parent := os.Getppid()
	return fmt.Errorf("kill parent: %s, kill all: %s, tgkill parent: %s, tgkill self: %s",
		words(unix.Kill(parent, 0)), words(unix.Kill(-1, 0)), words(unix.Tgkill(parent, parent, 0)),
		words(unix.Tgkill(os.Getpid(), unix.Gettid(), 0)))
}

// words is an error for a sentence that tells several.
func words(err error) string {
	if err == nil {
		return "allowed"
	}
	return err.Error()
}

// startProcess starts this program again, as PID 1 does.
func startProcess() error {
	p, err := os.StartProcess("/proc/self/exe", []string{"again"}, &os.ProcAttr{Env: []string{"PROBE=none"}})
	if err != nil {
		return err
	}
	_, err = p.Wait()
	return err
}
