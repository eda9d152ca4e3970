package spawn

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Reaper starts children and is the one place of its process that waits for
// them: for its own, and for orphans, which PID 1 inherits. No other code of
// the process may wait.
type Reaper struct {
	mu       sync.Mutex // held from fork to entry in children, and while reaping
	children map[int]*Child
	began    bool
	failed   chan error
}

// NewReaper gives a Reaper without children.
func NewReaper() *Reaper {
	return &Reaper{children: map[int]*Child{}, failed: make(chan error, 1)}
}

// Child is a process that the Reaper started.
type Child struct {
	PID int

	reaper *Reaper
	done   chan struct{}
	ending Ending // valid once done is closed
}

// Done is closed when the child has ended and is reaped.
func (c *Child) Done() <-chan struct{} { return c.done }

// Ending waits for the end and gives it.
func (c *Child) Ending() Ending {
	<-c.done
	return c.ending
}

// Kill sends SIGKILL, and tells whether there still was a process to send it
// to. A number that was reaped, and may be somebody else's by now, gets none.
func (c *Child) Kill() (bool, error) {
	c.reaper.mu.Lock()
	defer c.reaper.mu.Unlock()
	if c.reaper.children[c.PID] != c {
		return false, nil
	}
	if err := unix.Kill(c.PID, unix.SIGKILL); err != nil {
		return false, fmt.Errorf("killing process %d: %w", c.PID, err)
	}
	return true, nil
}

// Failed gives the error, should there be one, that ended the waiting.
func (r *Reaper) Failed() <-chan error { return r.failed }

// Begin runs start, which gives the number of a new child, and enters the
// child before anybody can reap it.
func (r *Reaper) Begin(start func() (int, error)) (*Child, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err := start()
	if err != nil {
		return nil, err
	}
	c := &Child{PID: pid, reaper: r, done: make(chan struct{})}
	r.children[pid] = c
	if !r.began {
		r.began = true
		go r.run()
	}
	return c, nil
}

// run reaps while there are children.
func (r *Reaper) run() {
	for {
		more, err := r.next()
		if err != nil {
			r.failed <- fmt.Errorf("waiting for children: %w", err)
		}
		if err != nil || !more {
			return
		}
	}
}

// next waits until some child has ended, and reaps it. It tells whether to go
// on.
func (r *Reaper) next() (bool, error) {
	// WNOWAIT leaves the zombie: its number stays taken until the lock is ours.
	err := wait(0)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case errors.Is(err, unix.EINTR):
		return true, nil
	case errors.Is(err, unix.ECHILD) && len(r.children) == 0:
		r.began = false // the next child starts it again
		return false, nil
	case errors.Is(err, unix.ECHILD):
		// Either one was started since, or somebody else waits here too.
		if err = wait(unix.WNOHANG); errors.Is(err, unix.ECHILD) {
			return false, fmt.Errorf("%d were reaped by somebody else", len(r.children))
		}
	}
	if err != nil {
		return false, os.NewSyscallError("waitid", err)
	}
	return true, r.reap()
}

// wait waits until there is something to reap, and leaves it.
func wait(flags int) error {
	return unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOWAIT|flags, nil)
}

// reap reaps one child, if one has ended.
func (r *Reaper) reap() error {
	var status unix.WaitStatus
	pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
	switch {
	case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECHILD):
		return nil // a start that failed has reaped its own; waitid tells whether any is left
	case err != nil:
		return os.NewSyscallError("wait4", err)
	}
	c := r.children[pid]
	if c == nil {
		return nil // an orphan, or none after all
	}
	delete(r.children, pid)
	c.ending = newEnding(status)
	close(c.done)
	return nil
}

func newEnding(s unix.WaitStatus) Ending {
	if s.Signaled() {
		return Ending{Signal: int(s.Signal())}
	}
	return Ending{Status: s.ExitStatus()}
}
