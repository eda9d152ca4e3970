package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"safebox/cmd/internal/cli"
	"safebox/image/output"
	"safebox/verifier/bootreport"
	"safebox/verifier/guestapi"
	"safebox/verifier/release"
)

// lines prints whole lines from several goroutines.
type lines struct {
	mu  sync.Mutex
	w   io.Writer
	err error
}

func (l *lines) printf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := fmt.Fprintf(l.w, format, args...); err != nil && l.err == nil {
		l.err = err
	}
}

// bootHonest boots the appliance both ways. The one booted from the disk stays
// up for the chapters that follow.
func (d *demo) bootHonest() error {
	group, ctx := errgroup.WithContext(d.ctx)
	group.Go(func() error {
		const name = "kernel"
		o, err := d.launch(ctx, machine{name: name, folder: d.path("release"), boot: name})
		if err != nil {
			return err
		}
		if o.report == nil {
			return fmt.Errorf("%s: the guest powered itself off: %v", name, o.refusals)
		}
		return d.compareRegisters(name, "kernel", o.report)
	})
	group.Go(func() error {
		if err := d.keepMachine(); err != nil {
			return err
		}
		return d.compareRegisters(d.kept.name, "esp", d.kept.told.report)
	})
	return group.Wait()
}

// compareRegisters compares what the TPM said with release.json.
func (d *demo) compareRegisters(name, boot string, report *bootreport.Report) error {
	for _, bank := range report.Banks {
		m, ok := d.built.Release.Measurement("vtpm", boot, bank.Algorithm)
		if !ok {
			return fmt.Errorf("release.json has no measurement vtpm %s %s", boot, bank.Algorithm)
		}
		equal, compared := 0, 0
		for _, r := range m.Registers {
			var n int
			if _, err := fmt.Sscanf(r.Name, "pcr%d", &n); err != nil || n < 0 || n >= len(bank.PCRs) {
				return fmt.Errorf("release.json: register %q", r.Name)
			}
			if r.Rule == release.RuleAny {
				continue
			}
			compared++
			if bank.PCRs[n] == r.Value {
				equal++
			} else {
				d.w.printf("   %-10s %s %s: the TPM says %s, predicted %s\n", name, bank.Algorithm, r.Name, bank.PCRs[n], r.Value)
			}
		}
		d.w.printf("   %-10s %s: %d of %d registers that the TPM reports are as predicted\n", name, bank.Algorithm, equal, compared)
		if equal != compared || compared == 0 {
			return errors.New("the TPM disagrees with the prediction")
		}
		d.found("booted     %-6s %s: all %d predicted registers equal what the TPM reports", name, bank.Algorithm, compared)
	}
	if len(report.Banks) != 2 {
		return fmt.Errorf("the guest reports %d PCR banks, want sha256 and sha384", len(report.Banks))
	}
	return nil
}

// told is what a launch said.
type told struct {
	report   *bootreport.Report // nil when the guest powered itself off
	refusals []string
}

// hostEvent is one line of `safebox-host launch --json` (docs/cli.md).
type hostEvent struct {
	Event    string `json:"event"`
	At       int64  `json:"at_us"`
	Name     string `json:"name"`
	Duration int64  `json:"duration_us"`
	Detail   string `json:"detail"`
	ID       string `json:"id"`
	URL      string `json:"url"`
	Console  string `json:"console"`
	TPMRoot  string `json:"tpm_root"`
	Reason   string `json:"reason"`
}

// machine is what to launch.
type machine struct {
	name, folder, boot string
	shards             string          // folder of shards that the host agent serves to the guest
	config             string          // file of the configuration document
	up                 func(hostEvent) // with the started event and the URL; runs while the machine is up, if there is anything to do
}

// launch boots a release folder through the host agent, shows its timeline,
// and ends it when it has told its boot report and up is done.
func (d *demo) launch(ctx context.Context, m machine) (*told, error) {
	// The agent gets SIGTERM when this program dies, however it does; Linux
	// ties that to the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	args := []string{"launch", "--json", "--release", m.folder, "--platform", "vtpm", "--boot", m.boot, "--vcpus", "1", "--accel", d.accel}
	if m.shards != "" {
		args = append(args, "--shards", m.shards)
	}
	if m.config != "" {
		args = append(args, "--config", m.config)
	}
	cmd := exec.CommandContext(ctx, d.host, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	o, followErr := d.follow(ctx, m, cmd.Process, stdout)
	if followErr != nil {
		followErr = errors.Join(followErr, cmd.Process.Signal(syscall.SIGTERM))
	}
	err = cmd.Wait()
	switch {
	case followErr != nil:
		return nil, followErr
	case err != nil && len(o.refusals) == 0:
		return nil, fmt.Errorf("%s: safebox-host: %s", m.name, lastError(stderr.String(), err))
	}
	return o, nil
}

// lastError takes the error line out of what the agent wrote.
func lastError(stderr string, err error) string {
	for line := range strings.Lines(stderr) {
		if s, ok := strings.CutPrefix(line, "safebox: error: "); ok {
			return strings.TrimSpace(s)
		}
	}
	return err.Error()
}

func (d *demo) follow(ctx context.Context, m machine, agent *os.Process, stdout io.Reader) (*told, error) {
	o, name := &told{}, m.name
	var started hostEvent
	scanner := bufio.NewScanner(stdout)
	for scanner.Scan() {
		var e hostEvent
		if err := json.Unmarshal(scanner.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("%s: reading the host agent's events: %w", name, err)
		}
		at := time.Duration(e.At) * time.Microsecond
		switch e.Event {
		case "started":
			started = e
		case "step":
			took := time.Duration(e.Duration) * time.Microsecond
			d.w.printf("   %-10s [%7.3f] %-13s %7.3f s  %s\n", name, at.Seconds(), e.Name, took.Seconds(), e.Detail)
		case "refused":
			o.refusals = append(o.refusals, e.Name)
			d.w.printf("   %-10s [%7.3f] refused %s: %s\n", name, at.Seconds(), e.Name, e.Detail)
		case "ready":
			d.w.printf("   %-10s [%7.3f] ready at %s\n", name, at.Seconds(), e.URL)
			report, err := d.fetchReport(ctx, name, e.URL)
			if err != nil {
				return nil, err
			}
			o.report = report
			if m.up != nil {
				started.URL = e.URL
				m.up(started)
			}
			if err := agent.Signal(syscall.SIGTERM); err != nil {
				return nil, err
			}
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("%s: reading the host agent's events: %w", name, err)
	}
	return o, d.keepConsole(name, started.Console)
}

// fetchReport gets the boot report through the relay and keeps it as a file.
func (d *demo) fetchReport(ctx context.Context, name, url string) (*bootreport.Report, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+guestapi.ReportPath, nil)
	if err != nil {
		return nil, err
	}
	answer, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	b, err := io.ReadAll(io.LimitReader(answer.Body, bootreport.MaxSize+1))
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return nil, fmt.Errorf("%s: reading the boot report: %w", name, err)
	}
	report, err := bootreport.Decode(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", name, answer.Status, err)
	}
	return report, output.File(d.path(name+".report.json"), whole(b))
}

func (d *demo) keepConsole(name, log string) error {
	if log == "" {
		return fmt.Errorf("%s: the host agent named no console log", name)
	}
	b, err := os.ReadFile(log)
	if err != nil {
		return err
	}
	return output.File(d.path(name+".console.log"), whole(b))
}

// lookBeside finds a program in the folder of another, else in $PATH.
func lookBeside(other, name string) (string, error) {
	path := filepath.Join(filepath.Dir(other), name)
	if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() {
		return path, nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", cli.Failed(fmt.Errorf("%s is neither beside this program nor in $PATH", name), "make build puts both into bin/")
	}
	return path, nil
}
