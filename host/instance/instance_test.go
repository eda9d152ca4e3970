package instance

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// beAgent makes the test binary an agent: it creates the instance "child" in
// the folder and waits for a signal.
const beAgent = "SAFEBOX_TEST_AGENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(beAgent); dir != "" {
		if err := agent(dir); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func agent(dir string) error {
	s, err := Open(dir)
	if err != nil {
		return err
	}
	i, err := s.Create(Info{ID: "child"})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(i.RunDir(), "secret"), []byte("x"), 0o600); err != nil {
		return err
	}
	fmt.Println("ready")
	// Not select{}: a runtime that sees nothing left to wait for ends with status
	// 2 before the signal comes.
	for {
		time.Sleep(time.Hour)
	}
}

func startAgent(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), beAgent+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err == nil {
			t.Log(cmd.Wait())
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("agent said %q, %v", line, err)
	}
	return cmd
}

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "instances"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func create(t *testing.T, s *Store, id string) *Instance {
	t.Helper()
	i, err := s.Create(Info{ID: id, Platform: "vtpm"})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func states(t *testing.T, s *Store) map[string]State {
	t.Helper()
	all, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]State{}
	for _, i := range all {
		m[i.ID] = i.State
	}
	return m
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestLife(t *testing.T) {
	s := open(t)
	i := create(t, s, "a1")
	if d := cmp.Diff(map[string]State{"a1": Starting}, states(t, s)); d != "" {
		t.Error(d)
	}
	if err := i.Update(func(i *Info) { i.State, i.URL = Ready, "http://127.0.0.1:1" }); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Console().WriteString("hello\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(Info{ID: "a1"}); err == nil || !strings.Contains(err.Error(), "that name runs") {
		t.Errorf("second instance of a name: %v", err)
	}
	found, err := s.Find("a1")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(i.Info(), found); d != "" {
		t.Error(d)
	}
	if err := i.End("signal"); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]State{"a1": Ended}, states(t, s)); d != "" {
		t.Error(d)
	}
	if exists(i.RunDir()) {
		t.Error("temporary state is still there")
	}
	var b bytes.Buffer
	if err := s.Console(t.Context(), "a1", &b, true); err != nil || b.String() != "hello\n" {
		t.Errorf("console after the end: %q, %v", b.String(), err)
	}
	create(t, s, "a1") // the name is free again
	b.Reset()
	if err := s.Console(t.Context(), "a1", &b, false); err != nil || b.String() != "" {
		t.Errorf("console of the new instance: %q, %v", b.String(), err)
	}
}

func TestFolderIsPrivate(t *testing.T) {
	s := open(t)
	i := create(t, s, "a1")
	for _, path := range []string{s.dir, s.Path("a1"), i.RunDir()} {
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode().Perm() != 0o700 {
			t.Errorf("%s: mode %v, want 0700", path, fi.Mode().Perm())
		}
	}
}

func TestCheckID(t *testing.T) {
	for _, id := range []string{"a", "7", "web-1", NewID(), strings.Repeat("a", 32)} {
		if err := CheckID(id); err != nil {
			t.Error(err)
		}
	}
	for _, id := range []string{"", "-a", "a-", "A", "a/b", "..", "a b", "ä", strings.Repeat("a", 33)} {
		if CheckID(id) == nil {
			t.Errorf("%q accepted", id)
		}
	}
	if a, b := NewID(), NewID(); a == b {
		t.Error("two random names are equal")
	}
}

// An agent that was killed: the next look cleans up, keeps the console and
// does not touch anybody.
func TestKilledAgent(t *testing.T) {
	s := open(t)
	cmd := startAgent(t, s.dir)
	if d := cmp.Diff(map[string]State{"child": Starting}, states(t, s)); d != "" {
		t.Error(d)
	}
	secret := filepath.Join(s.Path("child"), runName, "secret")
	if !exists(secret) {
		t.Fatal("a running instance was swept")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("ended by itself")
	}
	if d := cmp.Diff(map[string]State{"child": Killed}, states(t, s)); d != "" {
		t.Error(d)
	}
	if exists(secret) {
		t.Error("left behind: " + secret)
	}
	if err := s.Stop(t.Context(), "child"); err == nil || !strings.Contains(err.Error(), "does not run") {
		t.Errorf("stop of a killed one: %v", err)
	}
}

func TestStop(t *testing.T) {
	s := open(t)
	cmd := startAgent(t, s.dir)
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Stop(ctx, "child"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil || !strings.Contains(err.Error(), "terminated") {
		t.Errorf("agent ended with %v, want SIGTERM", err)
	}
}

func TestStopWaitsOnlySoLong(t *testing.T) {
	s := open(t)
	sleeper := startSleeper(t)
	i := create(t, s, "a1")
	if err := i.Update(func(i *Info) { i.PID = sleeper.Process.Pid }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := s.Stop(ctx, "a1"); err == nil || !strings.Contains(err.Error(), "still runs") {
		t.Errorf("got %v, want the agent named", err)
	}
}

// The number of an agent that is gone now belongs to somebody else.
func TestStopSparesStrangers(t *testing.T) {
	s := open(t)
	stranger := startSleeper(t)
	for _, tc := range []struct {
		name   string
		change func(*Instance) error
		want   string
	}{
		{"agent gone", func(i *Instance) error { return i.closeFiles() }, "does not run"},
		{"another container", func(i *Instance) error {
			return i.Update(func(i *Info) { i.PIDSpace = "pid:[1]" })
		}, "another container"},
	} {
		i := create(t, s, "a1")
		if err := i.Update(func(i *Info) { i.PID = stranger.Process.Pid }); err != nil {
			t.Fatal(err)
		}
		if err := tc.change(i); err != nil {
			t.Fatal(err)
		}
		if err := s.Stop(t.Context(), "a1"); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want an error with %q", tc.name, err, tc.want)
		}
	}
	if b, err := os.ReadFile("/proc/" + strconv.Itoa(stranger.Process.Pid) + "/comm"); err != nil || string(b) != "sleep\n" {
		t.Errorf("the stranger is gone: %q, %v", b, err)
	}
}

func startSleeper(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Log(err)
		}
		t.Log(cmd.Wait())
	})
	return cmd
}

// Only the newest ended instances keep their logs.
func TestEndedAreForgotten(t *testing.T) {
	s := open(t)
	running := create(t, s, "running")
	for n := range keptEnded + 3 {
		i := create(t, s, fmt.Sprintf("n%02d", n))
		if err := i.Update(func(i *Info) { i.Started = i.Started.Add(time.Duration(n) * time.Second) }); err != nil {
			t.Fatal(err)
		}
		if err := i.End("signal"); err != nil {
			t.Fatal(err)
		}
	}
	got := states(t, s)
	if len(got) != keptEnded+1 || got["running"] != Starting || got["n00"] != "" || got["n03"] != Ended {
		t.Errorf("kept %v, want the running one and the last %d", got, keptEnded)
	}
	if err := running.End("signal"); err != nil {
		t.Fatal(err)
	}
}

// What a launch that never was leaves goes; what is anybody else's stays, for
// --state may name a home folder by mistake.
func TestSweepTouchesNothingForeign(t *testing.T) {
	s := open(t)
	for _, name := range []string{"unborn/run/tpm", "empty", "documents", "bad", "service/run", "Not-Ours"} {
		if err := os.MkdirAll(s.Path(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"unborn/lock": "", "unborn/console.log": "", "unborn/instance.json.new": "{",
		"documents/thesis": "x", "documents/lock": "", "bad/instance.json": "{", "service/run/pid": "1", "file": "x",
	} {
		if err := os.WriteFile(s.Path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := states(t, s); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	for name, want := range map[string]bool{
		"unborn": false, "empty": true, "documents/thesis": true, "bad/instance.json": true,
		"service/run/pid": true, "Not-Ours": true, "file": true,
	} {
		if exists(s.Path(name)) != want {
			t.Errorf("%s: exists %v, want %v", name, !want, want)
		}
	}
	if _, err := s.Create(Info{ID: "documents"}); err == nil || !exists(s.Path("documents/thesis")) {
		t.Errorf("an instance in place of somebody's folder: got %v", err)
	}
	if err := create(t, s, "empty").End("signal"); err != nil {
		t.Error(err)
	}
}

func TestConsoleFollows(t *testing.T) {
	s := open(t)
	i := create(t, s, "a1")
	out := make(chan string, 100)
	done := make(chan error, 1)
	go func() { done <- s.Console(t.Context(), "a1", chanWriter(out), true) }()
	for _, line := range []string{"one\n", "two\n"} {
		if _, err := i.Console().WriteString(line); err != nil {
			t.Fatal(err)
		}
		if got := <-out; got != line {
			t.Errorf("got %q, want %q", got, line)
		}
	}
	if _, err := i.Console().WriteString("last\n"); err != nil {
		t.Fatal(err)
	}
	if err := i.End("power-off"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := <-out; got != "last\n" {
		t.Errorf("got %q, want the last line", got)
	}
}

type chanWriter chan string

func (c chanWriter) Write(p []byte) (int, error) {
	c <- string(p)
	return len(p), nil
}

func TestUnknownInstance(t *testing.T) {
	s := open(t)
	for name, f := range map[string]func() error{
		"stop":    func() error { return s.Stop(t.Context(), "nobody") },
		"console": func() error { return s.Console(t.Context(), "../x", &bytes.Buffer{}, false) },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), "no instance") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestDefaultDir(t *testing.T) {
	for _, tc := range []struct{ state, home, want string }{
		{"/s", "/h", "/s/safebox/instances"},
		{"", "/h", "/h/.local/state/safebox/instances"},
		{"relative", "/h", "/h/.local/state/safebox/instances"}, // the specification: ignore it
		{"", "", ""},
	} {
		got, err := DefaultDir(func(k string) string { return map[string]string{"XDG_STATE_HOME": tc.state, "HOME": tc.home}[k] })
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%+v: got %q, %v", tc, got, err)
		}
	}
}
