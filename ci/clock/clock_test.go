package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const offset = 400 * 24 * time.Hour

// clock is our program, static asks as a Go program without libc does.
func build(t *testing.T) (clock, static string) {
	t.Helper()
	dir := t.TempDir()
	clock, static = filepath.Join(dir, "clock"), filepath.Join(dir, "static")
	source := filepath.Join(dir, "static.go")
	err := os.WriteFile(source, []byte(`package main

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// Prints the time of day, as several threads see it, and the monotonic time
// that a pause took.
func main() {
	begun := time.Now()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 10000 {
				if now := time.Now(); now.Round(0).Before(begun.Round(0)) {
					fmt.Println("backwards")
					os.Exit(1)
				}
			}
		})
	}
	all.Wait()
	fmt.Println(begun.Unix(), time.Since(begun) < 10*time.Second)
}
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for out, pkg := range map[string]string{clock: ".", static: source} {
		cmd := exec.Command("go", "build", "-o", out, pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return clock, static
}

// TestClock runs programs that ask in different ways: a static one, one that
// asks libc, a shell that asks for itself and starts others, and one that asks
// the kernel and not the vDSO.
func TestClock(t *testing.T) {
	clock, static := build(t)
	tests := map[string][]string{
		"static Go":          {static},
		"libc":               {"date", "+%s true"},
		"child of a shell":   {"sh", "-c", "date '+%s true' | cat"},
		"shell itself":       {"bash", "-c", "printf '%(%s)T true' -1"},
		"child of a child":   {"sh", "-c", static + "; exit $?"},
		"system calls":       {"perl", "-e", `$t = pack "q2", 0, 0; syscall(228, 0, $t) == 0 or die; print((unpack "q2", $t)[0], " true")`},
		"gettimeofday":       {"perl", "-e", `$t = pack "q2", 0, 0; syscall(96, $t, 0) == 0 or die; print((unpack "q2", $t)[0], " true")`},
		"time":               {"perl", "-e", `print syscall(201, 0), " true"`},
		"libc's time":        {"perl", "-e", `print time, " true"`},
		"clock that is TAI":  {"perl", "-e", `$t = pack "q2", 0, 0; syscall(228, 11, $t) == 0 or die; print((unpack "q2", $t)[0], " true")`},
		"coarse clock":       {"perl", "-e", `$t = pack "q2", 0, 0; syscall(228, 5, $t) == 0 or die; print((unpack "q2", $t)[0], " true")`},
		"clock by vDSO only": {"perl", "-MTime::HiRes=clock_gettime,CLOCK_REALTIME", "-e", `print int(clock_gettime(CLOCK_REALTIME)), " true"`},
	}
	for name, args := range tests {
		t.Run(name, func(t *testing.T) {
			out, err := exec.Command(clock, append([]string{offset.String()}, args...)...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			seconds, rest, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
			got, err := strconv.ParseInt(seconds, 10, 64)
			if err != nil || rest != "true" {
				t.Fatalf("got %q, want seconds and true", out)
			}
			if off := time.Until(time.Unix(got, 0)) - offset; off < -time.Minute || off > time.Minute {
				t.Errorf("got %v, which is %v from 400 days ahead", time.Unix(got, 0).UTC(), off)
			}
		})
	}
}

// TestNanoseconds: what is added never leaves a second that is not one.
func TestNanoseconds(t *testing.T) {
	clock, _ := build(t)
	for _, d := range []string{"0s", "1ns", "500ms", "999999999ns"} {
		out, err := exec.Command(clock, d, "date", "+%N").CombinedOutput()
		if n, err2 := strconv.Atoi(strings.TrimSpace(string(out))); err != nil || err2 != nil || n < 0 || n > 999999999 {
			t.Errorf("%s: got %q, %v", d, out, err)
		}
	}
}

// TestExitCodes: those of the program, as shells give them, and our own.
func TestExitCodes(t *testing.T) {
	clock, _ := build(t)
	tests := map[string]struct {
		args []string
		want int
	}{
		"yes":         {[]string{"1h", "true"}, 0},
		"no":          {[]string{"1h", "sh", "-c", "exit 7"}, 7},
		"killed":      {[]string{"1h", "sh", "-c", "kill -TERM $$"}, 143},
		"not found":   {[]string{"1h", "/nothing/here"}, 125},
		"no duration": {[]string{"tomorrow", "true"}, 125},
		"after 2038":  {[]string{"200000h", "true"}, 125},
		"no program":  {[]string{"1h"}, 125},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(clock, tt.args...)
			if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != tt.want {
				t.Errorf("got %v, want %d", err, tt.want)
			}
		})
	}
}
