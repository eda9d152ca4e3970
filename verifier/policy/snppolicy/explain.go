package snppolicy

import (
	"fmt"
	"strings"

	"safebox/measure/snp/idblock"
)

// waived begins the sentence about what is not checked.
const waived = "WAIVED: "

// Explain says in plain sentences what the policy accepts and what it waives.
func (p *Policy) Explain() []string {
	s := p.explainProducts()
	s = append(s, p.explainGuest()...)
	s = append(s, p.explainIDBlock()...)
	s = append(s, p.explainPlatform()...)
	s = append(s, p.explainMachine()...)
	return append(s, p.explainCPUs()...)
}

func (p *Policy) explainProducts() []string {
	s := []string{fmt.Sprintf("SEV-SNP reports of version %s by processors of %s, signed by a %s, for VMPL %s.",
		orNone(numbers(p.Versions)), orNone(p.Products), orNone(p.SigningKeys), orNone(numbers(p.VMPLs)))}
	switch p.Milan {
	case Listed:
		s = append(s, "Milan is accepted on listed machines only: its keys can be extracted by software.")
	case Any:
		s = append(s, waived+"Milan is accepted on any machine, though its keys can be extracted by software.")
	}
	for _, v := range p.Versions {
		if v == 2 {
			s = append(s, waived+"reports of version 2, which do not say which processor made them.")
		}
	}
	for _, k := range p.SigningKeys {
		if k == VLEK {
			s = append(s, waived+"a VLEK stands for any machine of its provider.",
				"Providers whose VLEK is accepted: "+p.CSPs.texts()+".")
		}
	}
	return s
}

func (p *Policy) explainGuest() []string {
	s := []string{
		p.ReportData.explain("REPORT_DATA"),
		p.Measurements.explain("The launch measurement"),
		p.HostData.explain("HOST_DATA"),
		"Guests that may be debugged or migrated, or that may use CXL memory, are refused.",
	}
	if p.AnyABI {
		s = append(s, waived+"the guest policy may ask for any ABI of the firmware; the firmware itself has a floor.")
	} else {
		s = append(s, fmt.Sprintf("The guest policy asks for ABI %d.%d of the firmware at least.", p.ABI.Major, p.ABI.Minor))
	}
	if p.SMT {
		return append(s, waived+"simultaneous multithreading may be on: other programs share the guest's cores (StackWarp, AMD-SB-3027).")
	}
	return append(s, "Simultaneous multithreading must be off.")
}

func (p *Policy) explainIDBlock() []string {
	var s []string
	switch p.IDBlock {
	case Forbid:
		return []string{"An ID block is refused."}
	case Require:
		s = append(s, "An ID block must be there.")
	case Any:
		s = append(s, waived+"an ID block may be there or not.")
	default:
		return []string{"With or without an ID block, nothing is accepted."}
	}
	s = append(s, p.IDKeys.explain("The digest of the ID block's key"), p.AuthorKeys.explain("The digest of the author's key"),
		p.FamilyIDs.explain("FAMILY_ID"), p.ImageIDs.explain("IMAGE_ID"))
	if p.AnyGuestSVN {
		return append(s, waived+"GUEST_SVN is not checked.")
	}
	return append(s, fmt.Sprintf("GUEST_SVN is %d at least.", p.GuestSVN))
}

func (p *Policy) explainPlatform() []string {
	var s []string
	for _, f := range []struct {
		any    bool
		waived string
		asked  string
	}{
		{p.AnyECC, "memory that does not correct errors.", "Memory must correct errors."},
		{p.AnyAliasCheck, "firmware that did not look for aliased memory (BadRAM, AMD-SB-3015).", "The firmware must have looked for aliased memory."},
		{p.AnyCRL, "AMD's revocation list need not be there.", "AMD's revocation list must be there."},
		{p.Provisional, "firmware that the host has not committed to and can take back.", "The firmware must be committed."},
	} {
		if f.any {
			s = append(s, waived+f.waived)
		} else {
			s = append(s, f.asked)
		}
	}
	return s
}

func (p *Policy) explainMachine() []string {
	var s []string
	switch {
	case p.Chips.Word == Any:
		s = append(s, waived+"the machine may be any that AMD made; evidence relayed from a broken one passes.")
	case len(p.Chips.List) == 0:
		s = append(s, "No machine is accepted: chips lists none.")
	default:
		s = append(s, fmt.Sprintf("The machine is one of the %d listed, by its own key (VCEK): a VLEK proves no machine.", len(p.Chips.List)))
	}
	if p.MaskedChip {
		s = append(s, waived+"hosts may hide which machine they are.")
	}
	return s
}

func (p *Policy) explainCPUs() []string {
	if p.AnyCPU {
		return []string{waived + "firmware and microcode may be of any version."}
	}
	if len(p.CPUs) == 0 {
		return []string{"No processor is accepted: cpus lists none."}
	}
	var s []string
	for i := range p.CPUs {
		c := &p.CPUs[i]
		fmc := ""
		if c.Product == Turin {
			fmc = fmt.Sprintf("FMC %#x, ", c.FMC)
		}
		s = append(s, fmt.Sprintf("%s (CPUID %s): firmware %v, %sbootloader %#x, TEE %#x, SNP %#x, microcode %#x at least.",
			c.Name, c.CPUID(), c.Firmware, fmc, c.Bootloader, c.TEE, c.SNP, c.Microcode))
		if c.AnyMitigations {
			s = append(s, waived+"the mitigation vectors of "+c.Name+".")
		} else {
			s = append(s, fmt.Sprintf("Mitigation vectors of %s have bits %#x: reports of version 5 only.", c.Name, c.Mitigations))
		}
		if c.GuestPolicy != 0 {
			s = append(s, fmt.Sprintf("The guest policy on %s has %s.", c.Name, c.Bits()))
		}
		if c.Product != Milan && !c.GuestPolicy.Has(heracles) {
			s = append(s, waived+"the host of "+c.Name+" may see and move ciphertext (Heracles, AMD-SB-3021): guest_policy does not ask for both bits against it.")
		}
	}
	return s
}

// heracles are the bits of the guest policy that answer AMD-SB-3021.
const heracles = idblock.CiphertextHidingDRAM | idblock.PageSwapDisabled

// explain says what a field must hold.
func (v *Values) explain(what string) string {
	switch v.Word {
	case Any:
		return waived + what + " is not checked."
	case None:
		return what + " must not be there."
	case Zero:
		return what + " is zero."
	case Transcript:
		return what + " is the hash of the challenge's transcript."
	case Release:
		return what + " is one of the release's."
	case Configuration:
		return what + " is the digest of the configuration document."
	}
	if len(v.List) == 0 {
		return what + " has no accepted value."
	}
	values := make([]string, len(v.List))
	for i, b := range v.List {
		values[i] = fmt.Sprintf("%x", b)
	}
	return what + " is " + strings.Join(values, " or ") + "."
}

func (v *Values) texts() string {
	list := make([]string, len(v.List))
	for i, b := range v.List {
		list[i] = fmt.Sprintf("%q", b)
	}
	return orNone(list)
}

func numbers(list []int) []string {
	texts := make([]string, len(list))
	for i, n := range list {
		texts[i] = fmt.Sprint(n)
	}
	return texts
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, " or ")
}
