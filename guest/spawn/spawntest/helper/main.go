// Command helper is a TEST-ONLY program: as "init" it does what PID 1 does for
// workers, as "worker" it does what it is told. Package spawn's tests build
// and run it; no release holds it.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"safebox/guest/confine"
	"safebox/guest/spawn"

	"golang.org/x/sys/unix"
)

func main() {
	var err error
	switch os.Args[0] {
	case "init":
		err = beInit()
	case string(confine.Worker):
		err = beWorker()
	case "parent":
		err = exec.Command("/proc/self/exe").Start() // and leave an orphan, which ends at once
	}
	if err != nil {
		if _, werr := fmt.Fprint(os.Stderr, err); werr != nil {
			os.Exit(3)
		}
		os.Exit(1)
	}
}

// beInit serves the socket that is file 3.
func beInit() error {
	// Nothing that the machine which runs the tests left open is handed on.
	if err := unix.CloseRange(3, ^uint(0)>>32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return err
	}
	// What the boot's step "confine" takes away.
	if err := confine.ForbidNewPrivileges(); err != nil {
		return err
	}
	if _, err := confine.EmptyBoundingSet(); err != nil {
		return err
	}
	r := spawn.NewReaper()
	watch := func(int) {
		if os.Getenv("ORPHANS") != "" {
			if err := startParents(); err != nil {
				panic(err)
			}
		}
	}
	s, err := spawn.NewServer(os.NewFile(3, "spawn"), "/proc/self/exe", r, groups(os.Getenv("GROUPS")), watch)
	if err != nil {
		return err
	}
	return s.Serve()
}

// startParents starts processes that nobody registers, each of which leaves an
// orphan behind.
func startParents() error {
	for range 5 {
		if _, err := syscall.ForkExec("/proc/self/exe", []string{"parent"}, &syscall.ProcAttr{}); err != nil {
			return err
		}
	}
	return nil
}

// beWorker reports what it is, confines itself, and obeys lines on file 3.
func beWorker() error {
	report := self()
	if err := confine.Apply(confine.Worker); err != nil {
		report = err.Error()
	}
	conn := os.NewFile(3, "keeper")
	if _, err := io.WriteString(conn, report+"\n"); err != nil {
		return err
	}
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		word, number, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "exit":
			n, err := strconv.Atoi(number)
			if err != nil {
				return err
			}
			os.Exit(n)
		case "spin":
			for { // what the wall limit is for
				runtime.Gosched()
			}
		case "socket":
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
			return fmt.Errorf("got socket %d, %w", fd, err)
		case "panic":
			panic("as told")
		}
	}
	return errors.New("no more lines")
}

// self describes the process as it was started.
func self() string {
	var open []string
	for fd := range 64 {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err == nil {
			open = append(open, fmt.Sprintf("%d:%d", fd, flags&unix.O_ACCMODE))
		}
	}
	interfaces, err := os.ReadFile("/proc/self/net/dev")
	if err != nil {
		return err.Error()
	}
	group, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err.Error()
	}
	var death int32
	if err := unix.Prctl(unix.PR_GET_PDEATHSIG, uintptr(unsafe.Pointer(&death)), 0, 0, 0); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("args %v, env %v, pid %d, parent %d, files %v, interfaces %d, death signal %d, own group %t",
		os.Args, os.Environ(), os.Getpid(), os.Getppid(), open, strings.Count(string(interfaces), ":"), death,
		strings.Contains(string(group), "/safebox-test-"))
}
