package explaintpm

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/eventlog"
	"safebox/measure/explain/internal/explaintest"
	"safebox/measure/explain/internal/inputs"
	"safebox/measure/explain/internal/registers"
	"safebox/measure/tpm"
	"safebox/measure/vectortest"
)

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tpmInput is the disk of package tpm's tests, made by other programs.
func tpmInput(t testing.TB) tpm.Input {
	t.Helper()
	disk := vectortest.File(t, os.DirFS("../../tpm/testdata"), "disk.img")
	return tpm.Input{Boot: tpm.ESP, Disk: bytes.NewReader(disk), DiskSize: int64(len(disk))}
}

// oracle is a register of the disk's UKI by ../../tpm/testdata/oracle.py.
func oracle(t testing.TB, boot, bank string, pcr int) []byte {
	t.Helper()
	prefix := fmt.Sprintf("plain %s %s %d ", boot, bank, pcr)
	for line := range strings.Lines(string(readFile(t, "../../tpm/testdata/oracle.txt"))) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), prefix); ok {
			return explaintest.Unhex(t, value)
		}
	}
	t.Fatalf("oracle.txt has no line %q", prefix)
	return nil
}

// bootPCRs are the registers that the TPM of a real boot returned.
func bootPCRs(t testing.TB, boot, bank string) (values [eventlog.PCRs][]byte) {
	t.Helper()
	for line := range strings.Lines(string(readFile(t, "../../eventlog/testdata/uefi/"+boot+"/pcrs.txt"))) {
		f := strings.Fields(line)
		if f[1] != bank {
			continue
		}
		var n int
		if _, err := fmt.Sscan(f[2], &n); err != nil {
			t.Fatal(err)
		}
		values[n] = explaintest.Unhex(t, f[3])
	}
	return values
}

func TestBootsOfOthers(t *testing.T) {
	t.Parallel()
	in := Boot{Input: tpmInput(t), Bank: tpm.SHA256, CommandLines: []string{"console=ttyS0", "console=ttyS0 evil=1"}}
	for _, tt := range []struct {
		name  string
		pcr   int
		value []byte
		want  []string
	}{
		{"kernel", 4, oracle(t, "kernel", "sha256", 4), []string{"the reported PCR 4 is what this boot gives with boot by -kernel instead of boot from the ESP"}},
		{
			"kernel and partition table", 5, oracle(t, "kernel", "sha256", 5),
			[]string{
				"the reported PCR 5 is what this boot gives with boot by -kernel instead of boot from the ESP",
			},
		},
		{"bank", 11, oracle(t, "esp", "sha384", 11), []string{"the reported PCR 11 is what this boot gives with the sha384 bank instead of sha256"}},
		{"both", 4, oracle(t, "kernel", "sha384", 4), []string{"the reported PCR 4 is what this boot gives with the sha384 bank instead of sha256 and boot by -kernel instead of boot from the ESP"}},
		{
			"load options of a real attack", 12, bootPCRs(t, "kappend", "sha256")[12],
			[]string{`the reported PCR 12 is what this boot gives with load options "console=ttyS0 evil=1" from the host instead of none`},
		},
		// names and contents of .linux, .cmdline, .initrd, .uname, .sbat
		{"nothing", 11, make([]byte, 32), []string{"the reported PCR 11 is what this boot gives with none of its 10 events"}},
		{"unrelated", 9, bootPCRs(t, "uki", "sha256")[9], nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var reported [eventlog.PCRs][]byte
			reported[tt.pcr] = tt.value
			list, err := in.Explain(reported)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, explaintest.Sentences(list[0])); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestNitroTPMSecureBoot: PCR 7 of two real NitroTPM documents, off without keys,
// for someone who expected a firmware without Secure Boot.
func TestNitroTPMSecureBoot(t *testing.T) {
	t.Parallel()
	const pcr7 = "98441c7f7625d10058c47683aec486ce311c633235eb555593a7ee791121e3578ae72d04ecef661f272d59058b77af35" // ../../testdata/nitro/pcr
	in := Boot{Input: tpmInput(t), Bank: tpm.SHA384}
	var reported [eventlog.PCRs][]byte
	reported[7] = explaintest.Unhex(t, pcr7)
	list, err := in.Explain(reported)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"the reported PCR 7 is what this boot gives with Secure Boot off, without keys instead of absent from the firmware"}
	if diff := cmp.Diff(want, explaintest.Summaries(list)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestLogOfBoot: another UKI's real boot, whose log names the first event.
func TestLogOfBoot(t *testing.T) {
	t.Parallel()
	log, err := eventlog.Decode(readFile(t, "../../eventlog/testdata/uefi/cred/evlog.bin"))
	if err != nil {
		t.Fatal(err)
	}
	in := Boot{Input: tpmInput(t), Bank: tpm.SHA256, Log: log}
	var reported [eventlog.PCRs][]byte
	values := bootPCRs(t, "cred", "sha256")
	reported[4], reported[12] = values[4], values[12]
	list, err := in.Explain(reported)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(strings.Join(explaintest.Summaries(list), "\n"))
	if len(list) != 2 {
		t.Fatalf("got %d results, want 2", len(list))
	}
	for i, want := range []string{"the log first differs at event 2 of PCR 4: got ", "the log first differs at event 0 of PCR 12: got "} {
		if got := list[i].Findings; len(got) != 1 || !strings.HasPrefix(got[0].Sentence, want) {
			t.Errorf("got %q, want %q", explaintest.Sentences(list[i]), want)
		}
	}
}

// TestLoadOptionsOfTheHost puts the load options of a real attack over the
// events of PCR 9, once of a UKI with a command line and once of one without:
// both give what the TPM returned. The initrd's digest is of that boot's log.
func TestLoadOptionsOfTheHost(t *testing.T) {
	t.Parallel()
	log, err := eventlog.Decode(readFile(t, "../../eventlog/testdata/uefi/kappend/evlog.bin"))
	if err != nil {
		t.Fatal(err)
	}
	var nine []registers.Event
	for i := range log.Events {
		if e := &log.Events[i]; e.PCR == 9 {
			nine = append(nine, registers.Event{Name: e.Describe(), Digest: e.Digest(eventlog.SHA256)})
		}
	}
	if len(nine) != 2 {
		t.Fatalf("PCR 9: got %d events, want 2", len(nine))
	}
	line := "console=ttyS0 evil=1"
	s := state{bank: tpm.SHA256, override: &line}
	want := bootPCRs(t, "kappend", "sha256")
	own := registers.Event{Name: "LOADED_IMAGE::LoadOptions", Digest: make([]byte, 32)}
	for _, c := range []struct {
		index int
		steps []registers.Event
	}{{9, []registers.Event{own, nine[1]}}, {9, nine[1:]}, {12, nil}} {
		got := registers.Extend(tpm.SHA256.New(), tpm.SHA256.Zero(), overridden(c.index, s, c.steps)...)
		if !bytes.Equal(got, want[c.index]) {
			t.Errorf("PCR %d of %d events: got %x, the TPM returned %x", c.index, len(c.steps), got, want[c.index])
		}
	}
	// systemd, src/boot/stub.c, run: the profile is measured before the options.
	if got := overridden(12, s, []registers.Event{{Name: "profile 1"}}); len(got) != 2 || got[0].Name != "profile 1" {
		t.Errorf("PCR 12 with a profile: got %v", got)
	}
}

// TestRefused: questions that are none.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func() error{
		"explaining PCRs: other inputs: got 65": func() error {
			_, err := (Boot{Input: tpmInput(t), Bank: tpm.SHA256, CommandLines: make([]string, inputs.Max+1)}).Explain([eventlog.PCRs][]byte{})
			return err
		},
		"predicting PCRs: bank: got bank 0": func() error { _, err := (Boot{}).Explain([eventlog.PCRs][]byte{}); return err },
		"PCRs: the reported value equals": func() error {
			_, err := (Boot{Input: tpmInput(t), Bank: tpm.SHA256}).Explain([eventlog.PCRs][]byte{})
			return err
		},
		"PCR 4: got 3 bytes, want 32 or 48": func() error {
			_, err := (Boot{Input: tpmInput(t), Bank: tpm.SHA256}).Explain([eventlog.PCRs][]byte{4: {1, 2, 3}})
			return err
		},
	} {
		if err := ask(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got error %v, want one with %q", err, name)
		}
	}
}
