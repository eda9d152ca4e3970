package boot

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"safebox/measure/tpm/golden"
	"safebox/verifier/bootreport"

	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxtpm"
)

// Rule says which values of one register let the boot go on.
type Rule struct {
	PCR    int
	ID     string // of the refusal
	Accept func(golden.Bank) []golden.Digest
}

const (
	tpmDevice = "/dev/tpmrm0" // with the kernel's resource manager, so that others may use the TPM too
	tpmWait   = 5 * time.Second

	// eventLogFile is the TCG2 log as the kernel took it over from the
	// firmware (Linux Documentation/security/tpm/tpm_event_log.rst).
	eventLogFile = "/sys/kernel/security/tpm0/binary_bios_measurements"
)

// registers is what a TPM returned.
type registers map[golden.Bank][24]golden.Digest

// checkRegisters looks for what a host may have added to the boot. It is
// defence in depth: the TPM and the way to it are the host's, so the answer
// may be a lie, and only the verifier's look at a quote decides anything. An
// honest TPM under a tampered boot, though, gets the reason named here.
// Registers that hold the appliance's own artifacts (4, 9, 11) can't be
// checked by a program that is part of them.
func (b *machine) checkRegisters() (string, error) {
	tpm, err := openTPM(tpmDevice, tpmWait)
	if err != nil {
		return "", err
	}
	got, err := readRegisters(tpm)
	if cerr := tpm.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("closing %s: %w", tpmDevice, cerr)
	}
	if err != nil {
		return "", err
	}
	b.report.Banks = got.banks()
	if reasons := compareRegisters(got, b.platform.Registers); len(reasons) > 0 {
		return "", reasons
	}
	return fmt.Sprintf("%d registers in %d banks as expected", len(b.platform.Registers), len(got)), nil
}

// compareRegisters gives one refusal for each rule that a bank breaks.
func compareRegisters(got registers, rules []Rule) Refusals {
	var reasons Refusals
	for _, rule := range rules {
		for _, bank := range golden.Banks() {
			value := got[bank][rule.PCR]
			want := rule.Accept(bank)
			if !accepted(value, want) {
				reasons = append(reasons, bootreport.Refusal{
					ID:     rule.ID,
					Detail: fmt.Sprintf("%v pcr%d: got %v, want %s", bank, rule.PCR, value, oneOf(want)),
				})
				break // the other bank would say the same again
			}
		}
	}
	return reasons
}

func accepted(value golden.Digest, want []golden.Digest) bool {
	for _, w := range want {
		if w.Equal(value) {
			return true
		}
	}
	return false
}

func oneOf(want []golden.Digest) string {
	texts := make([]string, len(want))
	for i, w := range want {
		texts[i] = w.String()
	}
	return strings.Join(texts, " or ")
}

// banks gives the registers as the report has them.
func (r registers) banks() []bootreport.Bank {
	var all []bootreport.Bank
	for _, bank := range golden.Banks() {
		out := bootreport.Bank{Algorithm: bank.String()}
		for i, d := range r[bank] {
			out.PCRs[i] = d.String()
		}
		all = append(all, out)
	}
	return all
}

// openTPM waits for the device: the driver probes while PID 1 already runs.
func openTPM(path string, limit time.Duration) (transport.TPMCloser, error) {
	for end := sinceKernelStart() + limit; ; time.Sleep(10 * time.Millisecond) {
		tpm, err := linuxtpm.Open(path)
		if err == nil {
			return tpm, nil
		}
		if !os.IsNotExist(err) || sinceKernelStart() > end {
			return nil, fmt.Errorf("opening the TPM: %w", err)
		}
	}
}

// readEventLog puts the firmware's log into the report.
func (b *machine) readEventLog() (detail string, err error) {
	f, err := os.Open(eventLogFile)
	if err != nil {
		return "", err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	log, err := io.ReadAll(io.LimitReader(f, bootreport.MaxEventLog+1))
	if err != nil {
		return "", err
	}
	if len(log) > bootreport.MaxEventLog {
		return "", fmt.Errorf("event log: more than %d bytes", bootreport.MaxEventLog)
	}
	b.report.EventLog = log
	return fmt.Sprintf("%d bytes", len(log)), nil
}
