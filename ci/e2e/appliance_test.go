package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"safebox/host/agent"
	"safebox/host/instance"
	"safebox/host/relay"
	"safebox/host/shard"
	"safebox/host/vmm"
	"safebox/verifier/configuration"
)

// appliance is a booted guest with its host agent, as `safebox-host launch`
// makes them. The host records all of the guest's network traffic.
type appliance struct {
	state   string // of the host agent: its store of instances
	id      string
	url     string
	tpmRoot string
	console string
	shards  string
	traffic string // pcap file of the guest's network card

	stop  context.CancelFunc
	ended chan error
}

// launchOptions are what tests choose.
type launchOptions struct {
	init   string // package of PID 1
	shards string
	tpm    string // folder of a TPM that is kept
	config []byte // document; nil: none, but for machines with shards patient
}

// patient is the configuration of machines that have work to do: under plain
// emulation on busy cores the built-in minute may be short.
func patient(t *testing.T) []byte {
	t.Helper()
	d := configuration.Default()
	d.Worker.Wall = 600
	b, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// launch boots a release through the host agent and waits until it is ready.
func launch(t *testing.T, o launchOptions) *appliance {
	t.Helper()
	cores <- struct{}{}
	t.Cleanup(func() { <-cores })
	tools, err := vmm.FindTools()
	if err != nil {
		t.Fatalf("%v: run ci/setup", err)
	}
	a := &appliance{state: t.TempDir(), shards: o.shards, traffic: filepath.Join(t.TempDir(), "traffic.pcap"), ended: make(chan error, 1)}
	store, err := instance.Open(a.state)
	if err != nil {
		t.Fatal(err)
	}
	var shards http.Handler
	if o.shards != "" {
		folder, err := shard.NewFolder(o.shards)
		if err != nil {
			t.Fatal(err)
		}
		shards = shard.Handler(folder)
	}
	if shards != nil && o.config == nil {
		o.config = patient(t)
	}
	folder := release(t, o.init).folder
	ctx, stop := context.WithCancel(t.Context())
	a.stop = stop
	up := make(chan agent.Event, 1)
	began := time.Now()
	go func() {
		a.ended <- agent.Launch(ctx, tools, store, agent.Options{
			Release: folder, Boot: vmm.ESP, Disk: filepath.Join(folder, "safebox.raw"),
			Code: filepath.Join(folder, "firmware", "OVMF_CODE_4M.fd"), Vars: filepath.Join(folder, "firmware", "OVMF_VARS_4M.fd"),
			VCPUs: 1, Memory: 1 << 30, Accel: vmm.TCG, Timeout: bootTime,
			Shards: shards, TPM: o.tpm, Configuration: o.config,
			Extra: []string{"-object", "filter-dump,id=dump,netdev=net,file=" + a.traffic},
		}, func(e agent.Event) {
			if e.Kind == agent.Ready {
				up <- e
			}
		})
	}()
	t.Cleanup(func() { a.end(t) })
	select {
	case e := <-up:
		t.Logf("boot: %s: ready after %.1f s", t.Name(), time.Since(began).Seconds())
		a.id, a.url, a.tpmRoot, a.console = e.Instance.ID, e.Instance.URL, e.Instance.TPMRoot, e.Instance.Console
	case err := <-a.ended:
		a.ended <- nil
		t.Fatal(err)
	}
	return a
}

// endsItself waits until the machine has gone of its own accord, and gives what
// the host agent says about it.
func (a *appliance) endsItself(t *testing.T) string {
	t.Helper()
	select {
	case err := <-a.ended:
		a.ended <- nil
		if err == nil {
			t.Fatal("the machine ended without a reason")
		}
		return err.Error()
	case <-time.After(endTime):
		t.Fatalf("the machine is still there after %v", endTime)
		return ""
	}
}

// endTime is how long a machine may take to end after a death in it.
const endTime = time.Minute

// healthy asks the guest's API.
func (a *appliance) healthy(t *testing.T) error {
	t.Helper()
	return relay.NewClient(a.url).Healthy(t.Context())
}

// end stops the machine and waits for all of it to be gone.
func (a *appliance) end(t *testing.T) {
	t.Helper()
	a.stop()
	if err := <-a.ended; err != nil {
		t.Error(err)
	}
	a.ended <- nil
}

// programs builds our commands once.
func programs(t *testing.T) string {
	t.Helper()
	dir, err := builtPrograms()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var builtPrograms = sync.OnceValues(func() (string, error) { //nolint:gochecknoglobals // test fixture, built once
	dir := filepath.Join(shared.dir, "bin")
	cmd := exec.Command("go", "build", "-o", dir+"/", "./cmd/safebox", "./cmd/safebox-host")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return dir, nil
})

// module builds a program for the sandbox by stock Go.
func module(t *testing.T, pkg string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "module.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w -buildid=", "-o", out, pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// party is somebody with a folder and our commands: a data owner and, since
// the tests have both in one hand, the host.
type party struct {
	t    *testing.T
	dir  string
	bin  string
	init string // whose release the owner expects
}

func newParty(t *testing.T, init string) *party {
	t.Helper()
	return &party{t: t, dir: t.TempDir(), bin: programs(t), init: init}
}

func (p *party) path(name string) string { return filepath.Join(p.dir, name) }

func (p *party) read(name string) []byte {
	p.t.Helper()
	b, err := os.ReadFile(p.path(name))
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

func (p *party) write(name string, b []byte) {
	p.t.Helper()
	if err := os.MkdirAll(filepath.Dir(p.path(name)), 0o700); err != nil {
		p.t.Fatal(err)
	}
	writeFile(p.t, p.path(name), b)
}

// command is one of our programs, run in the party's folder.
func (p *party) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(p.t.Context(), filepath.Join(p.bin, args[0]), args[1:]...)
	cmd.Dir = p.dir
	return cmd
}

// say runs a command and gives its exit code and all that it said.
func (p *party) say(args ...string) (int, string) {
	p.t.Helper()
	out, err := p.command(args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	if exit != nil {
		return exit.ExitCode(), string(out)
	}
	return 0, string(out)
}

// yes runs a command that must say yes.
func (p *party) yes(args ...string) string {
	p.t.Helper()
	code, out := p.say(args...)
	if code != 0 {
		p.t.Fatalf("%s: exit code %d: %s", strings.Join(args, " "), code, out)
	}
	return out
}

// verdict is what `safebox verify --json` prints (docs/format-verdict.md).
type verdict struct {
	OK     bool `json:"ok"`
	Checks []struct {
		ID   string `json:"id"`
		OK   bool   `json:"ok"`
		Want string `json:"want"`
		Got  string `json:"got"`
		Hint string `json:"hint"`
	} `json:"checks"`
}

// failed lists the IDs of the checks that failed.
func (v *verdict) failed() []string {
	var ids []string
	for _, c := range v.Checks {
		if !c.OK {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// verify runs the verifier with some flags of the good case replaced.
func (p *party) verify(replaced map[string]string) (*verdict, int) {
	p.t.Helper()
	cmd := p.command(verifyArgs(replaced)...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	var v verdict
	if err := json.Unmarshal(out, &v); err != nil {
		p.t.Fatalf("%v: %s", err, out)
	}
	return &v, cmd.ProcessState.ExitCode()
}

func verifyArgs(replaced map[string]string) []string {
	flags := map[string]string{
		"--evidence": "evidence.json", "--bundle": "release.bundle", "--policy": "policy.toml", "--challenge": "challenge.json",
	}
	for k, v := range replaced {
		flags[k] = v
	}
	args := []string{"safebox", "verify", "--json"}
	for k, v := range flags {
		args = append(args, k, v)
	}
	return args
}
