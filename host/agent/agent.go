// Package agent launches one guest and stays with it: it makes the guest's
// TPM, starts the machine, tells how the boot goes, hands over the guest's
// configuration, relays the guest's API, serves it shards, and leaves nothing
// behind but the console log and what it was told to keep. The platform is
// vtpm (specs/protocol.md section 4).
package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"syscall"
	"time"

	"safebox/host/console"
	"safebox/host/hint"
	"safebox/host/instance"
	"safebox/host/vmm"
)

// Options say what to launch. The paths must be absolute or relative to the
// working folder; they are checked by opening them.
type Options struct {
	Name    string // of the instance; empty for a random one
	Release string // folder, for the instance's description only
	Boot    vmm.Boot
	Disk    string // raw image, for ESP
	UKI     string // for Kernel
	Code    string // OVMF_CODE
	Vars    string // OVMF_VARS; the guest gets a copy
	VCPUs   int
	Memory  int64 // bytes
	Accel   vmm.Accel
	Port    int           // of the relay on 127.0.0.1; 0 for any free one
	Timeout time.Duration // until the guest is ready

	Configuration []byte       // document for the guest, before it is ready; empty for none
	Shards        http.Handler // answers for shards, to the guest and to callers; nil for none
	TPM           string       // folder of a TPM that is kept; empty for one that goes with the instance

	// For tests: see vmm.Machine. No flag of a command leads here.
	NetROM string
	Extra  []string
}

// Platform is the one platform of this package.
const Platform = "vtpm"

// Kind is the kind of an event.
type Kind string

// The kinds.
const (
	Started Kind = "started" // the instance exists
	Step    Kind = "step"    // something was done
	Refused Kind = "refused" // the guest found a reason not to go on
	Note    Kind = "note"    // worth knowing, changes nothing
	Ready   Kind = "ready"   // the guest's API answers
	Stopped Kind = "stopped" // all is over, and cleaned up
)

// Event is one event of a launch.
type Event struct {
	Kind     Kind
	At       time.Duration // since the launch began
	Instance instance.Info // as it stands
	Name     string        // of a step or refusal
	Duration time.Duration // of a step
	Detail   string        // one line; from the guest for its own steps and refusals
	Reason   string        // of the end
}

// Reasons of an end.
const (
	BySignal   = "signal"    // SIGINT, SIGTERM or safebox-host stop
	ByPowerOff = "power-off" // the guest's own decision
	ByTimeout  = "timeout"   // it never came up
	ByRefusal  = "refused"   // the guest did not take its configuration
	ByFailure  = "failed"    // of the host's programs
)

// launch is one launch under way.
type launch struct {
	Options
	tools    vmm.Tools
	parent   *vmm.Parent
	inst     *instance.Instance
	listener net.Listener
	start    time.Time
	tell     func(Event)
	log      *console.Log
	tpmDir   string         // where the TPM's state lies
	kept     *vmm.TPMFolder // nil unless the TPM is kept
}

// Launch launches a guest and returns when it has ended: nil if it was ready
// and ctx ended then. tell gets the events in order, from one goroutine at a
// time.
func Launch(ctx context.Context, tools vmm.Tools, store *instance.Store, o Options, tell func(Event)) error {
	l := &launch{Options: o, tools: tools, tell: tell, start: time.Now()}
	if err := tools.CheckQEMU(ctx); err != nil {
		return err
	}
	var err error
	if l.listener, err = listen(o.Port); err != nil {
		return err
	}
	if err := l.create(store); err != nil {
		return errors.Join(err, l.listener.Close())
	}
	l.log = console.NewLog(l.inst.Console())
	l.event(Event{Kind: Started})
	l.parent = vmm.NewParent()
	reason, err := l.run(ctx)
	l.parent.Close()
	if err := l.log.Err(); err != nil {
		l.event(Event{Kind: Note, Detail: fmt.Sprintf("the console log is not complete: %v", err)})
	}
	err = errors.Join(err, closeListener(l.listener), l.releaseTPM(), l.inst.End(reason))
	l.event(Event{Kind: Stopped, Reason: reason})
	return err
}

func (l *launch) create(store *instance.Store) (err error) {
	if l.Name == "" {
		l.Name = instance.NewID()
	}
	l.tpmDir = filepath.Join(store.RunDir(l.Name), tpmDir)
	if l.TPM != "" {
		l.tpmDir = vmm.FolderTPM(l.TPM)
	}
	l.inst, err = store.Create(instance.Info{
		ID: l.Name, Platform: Platform, Boot: string(l.Boot), VCPUs: l.VCPUs, Memory: l.Memory,
		Release: l.Release, URL: "http://" + l.listener.Addr().String(),
		TPMRoot: filepath.Join(l.tpmDir, vmm.RootCertificate),
	})
	return err
}

// run makes the machine, boots it and stays until its end.
func (l *launch) run(ctx context.Context) (reason string, err error) {
	m, err := l.prepare(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return BySignal, errInterrupted()
		}
		return ByFailure, err
	}
	// The deadline is the guest's: making its TPM does not count.
	deadline := time.Now().Add(l.Timeout)
	for range portAttempts - 1 {
		reason, err := l.boot(ctx, m, deadline)
		if !errors.Is(err, errPortTaken) {
			return reason, err
		}
	}
	return l.boot(ctx, m, deadline)
}

// portAttempts is how often a port for the VMM is chosen. QEMU can't be handed
// a bound port, so another program can take it between choice and use.
const portAttempts = 3

func errInterrupted() error { return errors.New("interrupted before the guest was ready") }

// prepare does all that happens before the machine starts.
func (l *launch) prepare(ctx context.Context) (vmm.Machine, error) {
	began := time.Now()
	accel, why, err := vmm.Choose(ctx, l.parent, l.tools, l.Accel)
	if err != nil {
		return vmm.Machine{}, err
	}
	if why != "" {
		l.event(Event{Kind: Note, Detail: "using tcg (plain emulation), since KVM is not usable: " + why})
	}
	l.step("acceleration", began, string(accel))
	if err := l.inst.Update(func(i *instance.Info) { i.Accel = string(accel) }); err != nil {
		return vmm.Machine{}, err
	}
	vars := l.path(varsName)
	if err := copyWhole(vars, l.Vars); err != nil {
		return vmm.Machine{}, hint.New(fmt.Errorf("copying the firmware's variables: %w", err),
			"is there space left? --state DIR names another folder for the state")
	}
	if err := l.openTPM(ctx); err != nil {
		return vmm.Machine{}, err
	}
	return l.machine(accel, vars), nil
}

// openTPM makes the machine's TPM, or takes the one that was kept.
func (l *launch) openTPM(ctx context.Context) (err error) {
	began, detail := time.Now(), "software TPM with keys and certificates of its own"
	if l.TPM == "" {
		if err := makeDir(l.tpmDir); err != nil {
			return err
		}
		if err := vmm.MakeTPM(ctx, l.parent, l.tools, l.tpmDir); err != nil {
			return err
		}
		l.step("tpm", began, detail)
		return nil
	}
	if l.kept, err = vmm.OpenTPMFolder(ctx, l.parent, l.tools, l.TPM); err != nil {
		return err
	}
	detail += ", kept in " + l.TPM
	if !l.kept.Made() {
		detail = "the software TPM of " + l.TPM
	}
	l.step("tpm", began, detail)
	return nil
}

// releaseTPM lets others use a TPM that is kept.
func (l *launch) releaseTPM() error {
	if l.kept == nil {
		return nil
	}
	return l.kept.Close()
}

func (l *launch) event(e Event) {
	e.At = time.Since(l.start)
	e.Instance = l.inst.Info()
	l.tell(e)
}

func (l *launch) step(name string, began time.Time, detail string) {
	l.event(Event{Kind: Step, Name: name, Duration: time.Since(began), Detail: detail})
}

// listen binds the relay's port. That comes first: a port in use leaves
// nothing behind.
func listen(port int) (net.Listener, error) {
	ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, hint.New(fmt.Errorf("port %d on 127.0.0.1 is in use", port),
			"choose another --port, or 0 for any free one; safebox-host ls shows the running instances")
	case err != nil:
		return nil, fmt.Errorf("listening for the API: %w", err)
	}
	return ln, nil
}

// closeListener closes a listener that its server may have closed already.
func closeListener(ln net.Listener) error {
	if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Command is the VMM's command as Launch would run it now, program first. It
// starts no guest; only with vmm.Auto does the probe for KVM run.
func Command(ctx context.Context, tools vmm.Tools, store *instance.Store, o Options) ([]string, error) {
	parent := vmm.NewParent()
	defer parent.Close()
	accel := o.Accel
	if accel == vmm.Auto {
		var err error
		if accel, _, err = vmm.Choose(ctx, parent, tools, vmm.Auto); err != nil {
			return nil, err
		}
	}
	if o.Name == "" {
		o.Name = instance.NewID()
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	m := o.machine(accel, filepath.Join(store.RunDir(o.Name), varsName))
	m.Port, m.TPM = port, vmm.TPMDescriptor
	args, err := vmm.Args(m)
	if err != nil {
		return nil, err
	}
	return append([]string{tools.QEMU}, args...), nil
}

// machine is the machine but for the ports and descriptors of one start.
func (o *Options) machine(accel vmm.Accel, vars string) vmm.Machine {
	return vmm.Machine{
		Name: "safebox-" + o.Name, Boot: o.Boot, Disk: o.Disk, UKI: o.UKI, Code: o.Code, Vars: vars,
		VCPUs: o.VCPUs, Memory: o.Memory, Accel: accel, NetROM: o.NetROM, Extra: o.Extra,
	}
}
