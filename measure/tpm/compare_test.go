package tpm

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"safebox/measure/eventlog"
)

// realPrediction is a prediction for the boot "uki" whose UKI is not at hand:
// its digests are filled in from the log, the rest is predicted.
func realPrediction(t *testing.T, bank Bank) *Prediction {
	t.Helper()
	p, err := Predict(Input{Boot: ESP, UKI: assemble(stub(t), parts(t, "plain")), Firmware: realFirmware(t)}, bank)
	if err != nil {
		t.Fatal(err)
	}
	log := readLog(t, "uki")
	for _, pcr := range []int{4, 5, 9, 11} {
		s := &sequence{bank: bank}
		for _, e := range log.Events {
			if int(e.PCR) == pcr {
				s.addDigest(pcr, e.Type, e.Describe(), e.Digest(Algorithm(bank)))
			}
		}
		p.PCRs[pcr] = s.register(pcr, p.PCRs[pcr].Rule)
	}
	return p
}

// predicted leaves out PCR 5, which needs the disk.
func predicted(list []Difference) []Difference {
	return slices.DeleteFunc(list, func(d Difference) bool { return d.PCR == 5 && d.Rule == Missing })
}

// TestCompareRealBoots expects no difference for the boot itself and the
// attacks to show in the registers that specs/image.md 2.7 lists.
func TestCompareRealBoots(t *testing.T) {
	want := map[string][]string{
		"uki":     nil,
		"smbios":  {"pcr9 0", "pcr12 0"},
		"cred":    {"pcr9 1", "pcr12 0"},
		"osrel":   {"pcr4 2", "pcr9 1", "pcr11 2"},
		"uki262":  {"pcr4 2", "pcr11 9"},
		"kappend": {"pcr4 0", "pcr9 0", "pcr12 0"},
	}
	for _, bank := range banks() {
		p := realPrediction(t, bank)
		for boot, w := range want {
			list, err := p.CompareLog(readLog(t, boot))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range predicted(list) {
				if d.Rule == Any || d.Event == nil {
					t.Fatalf("%s: %v without an event", boot, d)
				}
				got = append(got, fmt.Sprintf("pcr%d %d", d.PCR, d.Event.Index))
			}
			if fmt.Sprint(got) != fmt.Sprint(w) {
				t.Errorf("%s: %v: got %v, want %v", boot, bank, got, w)
			}
			if n := len(predicted(p.Compare(readPCRs(t, boot, bank)))); n != len(w) {
				t.Errorf("%s: %v: %d registers of the TPM differ, want %d", boot, bank, n, len(w))
			}
		}
	}
}

// TestEveryBitOfTheRegistersCounts flips one bit of each register.
func TestEveryBitOfTheRegistersCounts(t *testing.T) {
	p := realPrediction(t, SHA256)
	p.PCRs[5].Rule, p.PCRs[5].Value = FixedDisk, readPCRs(t, "uki", SHA256)[5]
	values := readPCRs(t, "uki", SHA256)
	for i := range values {
		values[i][31] ^= 1
		want := 1
		if r := p.PCRs[i].Rule; r == Any || r == Unlisted {
			want = 0
		}
		if got := p.Compare(values); len(got) != want || want == 1 && got[0].PCR != i {
			t.Errorf("PCR %d: got %v, want %d differences", i, got, want)
		}
		values[i][31] ^= 1
	}
	for i, r := range p.PCRs {
		kept := values[i]
		values[i] = nil
		if got := p.Compare(values); r.Value != nil && (len(got) != 1 || got[0].PCR != i) {
			t.Errorf("PCR %d is absent: got %v", i, got)
		}
		values[i] = kept
	}
}

// TestMissingIsADifference checks that what was not predicted does not pass.
func TestMissingIsADifference(t *testing.T) {
	p := realPrediction(t, SHA256)
	p.PCRs[0] = Register{Rule: Missing}
	list := p.Compare(readPCRs(t, "uki", SHA256))
	if len(list) != 1 || !strings.Contains(list[0].String(), "pcr0: got 0101271704") ||
		!strings.Contains(list[0].String(), "nothing predicted") {
		t.Errorf("got %v", list)
	}
}

func TestDifferenceNamesTheEvent(t *testing.T) {
	p := realPrediction(t, SHA256)
	log := readLog(t, "uki")
	log.Events = log.Events[:len(log.Events)-5] // the kernel's and PCR 5's
	list, err := p.CompareLog(log)
	if err != nil {
		t.Fatal(err)
	}
	var text string
	for _, d := range list {
		text += d.String() + "\n"
	}
	for _, want := range []string{
		"pcr4: got ", "first at its event 3: got no event, want EV_EFI_BOOT_SERVICES_APPLICATION",
		`pcr9: got 0000`, `first at its event 0: got no event, want EV_EVENT_TAG`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	if _, err := p.CompareLog(&eventlog.Log{Events: []eventlog.Event{{PCR: 4, Type: eventlog.Separator}}}); err == nil {
		t.Error("log without this bank: no error")
	}
}
