package boot

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"safebox/guest/api"
	"safebox/initrd/layout"
	"safebox/verifier/guestapi"

	"golang.org/x/sys/unix"
)

const (
	nobody   = 65534 // the kernel's overflow uid and gid: owns nothing
	apiWait  = 30 * time.Second
	maxReply = 1024
)

// apiProcess is the child that serves the API.
type apiProcess struct{ pid int }

// startAPI starts the API as a process of its own: the one that parses what
// the network sends holds no privilege. It gets the report, the socket and a
// way to say that it is ready, and nothing else. This is the first of the
// processes of specs/protocol.md 7; seccomp, landlock and namespaces come
// with the others.
func (b *machine) startAPI() (detail string, err error) {
	encoded, err := b.report.Encode()
	if err != nil {
		return "", err
	}
	var open closers
	defer func() { err = errors.Join(err, open.close()) }()

	report, err := sealedFile("boot-report", encoded)
	if err != nil {
		return "", err
	}
	open.add(report)
	socket, err := listen()
	if err != nil {
		return "", err
	}
	open.add(socket)
	ready, say, err := os.Pipe()
	if err != nil {
		return "", err
	}
	open.add(ready)
	pid, err := startRole(api.Role, report, socket, say)
	// Ours must be closed before the read, or the child's end would not show.
	if cerr := say.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return "", err
	}
	b.api = &apiProcess{pid: pid}
	return fmt.Sprintf("pid %d, port %d", pid, guestapi.Port), awaitReady(ready)
}

// closers closes files that only the child needs from here on.
type closers []io.Closer

func (c *closers) add(x io.Closer) { *c = append(*c, x) }

func (c *closers) close() error {
	var err error
	for _, x := range *c {
		err = errors.Join(err, x.Close())
	}
	return err
}

// sealedFile gives a file in memory that nobody can change any more.
func sealedFile(name string, content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = f.Write(content)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sealing %s: %w", name, err), f.Close())
	}
	return f, nil
}

func listen() (*os.File, error) {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{Port: guestapi.Port})
	if err != nil {
		return nil, err
	}
	f, err := l.File()
	return f, errors.Join(err, l.Close())
}

// startRole runs our own program again in another role: argument 0 names it.
// Standard streams lead nowhere, so that the child can't write lines to the
// console that look like ours.
func startRole(role string, files ...*os.File) (pid int, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, null.Close()) }()
	p, err := os.StartProcess("/"+layout.Init, []string{role}, &os.ProcAttr{
		Dir:   "/",
		Env:   []string{},
		Files: append([]*os.File{null, null, null}, files...),
		Sys: &syscall.SysProcAttr{
			Credential: &syscall.Credential{Uid: nobody, Gid: nobody},
			Setsid:     true,
			// The signal comes when the thread that forked ends. Threads of a
			// Go process stay unless a goroutine locked to one returns, and
			// none here does.
			Pdeathsig: syscall.SIGKILL,
		},
	})
	if err != nil {
		return 0, fmt.Errorf("starting role %s: %w", role, err)
	}
	pid = p.Pid
	return pid, p.Release() // awaitAPI reaps by number, with all the others
}

// awaitReady reads the child's one message.
func awaitReady(pipe *os.File) error {
	if err := pipe.SetReadDeadline(time.Now().Add(apiWait)); err != nil {
		return err
	}
	reply, err := io.ReadAll(io.LimitReader(pipe, maxReply))
	if err != nil {
		return fmt.Errorf("waiting for the API: %w", err)
	}
	if string(reply) != api.ReadyReply {
		return fmt.Errorf("starting the API: it says %q", reply)
	}
	return nil
}

// awaitAPI reaps children, orphans included, until the API ends, which is an
// error always.
func (b *machine) awaitAPI() (string, error) {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return "", os.NewSyscallError("wait4", err)
		case pid == b.api.pid && status.Signaled():
			return "", fmt.Errorf("API process ended by signal %v", status.Signal())
		case pid == b.api.pid:
			return "", fmt.Errorf("API process ended with status %d", status.ExitStatus())
		}
	}
}
