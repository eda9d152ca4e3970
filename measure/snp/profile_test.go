package snp

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/vectortest"
)

func TestParseVMM(t *testing.T) {
	names := []string{"qemu", "qemu-legacy", "ec2", "ec2-legacy", "gce", "krun"} // the command-line contract
	for i, v := range VMMs() {
		if v.String() != names[i] {
			t.Errorf("got %q, want %q", v, names[i])
		}
		if got, err := ParseVMM(names[i]); err != nil || got != v {
			t.Errorf("%s: got %v, %v", names[i], got, err)
		}
		if _, ok := v.Profile(); !ok {
			t.Errorf("%v: no profile", v)
		}
	}
	for _, name := range []string{"", "QEMU", "qemu ", "hyperv"} {
		if v, err := ParseVMM(name); err == nil {
			t.Errorf("%q: got %v, want an error", name, v)
		}
	}
	for _, v := range []VMM{0, KRUN + 1, 255} {
		if _, ok := v.Profile(); ok {
			t.Errorf("%d: got a profile, want none", v)
		}
	}
}

// change is one altered cell of a profile.
type change struct {
	name  string
	apply func(p *Profile)
}

func changes() []change {
	return []change{
		{"CS", func(p *Profile) { p.CS[0] ^= 1 }},
		{"CS of others", func(p *Profile) { p.CS[1] ^= 1 }},
		{"SS", func(p *Profile) { p.SS ^= 1 }},
		{"TR", func(p *Profile) { p.TR ^= 8 }},
		{"GPAT", func(p *Profile) { p.GPAT ^= 1 }},
		{"RDX", func(p *Profile) { p.RDX = 0x601 }},
		{"MXCSR", func(p *Profile) { p.MXCSR ^= 1 }},
		{"FCW", func(p *Profile) { p.FCW ^= 1 }},
		{"SecMem", func(p *Profile) { p.SecMem ^= PageZero ^ PageUnmeasured }},
		{"CPUIDLast", func(p *Profile) { p.CPUIDLast = !p.CPUIDLast }},
	}
}

// TestVectorsPinProfiles alters each cell of the table of profiles and wants a
// published vector to notice. Those that none would notice are named here and
// in the documentation of limits; TestOracle covers them, with values that no
// hardware and no other tool's author has vouched for.
func TestVectorsPinProfiles(t *testing.T) {
	noticed := map[VMM][]string{}
	vectortest.Each(t, os.DirFS("../testdata"), "snp", func(t *testing.T, v vectortest.Vector) {
		in := decode(t, v)
		if in.Kind != "" || in.Error != "" || !slices.Contains([]string{"snp", "snp:svsm", "seves"}, in.Mode) {
			return
		}
		l := in.launch(t, v)
		vmm, base := l.VMM, *l.Profile
		if in.MXCSR != nil && *in.MXCSR == 0 {
			vmm = QEMULegacy // its floating-point state is that of older hosts
		}
		for _, c := range changes() {
			p := base
			c.apply(&p)
			l.Profile = &p
			got, err := measureMode(in.Mode, l)
			if err != nil {
				t.Fatal(err)
			}
			if got != in.Expected && !slices.Contains(noticed[vmm], c.name) {
				noticed[vmm] = append(noticed[vmm], c.name)
			}
		}
	})
	missing := map[string]string{}
	for _, v := range VMMs() {
		var list []string
		for _, c := range changes() {
			if !slices.Contains(noticed[v], c.name) {
				list = append(list, c.name)
			}
		}
		if list != nil {
			missing[v.String()] = strings.Join(list, ", ")
		}
	}
	want := map[string]string{
		"qemu-legacy": "CS, CS of others, SS, TR, CPUIDLast",
		"krun":        "CS, CS of others, SS, TR, GPAT, RDX, MXCSR, FCW, SecMem, CPUIDLast",
	}
	if diff := cmp.Diff(want, missing); diff != "" {
		t.Errorf("cells that no vector covers (-want +got):\n%s", diff)
	}
}
