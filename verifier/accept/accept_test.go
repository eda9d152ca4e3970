package accept

import (
	"os"
	"slices"
	"strings"
	"testing"

	"safebox/measure/snp"
	"safebox/measure/tdx"
	"safebox/measure/vectortest"
	"safebox/verifier/release"
)

// snpVector is a launch described by its parts, as Dstack-TEE/dstack does.
type snpVector struct {
	VCPUs     int    `json:"vcpus"`
	CPU       uint32 `json:"vcpu_sig"`
	Features  uint64 `json:"guest_features"`
	Kernel    string `json:"kernel_sha256"`
	Initrd    string `json:"initrd_sha256"`
	CmdLine   string `json:"cmdline"`
	Seed      string `json:"seed"`
	HashTable uint64 `json:"hashes_table_gpa"`
	ResetEIP  uint32 `json:"ap_reset_eip"`
	Sections  []struct{ GPA, Size, Type uint32 }
	Expected  string `json:"expected"`
}

func (v snpVector) launch() release.Launch {
	s := &release.SNP{
		Seed: v.Seed, ResetEIP: v.ResetEIP, HashTable: release.Area{GPA: v.HashTable, Size: 4096 - v.HashTable%4096},
		KernelSHA256: v.Kernel, InitrdSHA256: v.Initrd,
	}
	for _, x := range v.Sections {
		s.Sections = append(s.Sections, release.Section{GPA: x.GPA, Size: x.Size, Type: x.Type})
	}
	return release.Launch{Platform: release.PlatformSNP, CommandLine: v.CmdLine, SNP: s}
}

// TestSNP: a launch in the form of release.json leads to the measurement that
// real hardware signed (dstack/real-milan-2vcpu; sev_snp_attestation.bin beside
// it holds the report), and to that of another program.
func TestSNP(t *testing.T) {
	ran := 0
	vectortest.Each(t, os.DirFS("../../measure/testdata"), "snp", func(t *testing.T, v vectortest.Vector) {
		if !strings.HasPrefix(v.ID, "dstack/") {
			return
		}
		ran++
		var x snpVector
		v.Decode(t, &x)
		m := SNPMachine{VMM: snp.QEMU, CPU: x.CPU, Features: x.Features}
		digests, err := SNP(x.launch(), m, x.VCPUs+1)
		if err != nil {
			t.Fatal(err)
		}
		if got := digests[x.VCPUs-1].String(); got != x.Expected {
			t.Errorf("got %s, want %s", got, x.Expected)
		}
		if slices.Contains(digests[:x.VCPUs-1], digests[x.VCPUs-1]) {
			t.Error("another number of vCPUs gives the same digest")
		}
	})
	if ran != 2 {
		t.Errorf("%d vectors, want 2", ran)
	}
}

// tdxVector is the part of dstack/tdx-lite-hw that a launch holds.
type tdxVector struct {
	Inputs struct {
		Memory   uint64      `json:"memory_bytes"`
		HOB      uint64      `json:"td_hob_gpa"`
		Accepted [][2]uint64 `json:"accepted_ranges"` // start, end
		CFV      string      `json:"cfv_sha384"`
		ACPI     []string    `json:"acpi_digests_loader_rsdp_tables"`
		Kernel   string      `json:"kernel_authenticode_sha384"`
		Initrd   string      `json:"initrd_sha384"`
	} `json:"inputs"`
	Expected struct {
		MRTD  string `json:"mrtd_two_pass"`
		RTMR0 string `json:"rtmr0"`
		RTMR1 string `json:"rtmr1"`
	} `json:"expected"`
}

func (v tdxVector) launch() release.Launch {
	l := &release.TDX{
		Layout: "l1", CFVSHA384: v.Inputs.CFV, KernelPESHA384: v.Inputs.Kernel, InitrdSHA384: v.Inputs.Initrd,
		Registers: []release.Register{
			{Name: "mrtd", Rule: release.RuleExact, Value: v.Expected.MRTD},
			{Name: "rtmr0", Rule: release.RuleShape},
			{Name: "rtmr1", Rule: release.RuleExact, Value: v.Expected.RTMR1},
			{Name: "rtmr2", Rule: release.RuleExact, Value: strings.Repeat("0a", 48)},
			{Name: "rtmr3", Rule: release.RuleZero, Value: strings.Repeat("00", 48)},
		},
	}
	for _, a := range v.Inputs.Accepted {
		area := release.Area{GPA: a[0], Size: a[1] - a[0]}
		if a[0] == v.Inputs.HOB {
			l.TDHOB = area
		}
		l.Accepted = append(l.Accepted, area)
	}
	return release.Launch{Platform: release.PlatformTDX, CommandLine: "x", TDX: l}
}

// hardware reads the vector, whose values are those of a signed quote.
func hardware(t *testing.T) (v tdxVector) {
	t.Helper()
	vectortest.Each(t, os.DirFS("../../measure/testdata"), "tdx", func(t *testing.T, x vectortest.Vector) {
		if x.ID == "dstack/tdx-lite-hw" {
			x.Decode(t, &v)
		}
	})
	if v.Expected.RTMR0 == "" {
		t.Fatal("no vector dstack/tdx-lite-hw")
	}
	return v
}

// TestTDX: with the digests of that machine's ACPI tables, the launch leads to
// the RTMR0 and RTMR1 of the quote.
func TestTDX(t *testing.T) {
	v := hardware(t)
	in, err := tdxInput(v.launch(), TDXMachine{Memory: v.Inputs.Memory})
	if err != nil {
		t.Fatal(err)
	}
	for i, to := range []**tdx.Measurement{&in.Digests.Loader, &in.Digests.RSDP, &in.Digests.Tables} {
		*to = &tdx.Measurement{Source: tdx.FromLog}
		if err := decode((*to).Digest[:], "ACPI", v.Inputs.ACPI[i]); err != nil {
			t.Fatal(err)
		}
	}
	p, err := tdx.Predict(in)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range map[int]string{tdx.RTMR0: v.Expected.RTMR0, tdx.RTMR1: v.Expected.RTMR1} {
		if got := p.Registers[i].Value; got == nil || got.String() != want {
			t.Errorf("%s: got %v (%s), want %s", p.Registers[i].Name, got, p.Registers[i].Missing, want)
		}
	}
}

// TestTDXRegisters: what the release says is checked where it can be computed;
// RTMR0 has no value without tables.
func TestTDXRegisters(t *testing.T) {
	v := hardware(t)
	l := v.launch()
	if _, err := TDX(l, TDXMachine{Memory: v.Inputs.Memory}); err == nil || !strings.Contains(err.Error(), "rtmr2: got "+strings.Repeat("0a", 48)) {
		t.Fatalf("an RTMR2 of another command line: %v", err)
	}
	in, err := tdxInput(l, TDXMachine{Memory: v.Inputs.Memory})
	if err != nil {
		t.Fatal(err)
	}
	computed, err := tdx.Predict(in)
	if err != nil {
		t.Fatal(err)
	}
	l.TDX.Registers[tdx.RTMR2].Value = computed.Registers[tdx.RTMR2].Value.String()
	if err := Check(l); err != nil {
		t.Errorf("check: %v", err)
	}
	p, err := TDX(l, TDXMachine{Memory: v.Inputs.Memory})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Registers[tdx.MRTD].Value; got == nil || got.String() != v.Expected.MRTD {
		t.Errorf("mrtd: got %v, want %s", got, v.Expected.MRTD)
	}
	if r := p.Registers[tdx.RTMR0]; r.Value != nil || r.Missing == "" {
		t.Errorf("rtmr0: got %v, want none and what is missing", r.Value)
	}
}
