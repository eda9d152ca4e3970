package release

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// started is example with both launches.
func started() *Release {
	r := example()
	h32, h48 := strings.Repeat("0a", 32), strings.Repeat("0b", 48)
	r.Launches = []Launch{
		{
			Platform: PlatformSNP, Firmware: "firmware/CODE.fd", Kernel: "safebox.efi", Initrd: "safebox.efi", CommandLine: "console=ttyS0",
			SNP: &SNP{
				Seed: h48, ResetEIP: 0x80b004, HashTable: Area{GPA: 0x810c00, Size: 0x400},
				Sections: []Section{{0x810000, 0x1000, 0x10}}, KernelSHA256: h32, InitrdSHA256: h32,
				Shapes: []SNPMachine{{"small", "qemu", 1, 0x00a00f11, 1, h48}},
			},
		},
		{
			Platform: PlatformTDX, Firmware: "firmware/CODE.fd", Kernel: "safebox.efi", Initrd: "safebox.efi", CommandLine: "console=ttyS0",
			TDX: &TDX{
				Layout: "l1", CFVSHA384: h48, TDHOB: Area{0x809000, 0x2000}, Accepted: []Area{{0x809000, 0x2000}},
				KernelPESHA384: h48, InitrdSHA384: h48,
				Registers: []Register{
					{Name: "mrtd", Rule: "exact", Value: h48},
					{Name: "rtmr0", Rule: "shape", Value: ""},
					{Name: "rtmr1", Rule: "exact", Value: h48},
					{Name: "rtmr2", Rule: "exact", Value: h48},
					{Name: "rtmr3", Rule: "zero", Value: strings.Repeat("00", 48)},
				},
			},
		},
	}
	return r
}

// TestLaunches: they survive the round trip, and a release without any is
// encoded as before they existed.
func TestLaunches(t *testing.T) {
	b, err := started().Encode()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(r, started()) {
		t.Errorf("got %+v", r)
	}
	if l, ok := r.Launch(PlatformTDX); !ok || l.TDX == nil {
		t.Errorf("launch tdx: got %+v, %t", l, ok)
	}
	if l, ok := r.Launch("nitro"); ok {
		t.Errorf("launch nitro: got %+v", l)
	}
	plain, err := example().Encode()
	if err != nil || bytes.Contains(plain, []byte("launches")) {
		t.Errorf("a release without launches: %v: %s", err, plain)
	}
	if _, err := Decode(bytes.Replace(plain, []byte(`"kernel":"distro",`), []byte(`"kernel":"distro","launches":[],`), 1)); err == nil {
		t.Error("decoded an empty list of launches")
	}
}

// launchRefusal makes a release wrong in one place; words say what its error
// must name.
type launchRefusal struct {
	words  string
	change func(r *Release, s *SNP, d *TDX)
}

func testLaunchRefusals(t *testing.T, list map[string]launchRefusal) {
	t.Helper()
	for name, c := range list {
		r := started()
		c.change(r, r.Launches[0].SNP, r.Launches[1].TDX)
		if _, err := r.Encode(); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.words)
		}
	}
}

func TestLaunchesRefused(t *testing.T) {
	testLaunchRefusals(t, map[string]launchRefusal{
		"order":           {"want each platform once, sorted", func(r *Release, _ *SNP, _ *TDX) { slices.Reverse(r.Launches) }},
		"twice":           {"want each platform once, sorted", func(r *Release, _ *SNP, _ *TDX) { r.Launches[1] = r.Launches[0] }},
		"other platform":  {`platform "sev"`, func(r *Release, _ *SNP, _ *TDX) { r.Launches[0].Platform = "sev" }},
		"no platform":     {"want each platform once, sorted", func(r *Release, _ *SNP, _ *TDX) { r.Launches[0].Platform = "" }},
		"both parts":      {"with the member snp alone", func(r *Release, _ *SNP, d *TDX) { r.Launches[0].TDX = d }},
		"other part":      {"tdx with tdx alone", func(r *Release, s *SNP, _ *TDX) { r.Launches[1].SNP, r.Launches[1].TDX = s, nil }},
		"both in tdx":     {"tdx with tdx alone", func(r *Release, s *SNP, _ *TDX) { r.Launches[1].SNP = s }},
		"no part":         {"tdx with tdx alone", func(r *Release, _ *SNP, _ *TDX) { r.Launches[1].TDX = nil }},
		"firmware":        {`"firmware/other.fd" is no artifact`, func(r *Release, _ *SNP, _ *TDX) { r.Launches[0].Firmware = "firmware/other.fd" }},
		"kernel":          {`"" is no artifact`, func(r *Release, _ *SNP, _ *TDX) { r.Launches[0].Kernel = "" }},
		"initrd":          {`"initrd" is no artifact`, func(r *Release, _ *SNP, _ *TDX) { r.Launches[1].Initrd = "initrd" }},
		"no command line": {"want one of command_lines", func(r *Release, _ *SNP, _ *TDX) { r.Launches[1].CommandLine = "" }},
		"other command line": {`command line "console=ttyS0 init=/bin/sh": want one of command_lines`, func(r *Release, _ *SNP, _ *TDX) {
			r.Launches[0].CommandLine += " init=/bin/sh"
		}},
		"NUL in it": {"got a NUL", func(r *Release, _ *SNP, _ *TDX) {
			r.CommandLines[0].Text += "\x00b"
			r.Launches[0].CommandLine, r.Launches[1].CommandLine = r.CommandLines[0].Text, r.CommandLines[0].Text
		}},
	})
}

func TestLaunchSNPRefused(t *testing.T) {
	testLaunchRefusals(t, map[string]launchRefusal{
		"seed":             {"seed:", func(_ *Release, s *SNP, _ *TDX) { s.Seed = s.KernelSHA256 }},
		"kernel's digest":  {"kernel_sha256", func(_ *Release, s *SNP, _ *TDX) { s.KernelSHA256 = strings.Repeat("0c", 32) }},
		"initrd's digest":  {"initrd_sha256", func(_ *Release, s *SNP, _ *TDX) { s.InitrdSHA256 = strings.Repeat("0c", 32) }},
		"no section":       {"0 sections, want 1 to 64", func(_ *Release, s *SNP, _ *TDX) { s.Sections = nil }},
		"many sections":    {"65 sections, want 1 to 64", func(_ *Release, s *SNP, _ *TDX) { s.Sections = make([]Section, 65) }},
		"no hash table":    {"hash table at 0", func(_ *Release, s *SNP, _ *TDX) { s.HashTable.GPA = 0 }},
		"hash table above": {"hash table: got 0x400 bytes at 0xfffffc01", func(_ *Release, s *SNP, _ *TDX) { s.HashTable.GPA = 1<<32 - 0x3ff }},
		"huge hash table":  {"hash table: got", func(_ *Release, s *SNP, _ *TDX) { s.HashTable.Size = 1<<64 - 0x810c00 }},
		"hash table past all addresses": {"hash table: got", func(_ *Release, s *SNP, _ *TDX) {
			s.HashTable = Area{GPA: 1<<64 - 0x400, Size: 0x810c00} // their sum fits
		}},
		"empty hash table":              {"hash table: got 0x0 bytes", func(_ *Release, s *SNP, _ *TDX) { s.HashTable.Size = 0 }},
		"hash table before its section": {"want it in a section of type 0x10", func(_ *Release, s *SNP, _ *TDX) { s.HashTable.GPA = 0x80ffff }},
		"hash table over its section":   {"want it in a section of type 0x10", func(_ *Release, s *SNP, _ *TDX) { s.HashTable.Size++ }},
		"hash table in another section": {"want it in a section of type 0x10", func(_ *Release, s *SNP, _ *TDX) { s.Sections[0].Type = 1 }},
		"nameless shape":                {`shape ""`, func(_ *Release, s *SNP, _ *TDX) { s.Shapes[0].Name = "" }},
		"no vCPU":                       {"with 0 vCPUs", func(_ *Release, s *SNP, _ *TDX) { s.Shapes[0].VCPUs = 0 }},
		"shape's digest":                {"shape small", func(_ *Release, s *SNP, _ *TDX) { s.Shapes[0].LaunchDigest = "" }},
		"many shapes":                   {"65 shapes, want at most 64", func(_ *Release, s *SNP, _ *TDX) { s.Shapes = make([]SNPMachine, 65) }},
	})
}

func TestLaunchTDXRefused(t *testing.T) {
	testLaunchRefusals(t, map[string]launchRefusal{
		"layout":             {"layout: got none", func(_ *Release, _ *SNP, d *TDX) { d.Layout = "" }},
		"volume":             {"cfv_sha384", func(_ *Release, _ *SNP, d *TDX) { d.CFVSHA384 = "" }},
		"kernel's PE digest": {"kernel_pe_sha384", func(_ *Release, _ *SNP, d *TDX) { d.KernelPESHA384 = strings.Repeat("0A", 48) }},
		"initrd's SHA-384":   {"initrd_sha384", func(_ *Release, _ *SNP, d *TDX) { d.InitrdSHA384 = strings.Repeat("0c", 48) }},
		"no accepted range":  {"td_hob at 0x809000 with 0x2000 bytes", func(_ *Release, _ *SNP, d *TDX) { d.Accepted = nil }},
		"many ranges":        {"65 accepted ranges", func(_ *Release, _ *SNP, d *TDX) { d.Accepted = make([]Area, 65) }},
		"TD HOB elsewhere":   {"td_hob at 0x80a000", func(_ *Release, _ *SNP, d *TDX) { d.TDHOB.GPA += 0x1000 }},
		"TD HOB of a part":   {"td_hob at 0x809000 with 0x1000 bytes", func(_ *Release, _ *SNP, d *TDX) { d.TDHOB.Size = 0x1000 }},
		"empty range":        {"got 0x0 bytes at 0x1000", func(_ *Release, _ *SNP, d *TDX) { d.Accepted = append(d.Accepted, Area{0x1000, 0}) }},
		"range above 4 GiB":  {"at 0x100000000", func(_ *Release, _ *SNP, d *TDX) { d.Accepted = append(d.Accepted, Area{1 << 32, 0x1000}) }},
		"range over 4 GiB":   {"got 0x1001 bytes at 0xfffff000", func(_ *Release, _ *SNP, d *TDX) { d.Accepted = append(d.Accepted, Area{1<<32 - 0x1000, 0x1001}) }},
		"register missing":   {"4 registers, want 5", func(_ *Release, _ *SNP, d *TDX) { d.Registers = d.Registers[:4] }},
		"mrtd left open":     {"register 0", func(_ *Release, _ *SNP, d *TDX) { d.Registers[0] = Register{Name: "mrtd", Rule: "shape", Value: ""} }},
		"rtmr0 any":          {"register 1", func(_ *Release, _ *SNP, d *TDX) { d.Registers[1].Rule = "any" }},
		"rtmr0 with a value": {"register rtmr0", func(_ *Release, s *SNP, d *TDX) { d.Registers[1].Value = s.Seed }},
		"rtmr2 unset":        {"register rtmr2", func(_ *Release, _ *SNP, d *TDX) { d.Registers[3].Value = "" }},
		"rtmr3 not zero":     {"register rtmr3", func(_ *Release, s *SNP, d *TDX) { d.Registers[4].Value = s.Seed }},
	})
}

// TestLaunchBounds: what is just within the bounds.
func TestLaunchBounds(t *testing.T) {
	r := started()
	s, d := r.Launches[0].SNP, r.Launches[1].TDX
	s.HashTable = Area{GPA: 1<<32 - 0x1000, Size: 0x1000}
	s.Sections[0].GPA = 1<<32 - 0x1000
	for len(s.Sections) < 64 {
		s.Sections = append(s.Sections, s.Sections[0])
	}
	for len(s.Shapes) < 64 {
		s.Shapes = append(s.Shapes, s.Shapes[0])
	}
	for len(d.Accepted) < 64 {
		d.Accepted = append(d.Accepted, Area{GPA: 1<<32 - 0x1000, Size: 0x1000})
	}
	if _, err := r.Encode(); err != nil {
		t.Error(err)
	}
}
