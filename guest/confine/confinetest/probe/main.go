// Command probe is a TEST-ONLY program: it gives up privileges as PID 1 takes
// them away, confines itself in the role that argument 0 names, and then does
// what it is told on the command line of its environment. Package confine's
// tests build and run it; no release holds it.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"safebox/guest/confine"
)

// Variables of the environment that say what to do.
const (
	actionVariable = "PROBE"      // the action and its arguments
	keepVariable   = "PROBE_KEEP" // privileges to keep, by name
)

func main() { os.Exit(run()) }

func run() int {
	role := confine.Role(os.Args[0])
	action := strings.Fields(os.Getenv(actionVariable))
	if len(action) == 0 {
		return say("no action")
	}
	threads := newThreads(4) // before Apply, to see that it reaches them
	if err := giveUp(role, strings.Fields(os.Getenv(keepVariable))); err != nil {
		return say("giving up privileges: %v", err)
	}
	if action[0] == "check" {
		return say("%v", confine.Check(role))
	}
	if err := apply(role); err != nil {
		return say("%v", err)
	}
	if err := act(action, threads); err != nil {
		return say("%s: %v", action[0], err)
	}
	return say("fine")
}

// apply confines the process; "init" is what the role of PID 1 is called here.
func apply(role confine.Role) error {
	if role == "init" {
		return confine.ApplyInit()
	}
	return confine.Apply(role)
}

// say is the last word of the program, on standard output.
func say(format string, args ...any) int {
	if _, err := io.WriteString(os.Stdout, fmt.Sprintf(format, args...)); err != nil {
		return 1
	}
	return 0
}

// giveUp does to this process what PID 1 does to those that it starts.
func giveUp(role confine.Role, keep []string) error {
	if !slices.Contains(keep, "no_new_privs") {
		if err := confine.ForbidNewPrivileges(); err != nil {
			return err
		}
	}
	if !slices.Contains(keep, "bounding") {
		if _, err := confine.EmptyBoundingSet(); err != nil {
			return err
		}
	}
	groups := []int{}
	if slices.Contains(keep, "groups") {
		groups = []int{1}
	}
	uid := role.UID()
	if slices.Contains(keep, "uid") {
		uid++
	}
	if slices.Contains(keep, "root") {
		return nil
	}
	return errors.Join(syscall.Setgroups(groups), syscall.Setresgid(uid, uid, uid), syscall.Setresuid(uid, uid, uid))
}

// threads are goroutines on threads of their own.
type threads []chan func()

func newThreads(n int) threads {
	all := make(threads, n)
	for i := range all {
		all[i] = make(chan func())
		go func() {
			runtime.LockOSThread()
			for f := range all[i] {
				f()
			}
		}()
		all[i] <- func() {} // it runs
	}
	return all
}

// each runs f on every thread and joins the errors.
func (t threads) each(f func() error) error {
	results := make(chan error)
	for _, thread := range t {
		thread <- func() { results <- f() }
	}
	var err error
	for range t {
		err = errors.Join(err, <-results)
	}
	return err
}
