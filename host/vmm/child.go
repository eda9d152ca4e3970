package vmm

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Parent starts processes that end when this process does, however it does:
// the kernel sends them SIGKILL (prctl(2), PR_SET_PDEATHSIG). Linux ties that
// to the thread that started the process, not to the whole process, and the Go
// runtime ends idle threads; so one goroutine keeps one thread for itself, for
// as long as the Parent is open, and starts all of them.
//
// The other ways fall short: a deferred kill does not survive SIGKILL, a
// cgroup or a PID namespace needs privileges that an unprivileged agent lacks,
// and QEMU 10.0 has no option to follow its parent.
type Parent struct {
	starts chan func()
}

// NewParent makes a Parent. Close it when its children have ended.
func NewParent() *Parent {
	p := &Parent{starts: make(chan func())}
	go func() {
		// Never unlocked: a goroutine that returns so takes its thread along,
		// and what Close finds still running is killed by the kernel.
		runtime.LockOSThread()
		for start := range p.starts {
			start()
		}
	}()
	return p
}

// Close ends the Parent; children that still run are killed.
func (p *Parent) Close() { close(p.starts) }

// Start starts cmd in a process group of its own: Ctrl-C at the terminal is
// for the agent, which ends its children in order.
func (p *Parent) Start(cmd *exec.Cmd) (*Child, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	// Wait does not hang on a pipe that a grandchild holds open.
	cmd.WaitDelay = time.Second
	started := make(chan error)
	p.starts <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, err
	}
	c := &Child{cmd: cmd, done: make(chan struct{})}
	go func() {
		c.err = cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// Child is a process that was started.
type Child struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // valid once done is closed
}

// PID is the process's number.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Done is closed when the process has ended and its output has been read.
func (c *Child) Done() <-chan struct{} { return c.done }

// Wait waits for the end and says how it came: nil for exit status 0.
func (c *Child) Wait() error {
	<-c.done
	return c.err
}

// ExitCode waits for the end and gives the exit status, -1 after a signal.
func (c *Child) ExitCode() int {
	<-c.done
	return c.cmd.ProcessState.ExitCode()
}

// Stop ends the process: SIGTERM, and SIGKILL when grace has passed.
func (c *Child) Stop(grace time.Duration) error {
	if err := c.signal(syscall.SIGTERM); err != nil {
		return err
	}
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-c.done:
		return nil
	case <-t.C:
	}
	if err := c.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-c.done
	return nil
}

// signal reaches the process by its pidfd (os.Process), so that it can't hit
// another one that got the same number later. An ended process is no error.
func (c *Child) signal(s syscall.Signal) error {
	err := c.cmd.Process.Signal(s)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}
