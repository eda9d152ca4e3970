package kernel

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

//go:embed enter.pl
var enterScript string

// needed is the room that a build takes, in bytes: the tools have 0.4 GB, the
// source 1.6 GB and what is made of it 0.3 GB.
const needed = 3 << 30

// buildFolder is where the source lies inside, whatever the path outside.
const buildFolder = "build"

// The loader and the Perl that enter the sandbox, below its root.
const (
	loader    = "usr/lib64/ld-linux-x86-64.so.2"
	libraries = "usr/lib/x86_64-linux-gnu"
	perl      = "usr/bin/perl"
)

// isolation is what every program in the sandbox gets of its own. Its network
// has no device that is up, its first process takes all others with it when it
// ends, and /dev/null is all that it has of the host's files.
const isolation = syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC

// sandbox is a root folder in which pinned tools run.
type sandbox struct {
	dir  string
	root *os.Root
	// asUser says that a user namespace makes its first process root in it;
	// else the caller is root.
	asUser bool
	env    []string
}

// newSandbox makes an empty root under the folder for temporary files. env is
// all that programs see of variables.
func newSandbox(env []string) (_ *sandbox, err error) {
	parent := os.TempDir()
	if err := checkRoom(parent, needed); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, "safebox-kernel-")
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s := &sandbox{dir: dir, root: root, env: append([]string{}, env...)} // not nil: that would stand for the caller's
	for _, d := range []struct {
		name string
		mode os.FileMode
	}{{".", 0o755}, {"dev", 0o755}, {buildFolder, 0o755}, {"tmp", 0o777 | os.ModeSticky}} {
		if err := s.mkdir(d.name, d.mode); err != nil {
			return nil, errors.Join(err, s.remove())
		}
	}
	if err := root.WriteFile("dev/null", nil, 0o644); err != nil { // to bind the device on
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

// checkRoom says no when a folder's file system has less room, in bytes.
func checkRoom(dir string, want uint64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("looking for room in %s: %w", dir, err)
	}
	if got := st.Bavail * uint64(st.Bsize); got < want {
		return fmt.Errorf("room in %s: got %d MiB, want %d MiB; set TMPDIR to a folder that has it", dir, got>>20, want>>20)
	}
	return nil
}

// mkdir makes a folder with this mode, whatever the umask says.
func (s *sandbox) mkdir(name string, mode os.FileMode) error {
	if err := s.root.Mkdir(name, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return s.root.Chmod(name, mode)
}

func (s *sandbox) remove() error {
	return errors.Join(s.root.Close(), os.RemoveAll(s.dir))
}

// enterable finds out how programs can run in the sandbox: in a user namespace
// or, where the kernel refuses that to root as well, without.
func (s *sandbox) enterable(ctx context.Context) error {
	s.asUser = true
	userErr := s.run(ctx, nil, io.Discard, "/usr/bin/true")
	if userErr == nil || ctx.Err() != nil {
		return userErr
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("this kernel gives no user namespace (%w): allow them (user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns) or build as root", userErr)
	}
	s.asUser = false
	if err := s.run(ctx, nil, io.Discard, "/usr/bin/true"); err != nil {
		return fmt.Errorf("root can make no namespaces (%w), and no user namespace (%w): a container may forbid both", err, userErr)
	}
	return nil
}

// run runs a program inside, in the build folder, until it and all that it
// started have ended. What it says goes to output; the end of it is in the
// error too.
func (s *sandbox) run(ctx context.Context, stdin io.Reader, output io.Writer, program ...string) error {
	// The signal that ends the sandbox with its parent comes when the thread
	// ends that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	end := &tail{}
	cmd := exec.CommandContext(ctx, filepath.Join(s.dir, loader))
	cmd.Args = append([]string{loader, "--inhibit-cache", "--library-path", libraries, perl, "-f", "-e", enterScript, "--"}, program...)
	cmd.Dir, cmd.Env, cmd.Stdin = s.dir, s.env, stdin
	cmd.Stdout = io.MultiWriter(output, end)
	cmd.Stderr = cmd.Stdout
	cmd.WaitDelay = 10 * time.Second
	cmd.SysProcAttr = s.attributes()
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("running %s: %w%s", filepath.Base(program[0]), err, end)
	}
	return nil
}

func (s *sandbox) attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Cloneflags: isolation, Setsid: true, Pdeathsig: syscall.SIGKILL}
	if s.asUser {
		a.Cloneflags |= syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return a
}

// tail keeps the end of what is written to it.
type tail struct{ b []byte }

// tailSize is how much of a program's words an error quotes, in bytes.
const tailSize = 4 << 10

// Write keeps the last bytes of p and of what came before.
func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if n := len(t.b) - tailSize; n > 0 {
		t.b = append(t.b[:0], t.b[n:]...)
	}
	return len(p), nil
}

// String is empty if nothing was written.
func (t *tail) String() string {
	if len(t.b) == 0 {
		return ""
	}
	return "; it said at the end:\n" + string(t.b)
}
