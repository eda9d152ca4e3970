package spawn

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var buildHelper = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "helper")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "helper")
	build := exec.Command("go", "build", "-o", path, "./spawntest/helper")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as the appliance is built
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the helper: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	status := m.Run()
	if path, err := buildHelper(); err == nil {
		if err := os.RemoveAll(filepath.Dir(path)); err != nil {
			status = 1
		}
	}
	os.Exit(status)
}

// initProcess is a process that serves workers as PID 1 does.
type initProcess struct {
	cmd  *exec.Cmd
	err  *bytes.Buffer
	sock *os.File // the keeper's end
	oom  string   // create it, and groups say that they were killed for memory
}

// startInit starts one, as PID 1 of a PID namespace if it shall see orphans.
func startInit(t *testing.T, first bool) *initProcess {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("these tests start processes under other uids and in namespaces: run them as root")
	}
	path, err := buildHelper()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "init")
	p := &initProcess{
		cmd: exec.Command(path), err: &bytes.Buffer{},
		sock: os.NewFile(uintptr(pair[0]), "keeper"), oom: filepath.Join(t.TempDir(), "oom"),
	}
	p.cmd.Args = []string{"init"}
	p.cmd.Env = []string{"OOM=" + p.oom, "GROUPS=" + groups(t)}
	p.cmd.ExtraFiles = []*os.File{theirs}
	p.cmd.Stderr = p.err
	if first {
		p.cmd.Env = append(p.cmd.Env, "ORPHANS=1")
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	}
	if err := errors.Join(p.cmd.Start(), theirs.Close()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // runs before the groups are removed
		if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		if _, err := p.cmd.Process.Wait(); err != nil && !errors.Is(err, syscall.ECHILD) && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
	})
	return p
}

// groups gives the beginning of paths for cgroups, which are removed after the
// test if nobody else does.
func groups(t *testing.T) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) < 3 || f[2] != "cgroup2" {
			continue
		}
		prefix := filepath.Join(f[1], fmt.Sprintf("safebox-test-%d-%d-", os.Getpid(), time.Now().UnixNano()))
		t.Cleanup(func() { removeGroups(t, prefix) })
		return prefix
	}
	t.Fatal("no cgroup v2 is mounted here, which these tests need: mount -t cgroup2 none DIR")
	return ""
}

// removeGroups waits until their last process is gone.
func removeGroups(t *testing.T, prefix string) {
	t.Helper()
	left, err := filepath.Glob(prefix + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range left {
		err := os.Remove(path)
		for end := time.Now().Add(5 * time.Second); errors.Is(err, unix.EBUSY) && time.Now().Before(end); {
			time.Sleep(5 * time.Millisecond)
			err = os.Remove(path)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

func (p *initProcess) client(t *testing.T) *Client {
	t.Helper()
	c, err := NewClient(p.sock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.conn.Close(); err != nil && !errors.Is(err, os.ErrClosed) && !strings.Contains(err.Error(), "closed") {
			t.Error(err)
		}
	})
	return c
}

func limits() Limits {
	return Limits{Memory: 64 << 20, Wall: time.Minute, Engine: EngineInterpreter}
}

// start starts a worker and gives its first line.
func start(t *testing.T, c *Client, l Limits) (*Worker, string) {
	t.Helper()
	w, err := c.Start(l)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(w.Conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return w, line
}

func tell(t *testing.T, w *Worker, line string) {
	t.Helper()
	if _, err := io.WriteString(w.Conn, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

// TestWorkerIsConfined: confine.Apply accepts what Start gives (otherwise the
// first line is its error), and the process holds nothing but its socket.
func TestWorkerIsConfined(t *testing.T) {
	c := startInit(t, false).client(t)
	for _, engine := range []string{EngineCompiler, EngineInterpreter} {
		l := limits()
		l.Engine = engine
		w, line := start(t, c, l)
		// Descriptors are read-write; those after 3 are the poller's of Go.
		want := "args [worker " + engine + "], env [GODEBUG=containermaxprocs=0,updatemaxprocs=0 TZ=UTC], " +
			"pid 1, parent 0, files [0:2 1:2 2:2 3:2], interfaces 1, death signal 9, own group true\n"
		if line != want {
			t.Errorf("got  %swant %s", line, want)
		}
		tell(t, w, "exit 0")
		if e := w.Wait(); e != (Ending{}) {
			t.Errorf("got %+v", e)
		}
	}
}

// TestEndings: the keeper hears how a worker ended, and can start the next.
func TestEndings(t *testing.T) {
	p := startInit(t, true)
	c := p.client(t)
	for _, tt := range []struct {
		name string
		wall time.Duration
		do   func(w *Worker)
		want Ending
		text string
	}{
		{"exit", time.Minute, func(w *Worker) { tell(t, w, "exit 7") }, Ending{Status: 7}, "ended with status 7"},
		{"panic", time.Minute, func(w *Worker) { tell(t, w, "panic") }, Ending{Status: 2}, "ended with status 2"},
		{"socket closed", time.Minute, func(w *Worker) {
			if err := unix.Shutdown(int(w.Conn.Fd()), unix.SHUT_WR); err != nil {
				t.Fatal(err)
			}
		}, Ending{Status: 1}, "ended with status 1"},
		{"filter", time.Minute, func(w *Worker) { tell(t, w, "socket") }, Ending{Signal: 31}, "killed by signal 31"},
		{"killed", time.Minute, func(w *Worker) {
			tell(t, w, "spin")
			if err := w.Kill(); err != nil {
				t.Fatal(err)
			}
		}, Ending{Signal: 9}, "killed by signal 9"},
		{"wall", time.Second, func(w *Worker) { tell(t, w, "spin") }, Ending{Signal: 9, Wall: true}, "killed: wall limit"},
		{"memory", time.Minute, func(w *Worker) {
			if err := os.WriteFile(p.oom, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := w.Kill(); err != nil {
				t.Fatal(err)
			}
		}, Ending{Signal: 9, OOM: true}, "killed: memory limit"},
	} {
		l := limits()
		l.Wall = tt.wall
		began := time.Now()
		w, _ := start(t, c, l)
		tt.do(w)
		got := w.Wait()
		if got != tt.want || got.String() != tt.text {
			t.Errorf("%s: got %+v, %s, want %+v, %s", tt.name, got, got, tt.want, tt.text)
		}
		if took := time.Since(began); tt.want.Wall && took < tt.wall || took > 15*time.Second {
			t.Errorf("%s: ended after %v", tt.name, took)
		}
		if err := w.Kill(); err != nil {
			t.Errorf("%s: killing what has ended: %v", tt.name, err)
		}
	}
	awaitNoZombie(t, p.cmd.Process.Pid)
}

// awaitNoZombie wants the init process to have reaped everything: the workers
// and the orphans that it started beside them.
func awaitNoZombie(t *testing.T, parent int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", parent, parent))
		if err != nil {
			t.Fatal(err)
		}
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range threads {
			more, err := os.ReadFile(other)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, more...)
		}
		if len(bytes.TrimSpace(list)) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("children of init that nobody reaped: %s", list)
		}
	}
}

// TestOneWorkerAtATime: the second is refused while the first runs.
func TestOneWorkerAtATime(t *testing.T) {
	c := startInit(t, false).client(t)
	w, _ := start(t, c, limits())
	if _, err := c.Start(limits()); err == nil || !strings.Contains(err.Error(), "worker 1 still runs") {
		t.Errorf("second worker: got %v", err)
	}
	if err := w.Kill(); err != nil {
		t.Fatal(err)
	}
	w.Wait()
	old := w
	w, _ = start(t, c, limits())
	if err := old.Kill(); err != nil { // it is late, and must not hit the next
		t.Fatal(err)
	}
	// Requests are answered in turn: this one after that one.
	if _, err := c.Start(limits()); err == nil {
		t.Error("third worker beside the second")
	}
	tell(t, w, "exit 3")
	if e := w.Wait(); e != (Ending{Status: 3}) {
		t.Errorf("the second worker: got %+v", e)
	}
}

// TestNumbersGrow: a number is never used again, so that no late message is
// about another worker.
func TestNumbersGrow(t *testing.T) {
	p := startInit(t, false)
	ask := func(want byte) message {
		t.Helper()
		b := make([]byte, 1024)
		n, err := p.sock.Read(b) // a descriptor that comes along is dropped
		if err != nil {
			t.Fatal(err)
		}
		m, err := decodeMessage(b[:n])
		if err != nil || m.op != want {
			t.Fatalf("got %+v, %v, want operation %d", m, err, want)
		}
		return m
	}
	begin := message{op: opStart, worker: 7, limits: limits()}.encode()
	if _, err := p.sock.Write(begin); err != nil {
		t.Fatal(err)
	}
	ask(opStarted)
	ask(opEnded) // its socket went with the descriptor
	if _, err := p.sock.Write(begin); err != nil {
		t.Fatal(err)
	}
	if m := ask(opRefused); !strings.Contains(m.text, "worker number: got 7 after 7") {
		t.Errorf("got %q", m.text)
	}
	if err := p.sock.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestNamespaces: a worker is in none of those of its init.
func TestNamespaces(t *testing.T) {
	p := startInit(t, false)
	w, _ := start(t, p.client(t), limits())
	init := p.cmd.Process.Pid
	var children []string
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", init))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range threads {
		list, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		children = append(children, strings.Fields(string(list))...)
	}
	if len(children) != 1 {
		t.Fatalf("got children %v, want one", children)
	}
	for _, kind := range []string{"net", "mnt", "ipc", "uts", "pid"} {
		ours, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", init, kind))
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%s/ns/%s", children[0], kind))
		if err != nil {
			t.Fatal(err)
		}
		if ours == theirs {
			t.Errorf("%s: worker and init are both in %s", kind, ours)
		}
	}
	tell(t, w, "exit 0")
	w.Wait()
}

// emptyGroup is a group in which nothing was killed.
type emptyGroup struct{}

func (emptyGroup) Folder() *os.File         { return nil }
func (emptyGroup) OOMKilled() (bool, error) { return false, nil }
func (emptyGroup) Remove() error            { return nil }

// TestGroupSettings: Linux Documentation/admin-guide/cgroup-v2.rst names the
// files; a page has 4096 bytes.
func TestGroupSettings(t *testing.T) {
	for _, tt := range []struct {
		memory int64
		want   []setting
	}{
		{0, []setting{{"pids.max", "7"}}},
		{8191, []setting{{"pids.max", "7"}, {"memory.max", "4096"}, {"memory.swap.max", "0"}, {"memory.oom.group", "1"}}},
	} {
		if got := settings(7, tt.memory); !slices.Equal(got, tt.want) {
			t.Errorf("memory %d: got %q, want %q", tt.memory, got, tt.want)
		}
	}
}

// TestWallAndEnd: a worker that ends just when its time is up was not killed
// for that.
func TestWallAndEnd(t *testing.T) {
	// Its number is somebody else's by now.
	other := exec.Command("sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	gone := &running{number: 1, child: &Child{PID: other.Process.Pid, reaper: NewReaper()}, group: emptyGroup{}}
	(&Server{}).expire(gone)
	if gone.wall.Load() {
		t.Error("killed after its end")
	}
	if err := other.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := other.Wait(); err == nil || !strings.Contains(err.Error(), "terminated") {
		t.Errorf("a process that got the number of one that had ended: %v", err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	keeper := os.NewFile(uintptr(pair[0]), "keeper")
	s, err := NewServer(os.NewFile(uintptr(pair[1]), "init"), "/", NewReaper(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	gone.wall.Store(true)
	if err := s.ended(gone, Ending{Status: 5}); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1024)
	n, err := keeper.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := decodeMessage(b[:n]); err != nil || m.ending != (Ending{Status: 5}) {
		t.Errorf("got %+v, %v", m, err)
	}
	if err := errors.Join(s.conn.Close(), keeper.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestLimitsRefused: by the client, and by the server if the client does not.
func TestLimitsRefused(t *testing.T) {
	p := startInit(t, false)
	for want, change := range map[string]func(*Limits){
		"memory: got 16777215 bytes":   func(l *Limits) { l.Memory = 16<<20 - 1 },
		"memory: got 4294967297 bytes": func(l *Limits) { l.Memory = 4<<30 + 1 },
		"memory: got -1 bytes":         func(l *Limits) { l.Memory = -1 },
		"wall: got 0s":                 func(l *Limits) { l.Wall = 0 },
		"wall: got -1s":                func(l *Limits) { l.Wall = -time.Second },
		"wall: got 20m0.000000001s":    func(l *Limits) { l.Wall = 20*time.Minute + 1 },
		`engine: got ""`:               func(l *Limits) { l.Engine = "" },
	} {
		l := limits()
		change(&l)
		if _, err := (&Client{}).Start(l); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("client: got %v, want %q", err, want)
		}
		if l.Engine == "" {
			continue // can't be encoded
		}
		if _, err := p.sock.Write(message{op: opStart, worker: 1, limits: l}.encode()); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1024)
		n, err := p.sock.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		m, err := decodeMessage(b[:n])
		if err != nil || m.op != opRefused || !strings.Contains(m.text, want) {
			t.Errorf("server: got %+v, %v, want %q", m, err, want)
		}
	}
	if err := p.sock.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestServerEnds: what a keeper never sends ends the service, and so the
// machine.
func TestServerEnds(t *testing.T) {
	for want, sent := range map[string][]byte{
		"got 1 bytes, want at least 5":          {1},
		"got operation 9":                       {9, 0, 0, 0, 1},
		"message 5 of the keeper":               {5, 0, 0, 0, 1, 0, 0, 0},
		"got 0 bytes after the header, want 17": {1, 0, 0, 0, 1},
		"got engine 3, want 1 or 2":             append(message{op: opStart, worker: 1, limits: limits()}.encode()[:21], 3),
		"reading from the keeper: EOF":          nil,
	} {
		p := startInit(t, false)
		if sent != nil {
			if _, err := p.sock.Write(sent); err != nil {
				t.Fatal(err)
			}
		} else if err := p.sock.Close(); err != nil {
			t.Fatal(err)
		}
		err := p.cmd.Wait()
		if err == nil || !strings.Contains(p.err.String(), want) {
			t.Errorf("got %v, %q, want %q", err, p.err, want)
		}
	}
}

// TestInitGone: without PID 1 no worker lives on, and nobody waits for ever.
func TestInitGone(t *testing.T) {
	p := startInit(t, false) // not in a namespace whose end would end all
	c := p.client(t)
	w, _ := start(t, c, limits())
	tell(t, w, "spin")
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if e := w.Wait(); e != (Ending{Status: -1}) {
		t.Errorf("got %+v", e)
	}
	// The line that the worker did not read makes it a reset.
	if n, err := w.Conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("worker's socket: got %d, %v, want the end", n, err)
	}
	if _, err := c.Start(limits()); err == nil {
		t.Error("started a worker without PID 1")
	}
}
