package api

import (
	"fmt"
	"io"
	"net"
	"os"

	"safebox/verifier/bootreport"

	"golang.org/x/sys/unix"
)

// Role is argument 0 of the process that serves the API.
const Role = "api"

// ReadyReply is what the process writes to readyFile, and then closes it, when
// it is about to serve. Anything else is the reason why it can't.
const ReadyReply = "ready"

// File descriptors that PID 1 hands over, in this order after the standard
// streams.
const (
	reportFile = 3 + iota // the boot report, sealed
	socketFile            // TCP, listening
	readyFile             // a pipe to PID 1
)

// Main is the process: it returns, with an exit status, only when it fails.
func Main() int {
	// Not inherited by anything, should this process ever start one.
	for _, fd := range []int{reportFile, socketFile, readyFile} {
		unix.CloseOnExec(fd)
	}
	ready := os.NewFile(readyFile, "ready")
	l, report, err := inherited()
	reply := ReadyReply
	if err != nil {
		reply = err.Error()
	}
	if _, werr := io.WriteString(ready, reply); werr != nil || err != nil {
		return 1
	}
	if err := ready.Close(); err != nil {
		return 1
	}
	if err := Serve(l, NewHandler(report)); err != nil {
		return 1
	}
	return 0
}

// inherited takes over what PID 1 left open, after a look at it: a process
// started by anybody else, or with privileges, serves nothing.
func inherited() (net.Listener, []byte, error) {
	if err := unprivileged(); err != nil {
		return nil, nil, err
	}
	file := os.NewFile(reportFile, "report")
	report, err := io.ReadAll(io.LimitReader(file, bootreport.MaxSize+1))
	if err != nil {
		return nil, nil, fmt.Errorf("reading the boot report: %w", err)
	}
	if _, err := bootreport.Decode(report); err != nil {
		return nil, nil, err
	}
	if err := file.Close(); err != nil {
		return nil, nil, err
	}
	socket := os.NewFile(socketFile, "socket")
	l, err := net.FileListener(socket)
	if err != nil {
		return nil, nil, fmt.Errorf("taking over the socket: %w", err)
	}
	return l, report, socket.Close()
}

// unprivileged checks that PID 1 took away what it means to take away.
func unprivileged() error {
	if os.Getuid() == 0 || os.Geteuid() == 0 || os.Getgid() == 0 {
		return fmt.Errorf("uid %d, gid %d, want neither to be 0", os.Getuid(), os.Getgid())
	}
	set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err != nil {
		return fmt.Errorf("asking for no_new_privs: %w", err)
	}
	if set != 1 {
		return fmt.Errorf("no_new_privs is %d, want 1", set)
	}
	var header unix.CapUserHeader
	header.Version = unix.LINUX_CAPABILITY_VERSION_3
	var caps [2]unix.CapUserData // 64 bits in two halves (capget(2))
	if err := unix.Capget(&header, &caps[0]); err != nil {
		return fmt.Errorf("asking for capabilities: %w", err)
	}
	for i, c := range caps {
		if c.Effective|c.Permitted|c.Inheritable != 0 {
			return fmt.Errorf("capabilities %d: effective %#x, permitted %#x, inheritable %#x, want none", i, c.Effective, c.Permitted, c.Inheritable)
		}
	}
	return nil
}
