package confine

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// limit is one resource limit (setrlimit(2)), soft and hard alike.
type limit struct {
	name     string
	resource int
	value    uint64
}

// Threads bounds the threads of a role's process. Go's runtime starts one for
// each system call that blocks outside its poller.
func (r Role) Threads() int {
	if r == API {
		return 128
	}
	return 64
}

// limits lists the limits of a role. What a process holds in memory is bounded
// by its cgroup; the address space only keeps a runaway from mapping without
// end, with room for what Go's runtime reserves and never touches.
func limits(r Role) []limit {
	files, locked := uint64(8), uint64(0) // worker: specs/runtime.md A1
	switch r {
	case API:
		files = 128
	case Keeper:
		files, locked = 32, 8<<20 // the arena of keys; 8 MiB is the kernel's default too
	case Worker:
	}
	return []limit{
		{"core", unix.RLIMIT_CORE, 0},
		{"file size", unix.RLIMIT_FSIZE, 0},
		{"open files", unix.RLIMIT_NOFILE, files},
		{"threads", unix.RLIMIT_NPROC, uint64(r.Threads())},
		{"locked memory", unix.RLIMIT_MEMLOCK, locked},
		{"address space", unix.RLIMIT_AS, 8 << 30},
		{"message queues", unix.RLIMIT_MSGQUEUE, 0},
	}
}

func setLimits(r Role) error {
	for _, l := range limits(r) {
		if err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: l.value, Max: l.value}); err != nil {
			return fmt.Errorf("limiting %s to %d: %w", l.name, l.value, err)
		}
	}
	return nil
}

func checkLimits(r Role) error {
	for _, l := range limits(r) {
		var got unix.Rlimit
		if err := unix.Getrlimit(l.resource, &got); err != nil {
			return fmt.Errorf("asking for the limit of %s: %w", l.name, err)
		}
		if got.Cur != l.value || got.Max != l.value {
			return fmt.Errorf("limit of %s: got %d and %d, want %d", l.name, got.Cur, got.Max, l.value)
		}
	}
	return nil
}
