package explainsev_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"safebox/measure/explain"
	"safebox/measure/explain/explainsev"
	"safebox/measure/explain/internal/explaintest"
	"safebox/measure/explain/internal/inputs"
	"safebox/measure/snp"
)

// data is measure/testdata.
var data = explaintest.New(os.DirFS("../../testdata"))

// TestLaunchesOfOthers explains the value of one vector as another one's: inputs
// and values are of other tools and of hardware, so what differs is known.
func TestLaunchesOfOthers(t *testing.T) {
	t.Parallel()
	for _, tt := range append(debianPairs(), otherPairs(t)...) {
		t.Run(tt.name, tt.run)
	}
}

// pair is a launch that was expected and one that took place.
type pair struct {
	name           string
	file, id       string // expected
	gotFile, gotID string // reported
	want           []string
	adjust         func(*explainsev.Guest)
}

func (tt pair) run(t *testing.T) {
	t.Parallel()
	in := data.Guest(t, tt.file, tt.id)
	if tt.adjust != nil {
		tt.adjust(&in)
	}
	r, err := in.Explain(data.Digest(t, tt.gotFile, tt.gotID))
	if err != nil {
		t.Fatal(err)
	}
	if v := data.Vector(t, tt.file, tt.id); r.Expected != v.Expected {
		t.Errorf("expected value: got %s, want %s", r.Expected, v.Expected)
	}
	explaintest.WantSentences(t, r, tt.want...)
}

func debianPairs() []pair {
	const debian = explaintest.DebianVectors
	return []pair{
		{
			"vCPUs", debian, "deb/qemu-1", debian, "deb/qemu-4",
			[]string{"the reported launch digest is what this launch gives with 4 vCPUs instead of 1"},
			nil,
		},
		{
			"CPU type", debian, "deb/qemu-4", debian, "deb/milan-4",
			[]string{"the reported launch digest is what this launch gives with CPU type EPYC-Milan (0x00a00f11) instead of EPYC (0x00800f12)"},
			nil,
		},
		{
			"vCPUs and CPU type", debian, "deb/qemu-4", debian, "deb/turin-2",
			[]string{"the reported launch digest is what this launch gives with CPU type EPYC-Turin (0x00b00f00) instead of EPYC (0x00800f12) and 2 vCPUs instead of 4"},
			nil,
		},
		{
			"another cloud", debian, "deb/ec2-4", debian, "deb/gce-8",
			[]string{"the reported launch digest is what this launch gives with VMM profile gce instead of ec2 (SNP_SEC_MEM pages unmeasured, g_pat 0x70106) and 8 vCPUs instead of 4"},
			nil,
		},
		{
			"three axes", debian, "deb/gce-1", debian, "deb/turin-2",
			[]string{"the reported launch digest is what this launch gives with VMM profile qemu instead of gce " +
				"(mxcsr 0x1f80 and fcw 0x37f: KVM_SEV_INIT2 on host kernel 6.10 or later), CPU type EPYC-Turin (0x00b00f00) instead of none and 2 vCPUs instead of 1"},
			nil,
		},
		{
			"address width", debian, "deb/gce-1", debian, "snp_genoa_52bit",
			[]string{"the reported launch digest is what this launch gives with VMSA address 0xffffffffff000 instead of 0xfffffffff000 (52 address bits: gce-tcb-verifier on Genoa)"},
			nil,
		},
		{
			"the firmware's hash", debian, "deb/qemu-1", debian, "deb/ovmf-hash",
			[]string{"the reported launch digest is what this launch gives with the pages of the firmware alone instead of SEV-SNP (sev-snp-measure calls it ovmf-hash)"},
			nil,
		},
		{
			"SEV", debian, "deb/qemu-1", debian, "deb/sev",
			[]string{"the reported launch digest is what this launch gives with SEV instead of SEV-SNP (no VMSA is measured)"},
			nil,
		},
		{
			"SEV-ES", debian, "deb/qemu-1", debian, "deb/seves-2",
			[]string{"the reported launch digest is what this launch gives with SEV-ES instead of SEV-SNP and 2 vCPUs instead of 1"},
			nil,
		},
	}
}

func otherPairs(t *testing.T) []pair {
	t.Helper()
	const ssm, rust = explaintest.SSMVectors, explaintest.RustVectors
	return []pair{
		{
			"rdx", ssm, "ssm/test_snp_ec2_feature_snp_only", rust, "rust/test_snp_ec2_snp_only",
			[]string{"the reported launch digest is what this launch gives with VMM profile ec2-legacy instead of ec2 (rdx 0: older sev-snp-measure, virtee/sev and sev-snp-measure-go)"},
			nil,
		},
		{
			"rdx, the other way, and features", rust, "rust/test_snp_ec2_snp_only", ssm, "ssm/test_snp_ec2_default",
			[]string{"the reported launch digest is what this launch gives with VMM profile ec2 instead of ec2-legacy (rdx 0x600: sev-snp-measure since 4a02bf0) " +
				"and guest features 0x21 instead of 0x1 (bit 5, DebugSwap: on by default in some 6.x kernels)"},
			nil,
		},
		{
			"features", ssm, "ssm/test_snp_guest_feature_snp_only", ssm, "ssm/test_snp_default",
			[]string{"the reported launch digest is what this launch gives with guest features 0x21 instead of 0x1 (bit 5, DebugSwap: on by default in some 6.x kernels)"},
			nil,
		},
		{
			"no kernel", ssm, "ssm/test_snp_guest_feature_snp_only", ssm, "ssm/test_snp_without_kernel_feature_snp_only",
			[]string{"the reported launch digest is what this launch gives with no kernel hashes instead of those given (kernel-hashes=off, or no -kernel)"},
			nil,
		},
		{
			"a kernel", ssm, "ssm/test_snp_without_kernel_feature_snp_only", ssm, "ssm/test_snp_ovmf_hash_gen_feature_snp_only",
			[]string{"the reported launch digest is what this launch gives with the hashes of kernel /dev/null instead of none"},
			func(in *explainsev.Guest) {
				in.Kernels = []explain.Named[[32]byte]{{Name: "/dev/null", Value: sha256.Sum256(nil)}}
			},
		},
		{
			"command line and vCPUs", ssm, "ssm/test_snp_guest_feature_snp_only", ssm, "ssm/test_snp_with_multiple_vcpus_feature_snp_only",
			[]string{"the reported launch digest is what this launch gives with an empty command line instead of the expected one and 4 vCPUs instead of 1"},
			nil,
		},
		{
			"command line of SEV", ssm, "ssm/test_sev", ssm, "ssm/test_sev_with_kernel_without_initrd_and_append",
			[]string{"the reported launch digest is what this launch gives with an empty command line instead of the expected one"},
			nil,
		},
		{
			"firmware", ssm, "ssm/test_snp_without_kernel_feature_snp_only", ssm, "ssm/test_snp_with_ovmfx64_without_kernel_feature_snp_only",
			[]string{"the reported launch digest is what this launch gives with firmware OvmfX64 instead of the expected one"},
			func(in *explainsev.Guest) {
				in.Firmware = []explain.Named[snp.Firmware]{{Name: "OvmfX64", Value: snp.NewFirmware(data.Image(t, "sev-snp-measure/ovmf_OvmfX64_suffix.bin"))}}
			},
		},
	}
}

func TestEqual(t *testing.T) {
	t.Parallel()
	in := data.Guest(t, explaintest.DebianVectors, "deb/qemu-4")
	_, err := in.Explain(data.Digest(t, explaintest.DebianVectors, "deb/qemu-4"))
	var equal *explain.EqualError
	if !errors.As(err, &equal) {
		t.Errorf("got error %v, want that the values are equal", err)
	}
}

func TestUnrelated(t *testing.T) {
	t.Parallel()
	for id, n := range map[string]int{"deb/qemu-4": 48, "deb/seves-2": 32, "dstack": 48} {
		in := data.Guest(t, explaintest.DebianVectors, "deb/qemu-4")
		if id == "dstack" {
			in = data.Guest(t, explaintest.DstackVectors, "dstack/real-milan-2vcpu")
		}
		unrelated := make([]byte, n)
		unrelated[0] = 1
		r, err := in.Explain(unrelated)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Findings) != 0 {
			t.Errorf("%s: got %v, want no finding", id, r.Findings)
		}
		t.Logf("%s", strings.Join(r.Summary(), "\n"))
	}
}

func explained(t *testing.T, in explainsev.Guest, reported []byte) *explain.Result {
	t.Helper()
	r, err := in.Explain(reported)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestLaunchMeasure: the owner's key tells an HMAC from a digest.
func TestLaunchMeasure(t *testing.T) {
	t.Parallel()
	in := data.Guest(t, explaintest.DebianVectors, "deb/seves-2")
	o := &explainsev.Owner{TIK: [16]byte{1, 2, 3}, Measured: snp.Measured{APIMajor: 1, APIMinor: 55, Build: 8, Policy: 5, Nonce: [16]byte{9}}}
	in.Owner = o
	reported := snp.LaunchMeasure(o.TIK, [32]byte(data.Digest(t, explaintest.DebianVectors, "deb/seves-2")), o.Measured)
	explaintest.WantSentences(t, explained(t, in, reported[:]),
		"the reported launch digest is what this launch gives with the answer of LAUNCH_MEASURE (an HMAC under the session's key) instead of the digest itself")
}

// TestRefused: questions that are none.
func TestRefused(t *testing.T) {
	t.Parallel()
	in := data.Guest(t, explaintest.DebianVectors, "deb/qemu-1")
	other := "another line"
	withText := data.Guest(t, explaintest.SSMVectors, "ssm/test_snp_default")
	withText.CommandLine = &other
	noFirmware := explainsev.Guest{Mode: explainsev.SEVSNP, Launch: snp.Launch{VCPUs: 1, VMM: snp.QEMU, CPU: 1, Features: 1}}
	many := in
	many.Firmware = make([]explain.Named[snp.Firmware], inputs.Max+1)
	for name, ask := range map[string]func() error{
		"reported value: got 20 bytes":  func() error { _, err := in.Explain(make([]byte, 20)); return err },
		"mode: got mode 9":              func() error { _, err := (explainsev.Guest{Mode: 9}).Explain(make([]byte, 48)); return err },
		"command line: the text is not": func() error { _, err := withText.Explain(make([]byte, 48)); return err },
		"no neighbour of the expected":  func() error { _, err := noFirmware.Explain(make([]byte, 48)); return err },
		"other inputs: got 65":          func() error { _, err := many.Explain(make([]byte, 48)); return err },
	} {
		if err := ask(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got error %v, want one with %q", err, name)
		}
	}
}

// TestBound: a caller with many other inputs gets an answer too.
func TestBound(t *testing.T) {
	t.Parallel()
	in := data.Guest(t, explaintest.DstackVectors, "dstack/real-milan-2vcpu")
	for i := range inputs.Max {
		name := fmt.Sprint(i)
		hash := sha256.Sum256([]byte(name))
		seed := snp.Digest(sha512.Sum384([]byte(name)))
		firmware := in.Launch.Firmware
		firmware.Seed = &seed
		in.Firmware = append(in.Firmware, explain.Named[snp.Firmware]{Name: name, Value: firmware})
		in.Kernels = append(in.Kernels, explain.Named[[32]byte]{Name: name, Value: hash})
		in.Initrds = append(in.Initrds, explain.Named[[32]byte]{Name: name, Value: hash})
		in.CommandLines = append(in.CommandLines, explain.Named[string]{Name: name, Value: name})
	}
	r := explained(t, in, bytes.Repeat([]byte{1}, 48))
	if len(r.Findings) != 0 || !slices.ContainsFunc(r.Notes, func(s string) bool { return strings.HasPrefix(s, "the search ended after ") }) {
		t.Errorf("got %v, %q, want no finding and a note that the search ended", r.Findings, r.Notes)
	}
	if want := explainsev.Probes * snp.MaxVCPUs; r.Tried > want {
		t.Errorf("got %d values tried, want at most %d", r.Tried, want)
	}
}
