package release

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func example() *Release {
	h32, h48 := strings.Repeat("0a", 32), strings.Repeat("0b", 48)
	return &Release{
		Type:       Type,
		Toolchain:  Toolchain{Go: "1.26.8", Module: "golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64", Sum: "h1:x"},
		Epoch:      1767225600,
		LockSHA256: h32,
		Kernel:     "distro",
		Inputs:     []Input{{Package: "ovmf", Version: "1", Architecture: "all", SHA256: h32}},
		Artifacts: []Artifact{
			{Name: "firmware/CODE.fd", Size: 1, SHA256: h32, SHA384: h48},
			{Name: "safebox.efi", Size: 2, SHA256: h32, SHA384: h48},
		},
		CommandLines: []CommandLine{{Platform: "vtpm", Form: "uki", Text: "console=ttyS0"}},
		Measurements: []Measurement{
			{"vtpm", "esp", "sha256", registers(32)},
			{"vtpm", "esp", "sha384", registers(48)},
			{"vtpm", "kernel", "sha256", registers(32)},
			{"vtpm", "kernel", "sha384", registers(48)},
		},
	}
}

// registers is the table of specs/protocol.md, section 4, written by hand.
func registers(size int) []Register {
	value, zero := strings.Repeat("0a", size), strings.Repeat("00", size)
	return []Register{
		{Name: "pcr0", Rule: "exact", Value: value},
		{Name: "pcr1", Rule: "any", Value: ""},
		{Name: "pcr2", Rule: "exact", Value: value},
		{Name: "pcr3", Rule: "exact", Value: value},
		{Name: "pcr4", Rule: "exact", Value: value},
		{Name: "pcr5", Rule: "fixed-disk", Value: value},
		{Name: "pcr6", Rule: "exact", Value: value},
		{Name: "pcr7", Rule: "exact", Value: value},
		{Name: "pcr8", Rule: "zero", Value: zero},
		{Name: "pcr9", Rule: "exact", Value: value},
		{Name: "pcr10", Rule: "any", Value: ""},
		{Name: "pcr11", Rule: "exact", Value: value},
		{Name: "pcr12", Rule: "zero", Value: zero},
		{Name: "pcr13", Rule: "zero", Value: zero},
		{Name: "pcr14", Rule: "zero", Value: zero},
		{Name: "pcr15", Rule: "configuration", Value: zero},
	}
}

func TestRoundTrip(t *testing.T) {
	b, err := example().Encode()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.Encode()
	if err != nil || !bytes.Equal(again, b) {
		t.Errorf("got %s, %v, want %s", again, err, b)
	}
	if _, ok := r.Artifact("safebox.efi"); !ok {
		t.Error("artifact safebox.efi not found")
	}
	if _, ok := r.Measurement("vtpm", "esp", "sha384"); !ok {
		t.Error("measurement vtpm esp sha384 not found")
	}
	if _, ok := r.Measurement("vtpm", "esp", "sha1"); ok {
		t.Error("found a measurement that is not there")
	}
}

func TestCheckRefuses(t *testing.T) {
	for name, change := range map[string]func(*Release){
		"type":                func(r *Release) { r.Type = "safebox/release/v2" },
		"kernel":              func(r *Release) { r.Kernel = "" },
		"no inputs":           func(r *Release) { r.Inputs = nil },
		"short digest":        func(r *Release) { r.Artifacts[0].SHA384 = r.Artifacts[0].SHA256 },
		"upper-case digest":   func(r *Release) { r.LockSHA256 = strings.ToUpper(r.LockSHA256) },
		"artifact order":      func(r *Release) { r.Artifacts[0], r.Artifacts[1] = r.Artifacts[1], r.Artifacts[0] },
		"artifact twice":      func(r *Release) { r.Artifacts[1].Name = r.Artifacts[0].Name },
		"name leaves folder":  func(r *Release) { r.Artifacts[0].Name = "../passwd" },
		"absolute name":       func(r *Release) { r.Artifacts[0].Name = "/passwd" },
		"hidden name":         func(r *Release) { r.Artifacts[0].Name = ".ssh/id" },
		"bank":                func(r *Release) { r.Measurements[0].Bank = "sha1" },
		"measurement twice":   func(r *Release) { r.Measurements = append(r.Measurements, r.Measurements[0]) },
		"measurement missing": func(r *Release) { r.Measurements = r.Measurements[:3] },
		"measurement order": func(r *Release) {
			r.Measurements[0], r.Measurements[1] = r.Measurements[1], r.Measurements[0]
		},
		"other boot":           func(r *Release) { r.Measurements[0].Boot = "shim" },
		"register missing":     func(r *Release) { r.Measurements[3].Registers = r.Measurements[3].Registers[:15] },
		"register twice":       func(r *Release) { r.Measurements[0].Registers[3].Name = "pcr2" },
		"exact without value":  func(r *Release) { r.Measurements[0].Registers[4].Value = "" },
		"zero with value":      func(r *Release) { r.Measurements[0].Registers[12].Value = strings.Repeat("0a", 32) },
		"any with value":       func(r *Release) { r.Measurements[0].Registers[1].Value = strings.Repeat("0a", 32) },
		"pcr4 any":             func(r *Release) { r.Measurements[0].Registers[4] = Register{Name: "pcr4", Rule: "any", Value: ""} },
		"pcr9 any":             func(r *Release) { r.Measurements[2].Registers[9] = Register{Name: "pcr9", Rule: "any", Value: ""} },
		"pcr12 any":            func(r *Release) { r.Measurements[1].Registers[12] = Register{Name: "pcr12", Rule: "any", Value: ""} },
		"pcr8 exact":           func(r *Release) { r.Measurements[0].Registers[8].Rule = "exact" },
		"unknown rule":         func(r *Release) { r.Measurements[0].Registers[0].Rule = "" },
		"command line's form":  func(r *Release) { r.CommandLines[0].Form = "" },
		"command line's owner": func(r *Release) { r.CommandLines[0].Platform = "snp" },
	} {
		r := example()
		change(r)
		if _, err := r.Encode(); err == nil {
			t.Errorf("%s: encoded", name)
		}
	}
	if _, err := Decode(make([]byte, MaxSize+1)); err == nil {
		t.Error("decoded an oversized file")
	}
}

func TestArtifactCheck(t *testing.T) {
	// FIPS 180-4 examples: "abc" (csrc.nist.gov, SHA256.pdf and SHA384.pdf).
	a := Artifact{
		Name: "f", Size: 3,
		SHA256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		SHA384: "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
	}
	if err := a.Check([]byte("abc")); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Artifact){
		"size":    func(a *Artifact) { a.Size++ },
		"SHA-256": func(a *Artifact) { a.SHA256 = strings.Replace(a.SHA256, "b", "c", 1) },
		"SHA-384": func(a *Artifact) { a.SHA384 = strings.Replace(a.SHA384, "c", "d", 1) },
	} {
		wrong := a
		change(&wrong)
		if err := wrong.Check([]byte("abc")); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, want an error that names it", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	b, err := example().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Decode(b)
		if err != nil {
			return
		}
		again, err := r.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("accepted %q, encodes as %q, %v", b, again, err)
		}
	})
}

// TestEnclave: the measurement of an enclave image may follow the others, with
// three registers that are exact, and nothing else may.
func TestEnclave(t *testing.T) {
	enclave := func() Measurement {
		m := Measurement{Platform: "nitro", Boot: "enclave", Bank: "sha384"}
		for i := range 3 {
			m.Registers = append(m.Registers, Register{Name: fmt.Sprintf("pcr%d", i), Rule: RuleExact, Value: strings.Repeat("a", 96)})
		}
		return m
	}
	for name, change := range map[string]func(*Release){
		"":             func(r *Release) { r.Measurements = append(r.Measurements, enclave()) },
		"twice":        func(r *Release) { r.Measurements = append(r.Measurements, enclave(), enclave()) },
		"alone":        func(r *Release) { r.Measurements = []Measurement{enclave()} },
		"first":        func(r *Release) { r.Measurements = append([]Measurement{enclave()}, r.Measurements...) },
		"a vTPM again": func(r *Release) { r.Measurements = append(r.Measurements, r.Measurements[3]) },
		"other bank":   func(r *Release) { m := enclave(); m.Bank = "sha256"; r.Measurements = append(r.Measurements, m) },
		"two registers": func(r *Release) {
			m := enclave()
			m.Registers = m.Registers[:2]
			r.Measurements = append(r.Measurements, m)
		},
		"any": func(r *Release) {
			m := enclave()
			m.Registers[1] = Register{Name: "pcr1", Rule: RuleAny}
			r.Measurements = append(r.Measurements, m)
		},
		"short value": func(r *Release) {
			m := enclave()
			m.Registers[2].Value = "aa"
			r.Measurements = append(r.Measurements, m)
		},
		"another register": func(r *Release) {
			m := enclave()
			m.Registers[2].Name = "pcr8"
			r.Measurements = append(r.Measurements, m)
		},
	} {
		r := example()
		change(r)
		b, err := r.Encode()
		if (err == nil) != (name == "") {
			t.Errorf("%q: got %v", name, err)
			continue
		}
		if err == nil {
			if _, err = Decode(b); err != nil {
				t.Error(err)
			}
		}
	}
}
