package nitro

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"safebox/measure/tpm"
	"safebox/measure/vectortest"
)

// realDisk is ../tpm/testdata/disk.img, whose README.md says how it was made.
func realDisk(t testing.TB) tpm.Input {
	t.Helper()
	packed, err := os.ReadFile("../tpm/testdata/disk.img.xz")
	if err != nil {
		t.Fatal(err)
	}
	r, err := xz.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return tpm.Input{Disk: bytes.NewReader(b), DiskSize: int64(len(b))}
}

func predictTPM(t testing.TB, in tpm.Input) map[int]tpm.Register {
	t.Helper()
	list, err := PredictTPM(in)
	if err != nil {
		t.Fatal(err)
	}
	registers := map[int]tpm.Register{}
	for i, r := range list {
		if r.PCR != TPMRegisters()[i] {
			t.Errorf("register %d: got PCR%d, want PCR%d", i, r.PCR, TPMRegisters()[i])
		}
		registers[r.PCR] = r.Register
	}
	return registers
}

// checkTPM compares with a known answer, of real NitroTPM documents or from
// their rule.
func checkTPM(t *testing.T, v vectortest.Vector) {
	t.Helper()
	var want answer
	v.Decode(t, &want)
	switch v.ID {
	case "nitrotpm_pcr7_secureboot_off_no_keys":
		if got := predictTPM(t, realDisk(t))[7]; got.Value.String() != want.Out || got.Rule != tpm.Exact {
			t.Errorf("PCR7: got %v (%v), want %s", got.Value, got.Rule, want.Out)
		}
	case "nitrotpm_separator_only":
		in := realDisk(t)
		in.Boot = tpm.ESP
		p, err := tpm.Predict(in, tpm.SHA384)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range []int{2, 3, 6} {
			if got := p.PCRs[i].Value.String(); got != want.Out {
				t.Errorf("PCR%d: got %s, want %s", i, got, want.Out)
			}
		}
	case "nitrotpm_pcr4_before_first_image":
		events := predictTPM(t, realDisk(t))[4].Events
		value := extend(events[0].Digest)
		next := tpm.SHA384.Extend(value[:], events[1].Digest)
		if got := next.String(); got != want.Out {
			t.Errorf("PCR4 after two events: got %s, want %s", got, want.Out)
		}
	default:
		t.Fatalf("vector %s: not known", v.ID)
	}
}

// TestTPMOracle compares with oracle.py, which shares no code with the Go
// packages.
func TestTPMOracle(t *testing.T) {
	text, err := os.ReadFile("../tpm/testdata/oracle.txt")
	if err != nil {
		t.Fatal(err)
	}
	got := predictTPM(t, realDisk(t))
	compared := 0
	for line := range strings.Lines(string(text)) {
		for _, pcr := range []string{"4", "9", "11"} {
			value, found := strings.CutPrefix(line, "plain esp sha384 "+pcr+" ")
			if !found {
				continue
			}
			compared++
			i := map[string]int{"4": 4, "9": 9, "11": 11}[pcr]
			if want := strings.TrimSpace(value); got[i].Value.String() != want || got[i].Rule != tpm.Exact {
				t.Errorf("PCR%s: got %v (%v), want %s", pcr, got[i].Value, got[i].Rule, want)
			}
		}
	}
	if compared != 3 {
		t.Errorf("compared %d registers, want 3", compared)
	}
	if got[12].Rule != tpm.Zero || got[12].Value.String() != zero {
		t.Errorf("PCR12: got %v (%v), want zero", got[12].Value, got[12].Rule)
	}
}

func TestRefuseTPM(t *testing.T) {
	for name, c := range map[string]struct {
		in   tpm.Input
		want string
	}{
		"boot by -kernel": {tpm.Input{Boot: tpm.Kernel, UKI: []byte{1}}, "predicting NitroTPM: boot: got kernel, want esp: EC2 has no other way"},
		"firmware":        {tpm.Input{UKI: []byte{1}, Firmware: []byte{1}}, "predicting NitroTPM: got firmware, want none: EC2's is not published"},
		"nothing":         {tpm.Input{}, "predicting NitroTPM: predicting PCRs: boot from an ESP: want either a disk or a UKI"},
	} {
		_, err := PredictTPM(c.in)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}
