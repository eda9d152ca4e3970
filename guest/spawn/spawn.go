// Package spawn starts the processes of the guest (specs/protocol.md 7) and
// watches how they end. PID 1 holds the Reaper and serves the socket on which
// the keeper asks for workers; the keeper holds a Client.
package spawn

import (
	"fmt"
	"time"
)

// Engines that a worker can be started for (specs/protocol.md 7 and the
// configuration document). A compiler's process may make memory executable.
const (
	EngineCompiler    = "compiler"
	EngineInterpreter = "interpreter"
)

// Bounds of what the keeper can ask for.
const (
	MinMemory = 16 << 20
	MaxMemory = 4 << 30
	MaxWall   = 20 * time.Minute // above the longest that a configuration can say
)

// Limits are what a worker gets. They hold whatever runs inside: the kernel
// and PID 1 enforce them from outside.
type Limits struct {
	Memory int64         // bytes, memory.max of its cgroup; there is no swap
	Wall   time.Duration // from the start until SIGKILL
	Engine string
}

// check refuses limits outside the bounds, before anything is started.
func (l Limits) check() error {
	switch {
	case l.Memory < MinMemory || l.Memory > MaxMemory:
		return fmt.Errorf("memory: got %d bytes, want %d to %d", l.Memory, MinMemory, int64(MaxMemory))
	case l.Wall <= 0 || l.Wall > MaxWall:
		return fmt.Errorf("wall: got %v, want above 0 and at most %v", l.Wall, MaxWall)
	case l.Engine != EngineCompiler && l.Engine != EngineInterpreter:
		return fmt.Errorf("engine: got %q, want %s or %s", l.Engine, EngineCompiler, EngineInterpreter)
	}
	return nil
}

// Ending is how a process ended.
type Ending struct {
	Signal int  // that ended it, 0 if it ended by itself
	Status int  // exit status; -1 if PID 1 is gone, which says nothing about the process
	OOM    bool // the kernel killed it for its memory limit
	Wall   bool // PID 1 killed it for its wall limit
}

// String gives the ending in words.
func (e Ending) String() string {
	switch {
	case e.OOM:
		return "killed: memory limit"
	case e.Wall:
		return "killed: wall limit"
	case e.Signal != 0:
		return fmt.Sprintf("killed by signal %d", e.Signal)
	}
	return fmt.Sprintf("ended with status %d", e.Status)
}
