package accept

import (
	"math"
	"os"
	"strings"
	"testing"

	"safebox/measure/snp"
	"safebox/measure/vectortest"
	"safebox/verifier/release"
)

// milan is the launch of dstack/real-milan-2vcpu, with what its signed report
// says as the example.
func milan(t *testing.T) release.Launch {
	t.Helper()
	var l release.Launch
	vectortest.Each(t, os.DirFS("../../measure/testdata"), "snp", func(t *testing.T, v vectortest.Vector) {
		if v.ID != "dstack/real-milan-2vcpu" {
			return
		}
		var x snpVector
		v.Decode(t, &x)
		l = x.launch()
		l.SNP.Shapes = []release.SNPMachine{{
			Name: "qemu/EPYC/2", VMM: "qemu", VCPUs: 2, CPUSignature: x.CPU, GuestFeatures: x.Features, LaunchDigest: x.Expected,
		}}
	})
	if l.SNP == nil {
		t.Fatal("no vector dstack/real-milan-2vcpu")
	}
	return l
}

// TestCheckSNP: an example that does not follow from the launch is refused, by
// Check and by SNP, whichever of both was changed.
func TestCheckSNP(t *testing.T) {
	if err := Check(milan(t)); err != nil {
		t.Fatal(err)
	}
	const digest = "launch_digest: got "
	for name, c := range map[string]struct {
		change func(l *release.Launch, s *release.SNPMachine)
		want   string
	}{
		"seed":            {func(l *release.Launch, _ *release.SNPMachine) { l.SNP.Seed = strings.Repeat("0a", 48) }, digest},
		"reset address":   {func(l *release.Launch, _ *release.SNPMachine) { l.SNP.ResetEIP++ }, digest},
		"table":           {func(l *release.Launch, _ *release.SNPMachine) { l.SNP.HashTable.GPA += 16 }, digest},
		"section":         {func(l *release.Launch, _ *release.SNPMachine) { l.SNP.Sections[0].Size -= 4096 }, digest},
		"order":           {func(l *release.Launch, _ *release.SNPMachine) { s := l.SNP.Sections; s[0], s[1] = s[1], s[0] }, digest},
		"kernel":          {func(l *release.Launch, _ *release.SNPMachine) { l.SNP.KernelSHA256 = strings.Repeat("0a", 32) }, digest},
		"initrd":          {func(l *release.Launch, _ *release.SNPMachine) { l.SNP.InitrdSHA256 = strings.Repeat("0a", 32) }, digest},
		"command line":    {func(l *release.Launch, _ *release.SNPMachine) { l.CommandLine += " " }, digest},
		"digest":          {func(_ *release.Launch, s *release.SNPMachine) { s.LaunchDigest = strings.Repeat("0a", 48) }, digest},
		"upper case":      {func(_ *release.Launch, s *release.SNPMachine) { s.LaunchDigest = strings.ToUpper(s.LaunchDigest) }, digest},
		"features":        {func(_ *release.Launch, s *release.SNPMachine) { s.GuestFeatures = 0x21 }, digest},
		"vCPUs":           {func(_ *release.Launch, s *release.SNPMachine) { s.VCPUs, s.Name = 1, "qemu/EPYC/1" }, digest},
		"monitor":         {func(_ *release.Launch, s *release.SNPMachine) { s.VMM, s.Name = "ec2", "ec2/EPYC/2" }, digest},
		"unknown monitor": {func(_ *release.Launch, s *release.SNPMachine) { s.VMM = "xen" }, "parsing monitor"},
		"no vCPU":         {func(_ *release.Launch, s *release.SNPMachine) { s.VCPUs, s.Name = 0, "qemu/EPYC/0" }, "got 0, want 1 to 512"},
		"CPU":             {func(_ *release.Launch, s *release.SNPMachine) { s.CPUSignature = 0x00a00f11 }, "name: want qemu/TYPE/2"},
		"CPU in the name": {func(_ *release.Launch, s *release.SNPMachine) { s.Name = "qemu/EPYC-Milan/2" }, "name: want qemu/TYPE/2"},
		"VMM in the name": {func(_ *release.Launch, s *release.SNPMachine) { s.Name = "ec2/EPYC/2" }, "name: want qemu/TYPE/2"},
		"vCPUs in it":     {func(_ *release.Launch, s *release.SNPMachine) { s.Name = "qemu/EPYC/3" }, "name: want qemu/TYPE/2"},
		"the second shape": {func(l *release.Launch, s *release.SNPMachine) {
			l.SNP.Shapes = append(l.SNP.Shapes, release.SNPMachine{})
		}, "parsing monitor"},
		"not a launch": {func(l *release.Launch, _ *release.SNPMachine) { l.SNP = nil }, "not one of SEV-SNP"},
	} {
		l := milan(t)
		c.change(&l, &l.SNP.Shapes[0])
		if err := Check(l); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
		m := SNPMachine{VMM: snp.QEMU, CPU: 0x00800f12, Features: 1}
		if list, err := SNP(l, m, 1); err == nil || list != nil {
			t.Errorf("%s: got %d digests, error %v", name, len(list), err)
		}
	}
}

// TestCheckWithoutShapes: a launch that no machine can have is refused without
// an example too.
func TestCheckWithoutShapes(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *release.SNP)
		want   string
	}{
		"seed":           {func(s *release.SNP) { s.Seed = "zz" }, "seed: got"},
		"kernel":         {func(s *release.SNP) { s.KernelSHA256 = s.Seed }, "kernel_sha256: got"},
		"initrd":         {func(s *release.SNP) { s.InitrdSHA256 = "" }, "initrd_sha256: got"},
		"section":        {func(s *release.SNP) { s.Sections[0].Type = 77 }, "type: got 0x4d"},
		"table":          {func(s *release.SNP) { s.HashTable.GPA += 1 << 32 }, "hash table: got"},
		"huge table":     {func(s *release.SNP) { s.HashTable.Size += 1 << 32 }, "hash table: got"},
		"table past all": {func(s *release.SNP) { s.HashTable.GPA = math.MaxUint64 }, "hash table: got"},
	} {
		l := milan(t)
		l.SNP.Shapes = nil
		if err := Check(l); err != nil {
			t.Fatal(err)
		}
		c.change(l.SNP)
		if err := Check(l); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
	}
}

// TestRefuseTDX: a launch of the other platform, and damaged ones.
func TestRefuseTDX(t *testing.T) {
	v := hardware(t)
	machine := TDXMachine{Memory: v.Inputs.Memory}
	for name, change := range map[string]func(l *release.Launch, m *TDXMachine){
		"not one of TDX":      func(l *release.Launch, _ *TDXMachine) { l.TDX = nil },
		"parsing RTMR layout": func(l *release.Launch, _ *TDXMachine) { l.TDX.Layout = "l9" },
		"cfv_sha384":          func(l *release.Launch, _ *TDXMachine) { l.TDX.CFVSHA384 = "00" },
		"kernel_pe_sha384":    func(l *release.Launch, _ *TDXMachine) { l.TDX.KernelPESHA384 += "00" },
		"initrd_sha384":       func(l *release.Launch, _ *TDXMachine) { l.TDX.InitrdSHA384 = "" },
		"memory: got 0":       func(_ *release.Launch, m *TDXMachine) { m.Memory = 0 },
		"8192":                func(_ *release.Launch, m *TDXMachine) { m.Memory = 1<<31 + 1 },
		"TD HOB":              func(l *release.Launch, _ *TDXMachine) { l.TDX.TDHOB.GPA += 4096 },
		"printable ASCII":     func(l *release.Launch, _ *TDXMachine) { l.CommandLine = "\x01" },
		"rtmr1: got 0b0b":     func(l *release.Launch, _ *TDXMachine) { l.TDX.Registers[2].Value = strings.Repeat("0b", 48) },
		"mrtd: got":           func(l *release.Launch, _ *TDXMachine) { l.TDX.Registers[0].Value = "0b" },
		"cannot be checked":   func(l *release.Launch, _ *TDXMachine) { l.TDX.Layout = "intel" },
		"registers: got 4":    func(l *release.Launch, _ *TDXMachine) { l.TDX.Registers = l.TDX.Registers[:4] },
		"registers: got 6":    func(l *release.Launch, _ *TDXMachine) { l.TDX.Registers = append(l.TDX.Registers, l.TDX.Registers[4]) },
		"register 2: got mrtd": func(l *release.Launch, _ *TDXMachine) {
			l.TDX.Registers[2].Name = "mrtd"
		},
		"register 1: got rtmr0 with rule any":   func(l *release.Launch, _ *TDXMachine) { l.TDX.Registers[1].Rule = release.RuleAny },
		"register 2: got rtmr1 with rule shape": func(l *release.Launch, _ *TDXMachine) { l.TDX.Registers[2].Rule = release.RuleShape },
	} {
		l, m := v.launch(), machine
		change(&l, &m)
		if _, err := TDX(l, m); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := Check(v.launch()); err == nil || !strings.Contains(err.Error(), "rtmr2: got 0a0a") {
		t.Errorf("check of another RTMR2: got %v", err)
	}
	if _, err := SNP(v.launch(), SNPMachine{}, 1); err == nil || !strings.Contains(err.Error(), "launch tdx: not one of SEV-SNP") {
		t.Errorf("SNP of a TDX launch: got %v", err)
	}
}
