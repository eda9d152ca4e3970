package boot

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"safebox/guest/confine"
	"safebox/guest/spawn"
	"safebox/initrd/layout"

	"golang.org/x/sys/unix"
)

// Bounds of what a process says when it has started. The keeper makes keys in
// the TPM first.
const (
	startWait = 60 * time.Second
	maxReply  = 1024
)

// starting is a process that has not said yet that it is ready.
type starting struct {
	*spawn.Child
	role  confine.Role
	ready *os.File // pipe from it, which is its last file
}

// start starts our own program in a role. The caller goes on with other work
// and then waits for it.
func (b *machine) start(role confine.Role, files ...*os.File) (*starting, error) {
	group, err := b.groups.New(string(role), role.Threads(), 0)
	if err != nil {
		return nil, err
	}
	ready, say, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	child, err := b.reaper.Start(spawn.Process{
		Path: "/" + layout.Init, Role: role, Files: append(files, say), Group: group,
	})
	// Ours must be closed before the read, or the child's end would not show.
	if err = errors.Join(err, say.Close()); err != nil {
		return nil, errors.Join(err, ready.Close())
	}
	b.watch(string(role), child.PID)
	return &starting{child, role, ready}, nil
}

// await waits until the process says that it is ready. Only then has it taken
// over its files and confined itself.
func (s *starting) await(wantReply string) error {
	err := awaitReady(wantReply, s.ready)
	if err != nil && follows(s.Child) {
		err = fmt.Errorf("%w; it %s", err, s.Ending())
	}
	if err = errors.Join(err, s.ready.Close()); err != nil {
		return fmt.Errorf("starting %s: %w", s.role, err)
	}
	return nil
}

// awaitReady reads the child's one message.
func awaitReady(want string, pipe *os.File) error {
	if err := pipe.SetReadDeadline(time.Now().Add(startWait)); err != nil {
		return err
	}
	reply, err := io.ReadAll(io.LimitReader(pipe, maxReply))
	if err != nil {
		return fmt.Errorf("waiting until it is ready: %w", err)
	}
	if string(reply) != want {
		return fmt.Errorf("it says %q", reply)
	}
	return nil
}

// followUp is how long the end of one process may take to end another.
const followUp = 200 * time.Millisecond

// awaitEnd waits until something ends without which the machine is to be off.
// That is an error always, and its name the reason.
func (b *machine) awaitEnd() (string, error) {
	select {
	case <-b.keeper.Done():
	case <-b.api.Done():
	case err := <-b.workers: // or the keeper is about to end, and this is how it shows
		if !follows(b.keeper) {
			return "", failure{"workers", err}
		}
	case err := <-b.reaper.Failed():
		return "", failure{"reaping", err}
	}
	return "", blame(b.keeper, b.api)
}

// blame names which of keeper and API ended first. Each ends when the other is
// gone, the keeper with status 0, which it has for no other reason.
func blame(keeper, api *spawn.Child) error {
	keeperEnded, apiEnded := follows(keeper), follows(api)
	if apiEnded && (!keeperEnded || keeper.Ending() == spawn.Ending{}) {
		return failure{"api-exited", fmt.Errorf("process %d of the API %s", api.PID, api.Ending())}
	}
	return failure{"keeper-exited", fmt.Errorf("process %d of the keeper %s", keeper.PID, keeper.Ending())}
}

// follows tells whether a process has ended, or does within that time.
func follows(c *spawn.Child) bool {
	select {
	case <-c.Done():
		return true
	case <-time.After(followUp):
		return false
	}
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
