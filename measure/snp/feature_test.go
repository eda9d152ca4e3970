package snp

import "testing"

// TestFeatures: bits of AMD 24593, section 15.36 and table B-4 (SEV_FEATURES),
// as specs/measure.md 2.4 lists them.
func TestFeatures(t *testing.T) {
	want := map[string]uint8{
		"SNPActive": 0, "vTOM": 1, "ReflectVC": 2, "RestrictedInjection": 3, "AlternateInjection": 4, "DebugSwap": 5,
		"PreventHostIBS": 6, "BTBIsolation": 7, "VmplSSS": 8, "SecureTSC": 9, "VmgexitParameter": 10, "IbsVirt": 12,
		"VmsaRegProt": 14, "SmtProt": 15,
	}
	last := -1
	for _, f := range Features() {
		if bit, ok := want[f.Name]; !ok || bit != f.Bit || int(bit) <= last {
			t.Errorf("%s: got bit %d after %d, want %d", f.Name, f.Bit, last, bit)
		}
		last = int(f.Bit)
	}
	if len(Features()) != len(want) {
		t.Errorf("got %d bits, want %d", len(Features()), len(want))
	}
	if SNPActive != 0x1 || DebugSwap != 0x20 || DefaultFeatures != 0x1 {
		t.Errorf("got %#x, %#x, %#x, want 0x1, 0x20, 0x1", SNPActive, DebugSwap, DefaultFeatures)
	}
}
