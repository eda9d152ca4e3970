package tpm

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"safebox/measure/eventlog"
)

// TestRealBoots predicts every register and every event of the boots of
// testdata/boots and compares with what the TPM returned and firmware logged.
func TestRealBoots(t *testing.T) {
	inputs := readBootInputs(t)
	unpredictable := map[string]bool{"secret262": true, "bare262": true}
	compared := 0
	for _, c := range bootCases(t) {
		if unpredictable[c.name] {
			continue
		}
		log, registers := bootLog(t, c.name)
		for i, p := range predictCase(t, inputs.input(t, c), log) {
			bank := banks()[i]
			for pcr, r := range p.PCRs {
				if r.Rule == Missing || r.Rule == Unlisted && pcr < 16 {
					t.Errorf("%s: %v PCR %d: rule %v", c.name, bank, pcr, r.Rule)
				}
				// PCR 15 is zero until the guest extends it.
				if zero := bytes.Equal(registers[bank][pcr], bank.Zero()); pcr < 15 && zero != (r.Rule == Zero) {
					t.Errorf("%s: %v PCR %d: rule %v, the TPM had %x", c.name, bank, pcr, r.Rule, registers[bank][pcr])
				}
			}
			for _, d := range p.Compare(registers[bank]) {
				t.Errorf("%s: %v: %v", c.name, bank, d)
			}
			nine := p.PCRs[9].Events
			if got := strings.Contains(nine[len(nine)-1].Description, "secret of the machine"); got != (c.stub == "262") {
				t.Errorf("%s: initrd of stub %s: got %q", c.name, c.stub, nine[len(nine)-1].Description)
			}
			compared += compareSequence(t, c.name, p, log)
		}
	}
	// 24 boots, 2 banks; counted from the logs with another program, without
	// PCR 1 and 10 (testdata/README.md).
	if want := 1696; compared != want {
		t.Errorf("compared %d events, want %d", compared, want)
	}
}

// compareSequence compares the prediction with the whole log, in order.
func compareSequence(t *testing.T, name string, p *Prediction, log *eventlog.Log) int {
	t.Helper()
	n := 0
	for _, got := range log.Events {
		if got.PCR == 1 || got.PCR == 10 || got.Type == eventlog.NoAction {
			continue
		}
		if n == len(p.Sequence) {
			t.Fatalf("%s: %v: log has an event more: PCR %d %v %s", name, p.Bank, got.PCR, got.Type, got.Describe())
		}
		want := p.Sequence[n]
		if want.PCR != int(got.PCR) || want.Type != got.Type || !want.Digest.Equal(got.Digest(Algorithm(p.Bank))) {
			t.Fatalf("%s: %v event %d: got PCR %d %v %s %x, want PCR %d %v %s %v", name, p.Bank, n,
				got.PCR, got.Type, got.Describe(), got.Digest(Algorithm(p.Bank)), want.PCR, want.Type, want.Description, want.Digest)
		}
		n++
	}
	if n != len(p.Sequence) {
		t.Fatalf("%s: %v: log has %d events, want %d", name, p.Bank, n, len(p.Sequence))
	}
	return n
}

// TestBootSecret checks what a writable ESP does to stub 262: it hands the
// kernel a secret, in the initrd, and no register but PCR 9 tells.
func TestBootSecret(t *testing.T) {
	inputs := readBootInputs(t)
	for _, c := range bootCases(t) {
		if c.name != "secret262" {
			continue
		}
		log, _ := bootLog(t, c.name)
		for _, p := range predictCase(t, inputs.input(t, c), log) {
			list, err := p.CompareLog(log)
			if err != nil {
				t.Fatal(err)
			}
			if len(list) != 1 || list[0].PCR != 9 || list[0].Event.Index != 1 {
				t.Errorf("%v: got %v, want a difference in event 1 of PCR 9", p.Bank, list)
			}
		}
		return
	}
	t.Fatal("no boot secret262")
}

// TestConsoleOfTheMachine checks that a UKI is refused to which stub 262 adds
// a console: in that boot the kernel was given "console=uart,io,0x3f8".
func TestConsoleOfTheMachine(t *testing.T) {
	inputs := readBootInputs(t)
	for _, c := range bootCases(t) {
		if c.name != "bare262" {
			continue
		}
		log, _ := bootLog(t, c.name)
		options := SHA256.Sum(wide("console=uart,io,0x3f8"))
		found := false
		for _, e := range log.Events {
			found = found || e.PCR == 9 && options.Equal(e.Digest(eventlog.SHA256))
		}
		if !found {
			t.Error("the log has no such load options")
		}
		_, err := Predict(inputs.input(t, c), SHA256)
		if err == nil || !strings.Contains(err.Error(), "section .cmdline: without console=") {
			t.Errorf("got error %v", err)
		}
		return
	}
	t.Fatal("no boot bare262")
}

// TestBootsAreToldApart checks that a prediction fits one boot only: it
// differs from every other boot with other artifacts in some register.
func TestBootsAreToldApart(t *testing.T) {
	inputs := readBootInputs(t)
	cases := bootCases(t)
	for _, c := range cases {
		if c.name != "sb-esp257" && c.name != "all257" {
			continue
		}
		p, err := Predict(inputs.input(t, c), SHA256)
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range cases {
			_, registers := bootLog(t, other.name)
			var differ []string
			for _, d := range p.Compare(registers[SHA256]) {
				if d.Rule != Missing { // PCR 5 of a boot whose disk is not at hand
					differ = append(differ, fmt.Sprint(d.PCR))
				}
			}
			if (len(differ) == 0) != (other.name == c.name) {
				t.Errorf("%s against the boot %s: registers %v differ", c.name, other.name, differ)
			}
		}
	}
}
