package e2e

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"safebox/host/console"
	"safebox/host/vmm"
	"safebox/measure/eventlog"
	"safebox/verifier/bootreport"
	"safebox/verifier/guestapi"
)

// bootTime bounds one boot under plain emulation with all cores busy; it takes
// 10 to 20 s.
const bootTime = 4 * time.Minute

// machine is one boot of a release folder by a host that may be hostile.
type machine struct {
	release string // folder
	boot    vmm.Boot
	code    string // firmware, the release's own when empty
	rom     string // option ROM of the network card
	extra   []string
}

// outcome is how a boot ended.
type outcome struct {
	lines   []bootreport.Line  // of PID 1
	report  *bootreport.Report // nil when the guest powered itself off
	console []string           // all lines
}

// named lists the reasons that PID 1 gave, by ID.
func (o *outcome) named(kind bootreport.Outcome) []string {
	var ids []string
	for _, l := range o.lines {
		if l.Outcome == kind {
			ids = append(ids, l.Name)
		}
	}
	return ids
}

// recorder watches a console for PID 1's lines.
type recorder struct {
	mu    sync.Mutex
	raw   []string
	lines []bootreport.Line
	ready chan struct{}
}

func (r *recorder) line(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.raw = append(r.raw, s)
	l, ok := bootreport.ParseLine(s)
	if !ok {
		return
	}
	r.lines = append(r.lines, l)
	if l.Outcome == bootreport.Ready {
		close(r.ready)
	}
}

func (r *recorder) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.raw, "\n")
}

// bootMachine boots m until its API has given the boot report or the machine
// has powered itself off.
func bootMachine(t *testing.T, m machine) *outcome {
	t.Helper()
	host := newHost(t)
	ctx, cancel := context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	dir := t.TempDir()
	if err := vmm.MakeTPM(ctx, host.parent, host.tools, dir); err != nil {
		t.Fatal(err)
	}
	emulator, channel, err := vmm.StartTPM(host.parent, host.tools, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, emulator.Child)
	started := time.Now()
	rec := &recorder{ready: make(chan struct{})}
	shape := m.shape(t, dir)
	vm, err := vmm.Start(host.parent, host.tools, shape, channel, console.NewLines(rec.line))
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, vm.Child)
	if err := channel.Close(); err != nil {
		t.Fatal(err)
	}
	var report *bootreport.Report
	select {
	case <-rec.ready:
		report = fetchReport(ctx, t, shape.Port)
		t.Logf("boot: %s: ready after %.1f s", t.Name(), time.Since(started).Seconds())
	case <-vm.Done():
		if err := vm.End(); err != nil {
			t.Fatalf("%v\n%s", err, rec.text())
		}
		t.Logf("boot: %s: powered itself off after %.1f s", t.Name(), time.Since(started).Seconds())
	case <-ctx.Done():
		t.Fatalf("the guest did not come up within %v\n%s", bootTime, rec.text())
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	for _, l := range rec.lines {
		t.Logf("boot:   %s", l)
	}
	return &outcome{lines: rec.lines, report: report, console: rec.raw}
}

func stop(t testing.TB, c *vmm.Child) {
	t.Helper()
	if err := c.Stop(vmm.StopGrace); err != nil {
		t.Error(err)
	}
}

// shape is the machine as the host agent would describe it, and what a
// hostile host adds.
func (m machine) shape(t testing.TB, dir string) vmm.Machine {
	t.Helper()
	vars := filepath.Join(dir, "vars.fd")
	copyFile(t, filepath.Join(m.release, "firmware", "OVMF_VARS_4M.fd"), vars)
	s := vmm.Machine{
		Name: "e2e", Boot: m.boot, Code: m.code, Vars: vars,
		VCPUs: 1, Memory: 1 << 30, Accel: vmm.TCG, Port: freePort(t),
		NetROM: m.rom, Extra: m.extra,
	}
	if s.Code == "" {
		s.Code = filepath.Join(m.release, "firmware", "OVMF_CODE_4M.fd")
	}
	if m.boot == vmm.ESP {
		s.Disk = filepath.Join(m.release, "safebox.raw")
	} else {
		s.UKI = filepath.Join(m.release, "safebox.efi")
	}
	return s
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return port
}

func fetchReport(ctx context.Context, t *testing.T, port int) *bootreport.Report {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", port, guestapi.ReportPath), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(io.LimitReader(answer.Body, bootreport.MaxSize+1))
	if err2 := answer.Body.Close(); err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	report, err := bootreport.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// bank gives the values that the TPM reported in one bank.
func bank(t *testing.T, r *bootreport.Report, name string) [eventlog.PCRs][]byte {
	t.Helper()
	var values [eventlog.PCRs][]byte
	for _, b := range r.Banks {
		if b.Algorithm != name {
			continue
		}
		for i, s := range b.PCRs {
			v, err := hex.DecodeString(s)
			if err != nil {
				t.Fatal(err)
			}
			values[i] = v
		}
		return values
	}
	t.Fatalf("the report has no bank %s", name)
	return values
}
