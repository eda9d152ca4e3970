package snp

import (
	"strings"
	"testing"
)

// TestParseCPU: family, model and stepping are those that QEMU 10.0.2 gives for
// its models (QMP query-cpu-model-expansion; the versions of 10.1 and Turin
// from its source), signatures those of sev-snp-measure 0.0.13,
// vcpu_types.py.
func TestParseCPU(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range CPUTypes() {
		if seen[c.Name] {
			t.Errorf("%s: twice", c.Name)
		}
		seen[c.Name] = true
	}
	count := 0
	for want, names := range map[uint32]string{
		0x00800f12: "EPYC EPYC-v1 EPYC-v2 EPYC-v3 EPYC-v4 EPYC-v5 EPYC-IBPB",
		0x00830f10: "EPYC-Rome EPYC-Rome-v1 EPYC-Rome-v2 EPYC-Rome-v3 EPYC-Rome-v4 EPYC-Rome-v5",
		0x00a00f11: "EPYC-Milan EPYC-Milan-v1 EPYC-Milan-v2 EPYC-Milan-v3",
		0x00a10f10: "EPYC-Genoa EPYC-Genoa-v1 EPYC-Genoa-v2",
		0x00b00f00: "EPYC-Turin EPYC-Turin-v1",
	} {
		for name := range strings.FieldsSeq(names) {
			count++
			if got, err := ParseCPU(name); err != nil || got != want {
				t.Errorf("%s: got %#x, %v, want %#x", name, got, err, want)
			}
		}
	}
	if count != len(seen) {
		t.Errorf("got %d types, want %d", len(seen), count)
	}
	for _, name := range []string{"", "epyc", "EPYC-v6", "EPYC-Milan ", "host", "0xa00f11", "Opteron_G5"} {
		if got, err := ParseCPU(name); err == nil {
			t.Errorf("%q: got %#x, want an error", name, got)
		}
	}
	if _, err := ParseCPU("host"); err == nil || !strings.Contains(err.Error(), "number") {
		t.Errorf("host: got error %v, want one that asks for a number", err)
	}
}

// TestSignature: EAX of CPUID leaf 1 of processors outside the table.
func TestSignature(t *testing.T) {
	for _, c := range []struct {
		family, model, stepping uint8
		want                    uint32
	}{
		{15, 107, 1, 0x00060fb1}, // AMD 24594: family 0Fh, with an extended model
		{6, 143, 8, 0x000806f8},  // Sapphire Rapids
		{16, 4, 3, 0x00100f43},   // AMD 41322, revision guide for family 10h: RB-C3
		{26, 2, 1, 0x00b00f21},   // Turin B1
	} {
		if got := Signature(c.family, c.model, c.stepping); got != c.want {
			t.Errorf("%d/%d/%d: got %#x, want %#x", c.family, c.model, c.stepping, got, c.want)
		}
	}
}
