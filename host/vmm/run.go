package vmm

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// TPMDescriptor is the number under which Start lets the VMM inherit the
// TPM's control channel: the first after standard error.
const TPMDescriptor = 3

// VM is a running machine.
type VM struct {
	*Child
	stderr *tail
}

// Start starts the machine with the TPM's control channel; console gets what
// the guest writes on its first serial port.
func Start(p *Parent, t Tools, m Machine, tpm *os.File, console io.Writer) (*VM, error) {
	m.TPM = TPMDescriptor
	args, err := Args(m)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(t.QEMU, args...)
	cmd.ExtraFiles = []*os.File{tpm}
	stderr := &tail{}
	cmd.Stdout, cmd.Stderr = console, stderr
	c, err := p.Start(cmd)
	if err != nil {
		return nil, fmt.Errorf("starting QEMU: %w", err)
	}
	return &VM{Child: c, stderr: stderr}, nil
}

// End waits for the machine's end. Nil says that the guest powered itself off
// (or reset itself, which ends a machine too); an error that the VMM failed.
func (v *VM) End() error {
	err := v.Wait()
	said := v.stderr.firstError()
	if err == nil && !strings.Contains(said, "terminating on signal") {
		return nil
	}
	return fmt.Errorf("QEMU ended: %w", explain(err, said))
}

// PortTaken reports, after the end, whether the machine never started because
// somebody else had bound its port in the meantime.
func (v *VM) PortTaken() bool {
	return v.Wait() != nil && strings.Contains(v.stderr.firstError(), "Could not set up host forwarding rule")
}

// StopGrace is what a machine gets between SIGTERM and SIGKILL. QEMU flushes
// its files and ends within tens of milliseconds.
const StopGrace = 5 * time.Second
