package keeper

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"safebox/guest/quote/quotetest"
	"safebox/guest/wire"
	"safebox/verifier/evidence"
	"safebox/verifier/guestapi"

	"github.com/google/go-tpm/tpm2/transport"
)

// running is the keeper as PID 1 starts it, with this test in the places of
// PID 1, the API and the TPM's driver.
type running struct {
	cmd   *exec.Cmd
	api   *wire.Client
	said  string
	files []*os.File // our ends
}

// program builds keepertest/process as the appliance is built: without cgo.
func program(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test takes privileges away, so it needs to have them: run it as root")
	}
	path := filepath.Join(t.TempDir(), "process")
	build := exec.Command("go", "build", "-o", path, "./keepertest/process")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the process: %v\n%s", err, out)
	}
	return path
}

// start starts the process and waits for its first word.
func start(t *testing.T, tpm transport.TPM, log []byte, args ...string) *running {
	t.Helper()
	p := &running{}
	spawn, spawnEnd := pair(t, syscall.SOCK_SEQPACKET)
	api, apiEnd := pair(t, syscall.SOCK_STREAM)
	fetch, fetchEnd := pair(t, syscall.SOCK_STREAM)
	device, deviceEnd := pair(t, syscall.SOCK_STREAM)
	go drive(device, tpm)
	file := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(file, log, 0o600); err != nil {
		t.Fatal(err)
	}
	logFile, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	ready, say, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	p.cmd = exec.Command(program(t))
	p.cmd.Args = append([]string{Role}, args...)
	p.cmd.Env = []string{"GODEBUG=containermaxprocs=0,updatemaxprocs=0", "TZ=UTC"} // as package spawn
	p.cmd.Stderr = &stderr
	p.cmd.ExtraFiles = []*os.File{spawnEnd, apiEnd, fetchEnd, deviceEnd, logFile, say} // docs of the descriptors: role.go
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range p.cmd.ExtraFiles {
		if err := f.Close(); err != nil {
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
	p.api = wire.NewClient(api, wire.MaxReplyKeeper)
	p.files = []*os.File{spawn, fetch, device}
	return p
}

func pair(t *testing.T, kind int) (ours, theirs *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, kind|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
}

// drive is the TPM's driver: a command in one write, the answer in one read.
func drive(device *os.File, tpm transport.TPM) {
	command := make([]byte, 4096)
	for {
		n, err := device.Read(command)
		if err != nil {
			return
		}
		answer, err := tpm.Send(command[:n])
		if err != nil {
			return
		}
		if _, err := device.Write(answer); err != nil {
			return
		}
	}
}

// end waits for the process.
func (p *running) end(t *testing.T, want int) {
	t.Helper()
	if err := p.api.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	var exit *exec.ExitError
	if err := p.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		t.Errorf("the process ended with %v, want status %d", p.cmd.ProcessState, want)
	}
	for _, f := range p.files {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestProcess: confined as in the appliance, it has the TPM quote, takes a
// grant, and says that PID 1, which is deaf here, starts no worker.
func TestProcess(t *testing.T) {
	s, o, tpm := newObject(t), newOwner(t), quotetest.Start(t)
	log := eventLog(t)
	tpm.Replay(t, log)
	p := start(t, tpm.Open(t), log)
	if p.said != ReadyReply {
		t.Fatalf("it says %q, want %q", p.said, ReadyReply)
	}
	if b, err := p.api.Call(wire.OpIdentity, nil); err != nil {
		t.Error(err)
	} else if _, err := guestapi.DecodeIdentity(b); err != nil {
		t.Error(err)
	}
	c := newChallenge(o)
	b, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	file, err := p.api.Call(wire.OpEvidence, b)
	if err != nil {
		t.Fatal(err)
	}
	e, err := evidence.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	v := &visit{o, c, file, e}
	checkAnswer(t, v, []byte{})

	if err := p.files[0].Close(); err != nil { // PID 1's end of the spawn socket
		t.Fatal(err)
	}
	p.files = p.files[1:]
	body, err := p.api.Call(wire.OpSubmit, v.order(t, s, chunks01()).seal(t))
	if err != nil {
		t.Fatal(err)
	}
	for {
		status, err := guestapi.DecodeStatus(body)
		if err != nil {
			t.Fatal(err)
		}
		if status.State != guestapi.Running {
			if status.Problem == nil || status.Problem.ID != ProblemWorkerStart {
				t.Errorf("got state %s, %v", status.State, status.Problem)
			}
			break
		}
		if body, err = p.api.Call(wire.OpStatus, status.Job[:]); err != nil {
			t.Fatal(err)
		}
	}
	p.end(t, 0)
}

// TestProcessRefuses: PID 1 hears why.
func TestProcessRefuses(t *testing.T) {
	tpm := quotetest.Start(t)
	p := start(t, tpm.Open(t), nil)
	if want := "event log: got 0 bytes"; !strings.Contains(p.said, want) {
		t.Errorf("it says %q, want %q", p.said, want)
	}
	p.end(t, 1)
	p = start(t, tpm.Open(t), []byte("log"), "root")
	if want := "confining keeper: got uids 0 0 0"; !strings.Contains(p.said, want) {
		t.Errorf("it says %q, want %q", p.said, want)
	}
	p.end(t, 1)
}
