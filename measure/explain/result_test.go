package explain

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/eventlog"
	"safebox/measure/nitro"
	"safebox/measure/snp"
	"safebox/measure/tdx"
	"safebox/measure/tpm"
)

// TestOutput: what is printed never says that anything matches.
func TestOutput(t *testing.T) {
	t.Parallel()
	in := launch(t, "debian-ovmf", find(t, debianVectors, "deb/qemu-1"))
	const reported = "676826e902524799a067f7c43b3ab0101dce73a2506d41436dd2f8472fa208081f11f9e65ca5d2439785732a0bfd8339" // deb/qemu-4
	r, err := in.Explain(unhex(t, reported))
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	want := `launch_digest differs
expected 6eef547a9fcf5720c5c04883fe85788d29de46b55a51e554467029b554a3352e66d2f3c71b84cea937d19a1a6c41596f
reported ` + reported + `
- the reported launch digest is what this launch gives with 4 vCPUs instead of 1
`
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Errorf("text: -want +got:\n%s", diff)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	head := `{"value":"launch_digest","verdict":"differs","expected":"6eef547a9fcf5720c5c04883fe85788d29de46b55a51e554467029b554a3352e66d2f3c71b84cea937d19a1a6c41596f","reported":"` +
		reported + `","findings":[{"changes":[{"axis":"vCPUs","expected":"1","explains":"4"}],` +
		`"sentence":"the reported launch digest is what this launch gives with 4 vCPUs instead of 1"}],"tried":`
	if !strings.HasPrefix(string(b), head) {
		t.Errorf("JSON: got %s, want it to begin with %s", b, head)
	}
	if !strings.HasSuffix(string(b), `],"notes":[]}`) {
		t.Errorf("JSON: got %s, want empty notes at its end", b)
	}
	if strings.Contains(text.String()+string(b), "match") {
		t.Error("an explanation says that something matches")
	}
}

// TestOutputOfNothing: lists are empty, not null.
func TestOutputOfNothing(t *testing.T) {
	t.Parallel()
	r := explainSNP(t, launch(t, "debian-ovmf", find(t, debianVectors, "deb/sev")), make([]byte, 32))
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), `"findings":[]`) {
		t.Errorf("got %s, want empty findings", b)
	}
	for _, want := range []string{"all zeros", "LAUNCH_MEASURE", "a hash does not tell"} {
		if !strings.Contains(strings.Join(r.Summary(), "\n"), want) {
			t.Errorf("got %q, want a sentence with %q", r.Summary(), want)
		}
	}
}

// TestLaunchMeasure: the owner's key tells an HMAC from a digest.
func TestLaunchMeasure(t *testing.T) {
	t.Parallel()
	in := launch(t, "debian-ovmf", find(t, debianVectors, "deb/seves-2"))
	o := &Owner{TIK: [16]byte{1, 2, 3}, Measured: snp.Measured{APIMajor: 1, APIMinor: 55, Build: 8, Policy: 5, Nonce: [16]byte{9}}}
	in.Owner = o
	reported := snp.LaunchMeasure(o.TIK, [32]byte(digest(t, debianVectors, "deb/seves-2")), o.Measured)
	wantSentences(t, explainSNP(t, in, reported[:]),
		"the reported launch digest is what this launch gives with the answer of LAUNCH_MEASURE (an HMAC under the session's key) instead of the digest itself")
}

// TestRefused: questions that are none.
func TestRefused(t *testing.T) {
	t.Parallel()
	in := launch(t, "debian-ovmf", find(t, debianVectors, "deb/qemu-1"))
	other := "another line"
	withText := launch(t, "sev-snp-measure", find(t, ssmVectors, "ssm/test_snp_default"))
	withText.CommandLine = &other
	noFirmware := SNP{Mode: SEVSNP, Launch: snp.Launch{VCPUs: 1, VMM: snp.QEMU, CPU: 1, Features: 1}}
	many := in
	many.Firmware = make([]Named[snp.Firmware], maxAlternatives+1)
	for name, ask := range map[string]func() error{
		"reported value: got 20 bytes":  func() error { _, err := in.Explain(make([]byte, 20)); return err },
		"mode: got mode 9":              func() error { _, err := (SNP{Mode: 9}).Explain(make([]byte, 48)); return err },
		"command line: the text is not": func() error { _, err := withText.Explain(make([]byte, 48)); return err },
		"no neighbour of the expected":  func() error { _, err := noFirmware.Explain(make([]byte, 48)); return err },
		"other inputs: got 65":          func() error { _, err := many.Explain(make([]byte, 48)); return err },
		"reported values: got none":     func() error { _, err := (TDX{}).Explain([eventlog.MRs][]byte{}); return err },
		"explaining TDX registers: other inputs: got 65": func() error {
			_, err := (TDX{Memory: make([]uint64, maxAlternatives+1)}).Explain(registers(tdx.MRTD, make([]byte, 48)))
			return err
		},
		"explaining PCRs: other inputs: got 65": func() error {
			_, err := (TPM{Input: tpmInput(t), Bank: tpm.SHA256, CommandLines: make([]string, maxAlternatives+1)}).Explain([eventlog.PCRs][]byte{})
			return err
		},
		"image: got none":                   func() error { _, err := (Nitro{}).Explain([nitro.Registers][]byte{}); return err },
		"predicting PCRs: bank: got bank 0": func() error { _, err := (TPM{}).Explain([eventlog.PCRs][]byte{}); return err },
		"PCRs: the reported value equals": func() error {
			_, err := (TPM{Input: tpmInput(t), Bank: tpm.SHA256}).Explain([eventlog.PCRs][]byte{})
			return err
		},
		"MRTD: got 3 bytes, want 48": func() error { _, err := (TDX{}).Explain(registers(tdx.MRTD, make([]byte, 3))); return err },
		"PCR 4: got 3 bytes, want 32 or 48": func() error {
			_, err := (TPM{Input: tpmInput(t), Bank: tpm.SHA256}).Explain([eventlog.PCRs][]byte{4: {1, 2, 3}})
			return err
		},
		"PCR 0: got 3 bytes, want 48": func() error {
			_, err := (Nitro{Input: nitro.Input{Image: enclaveImage(t, "one_ramdisk.eif")}}).Explain([nitro.Registers][]byte{{1, 2, 3}})
			return err
		},
	} {
		if err := ask(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got error %v, want one with %q", err, name)
		}
	}
}

// TestEventNeighbours on a register of four events.
func TestEventNeighbours(t *testing.T) {
	t.Parallel()
	var steps []step
	for _, name := range []string{"a", "b", "c", "d"} {
		d := sha512.Sum384([]byte(name))
		steps = append(steps, step{name, d[:]})
	}
	digests := func(names string) []byte {
		var list [][48]byte
		for _, c := range names {
			list = append(list, sha512.Sum384([]byte(string(c))))
		}
		return foldByHand(list)
	}
	for reported, want := range map[string]string{
		"":     "none of its 4 events",
		"a":    `the first event alone instead of all 4: not "b"`,
		"ab":   `the first 2 events instead of all 4: none from "c" on`,
		"acd":  `all events but "b"`,
		"bcd":  `all events but "a"`,
		"ad":   "",
		"dcba": "",
	} {
		found, changes, _ := eventNeighbours(sha512.New384(), steps, digests(reported))
		if found != (want != "") || found && changes[0].phrase != want {
			t.Errorf("%q: got %v %v, want %q", reported, found, changes, want)
		}
	}
}

// BenchmarkMiss searches in vain: the longest that a search takes.
func BenchmarkMiss(b *testing.B) {
	svsm := launch(b, "sev-snp-measure", find(b, ssmVectors, "ssm/test_snp_svsm_2_vcpus"))
	withKernel := launch(b, "dstack", find(b, "dstack/snp-vectors.json", "dstack/real-milan-2vcpu"))
	debian := launch(b, "debian-ovmf", find(b, debianVectors, "deb/qemu-4"))
	for name, c := range map[string]struct {
		in SNP
		n  int
	}{"SNP": {debian, 48}, "SNP-kernel": {withKernel, 48}, "SVSM": {svsm, 48}, "SEV": {debian, 32}} {
		b.Run(name, func(b *testing.B) {
			unrelated := make([]byte, c.n)
			unrelated[0] = 1
			for b.Loop() {
				if r, err := c.in.Explain(unrelated); err != nil || len(r.Findings) != 0 {
					b.Fatal(r, err)
				}
			}
		})
	}
	td := acpiTD(b)
	for i, name := range []string{"MRTD", "RTMR0", "RTMR1", "RTMR2"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := td.Explain(registers(i, bytes.Repeat([]byte{1}, 48))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestBound: a caller with many other inputs gets an answer too.
func TestBound(t *testing.T) {
	t.Parallel()
	in := launch(t, "dstack", find(t, "dstack/snp-vectors.json", "dstack/real-milan-2vcpu"))
	for i := range maxAlternatives {
		name := fmt.Sprint(i)
		hash := sha256.Sum256([]byte(name))
		seed := snp.Digest(sha512.Sum384([]byte(name)))
		firmware := in.Launch.Firmware
		firmware.Seed = &seed
		in.Firmware = append(in.Firmware, Named[snp.Firmware]{name, firmware})
		in.Kernels = append(in.Kernels, Named[[32]byte]{name, hash})
		in.Initrds = append(in.Initrds, Named[[32]byte]{name, hash})
		in.CommandLines = append(in.CommandLines, Named[string]{name, name})
	}
	r := explainSNP(t, in, bytes.Repeat([]byte{1}, 48))
	if len(r.Findings) != 0 || !slices.ContainsFunc(r.Notes, func(s string) bool { return strings.HasPrefix(s, "the search ended after ") }) {
		t.Errorf("got %v, %q, want no finding and a note that the search ended", r.Findings, r.Notes)
	}
	if want := snpProbes * snp.MaxVCPUs; r.Tried > want {
		t.Errorf("got %d values tried, want at most %d", r.Tried, want)
	}
}
