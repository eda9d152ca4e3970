package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"safebox/host/console"
	"safebox/host/hint"
	"safebox/host/instance"
	"safebox/host/relay"
	"safebox/host/vmm"
	"safebox/verifier/bootreport"
	"safebox/verifier/guestapi"
)

// healthPoll is how often a guest that called itself ready is asked whether
// its API answers.
const healthPoll = 100 * time.Millisecond

// errPortTaken asks for another attempt.
var errPortTaken = errors.New("the port for the machine was taken in the meantime")

// guest is one running machine with what watches it.
type guest struct {
	*launch
	vm       *vmm.VM
	tpm      *vmm.TPM
	console  *console.Lines
	lines    chan bootreport.Line // never blocks its writer: see newLines
	relay    *relay.Relay
	up       chan error // one: the API answers and has what the guest needs, or why not
	channel  chan error // news of the shard channel
	began    time.Time  // of the machine
	spoke    bool       // PID 1 wrote a line
	claimed  bool       // PID 1 says that it is ready
	ready    bool       // the API answers
	refusals []bootreport.Line
	powerOff *bootreport.Line
}

// boot starts the machine once and stays until its end. On every way out the
// machine and its TPM have ended.
func (l *launch) boot(ctx context.Context, m vmm.Machine, deadline time.Time) (reason string, err error) {
	if m.Port, err = FreePort(); err != nil {
		return ByFailure, err
	}
	g := &guest{
		launch: l, up: make(chan error, 1), channel: make(chan error, 1),
		relay: relay.New(fmt.Sprintf("127.0.0.1:%d", m.Port), func() any { return l.inst.Info() }, l.Shards),
	}
	g.newLines()
	tpm, control, err := vmm.StartTPM(l.parent, l.tools, l.tpmDir)
	if err != nil {
		return ByFailure, err
	}
	defer func() { err = errors.Join(err, tpm.Stop(vmm.StopGrace)) }()
	g.tpm, g.began = tpm, time.Now()
	g.vm, err = vmm.Start(l.parent, l.tools, m, control, io.MultiWriter(l.log, g.console))
	if err = errors.Join(err, control.Close()); err != nil {
		return ByFailure, err
	}
	defer func() { err = errors.Join(err, g.vm.Stop(vmm.StopGrace)) }()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return g.watch(ctx, deadline)
}

// maxLines bounds the lines of PID 1 that are looked at, so that a guest that
// floods its console can't flood the operator's terminal.
const maxLines = bootreport.MaxSteps + bootreport.MaxRefusals + 2

func (g *guest) newLines() {
	g.lines = make(chan bootreport.Line, maxLines)
	left := maxLines
	g.console = console.NewLines(func(s string) {
		if l, ok := bootreport.ParseLine(s); ok && left > 0 {
			left--
			g.lines <- l
		}
	})
}

// watch follows the guest until something ends it.
func (g *guest) watch(ctx context.Context, deadline time.Time) (reason string, err error) {
	timeout := time.NewTimer(time.Until(deadline))
	defer timeout.Stop()
	served := make(chan error, 1)
	server := g.relay.Server()
	defer func() { err = errors.Join(err, server.Close()) }()
	for {
		select {
		case line := <-g.lines:
			if g.read(line) {
				go g.comeUp(ctx)
			}
		case err := <-g.up:
			if err != nil {
				return g.notConfigured(err)
			}
			timeout.Stop()
			if err := g.announce(); err != nil {
				return ByFailure, err
			}
			go func() { served <- server.Serve(g.listener) }()
			if g.Shards != nil {
				go g.relay.ServeShards(ctx, func(err error) { g.tellChannel(ctx, err) })
			}
		case err := <-g.channel:
			if err != nil {
				g.event(Event{Kind: Note, Detail: err.Error()})
			}
		case err := <-served:
			return ByFailure, fmt.Errorf("relaying the guest's API: %w", err)
		case <-g.vm.Done():
			return g.ended()
		case <-g.tpm.Done():
			return g.tpmEnded()
		case <-timeout.C:
			return ByTimeout, g.tooLate()
		case <-ctx.Done():
			if !g.ready {
				return BySignal, errInterrupted()
			}
			return BySignal, nil
		}
	}
}

// read takes in a line of PID 1; true when the guest calls itself ready, the
// first time.
func (g *guest) read(line bootreport.Line) bool {
	if !g.spoke {
		g.spoke = true
		g.tellEarlyPhases(line)
	}
	switch line.Outcome {
	case bootreport.StepDone:
		g.event(Event{Kind: Step, Name: line.Name, Duration: line.Duration, Detail: line.Detail})
	case bootreport.Refused:
		g.refusals = append(g.refusals, line)
		g.event(Event{Kind: Refused, Name: line.Name, Detail: line.Detail})
	case bootreport.PowerOff:
		g.powerOff = &line
	case bootreport.Ready:
		first := !g.claimed
		g.claimed = true
		return first
	}
	return false
}

// tellEarlyPhases splits the time before PID 1's first line: the guest's clock
// starts with the kernel.
func (g *guest) tellEarlyPhases(first bootreport.Line) {
	total := time.Since(g.began)
	kernel := min(max(first.At-first.Duration, 0), total)
	g.event(Event{Kind: Step, Name: "firmware", Duration: max(total-first.At, 0), Detail: "until the kernel's clock starts"})
	g.event(Event{Kind: Step, Name: "kernel", Duration: kernel, Detail: "until PID 1 starts"})
}

// comeUp waits until the guest's API answers and gives the guest its
// configuration: nobody else can reach the guest before it is announced, and
// a quote would close it to that.
func (g *guest) comeUp(ctx context.Context) {
	for g.relay.Client().Healthy(ctx) != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(healthPoll):
		}
	}
	if len(g.Configuration) == 0 {
		g.up <- nil
		return
	}
	g.up <- g.relay.Client().Configure(ctx, g.Configuration)
}

// notConfigured judges a configuration that did not arrive. A guest that
// powers off breaks the connection first; then its own reason is the better
// one.
func (g *guest) notConfigured(err error) (string, error) {
	var refused *guestapi.Problem
	if errors.As(err, &refused) {
		return ByRefusal, g.withLog(err)
	}
	select {
	case <-g.vm.Done():
		return g.ended()
	case <-time.After(vmm.StopGrace):
		return ByFailure, g.withLog(err)
	}
}

// tellChannel brings news of the shard channel to watch.
func (g *guest) tellChannel(ctx context.Context, err error) {
	select {
	case g.channel <- err:
	case <-ctx.Done():
	}
}

func (g *guest) announce() error {
	g.ready = true
	if err := g.inst.Update(func(i *instance.Info) { i.State = instance.Ready }); err != nil {
		return err
	}
	g.event(Event{Kind: Ready})
	return nil
}

// ended judges a machine that has ended by itself.
func (g *guest) ended() (reason string, err error) {
	if err := g.console.Close(); err != nil {
		return ByFailure, err
	}
	for len(g.lines) > 0 { // all that it said has arrived
		g.read(<-g.lines)
	}
	if err := g.vm.End(); err != nil {
		if g.vm.PortTaken() {
			return ByFailure, errPortTaken
		}
		return ByFailure, err
	}
	switch {
	case len(g.refusals) > 0:
		return ByPowerOff, g.withLog(fmt.Errorf("guest powered off: %s", g.refusalText()))
	case g.powerOff != nil:
		return ByPowerOff, g.withLog(fmt.Errorf("guest powered off: %s", lineText(*g.powerOff)))
	case g.ready:
		return ByPowerOff, g.withLog(fmt.Errorf("guest powered off after %s", round(time.Since(g.began))))
	}
	return ByPowerOff, g.withLog(fmt.Errorf("guest powered off before it was ready; %s", g.lastWords()))
}

// tpmEnded judges the end of the TPM emulator, which follows that of the
// machine: only when the machine goes on without it has the emulator failed.
func (g *guest) tpmEnded() (reason string, err error) {
	select {
	case <-g.vm.Done():
		return g.ended()
	case <-time.After(vmm.StopGrace):
		return ByFailure, g.tpm.Failure()
	}
}

func (g *guest) tooLate() error {
	did := "did not come up"
	if g.claimed {
		did = "called itself ready, but its API did not answer"
	}
	return g.withLog(fmt.Errorf("guest %s within %s; %s", did, g.Timeout, g.lastWords()))
}

func (g *guest) withLog(err error) error {
	info := g.inst.Info()
	return hint.New(err, fmt.Sprintf("safebox-host console %s shows what it said (%s)", info.ID, info.Console))
}

func (g *guest) refusalText() string {
	text := lineText(g.refusals[0])
	if n := len(g.refusals) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more)", n)
	}
	return text
}

func lineText(l bootreport.Line) string {
	if l.Detail == "" {
		return l.Name
	}
	return l.Name + ": " + l.Detail
}

// lastWords quotes the end of the console.
func (g *guest) lastWords() string {
	last := g.console.Last()
	if len(last) == 0 {
		return "it said nothing"
	}
	for i, s := range last {
		if r := []rune(s); len(r) > maxQuoted {
			s = string(r[:maxQuoted]) + "..."
		}
		last[i] = fmt.Sprintf("%q", s)
	}
	return "its last lines: " + strings.Join(last, ", ")
}

// maxQuoted bounds a quoted console line, in characters.
const maxQuoted = 120

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }

// FreePort finds a port of 127.0.0.1 that nobody has at the moment.
func FreePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("choosing a port for the machine: %w", err)
	}
	return ln.Addr().(*net.TCPAddr).Port, ln.Close()
}
