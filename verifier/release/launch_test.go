package release

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// started is example with both launches.
func started() *Release {
	r := example()
	h32, h48 := strings.Repeat("0a", 32), strings.Repeat("0b", 48)
	r.Launches = []Launch{
		{
			Platform: PlatformSNP, Firmware: "firmware/CODE.fd", Kernel: "safebox.efi", Initrd: "safebox.efi", CommandLine: "quiet",
			SNP: &SNP{
				Seed: h48, ResetEIP: 0x80b004, HashTable: Area{GPA: 0x810c00, Size: 0x400},
				Sections: []Section{{0x810000, 0x1000, 0x10}}, KernelSHA256: h32, InitrdSHA256: h32,
				Shapes: []SNPMachine{{"small", "qemu", 1, 0x00a00f11, 1, h48}},
			},
		},
		{
			Platform: PlatformTDX, Firmware: "firmware/CODE.fd", Kernel: "safebox.efi", Initrd: "safebox.efi", CommandLine: "quiet",
			TDX: &TDX{
				Layout: "l1", CFVSHA384: h48, TDHOB: Area{0x809000, 0x2000}, Accepted: []Area{{0x809000, 0x2000}},
				KernelPESHA384: h48, InitrdSHA384: h48,
				Registers: []Register{
					{"mrtd", "exact", h48},
					{"rtmr0", "shape", ""},
					{"rtmr1", "exact", h48},
					{"rtmr2", "exact", h48},
					{"rtmr3", "zero", strings.Repeat("00", 48)},
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

func TestLaunchesRefused(t *testing.T) {
	for name, change := range map[string]func(r *Release, s *SNP, d *TDX){
		"order":               func(r *Release, _ *SNP, _ *TDX) { r.Launches[0], r.Launches[1] = r.Launches[1], r.Launches[0] },
		"twice":               func(r *Release, _ *SNP, _ *TDX) { r.Launches[1] = r.Launches[0] },
		"other platform":      func(r *Release, _ *SNP, _ *TDX) { r.Launches[0].Platform = "sev" },
		"no platform":         func(r *Release, _ *SNP, _ *TDX) { r.Launches[0].Platform = "" },
		"both parts":          func(r *Release, _ *SNP, d *TDX) { r.Launches[0].TDX = d },
		"other part":          func(r *Release, s *SNP, _ *TDX) { r.Launches[1].SNP, r.Launches[1].TDX = s, nil },
		"no part":             func(r *Release, _ *SNP, _ *TDX) { r.Launches[1].TDX = nil },
		"firmware":            func(r *Release, _ *SNP, _ *TDX) { r.Launches[0].Firmware = "firmware/other.fd" },
		"kernel":              func(r *Release, _ *SNP, _ *TDX) { r.Launches[0].Kernel = "" },
		"initrd":              func(r *Release, _ *SNP, _ *TDX) { r.Launches[1].Initrd = "initrd" },
		"no command line":     func(r *Release, _ *SNP, _ *TDX) { r.Launches[1].CommandLine = "" },
		"NUL in it":           func(r *Release, _ *SNP, _ *TDX) { r.Launches[1].CommandLine = "a\x00b" },
		"long command line":   func(r *Release, _ *SNP, _ *TDX) { r.Launches[1].CommandLine = strings.Repeat("x", maxText+1) },
		"seed":                func(_ *Release, s *SNP, _ *TDX) { s.Seed = s.KernelSHA256 },
		"kernel's digest":     func(_ *Release, s *SNP, _ *TDX) { s.KernelSHA256 = strings.Repeat("0c", 32) },
		"initrd's digest":     func(_ *Release, s *SNP, _ *TDX) { s.InitrdSHA256 = strings.Repeat("0c", 32) },
		"no section":          func(_ *Release, s *SNP, _ *TDX) { s.Sections = nil },
		"many sections":       func(_ *Release, s *SNP, _ *TDX) { s.Sections = make([]Section, maxSections+1) },
		"no hash table":       func(_ *Release, s *SNP, _ *TDX) { s.HashTable.GPA = 0 },
		"hash table above":    func(_ *Release, s *SNP, _ *TDX) { s.HashTable.GPA = 1<<32 - 0x3ff },
		"huge hash table":     func(_ *Release, s *SNP, _ *TDX) { s.HashTable.Size = 1<<64 - 0x810c00 },
		"nameless shape":      func(_ *Release, s *SNP, _ *TDX) { s.Shapes[0].Name = "" },
		"no vCPU":             func(_ *Release, s *SNP, _ *TDX) { s.Shapes[0].VCPUs = 0 },
		"shape's digest":      func(_ *Release, s *SNP, _ *TDX) { s.Shapes[0].LaunchDigest = "" },
		"many shapes":         func(_ *Release, s *SNP, _ *TDX) { s.Shapes = make([]SNPMachine, maxEntries+1) },
		"layout":              func(_ *Release, _ *SNP, d *TDX) { d.Layout = "" },
		"volume":              func(_ *Release, _ *SNP, d *TDX) { d.CFVSHA384 = "" },
		"kernel's PE digest":  func(_ *Release, _ *SNP, d *TDX) { d.KernelPESHA384 = strings.Repeat("0A", 48) },
		"initrd's SHA-384":    func(_ *Release, _ *SNP, d *TDX) { d.InitrdSHA384 = strings.Repeat("0c", 48) },
		"no accepted range":   func(_ *Release, _ *SNP, d *TDX) { d.Accepted = nil },
		"empty range":         func(_ *Release, _ *SNP, d *TDX) { d.Accepted[0].Size = 0 },
		"range above 4 GiB":   func(_ *Release, _ *SNP, d *TDX) { d.TDHOB.GPA = 1 << 32 },
		"range over 4 GiB":    func(_ *Release, _ *SNP, d *TDX) { d.TDHOB.Size = 1 << 32 },
		"register missing":    func(_ *Release, _ *SNP, d *TDX) { d.Registers = d.Registers[:4] },
		"mrtd left open":      func(_ *Release, _ *SNP, d *TDX) { d.Registers[0] = Register{"mrtd", "shape", ""} },
		"rtmr0 any":           func(_ *Release, _ *SNP, d *TDX) { d.Registers[1].Rule = "any" },
		"rtmr0 with a value":  func(_ *Release, s *SNP, d *TDX) { d.Registers[1].Value = s.Seed },
		"rtmr2 without value": func(_ *Release, _ *SNP, d *TDX) { d.Registers[3].Value = "" },
		"rtmr3 not zero":      func(_ *Release, s *SNP, d *TDX) { d.Registers[4].Value = s.Seed },
	} {
		r := started()
		change(r, r.Launches[0].SNP, r.Launches[1].TDX)
		if _, err := r.Encode(); err == nil {
			t.Errorf("%s: encoded", name)
		}
	}
}
