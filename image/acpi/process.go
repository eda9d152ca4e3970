package acpi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a QEMU whose guest is stopped.
type process struct {
	cmd    *exec.Cmd
	conn   net.Conn // of the test protocol
	stderr tail
}

// start starts QEMU with one end of a socket pair, so that there is no socket
// file for others to connect to. The goroutine keeps its thread until stop: the
// kernel ends QEMU with the thread that started it, should this process die.
func start(ctx context.Context, qemu string, args []string) (*process, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making a socket pair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "qtest"), os.NewFile(uintptr(fds[1]), "qtest")
	conn, err := net.FileConn(ours)
	if err := errors.Join(err, ours.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("making a socket pair: %w", err), theirs.Close())
	}
	p := &process{conn: conn}
	// 3 is the first of ExtraFiles.
	p.cmd = exec.CommandContext(ctx, qemu, append(slices.Clone(args),
		"-accel", "tcg", "-S", "-chardev", "socket,id=safebox-qtest,fd=3", "-qtest", "chardev:safebox-qtest", "-qtest-log", "/dev/null")...)
	p.cmd.ExtraFiles = []*os.File{theirs}
	p.cmd.Stderr = &p.stderr
	p.cmd.WaitDelay = time.Second
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, errors.Join(err, theirs.Close(), conn.Close())
	}
	runtime.LockOSThread()
	err = p.cmd.Start()
	if err := errors.Join(err, theirs.Close()); err != nil {
		runtime.UnlockOSThread()
		return nil, errors.Join(fmt.Errorf("starting %s: %w", qemu, err), conn.Close())
	}
	return p, nil
}

// stop ends QEMU and returns how it ended: by our signal unless it ended
// before.
func (p *process) stop() error {
	defer runtime.UnlockOSThread()
	kill := p.cmd.Process.Kill()
	if errors.Is(kill, os.ErrProcessDone) {
		kill = nil
	}
	return errors.Join(kill, p.cmd.Wait(), p.conn.Close())
}

// explain says what QEMU said when it ended by itself: that is the cause, and
// what was seen on the connection a consequence.
func (p *process) explain(ctx context.Context, err, end error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return context.DeadlineExceeded // the context's own comes a moment later
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var exit *exec.ExitError
	if errors.As(end, &exit) && exit.Exited() {
		return fmt.Errorf("QEMU ended (%w): %s", exit, p.stderr.cause())
	}
	return err
}

// tail keeps the last bytes that QEMU wrote, for the error message.
type tail struct{ b []byte }

const maxTail = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > maxTail {
		t.b = append(t.b[:0], t.b[len(t.b)-maxTail:]...)
	}
	return len(p), nil
}

// cause gives the lines that are no warnings as one printable line.
func (t *tail) cause() string {
	var lines []string
	for line := range strings.Lines(string(t.b)) {
		line = strings.TrimSpace(strings.Map(func(r rune) rune {
			if !strconv.IsPrint(r) {
				return ' '
			}
			return r
		}, line))
		if line != "" && !strings.Contains(line, "warning: ") {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return "it said nothing"
	}
	return strings.Join(lines, "; ")
}
