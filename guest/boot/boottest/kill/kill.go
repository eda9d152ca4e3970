// Package kill is what the TEST-ONLY inits below it share: they differ from
// cmd/safebox-init in that they kill one process of the machine, so that a test
// can see what the others do.
package kill

import (
	"fmt"
	"os"
	"time"

	"safebox/guest/boot"

	"golang.org/x/sys/unix"
)

// Delay is from the moment when the machine is ready until the process is
// killed: time to ask the API once.
const Delay = 3 * time.Second

// AfterReady gives options that kill the process of a role some time after the
// machine is ready. Role "init" is PID 1 itself, which no signal ends: it
// leaves.
func AfterReady(role string) boot.Options {
	pids := map[string]int{}
	return boot.Options{Watch: func(started string, pid int) {
		pids[started] = pid
		if started != "init" {
			return
		}
		pid, known := pids[role]
		go func() {
			time.Sleep(Delay)
			if !known || pid == os.Getpid() {
				os.Exit(1)
			}
			end(role, pid)
		}()
	}}
}

// WhenStarted gives options that kill each process of a role as soon as it is
// there.
func WhenStarted(role string) boot.Options {
	return boot.Options{Watch: func(started string, pid int) {
		if started == role {
			end(role, pid)
		}
	}}
}

func end(role string, pid int) {
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		panic(fmt.Sprintf("killing %s, process %d: %v", role, pid, err))
	}
}
