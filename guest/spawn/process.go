package spawn

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"safebox/guest/confine"
)

// namespaces that every process gets of its own. A socket stays in the
// namespace that it was made in, so the API accepts connections on the one
// that PID 1 hands over, and reaches nothing else. User namespaces are off:
// PID 1 is root in the only one.
const namespaces = syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWPID

// ipcNamespace is CLONE_NEWIPC, unless the kernel has neither System V IPC nor
// POSIX message queues, as ours: there is nothing to keep apart then, and the
// kernel refuses the flag. namespaces is where a process sees its own
// (namespaces(7)).
func ipcNamespace(namespaces string) (uintptr, error) {
	_, err := os.Stat(filepath.Join(namespaces, "ipc"))
	switch {
	case err == nil:
		return syscall.CLONE_NEWIPC, nil
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Join(namespaces, "pid")); err != nil {
			return 0, err // the folder itself is not there: that says nothing
		}
		return 0, nil
	}
	return 0, err
}

// Process says what to start: our own program again, in another role.
type Process struct {
	Path  string // the program
	Role  confine.Role
	Args  []string   // after argument 0, which is the role
	Files []*os.File // from descriptor 3 on
	Group Group
}

// Group is what bounds the memory and the threads of a process.
type Group interface {
	// Folder is for clone3(2), CLONE_INTO_CGROUP.
	Folder() *os.File
	// OOMKilled tells whether the kernel killed anything in the group for its
	// memory limit.
	OOMKilled() (bool, error)
	// Remove removes the group, whose processes have ended.
	Remove() error
}

// Groups makes groups: Cgroups does, and a fake where tests run.
type Groups interface {
	New(name string, threads int, memory int64) (Group, error)
}

// Start starts a process without privileges, inside its group from the first
// instruction. Standard streams lead nowhere, so that it can't write lines to
// the console that look like PID 1's.
func (r *Reaper) Start(p Process) (c *Child, err error) {
	uid := p.Role.UID()
	if uid == 0 {
		return nil, fmt.Errorf("starting role %q: no such role", p.Role)
	}
	ipc, err := ipcNamespace("/proc/self/ns")
	if err != nil {
		return nil, fmt.Errorf("starting role %s: %w", p.Role, err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, null.Close()) }()
	c, err = r.Begin(func() (int, error) {
		started, err := os.StartProcess(p.Path, append([]string{string(p.Role)}, p.Args...), &os.ProcAttr{
			Dir:   "/",
			Env:   environment(),
			Files: append([]*os.File{null, null, null}, p.Files...),
			Sys: &syscall.SysProcAttr{
				Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)},
				Setsid:     true,
				Cloneflags: namespaces | ipc,
				// The signal comes when the thread that forked ends. Threads of
				// a Go process stay unless a goroutine locked to one returns, and
				// none here does.
				Pdeathsig:   syscall.SIGKILL,
				UseCgroupFD: true,
				CgroupFD:    int(p.Group.Folder().Fd()),
			},
		})
		if err != nil {
			return 0, err
		}
		pid := started.Pid
		return pid, started.Release() // the Reaper waits by number
	})
	if err != nil {
		return nil, fmt.Errorf("starting role %s: %w", p.Role, err)
	}
	return c, nil
}

// environment keeps Go's runtime from files that the process can't open: it
// holds no file of its cgroup to look for a CPU limit once a second, and looks
// for no time zone.
func environment() []string {
	return []string{"GODEBUG=containermaxprocs=0,updatemaxprocs=0", "TZ=UTC"}
}
