// Package snppolicy is what a relying party asks of an SEV-SNP guest and of the
// machine that it runs on: the table [snp] of a policy file. It is read
// strictly: every key is there, and what is not checked is written out as
// "any".
//
// Implements specs/verify.md, sections 1.2 (the checks that the keys steer) and
// 8 (the floors of the profiles).
package snppolicy

import (
	"fmt"
	"strings"

	"safebox/measure/snp/idblock"
)

// Words that stand for a list of values.
const (
	Any           = "any"           // not checked
	None          = "none"          // nothing is accepted
	Zero          = "zero"          // all bytes are zero
	Transcript    = "transcript"    // the hash that the verifier computes
	Release       = "release"       // the launch digests of the release
	Configuration = "configuration" // the digest of the configuration document
)

// Words for what may, must or must not be.
const (
	Accept  = "accept"
	Refuse  = "refuse"
	Require = "require"
	Forbid  = "forbid"
	Listed  = "listed" // accepted on machines that chips lists
)

// Names of product lines, as the certificates have them (AMD 57230, productName).
const (
	Milan = "Milan"
	Genoa = "Genoa"
	Turin = "Turin"
)

// Names of keys that sign reports.
const (
	VCEK = "VCEK" // a machine's own
	VLEK = "VLEK" // loaded by a provider of machines
)

// Policy is the table, decoded and checked. The zero value accepts nothing.
type Policy struct {
	Products    []string // Milan, Genoa, Turin
	Milan       string   // Listed, Any; all else refuses Milan
	Versions    []int    // of reports
	SigningKeys []string // VCEK, VLEK
	VMPLs       []int    // privilege levels that may have asked for the report

	ReportData   Values // 64 bytes: Transcript, Any
	Measurements Values // 48 bytes: Release, Any
	HostData     Values // 32 bytes: Configuration, Zero, Any

	IDBlock     string // Forbid, Require, Any
	IDKeys      Values // 48 bytes, digests of keys: None, Any
	AuthorKeys  Values // 48 bytes, digests of keys: None, Any
	FamilyIDs   Values // 16 bytes: Zero, Any
	ImageIDs    Values // 16 bytes: Zero, Any
	GuestSVN    uint32 // lowest
	AnyGuestSVN bool

	ABI           Version // lowest ABI of the firmware that the guest policy may ask for; Build is 0
	AnyABI        bool
	SMT           bool // simultaneous multithreading is accepted
	AnyECC        bool // memory without error correction is accepted
	AnyAliasCheck bool // firmware that did not look for aliased memory is accepted

	AnyCRL      bool   // a revocation list need not be there
	Provisional bool   // firmware that is not committed is accepted
	MaskedChip  bool   // a VCEK's report without a chip ID is accepted
	Chips       Values // 64 bytes: None, Any
	CSPs        Values // texts of VLEK certificates: None

	CPUs   []CPU // floors, one for each kind of processor that is accepted
	AnyCPU bool  // no floors
}

// Values says which values of a field are accepted: those that a word stands
// for, or a list. The zero value accepts none.
type Values struct {
	Word string
	List [][]byte
}

// CPU is what is asked of one kind of processor. Microcode numbers of
// steppings have nothing to do with one another, hence one entry each.
type CPU struct {
	Name    string // for people
	Product string // of family and model

	Family, Model, Stepping uint8 // CPUID Fn8000_0001_EAX, with the extended parts added

	// Lowest security versions; FMC is zero but for Turin.
	FMC, Bootloader, TEE, SNP, Microcode uint8

	Firmware       Version        // lowest version of the SEV firmware
	Mitigations    uint64         // bits of the mitigation vectors that must be set
	AnyMitigations bool           // reports without such vectors are accepted
	GuestPolicy    idblock.Policy // bits that the guest policy must have set
}

// Version is one of the SEV firmware.
type Version struct{ Major, Minor, Build uint8 }

// String writes the version as AMD's bulletins do, in decimal.
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Build) }

// Below reports whether v is lower than the other version.
func (v Version) Below(o Version) bool {
	if v.Major != o.Major {
		return v.Major < o.Major
	}
	if v.Minor != o.Minor {
		return v.Minor < o.Minor
	}
	return v.Build < o.Build
}

// CPUID writes family, model and stepping in hex, as the policy file does.
func (c *CPU) CPUID() string { return fmt.Sprintf("%02X/%02X/%X", c.Family, c.Model, c.Stepping) }

// Find gives the entry of a kind of processor, nil if there is none.
func (p *Policy) Find(family, model, stepping uint8) *CPU {
	for i := range p.CPUs {
		if c := &p.CPUs[i]; c.Family == family && c.Model == model && c.Stepping == stepping {
			return c
		}
	}
	return nil
}

// Product is the product line of a family and a model, empty if it is unknown.
// Bergamo and Siena (models A0h to AFh) are of the Genoa line, whose root they
// have.
func Product(family, model uint8) string {
	switch {
	case family == 0x19 && model <= 0x0f:
		return Milan
	case family == 0x19 && (model >= 0x10 && model <= 0x1f || model >= 0xa0 && model <= 0xaf):
		return Genoa
	case family == 0x1a && model <= 0x1f:
		return Turin
	}
	return ""
}

// Bits gives the names of the bits that the guest policy must have set.
func (c *CPU) Bits() string {
	var names []string
	for _, b := range idblock.PolicyBits() {
		if c.GuestPolicy.Has(b.Mask) {
			names = append(names, b.Name)
		}
	}
	return strings.Join(names, ", ")
}
