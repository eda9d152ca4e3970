package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"safebox/guest/wire"
	"safebox/verifier/bootreport"
)

// running is the API as PID 1 starts it, with this test in the places of PID 1,
// the keeper and the host.
type running struct {
	cmd     *exec.Cmd
	address string
	toAPI   *os.File // the keeper's end: it answers here
	fromAPI *os.File // likewise: it asks for shards here
	said    string
}

// program builds apitest/process as the appliance is built: without cgo.
func program(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test takes privileges away, so it needs to have them: run it as root")
	}
	path := filepath.Join(t.TempDir(), "process")
	build := exec.Command("go", "build", "-o", path, "./apitest/process")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the process: %v\n%s", err, out)
	}
	return path
}

// start starts the process and waits for its first word.
func start(t *testing.T, path string, report []byte, args ...string) *running {
	t.Helper()
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	socket, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	p := &running{address: l.Addr().String()}
	var keeper, fetch *os.File
	p.toAPI, keeper = pair(t)
	p.fromAPI, fetch = pair(t)
	file := filepath.Join(t.TempDir(), "report")
	if err := os.WriteFile(file, report, 0o600); err != nil {
		t.Fatal(err)
	}
	reportFile, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	ready, say, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	p.cmd = exec.Command(path)
	p.cmd.Args = append([]string{Role}, args...)
	p.cmd.Env = []string{"GODEBUG=containermaxprocs=0,updatemaxprocs=0", "TZ=UTC"} // as package spawn
	p.cmd.Stderr = &stderr
	p.cmd.ExtraFiles = []*os.File{reportFile, socket, keeper, fetch, say} // docs of the descriptors: role.go
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []io.Closer{l, socket, keeper, fetch, reportFile, say} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	said, err := io.ReadAll(ready)
	if err != nil {
		t.Fatal(err)
	}
	if p.said = string(said); p.said == "" {
		t.Fatalf("it said nothing: %v, %s", p.cmd.Wait(), stderr.String())
	}
	return p
}

func pair(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
}

// end waits for the process, which ends with status 1 when it ends.
func (p *running) end(t *testing.T) {
	t.Helper()
	timer := time.AfterFunc(20*time.Second, func() {
		t.Error("the process goes on")
		if err := p.cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
	})
	defer timer.Stop()
	var exit *exec.ExitError
	if err := p.cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("the process ended with %v, want status 1", err)
	}
	for _, f := range []*os.File{p.toAPI, p.fromAPI} {
		if err := f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	}
}

// emptyReport is the least that is a report.
func emptyReport(t *testing.T) []byte {
	t.Helper()
	b, err := (&bootreport.Report{Type: bootreport.Type}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestProcess: confined as in the appliance, it passes the largest job and a
// large result, and shards the other way.
func TestProcess(t *testing.T) {
	report := emptyReport(t)
	p := start(t, program(t), report)
	if p.said != ReadyReply {
		t.Fatalf("it says %q, want %q", p.said, ReadyReply)
	}
	result := bytes.Repeat([]byte("r"), 64<<20)
	served := make(chan error, 1)
	go func() {
		served <- wire.Serve(p.toAPI, wire.MaxRequestKeeper, func(op uint8, body []byte) ([]byte, error) {
			if op == wire.OpResult {
				return result, nil
			}
			return fmt.Appendf(nil, "%d bytes", len(body)), nil
		})
	}()
	for request, want := range map[string]string{
		"GET /v1/boot-report HTTP/1.1\r\nHost: x\r\n\r\n":                                  string(report) + "\n",
		post("/v1/jobs", strings.Repeat("j", 40<<20)):                                      "41943040 bytes",
		"GET /v1/jobs/000102030405060708090a0b0c0d0e0f/result HTTP/1.1\r\nHost: x\r\n\r\n": string(result),
	} {
		if status, _, body := exchange(t, p.address, request); status != 200 || body != want {
			t.Errorf("%.40q: got %d and %d bytes, want 200 and %d", request, status, len(body), len(want))
		}
	}
	root := [32]byte{1}
	shard := strings.Repeat("s", 1<<20)
	go answers(t, open(t, p.address), root, ok(shard))
	client := wire.NewClient(p.fromAPI, wire.MaxReplyFetch)
	if b, err := client.Call(wire.OpFetch, wire.Fetch{Root: root, Limit: 1 << 20}.Encode()); err != nil || string(b) != shard {
		t.Errorf("got %d bytes, %v", len(b), err)
	}
	// Without a keeper there is no API either.
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	p.end(t)
	if err := <-served; err != nil {
		t.Errorf("the keeper's side ended with %v", err)
	}
}

// TestProcessRefuses: PID 1 hears why.
func TestProcessRefuses(t *testing.T) {
	path := program(t)
	p := start(t, path, []byte("{}"))
	if want := `decoding boot report: type ""`; !strings.Contains(p.said, want) {
		t.Errorf("it says %q, want %q", p.said, want)
	}
	p.end(t)
}

// TestPrivileges: a process that PID 1 did not strip serves nothing. The test
// has root's rights.
func TestPrivileges(t *testing.T) {
	p := start(t, program(t), emptyReport(t), "root")
	if want := "confining api: got uids 0 0 0"; !strings.Contains(p.said, want) {
		t.Errorf("it says %q, want %q", p.said, want)
	}
	p.end(t)
}
