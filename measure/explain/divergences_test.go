package explain_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/explain"
	"safebox/measure/explain/explainsev"
	"safebox/measure/explain/internal/explaintest"
	"safebox/measure/ovmf"
	"safebox/measure/snp"
)

// divergence is a row of specs/measure.md 7.
type divergence struct {
	name  string
	cases []divergent
	// why is the reason why a row can't be told.
	why string
}

// divergent makes an input with one axis changed, without the code under test,
// and says which sentences explain it.
type divergent struct {
	explain func(t *testing.T) *explain.Result
	want    []string
}

// TestSixteenDivergences explains every row.
func TestSixteenDivergences(t *testing.T) {
	t.Parallel()
	rows := []divergence{
		{name: "command line with white space", cases: commandLineCases()},
		{name: "unknown SEV metadata type", cases: unknownCases()},
		{name: "rdx on EC2", cases: rdxCases()},
		{name: "FPU state under QEMU", cases: fpuCases()},
		{name: "DebugSwap", cases: debugSwapCases()},
		{name: "VMSA address", cases: vmsaCases()},
		{name: "fcw under an SVSM", cases: svsmCases()},
		{name: "order of MRTD", cases: orderCases()},
		{name: "Authenticode of an odd file", cases: paddingCases()},
		{name: "heap_end width and vga=", cases: headerCases()},
		{name: "kernel patched or not", cases: patchedCases()},
		{name: "initrd= in front or behind", cases: formCases()},
		{name: "layout of RTMR0", cases: layoutCases()},
		{name: "ACPI with 64-bit BARs", cases: acpiCases()},
		{
			name: "IGVM",
			why:  "no IGVM file is read here: which pages it has, and which of them are zero, shared or of parameters, is not known, so no neighbour can be computed",
		},
		{name: "CODE-only image", cases: codeCases()},
	}
	if len(rows) != 16 {
		t.Fatalf("got %d rows, want 16", len(rows))
	}
	explained := 0
	for i, row := range rows {
		if (row.why == "") == (len(row.cases) == 0) {
			t.Errorf("row %d: want either cases or a reason", i+1)
		}
		if row.why != "" {
			t.Logf("%2d %s: can't be told: %s", i+1, row.name, row.why)
			continue
		}
		t.Run(fmt.Sprintf("%02d %s", i+1, row.name), func(t *testing.T) {
			t.Parallel()
			for _, c := range row.cases {
				c.check(t)
			}
		})
		explained++
	}
	if explained != 15 {
		t.Errorf("got %d rows with cases, want 15", explained)
	}
}

func (c divergent) check(t *testing.T) {
	t.Helper()
	r := c.explain(t)
	if r.Verdict != explain.Differs {
		t.Errorf("verdict: got %q, want %q", r.Verdict, explain.Differs)
	}
	got := append(explaintest.Sentences(r), slices.DeleteFunc(r.Notes, func(s string) bool { return !strings.Contains(s, "expected") })...)
	if diff := cmp.Diff(c.want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, s := range got {
		t.Log(s)
	}
}

// snpCase measures a launch that change has made another one.
func snpCase(in func(testing.TB) explainsev.Guest, change func(*snp.Launch), want ...string) divergent {
	return divergent{want: want, explain: func(t *testing.T) *explain.Result {
		t.Helper()
		expected := in(t)
		other := expected.Launch
		change(&other)
		d, err := snp.Measure(other)
		if err != nil {
			t.Fatal(err)
		}
		return explainSNP(t, expected, d[:])
	}}
}

// vectorCase takes what another tool or hardware reports.
func vectorCase(in func(testing.TB) explainsev.Guest, file, id string, want ...string) divergent {
	return divergent{want: want, explain: func(t *testing.T) *explain.Result {
		t.Helper()
		return explainSNP(t, in(t), data.Digest(t, file, id))
	}}
}

func explainSNP(t *testing.T, in explainsev.Guest, reported []byte) *explain.Result {
	t.Helper()
	r, err := in.Explain(reported)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ofVector is the launch of a vector.
func ofVector(file, id string) func(testing.TB) explainsev.Guest {
	return func(t testing.TB) explainsev.Guest {
		t.Helper()
		return data.Guest(t, file, id)
	}
}

// Row 1. The reported digest is made of a text that was trimmed by hand.
func commandLineCases() []divergent {
	const text, trimmed = " console=ttyS0 loglevel=7 ", "console=ttyS0 loglevel=7"
	in := func(t testing.TB) explainsev.Guest {
		t.Helper()
		in := ofVector(explaintest.SSMVectors, "ssm/test_snp_guest_feature_snp_only")(t)
		line := text
		k := *in.Launch.Kernel
		k.CommandLine = sha256.Sum256([]byte(text + "\x00"))
		in.Launch.Kernel, in.CommandLine = &k, &line
		return in
	}
	line := func(b string) func(*snp.Launch) {
		return func(l *snp.Launch) {
			k := *l.Kernel
			k.CommandLine = sha256.Sum256([]byte(b))
			l.Kernel = &k
		}
	}
	return []divergent{
		snpCase(in, line(trimmed+"\x00"),
			"the reported launch digest is what this launch gives with the command line trimmed of white space instead of as given (as virtee/sev and dstack do)"),
		snpCase(in, line(text+"\n\x00"),
			"the reported launch digest is what this launch gives with a newline at the end of the command line instead of none (read from a file)"),
		snpCase(in, line(text),
			"the reported launch digest is what this launch gives with the command line hashed without its NUL instead of with it"),
		// the trimmed line's own vector of sev-snp-measure
		vectorCase(in, explaintest.SSMVectors, "ssm/test_snp_guest_feature_snp_only",
			"the reported launch digest is what this launch gives with the command line trimmed of white space instead of as given (as virtee/sev and dstack do)"),
	}
}

// Row 2. A section of a type that only QEMU takes.
func unknownCases() []divergent {
	const note = "the expected launch has no digest: measuring SEV-SNP launch: SEV metadata section at 0x900000: type: got 0x99, " +
		"want one of 1 to 4 and 0x10: QEMU would measure it as zero pages, other tools refuse it"
	unknown := ovmf.SEVSection{GPA: 0x900000, Size: 0x2000, Type: 0x99}
	in := func(t testing.TB) explainsev.Guest {
		t.Helper()
		in := ofVector(explaintest.DebianVectors, "deb/qemu-1")(t)
		in.Launch.Firmware.Sections = append(slices.Clone(in.Launch.Firmware.Sections), unknown)
		return in
	}
	zero := func(l *snp.Launch) { // SVSM_CAA is a type that is measured as zero pages
		l.Firmware.Sections = slices.Clone(l.Firmware.Sections)
		l.Firmware.Sections[len(l.Firmware.Sections)-1].Type = ovmf.SVSMCAA
	}
	return []divergent{
		snpCase(in, zero, "the reported launch digest is what this launch gives with SEV metadata sections of unknown type measured as zero pages instead of refused (QEMU)", note),
		// without the section it is the launch of the vector
		vectorCase(in, explaintest.DebianVectors, "deb/qemu-1",
			"the reported launch digest is what this launch gives with SEV metadata sections of unknown type left out instead of refused (no tool is known to do so)", note),
	}
}

// Row 3. The same launch by two tools.
func rdxCases() []divergent {
	return []divergent{
		vectorCase(ofVector(explaintest.SSMVectors, "ssm/test_snp_ec2_feature_snp_only"), explaintest.RustVectors, "rust/test_snp_ec2_snp_only",
			"the reported launch digest is what this launch gives with VMM profile ec2-legacy instead of ec2 (rdx 0: older sev-snp-measure, virtee/sev and sev-snp-measure-go)"),
		vectorCase(ofVector(explaintest.RustVectors, "rust/test_snp_ec2_default"), explaintest.SSMVectors, "ssm/test_snp_ec2_default",
			"the reported launch digest is what this launch gives with VMM profile ec2 instead of ec2-legacy (rdx 0x600: sev-snp-measure since 4a02bf0)"),
	}
}

// Row 4. The profile's rows are changed one by one.
func fpuCases() []divergent {
	return []divergent{
		snpCase(ofVector(explaintest.DebianVectors, "deb/qemu-4"), func(l *snp.Launch) {
			p, _ := l.VMM.Profile()
			p.MXCSR, p.FCW = 0, 0
			l.Profile = &p
		}, "the reported launch digest is what this launch gives with VMM profile qemu-legacy instead of qemu "+
			"(mxcsr and fcw 0: a host kernel before 6.10 or a QEMU without KVM_SEV_INIT2)"),
		vectorCase(func(t testing.TB) explainsev.Guest {
			t.Helper()
			in := ofVector(explaintest.DebianVectors, "deb/qemu-4")(t)
			in.Launch.VMM = snp.QEMULegacy
			return in
		}, explaintest.DebianVectors, "deb/qemu-4", "the reported launch digest is what this launch gives with VMM profile qemu instead of qemu-legacy "+
			"(mxcsr 0x1f80 and fcw 0x37f: KVM_SEV_INIT2 on host kernel 6.10 or later)"),
	}
}

// Row 5.
func debugSwapCases() []divergent {
	return []divergent{
		vectorCase(ofVector(explaintest.SSMVectors, "ssm/test_snp_guest_feature_snp_only"), explaintest.SSMVectors, "ssm/test_snp_default",
			"the reported launch digest is what this launch gives with guest features 0x21 instead of 0x1 (bit 5, DebugSwap: on by default in some 6.x kernels)"),
		snpCase(ofVector(explaintest.SSMVectors, "ssm/test_snp_guest_feature_snp_only"), func(l *snp.Launch) { l.Features = 0x201 },
			"the reported launch digest is what this launch gives with guest features 0x201 instead of 0x1 (bit 9, SecureTSC)"),
		{
			want: []string{"the reported launch digest is what this launch gives with guest features 0x20 instead of 0x0 (bit 5, DebugSwap: on by default in some 6.x kernels)"},
			explain: func(t *testing.T) *explain.Result {
				in := ofVector(explaintest.DebianVectors, "deb/seves-2")(t)
				other := in.Launch
				other.Features = 0x20
				d, err := snp.MeasureSEVES(other)
				if err != nil {
					t.Fatal(err)
				}
				return explainSNP(t, in, d[:])
			},
		},
	}
}

// Row 6. gce-tcb-verifier's values on two machines.
func vmsaCases() []divergent {
	return []divergent{vectorCase(ofVector(explaintest.DebianVectors, "deb/gce-1"), explaintest.DebianVectors, "snp_genoa_52bit",
		"the reported launch digest is what this launch gives with VMSA address 0xffffffffff000 instead of 0xfffffffff000 (52 address bits: gce-tcb-verifier on Genoa)")}
}

// Row 7. Three generations of values for one launch.
func svsmCases() []divergent {
	in := ofVector(explaintest.SSMVectors, "ssm/test_snp_svsm_2_vcpus") // with the profile's own fcw
	return []divergent{
		vectorCase(in, explaintest.SSMVectors, "ssm/test_snp_svsm_2_vcpus",
			"the reported launch digest is what this launch gives with FPU state mxcsr 0x1f80, fcw 0x0 instead of mxcsr 0x1f80, fcw 0x37f "+
				"(sev-snp-measure since 0.0.10, where a misspelt field loses fcw)"),
		vectorCase(in, explaintest.SVSMVectors, "svsm-4vcpu-hw-2024-01",
			"the reported launch digest is what this launch gives with FPU state mxcsr 0x0, fcw 0x0 instead of mxcsr 0x1f80, fcw 0x37f "+
				"(sev-snp-measure before 0.0.10, said to be hardware of early 2024) and 4 vCPUs instead of 2"),
		vectorCase(in, explaintest.SVSMVectors, "svsm-4vcpu-fcw-set", "the reported launch digest is what this launch gives with 4 vCPUs instead of 2"),
	}
}
