package snp

import (
	"fmt"
	"strings"
)

// CPUType is a processor as QEMU's -cpu names it.
type CPUType struct {
	Name                    string
	Family, Model, Stepping uint8
}

// Signature is the type's CPUID signature.
func (t CPUType) Signature() uint32 { return Signature(t.Family, t.Model, t.Stepping) }

// CPUTypes are the types of QEMU that can run SEV guests (10.0 to 10.2,
// target/i386/cpu.c, builtin_x86_defs). A version after the name changes
// features and never the signature; EPYC without one is EPYC-v1 or later,
// which the machine type decides and the measurement doesn't see.
func CPUTypes() []CPUType {
	var list []CPUType
	for _, m := range []struct {
		name                    string
		versions                int
		family, model, stepping uint8
	}{
		{"EPYC", 5, 23, 1, 2},
		{"EPYC-Rome", 5, 23, 49, 0},
		{"EPYC-Milan", 3, 25, 1, 1},
		{"EPYC-Genoa", 2, 25, 17, 0},
		{"EPYC-Turin", 1, 26, 0, 0},
	} {
		list = append(list, CPUType{m.name, m.family, m.model, m.stepping})
		for v := range m.versions {
			list = append(list, CPUType{fmt.Sprintf("%s-v%d", m.name, v+1), m.family, m.model, m.stepping})
		}
	}
	return append(list, CPUType{"EPYC-IBPB", 23, 1, 2}) // EPYC-v2
}

// ParseCPU gives the signature of a processor type. Names are QEMU's, letter by
// letter. The signature of host is that of the host: read it there.
func ParseCPU(name string) (uint32, error) {
	if name == "host" {
		return 0, fmt.Errorf("parsing CPU type: got %q, want the host's signature as a number (CPUID leaf 1, EAX)", name)
	}
	var names []string
	for _, t := range CPUTypes() {
		if t.Name == name {
			return t.Signature(), nil
		}
		names = append(names, t.Name)
	}
	return 0, fmt.Errorf("parsing CPU type: got %q, want one of %s, or a signature as a number", name, strings.Join(names, ", "))
}

// Signature is EAX of CPUID leaf 1 (AMD 24594, appendix E.3.2): family and
// model beyond their four bits go into the extended fields. A stepping has
// four bits.
func Signature(family, model, stepping uint8) uint32 {
	base, extended := family, uint8(0)
	if family > 15 {
		base, extended = 15, family-15
	}
	return uint32(extended)<<20 | uint32(model>>4)<<16 | uint32(base)<<8 | uint32(model&15)<<4 | uint32(stepping&15)
}
