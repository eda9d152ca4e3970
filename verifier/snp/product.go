package snp

import (
	"fmt"
	"strings"

	"safebox/verifier/policy/snppolicy"
)

// Product is a line of processors that shares roots and the layout of the TCB.
// Zero is unknown.
type Product uint8

// Products.
const (
	Milan Product = iota + 1 // EPYC 7003
	Genoa                    // EPYC 9004, with Bergamo, Siena and Genoa-X
	Turin                    // EPYC 9005
)

// products lists the known lines.
func products() []Product { return []Product{Milan, Genoa, Turin} }

// String is the name that AMD's certificates have.
func (p Product) String() string {
	switch p {
	case Milan:
		return snppolicy.Milan
	case Genoa:
		return snppolicy.Genoa
	case Turin:
		return snppolicy.Turin
	}
	return "unknown"
}

// ParseProduct reads the name of a line, zero if there is none of that name.
func ParseProduct(name string) Product {
	for _, p := range products() {
		if p.String() == name {
			return p
		}
	}
	return 0
}

// CPUID says which processor made a report (CPUID Fn8000_0001_EAX, with the
// extended parts added). It is zero in version 2.
type CPUID struct{ Family, Model, Stepping uint8 }

// Product is the line that the processor is of.
func (c CPUID) Product() Product { return ParseProduct(snppolicy.Product(c.Family, c.Model)) }

// String gives family, model and stepping in hex.
func (c CPUID) String() string { return fmt.Sprintf("%02X/%02X/%X", c.Family, c.Model, c.Stepping) }

// TCB is a TCB_VERSION (AMD 56860, revision 1.58, section 2.2, tables
// "TCB_VERSION"): the security versions of what the guest has to trust. They
// count up separately, and compare only within one product; microcode only
// within one stepping.
type TCB struct {
	Product    Product // whose layout was read; zero leaves the versions zero
	FMC        uint8   // Turin only
	Bootloader uint8
	TEE        uint8
	SNP        uint8
	Microcode  uint8
	Raw        [8]byte // as received
}

// atMicrocode is the place of the microcode's version in every layout.
const atMicrocode = 7

// layout gives the place of each other component in the eight bytes; -1: not
// there.
func layout(p Product) (fmc, bootloader, tee, snp int) {
	if p == Turin {
		return 0, 1, 2, 3
	}
	return -1, 0, 1, 6
}

// decodeTCB reads the eight bytes by the layout of the product.
func decodeTCB(raw [8]byte, p Product) TCB {
	t := TCB{Product: p, Raw: raw}
	if p == 0 {
		return t
	}
	fmc, bootloader, tee, snp := layout(p)
	if fmc >= 0 {
		t.FMC = raw[fmc]
	}
	t.Bootloader, t.TEE, t.SNP, t.Microcode = raw[bootloader], raw[tee], raw[snp], raw[atMicrocode]
	return t
}

// reserved reports whether a byte that no component has is not zero.
func (t TCB) reserved() bool {
	if t.Product == 0 {
		return false
	}
	fmc, bootloader, tee, snp := layout(t.Product)
	for i, b := range t.Raw {
		switch i {
		case fmc, bootloader, tee, snp, atMicrocode:
		default:
			if b != 0 {
				return true
			}
		}
	}
	return false
}

// component is one security version, with its name.
type component struct {
	name  string
	value uint8
}

func (t TCB) components() [5]component {
	return [5]component{
		{"FMC", t.FMC}, {"bootloader", t.Bootloader}, {"TEE", t.TEE}, {"SNP", t.SNP}, {"microcode", t.Microcode},
	}
}

// below says which components are lower than those of a floor.
func (t TCB) below(floor TCB) []string {
	var low []string
	theirs := floor.components()
	for i, c := range t.components() {
		if c.value < theirs[i].value {
			low = append(low, fmt.Sprintf("%s %#x below %#x", c.name, c.value, theirs[i].value))
		}
	}
	return low
}

// String names the components.
func (t TCB) String() string {
	if t.Product == 0 {
		return fmt.Sprintf("%x of an unknown product", t.Raw)
	}
	parts := make([]string, 0, 5)
	for i, c := range t.components() {
		if i == 0 && t.Product != Turin {
			continue
		}
		parts = append(parts, fmt.Sprintf("%s %#x", c.name, c.value))
	}
	return strings.Join(parts, ", ")
}
