// Package confine takes from a process of the guest everything that its role
// does not need: specs/protocol.md 7 ("each under its own seccomp, landlock,
// uid and namespaces") and specs/runtime.md A1. PID 1 gives the uid, the
// namespaces, the cgroup and empty capability sets before the process runs;
// the process itself calls Apply, first thing after it has taken over its
// files and before it reads anything that somebody else wrote.
//
// Kernel interfaces: seccomp(2) filters of classic BPF (Linux
// Documentation/userspace-api/seccomp_filter.rst), Landlock ABI 6
// (Documentation/userspace-api/landlock.rst), x86-64 only.
//
// A process that can't be confined as described here does not run: there is no
// weaker form. Programs must be built without cgo, as the appliance is: a C
// library starts threads in ways that the filter takes for a new process.
package confine

import (
	"errors"
	"fmt"
	"os"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
)

// Role is what a process does; each has its own uid, limits and filter.
type Role string

// Roles of specs/protocol.md 7, init apart, by argument 0 of the process.
const (
	Keeper Role = "keeper" // KEM, receipt and chunk keys, quotes, grants; no network
	API    Role = "api"    // HTTP parsing; no key
	Worker Role = "worker" // WASM, one process a job
)

// CompilerArgument is argument 1 of a worker process whose engine turns WASM
// into machine code. PID 1 sets it. Only such a process may make memory
// executable, and never memory that it can write to.
const CompilerArgument = "compiler"

// UID gives the user and group of a role's process, 0 for a name that is no
// role. 65534 is the kernel's overflow uid; the two below it belong to nobody
// either, and different ones can't signal or trace each other.
func (r Role) UID() int {
	switch r {
	case Keeper:
		return 65532
	case API:
		return 65533
	case Worker:
		return 65534
	}
	return 0
}

// Apply confines the calling process, for good. After an error the process
// must end: it may be confined in part.
func Apply(r Role) error {
	if r.UID() == 0 {
		return fmt.Errorf("confining: got role %q, want %s, %s or %s", r, Keeper, API, Worker)
	}
	if err := checkPrivileges(r); err != nil {
		return fmt.Errorf("confining %s: %w", r, err)
	}
	// Not dumpable: no core, and /proc/PID belongs to root.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("confining %s: making the process not dumpable: %w", r, err)
	}
	if err := setLimits(r); err != nil {
		return fmt.Errorf("confining %s: %w", r, err)
	}
	// ABI 6 without any rule: no file, no TCP bind or connect, no signal and
	// no abstract socket out of the domain. Files that are open stay open.
	if err := landlock.V6.Restrict(); err != nil {
		return fmt.Errorf("confining %s: landlock: %w", r, err)
	}
	if err := probeOpen(unix.EACCES); err != nil {
		return fmt.Errorf("confining %s: landlock: %w", r, err)
	}
	if err := install(assemble(filter(r, compiles(r, os.Args)), deny)); err != nil {
		return fmt.Errorf("confining %s: %w", r, err)
	}
	return Check(r)
}

// ApplyInit takes from PID 1, and so from all that it starts, the system calls
// that nothing needs once the machine is set up: those that end a process in
// every role, and memory that is writable and executable. PID 1 must keep the
// rest, to start processes and to power off; it stays root, without landlock.
func ApplyInit() error {
	if err := install(assemble(initFilter(), allow)); err != nil {
		return fmt.Errorf("confining init: %w", err)
	}
	err := wantPrctl(unix.PR_GET_SECCOMP, unix.SECCOMP_MODE_FILTER, "seccomp mode")
	if err = errors.Join(err, probeExecutable()); err != nil {
		return fmt.Errorf("checking confinement of init: %w", err)
	}
	return nil
}

// compiles tells whether the process may make memory executable.
func compiles(r Role, args []string) bool {
	return r == Worker && len(args) == 2 && args[1] == CompilerArgument
}

// Check gives an error unless the calling process is confined in its role. It
// looks at what the kernel says where the kernel says it, and tries where not.
func Check(r Role) error {
	if r.UID() == 0 {
		return fmt.Errorf("checking confinement: got role %q, want %s, %s or %s", r, Keeper, API, Worker)
	}
	checks := []func() error{
		func() error { return checkPrivileges(r) },
		func() error { return wantPrctl(unix.PR_GET_DUMPABLE, 0, "dumpable") },
		func() error { return wantPrctl(unix.PR_GET_SECCOMP, unix.SECCOMP_MODE_FILTER, "seccomp mode") },
		func() error { return checkLimits(r) },
		// The filter answers before landlock does, and with another error.
		func() error { return probeOpen(unix.EPERM) },
		probeExecutable,
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return fmt.Errorf("checking confinement of %s: %w", r, err)
		}
	}
	return nil
}

// probeOpen opens the root directory, which must fail in the given way.
func probeOpen(want unix.Errno) error {
	fd, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		return errors.Join(errors.New("opening /: got a file, want an error"), unix.Close(fd))
	}
	if !errors.Is(err, want) {
		return fmt.Errorf("opening /: got %w, want %s", err, want.Error())
	}
	return nil
}

// probeExecutable maps memory that can be written and run, which no role may.
func probeExecutable() error {
	b, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err == nil {
		return errors.Join(errors.New("mapping writable and executable memory: got it, want an error"), unix.Munmap(b))
	}
	if !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("mapping writable and executable memory: got %w, want %s", err, unix.EPERM.Error())
	}
	return nil
}
