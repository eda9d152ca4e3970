package snp_test

import (
	"encoding/json"
	"encoding/pem"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"safebox/verifier/chain"
	"safebox/verifier/check"
	"safebox/verifier/checktest"
	"safebox/verifier/endorse"
	"safebox/verifier/policy/snppolicy"
	"safebox/verifier/policy/table"
	"safebox/verifier/snp"
	"safebox/verifier/verdict"
)

const evidence = "../testdata/evidence/"

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(evidence + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// readPolicy reads the table of a profile, with replacements in its text.
func readPolicy(t testing.TB, profile string, as string, edits ...string) *snppolicy.Policy {
	t.Helper()
	text := snppolicy.Section(profile)
	for i := 0; i < len(edits); i += 2 {
		if strings.Count(text, edits[i]) == 0 {
			t.Fatalf("%q is not in the text", edits[i])
		}
		text = strings.ReplaceAll(text, edits[i], edits[i+1])
	}
	root, err := table.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p := snppolicy.Read(root.Table("snp"), as)
	root.End()
	if err := root.Close(); err != nil {
		t.Fatal(err)
	}
	return &p
}

// source says where a file of the vectors lies and what of it is wanted.
type source struct {
	file string
	cut  func(t testing.TB, b []byte) []byte // nil: the whole file
}

func reportOf(t testing.TB, s source) []byte {
	t.Helper()
	b := read(t, s.file)
	if s.cut != nil {
		b = s.cut(t, b)
	}
	return b
}

// hcl cuts the hardware report out of an Azure HCL blob (INDEX.md: at 0x20).
func hcl(t testing.TB, b []byte) []byte {
	t.Helper()
	if string(b[:4]) != "HCLA" {
		t.Fatal("no HCL blob")
	}
	return b[0x20 : 0x20+snp.Size]
}

// jsonHCL takes the blob out of trustee's evidence.
func jsonHCL(t testing.TB, b []byte) []byte {
	t.Helper()
	var e struct{ Report []int }
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatal(err)
	}
	return hcl(t, octets(e.Report))
}

func octets(list []int) []byte {
	out := make([]byte, len(list))
	for i, n := range list {
		out[i] = byte(n)
	}
	return out
}

// scale cuts the report out of dstack's SCALE encoding: a length as a compact
// integer of two bytes at 2.
func scale(_ testing.TB, b []byte) []byte { return b[4 : 4+snp.Size] }

// dstackJSON is the same, in hex within JSON.
func dstackJSON(t testing.TB, b []byte) []byte {
	t.Helper()
	var e struct{ Attestation hexBytes }
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatal(err)
	}
	return scale(t, e.Attestation)
}

// e2eVCEK takes the certificate out of trustee's evidence with a parsed report.
func e2eVCEK(t testing.TB, b []byte) []byte {
	t.Helper()
	var e struct {
		Chain []struct {
			Type string `json:"cert_type"`
			Data []int
		} `json:"cert_chain"`
	}
	if err := json.Unmarshal(b, &e); err != nil || len(e.Chain) != 1 || e.Chain[0].Type != "VCEK" {
		t.Fatalf("%v, chain %v", err, e.Chain)
	}
	return octets(e.Chain[0].Data)
}

// genuine is genuine evidence, and what INDEX.md says of it.
type genuine struct {
	name         string
	report       source
	endorsements []source
	at           string
	refused      string // the one check that refuses; empty: accepted

	version   uint32
	reported  string // TCB, as INDEX.md has it
	cpuid     string
	firmware  string
	policy    uint64
	platform  uint64
	vmpl      uint32
	launchMIT uint64
	chip      bool // chip ID is there
}

func files(names ...string) []source {
	list := make([]source, len(names))
	for i, n := range names {
		list[i] = source{file: n}
	}
	return list
}

// reals lists the genuine reports. Facts are INDEX.md's, and those of trustee's
// parsed JSON for the report of trustee/e2e-evidence.json.
func reals() []genuine {
	const milan, genoa = "snp/roots/ask_ark_milan.pem", "snp/roots/ask_ark_genoa.pem"
	return []genuine{
		{
			name: "ms-tav milan", report: source{file: "snp/ms-tav/milan_attestation_report.bin"},
			endorsements: files("snp/ms-tav/milan_vcek.pem", "snp/ms-tav/milan_ask.pem", "snp/ms-tav/milan_ark.pem"), at: "2026-02-06",
			version: 3, reported: "bootloader 0x4, TEE 0x0, SNP 0x18, microcode 0xdb", cpuid: "19/01/1", firmware: "1.55.29", policy: 0x3001f, platform: 0x25, chip: true,
		},
		{
			name: "ms-tav genoa", report: source{file: "snp/ms-tav/genoa_attestation_report.bin"},
			endorsements: files("snp/ms-tav/genoa_vcek.pem", "snp/ms-tav/genoa_ask.pem", "snp/ms-tav/genoa_ark.pem"), at: "2026-02-06",
			version: 3, reported: "bootloader 0xa, TEE 0x0, SNP 0x17, microcode 0x54", cpuid: "19/11/1", firmware: "1.55.40", policy: 0x3001f, platform: 0x27, chip: true,
		},
		{
			name: "ms-tav turin", report: source{file: "snp/ms-tav/turin_attestation_report.bin"},
			endorsements: files("snp/ms-tav/turin_vcek.pem", "snp/ms-tav/turin_ask.pem", "snp/ms-tav/turin_ark.pem"), at: "2033-02-05",
			version: 5, reported: "FMC 0x1, bootloader 0x1, TEE 0x1, SNP 0x4, microcode 0x51", cpuid: "1A/02/1", firmware: "1.55.65", policy: 0x3001f, platform: 0x65, launchMIT: 0x3f, chip: true,
		},
		{
			name: "dstack", report: source{file: "snp/dstack/report.bin"},
			endorsements: files("snp/dstack/vcek.pem", "snp/dstack/ask.pem"), at: "2026-06-18",
			version: 3, reported: "bootloader 0x4, TEE 0x0, SNP 0x17, microcode 0xd5", cpuid: "19/01/1", firmware: "1.55.29", policy: 0x30000, platform: 0x25, chip: true,
		},
		{
			name: "dstack binary", report: source{"snp/dstack/sev_snp_attestation.bin", scale},
			endorsements: files("snp/dstack/vcek.pem", "snp/dstack/ask.pem"), at: "2033-06-16",
			version: 3, reported: "bootloader 0x4, TEE 0x0, SNP 0x17, microcode 0xd5", cpuid: "19/01/1", firmware: "1.55.29", policy: 0x30000, platform: 0x25, chip: true,
		},
		{
			name: "dstack JSON", report: source{"snp/dstack/sev-snp-attestation.json", dstackJSON},
			endorsements: files("snp/dstack/vcek.pem", milan), at: "2026-06-18",
			version: 3, reported: "bootloader 0x4, TEE 0x0, SNP 0x17, microcode 0xd5", cpuid: "19/01/1", firmware: "1.55.29", policy: 0x30000, platform: 0x25, chip: true,
		},
		{
			name: "trustee VLEK", report: source{file: "snp/trustee/test-vlek-report.bin"},
			endorsements: files("snp/trustee/test-vlek.der", "snp/roots/ask_ark_milan_vlek.pem"), at: "2024-12-11",
			version: 3, reported: "bootloader 0x4, TEE 0x0, SNP 0x18, microcode 0xd9", cpuid: "19/01/1", firmware: "1.55.29", policy: 0x30000, platform: 0x27, vmpl: 1,
		},
		{
			name: "trustee VLEK, chain of go-sev-guest", report: source{file: "snp/trustee/test-vlek-report.bin"},
			endorsements: files("snp/trustee/test-vlek.der", "snp/go-sev-guest/milanvlek.der"), at: "2025-12-10",
			version: 3, reported: "bootloader 0x4, TEE 0x0, SNP 0x18, microcode 0xd9", cpuid: "19/01/1", firmware: "1.55.29", policy: 0x30000, platform: 0x27, vmpl: 1,
		},
		{
			name: "trustee e2e", report: source{"snp/trustee/e2e-evidence.json", e2eReport},
			endorsements: []source{{"snp/trustee/e2e-evidence.json", e2eVCEK}, {file: genoa}}, at: "2026-01-01",
			version: 3, reported: "bootloader 0xa, TEE 0x0, SNP 0x17, microcode 0x19", cpuid: "19/A0/2", firmware: "1.55.40", policy: 0x30000, platform: 37, chip: true,
		},
		{
			name: "Azure Genoa", report: source{"vtpm/trustee/az-snp-vtpm/evidence-genoa.json", jsonHCL},
			endorsements: files("vtpm/trustee/az-snp-vtpm/vcek-genoa.pem", genoa), at: "2025-01-25",
			version: 3, reported: "bootloader 0xa, TEE 0x0, SNP 0x17, microcode 0x54", cpuid: "19/11/1", chip: true,
		},
		{
			// A debug report: INDEX.md. Facts of the rest: AMD 56860, version 2.
			name: "go-sev-guest", report: source{file: "snp/go-sev-guest/attestation.bin"},
			endorsements: files("snp/go-sev-guest/vcek.der", "snp/go-sev-guest/milan_cert_chain.pem"), at: "2022-09-25", refused: "SNP-P1",
			version: 2, reported: "bootloader 0x2, TEE 0x0, SNP 0x5, microcode 0x44", cpuid: "00/00/0", firmware: "1.49.3", policy: 0xb0000, platform: 1, chip: true,
		},
		{
			name: "corrupted VCEK, legacy", report: source{file: "snp/ms-tav/milan_attestation_report.bin"},
			endorsements: files("snp/trustee/test-vcek-invalid-legacy.der", milan), at: "2026-02-06", refused: "SNP-C2",
		},
		{
			name: "corrupted VCEK, new", report: source{file: "snp/ms-tav/milan_attestation_report.bin"},
			endorsements: files("snp/trustee/test-vcek-invalid-new.der", milan), at: "2026-02-06", refused: "SNP-C2",
		},
		{
			// A genuine certificate of another machine.
			name: "another machine's VCEK", report: source{file: "snp/ms-tav/turin_attestation_report.bin"},
			endorsements: files("snp/virtee/vcek_turin.der", "snp/virtee/cert_chain_turin"), at: "2026-02-06", refused: "SNP-B1",
		},
		{
			// VCEK under the VLEK's intermediate: the chain has a gap.
			name: "Turin, wrong intermediate", report: source{file: "snp/ms-tav/turin_attestation_report.bin"},
			endorsements: files("snp/ms-tav/turin_vcek.pem", "snp/roots/ask_ark_turin_vlek.pem"), at: "2026-02-06", refused: "SNP-C2",
		},
		{
			name: "Genoa, wrong intermediate", report: source{file: "snp/ms-tav/genoa_attestation_report.bin"},
			endorsements: files("snp/ms-tav/genoa_vcek.pem", "snp/roots/ask_ark_genoa_vlek.pem"), at: "2026-02-06", refused: "SNP-C2",
		},
		{
			name: "Turin, published chain", report: source{file: "snp/ms-tav/turin_attestation_report.bin"},
			endorsements: files("snp/ms-tav/turin_vcek.pem", "snp/roots/ask_ark_turin_vcek.pem"), at: "2026-02-06",
			version: 5, reported: "FMC 0x1, bootloader 0x1, TEE 0x1, SNP 0x4, microcode 0x51", cpuid: "1A/02/1", firmware: "1.55.65", policy: 0x3001f, platform: 0x65, launchMIT: 0x3f, chip: true,
		},
	}
}

func input(t testing.TB, r *genuine, p *snppolicy.Policy) snp.Input {
	t.Helper()
	set := &endorse.Set{}
	for _, e := range r.endorsements {
		set.Add(e.file, reportOf(t, e))
	}
	return snp.Input{Report: reportOf(t, r.report), Endorsements: set, Rules: chain.Rules{At: day(t, r.at), AnyAgeCRL: true}, Policy: p, Roots: snp.PinnedRoots()}
}

func day(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.DateOnly, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func verify(in snp.Input) (*snp.Report, *verdict.Verdict) {
	log := check.New()
	r := snp.Verify(in, log)
	return r, log.Verdict(snp.Definitions())
}

// TestReal verifies all genuine evidence under the profile test, at the times
// of INDEX.md.
func TestReal(t *testing.T) {
	p := readPolicy(t, "test", "test")
	for _, r := range reals() {
		t.Run(r.name, func(t *testing.T) {
			report, v := verify(input(t, &r, p))
			if r.refused != "" {
				checktest.Alone(t, v, r.refused)
			} else {
				checktest.Passes(t, v)
			}
			if r.version != 0 {
				r.compare(t, report)
			}
		})
	}
}

func (r *genuine) compare(t *testing.T, got *snp.Report) {
	t.Helper()
	if got.Version != r.version || got.Reported.String() != r.reported || got.CPUID.String() != r.cpuid || got.VMPL != r.vmpl || (got.ChipID != [64]byte{}) != r.chip {
		t.Errorf("got version %d, TCB %v, CPUID %v, VMPL %d, chip %x", got.Version, got.Reported, got.CPUID, got.VMPL, got.ChipID)
	}
	if r.firmware != "" && (got.CurrentFirmware.String() != r.firmware || uint64(got.Policy) != r.policy || uint64(got.Platform) != r.platform) {
		t.Errorf("got firmware %v, policy %v, platform %v", got.CurrentFirmware, got.Policy, got.Platform)
	}
	if got.LaunchMitigations != r.launchMIT || got.CurrentMitigations != r.launchMIT {
		t.Errorf("mitigations: got %#x and %#x, want %#x", got.LaunchMitigations, got.CurrentMitigations, r.launchMIT)
	}
}

// TestEveryFile wants each file of the folder used above, or named here with
// the test that uses it.
func TestEveryFile(t *testing.T) {
	used := map[string]bool{
		// TestHCLv2
		"vtpm/trustee/az-snp-vtpm/hcl-report.bin": true,
	}
	for _, r := range reals() {
		for _, s := range append(slices.Clone(r.endorsements), r.report) {
			used[s.file] = true
		}
	}
	for _, name := range []string{
		// TestPins
		"snp/roots/ask_ark_milan.pem", "snp/roots/ask_ark_milan_vlek.pem", "snp/roots/ask_ark_genoa.pem",
		"snp/roots/ask_ark_genoa_vlek.pem", "snp/roots/ask_ark_turin_vcek.pem", "snp/roots/ask_ark_turin_vlek.pem",
	} {
		used[name] = true
	}
	found := 0
	err := filepath.WalkDir(evidence+"snp", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		found++
		if name := filepath.ToSlash(strings.TrimPrefix(path, evidence)); !used[name] {
			t.Errorf("nothing uses %s", name)
		}
		return nil
	})
	if err != nil || found < 30 {
		t.Fatalf("%v; %d files", err, found)
	}
}

// TestHCLv2 is about an Azure report of version 2 (its claims and its quote are
// the vTPM's tests'). No certificate of its machine is among the vectors:
// vcek-genoa.pem is another's.
func TestHCLv2(t *testing.T) {
	r := genuine{
		report:       source{"vtpm/trustee/az-snp-vtpm/hcl-report.bin", hcl},
		endorsements: files("vtpm/trustee/az-snp-vtpm/vcek-genoa.pem", "snp/roots/ask_ark_genoa.pem"), at: "2025-01-25",
	}
	report, v := verify(input(t, &r, readPolicy(t, "test", "test")))
	checktest.Alone(t, v, "SNP-B1")
	if report.Version != 2 || report.CPUID != (snp.CPUID{}) {
		t.Errorf("got version %d, CPUID %v", report.Version, report.CPUID)
	}
}

// TestPins compares the pinned roots with the files that two repositories
// published, and all intermediates under them.
func TestPins(t *testing.T) {
	roots := snp.PinnedRoots()
	for _, c := range []struct {
		pin   []byte
		files []string
	}{
		{roots.Milan.Raw, []string{"snp/roots/ask_ark_milan.pem", "snp/roots/ask_ark_milan_vlek.pem", "snp/ms-tav/milan_ark.pem", "snp/go-sev-guest/milan_cert_chain.pem", "snp/go-sev-guest/milanvlek.der"}},
		{roots.Genoa.Raw, []string{"snp/roots/ask_ark_genoa.pem", "snp/roots/ask_ark_genoa_vlek.pem", "snp/ms-tav/genoa_ark.pem"}},
		{roots.Turin.Raw, []string{"snp/roots/ask_ark_turin_vcek.pem", "snp/roots/ask_ark_turin_vlek.pem", "snp/ms-tav/turin_ark.pem", "snp/virtee/cert_chain_turin"}},
	} {
		for _, name := range c.files {
			// The last block is the ARK.
			var last []byte
			for rest := read(t, name); ; {
				var block *pem.Block
				if block, rest = pem.Decode(rest); block == nil {
					break
				}
				last = block.Bytes
			}
			if !slices.Equal(last, c.pin) {
				t.Errorf("ARK of %s is not the pinned one", name)
			}
		}
	}
}
