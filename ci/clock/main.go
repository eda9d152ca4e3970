// Command clock runs a program, and all that it starts, under another wall
// clock: ci/reproduce builds with it 400 days later. Go programs are static and
// ask the vDSO, so that no preloaded library reaches them; here the answers of
// the kernel itself are changed, for compilers and shells alike.
//
//	clock 9600h PROGRAM ARGUMENT...
//
// A seccomp filter stops each process where it asks the kernel for the time of
// day, and this one, as its tracer, answers (ptrace(2), seccomp(2), Linux 4.8 or
// newer, x86-64). Who asks the vDSO finds other code in it, written at each exec.
// Monotonic clocks and the times of files stay as they are: what waits for a
// time of day waits too long.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// innerName is our name as the process that becomes the program.
const innerName = "clock-inner"

func main() {
	runtime.LockOSThread() // the tracer is a thread, and so is who has the filter
	if os.Args[0] == innerName {
		if err := become(os.Args[1:]); err != nil {
			fail(err)
		}
	}
	if len(os.Args) < 3 {
		fail(errors.New("usage: clock DURATION PROGRAM ARGUMENT"))
	}
	offset, err := time.ParseDuration(os.Args[1])
	if err != nil {
		fail(err)
	}
	code, err := run(offset, os.Args[2:])
	if err != nil {
		fail(err)
	}
	os.Exit(code)
}

func fail(err error) {
	if _, err := fmt.Fprintln(os.Stderr, "clock: error:", err); err != nil {
		os.Exit(125)
	}
	os.Exit(125) // as env(1) and timeout(1): the failure is ours
}

// run starts the program and gives its exit code.
func run(offset time.Duration, args []string) (int, error) {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return 0, err
	}
	v, err := ownVDSO()
	if err != nil {
		return 0, err
	}
	inner, err := os.StartProcess("/proc/self/exe", append([]string{innerName, path}, args...), &os.ProcAttr{
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys:   &unix.SysProcAttr{Ptrace: true},
	})
	if err != nil {
		return 0, err
	}
	t := &tracer{offset: offset, vdso: v, root: inner.Pid, known: map[int]bool{inner.Pid: true}}
	return t.run()
}

// become turns this process into the program: args are its path and its
// arguments, name first.
func become(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("%s: started by hand", innerName)
	}
	if err := filter(); err != nil {
		return fmt.Errorf("installing the filter: %w", err)
	}
	return unix.Exec(args[0], args[1:], os.Environ())
}
