package instance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"safebox/host/hint"
	"safebox/host/lockfile"
)

// poll is how often a waiting command looks again.
const poll = 50 * time.Millisecond

// Stop asks the instance's agent to end it and waits until it has, or ctx ends.
func (s *Store) Stop(ctx context.Context, id string) error {
	i, err := s.Find(id)
	if err != nil {
		return err
	}
	if !i.Running() {
		return fmt.Errorf("instance %q does not run: %s", id, i.State)
	}
	if err := s.terminate(&i); err != nil {
		return fmt.Errorf("stopping instance %q: %w", id, err)
	}
	for {
		alive, err := lockfile.Held(filepath.Join(s.Path(id), lockName))
		if err != nil {
			return fmt.Errorf("stopping instance %q: %w", id, err)
		}
		if !alive {
			return nil
		}
		select {
		case <-ctx.Done():
			return hint.New(fmt.Errorf("stopping instance %q: its agent, process %d, still runs", id, i.PID),
				fmt.Sprintf("see what it does; kill -9 %d ends it together with its guest", i.PID))
		case <-time.After(poll):
		}
	}
}

// terminate sends SIGTERM to the agent and to nobody else. The descriptor pins
// one process; since the agent holds its lock afterwards, it was alive all the
// time, and the number could not have meant another process.
func (s *Store) terminate(i *Info) (err error) {
	space, err := pidSpace()
	if err != nil {
		return err
	}
	if space != i.PIDSpace {
		return errors.New("its agent runs in another container")
	}
	fd, err := unix.PidfdOpen(i.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil // it ended just now
	}
	if err != nil {
		return fmt.Errorf("opening process %d: %w", i.PID, err)
	}
	process := os.NewFile(uintptr(fd), "pidfd")
	defer func() { err = errors.Join(err, process.Close()) }()
	alive, err := lockfile.Held(filepath.Join(s.Path(i.ID), lockName))
	if err != nil || !alive {
		return err
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGTERM, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("sending SIGTERM to process %d: %w", i.PID, err)
	}
	return nil
}

// Console copies the instance's console log to w; with follow it goes on until
// the instance or ctx ends.
func (s *Store) Console(ctx context.Context, id string, w io.Writer, follow bool) (err error) {
	if _, err := s.Find(id); err != nil {
		return err
	}
	f, err := os.Open(filepath.Join(s.Path(id), consoleName))
	if err != nil {
		return fmt.Errorf("reading console of %q: %w", id, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for {
		// Asked before the copy: what is written up to the end is copied.
		alive, err := lockfile.Held(filepath.Join(s.Path(id), lockName))
		if err != nil {
			return fmt.Errorf("reading console of %q: %w", id, err)
		}
		if _, err := io.Copy(w, f); err != nil {
			return fmt.Errorf("reading console of %q: %w", id, err)
		}
		if !follow || !alive {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(poll):
		}
	}
}
