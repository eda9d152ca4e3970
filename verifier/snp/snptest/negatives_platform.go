package snptest

import (
	"fmt"

	"safebox/measure/snp/idblock"
	"safebox/verifier/policy/snppolicy"
	"safebox/verifier/snp"
)

// platformNegatives: SNP-P2.
func platformNegatives() []changed {
	with := func(b snp.PlatformInfo) func(s *setup) {
		return report(func(r *snp.Report) { r.Platform |= b })
	}
	without := func(b snp.PlatformInfo) func(s *setup) {
		return report(func(r *snp.Report) { r.Platform &^= b })
	}
	v3 := func() setup { return version(3) }
	accepted := func() setup {
		s := genoa()
		s.edit(`smt = "refuse"`, `smt = "accept"`)
		return s
	}
	return []changed{
		{"SNP-P2", "unknown bit 8", genoa, with(1 << 8)},
		{"SNP-P2", "unknown bit 63", genoa, with(1 << 63)},
		{"SNP-P2", "unknown bit 8, profile test", func() setup {
			return setup{build: Build{Product: snp.Genoa, Report: Genoa()}, profile: "test"}
		}, with(1 << 8)},
		{"SNP-P2", "trusted I/O", genoa, with(snp.PlatformTIO)},
		{"SNP-P2", "no alias check", genoa, without(snp.PlatformAliasCheckComplete)},
		{"SNP-P2", "no alias check, cloud", v3, without(snp.PlatformAliasCheckComplete)},
		{"SNP-P2", "no error correction", genoa, without(snp.PlatformECC)},
		{"SNP-P2", "SMT", genoa, with(snp.PlatformSMT)},
		{"SNP-P2", "SMT, which the guest policy forbids", accepted, with(snp.PlatformSMT)},
		{"SNP-P2", "IOMMU not safe", genoa, without(snp.PlatformIOMMUSafe)},
		{"SNP-P2", "RAPL, which the guest policy forbids", closed, without(snp.PlatformRAPLDisabled)},
		{"SNP-P2", "ciphertext, which the guest policy hides", closed, without(snp.PlatformCiphertextHiding)},
		{"SNP-P2", "RAPL, which the guest policy forbids though nobody asked", genoa, report(func(r *snp.Report) { r.Policy |= idblock.RAPLDisabled })},
	}
}

// up raises a byte of a TCB.
func up(tcb *snp.TCB, i int) { tcb.Raw[i]++ }

// component is a byte of a TCB, by the product's layout (verify.md 1.1).
type component struct {
	name string
	at   int
}

func genoaComponents() []component {
	return []component{{"boot loader", 0}, {"TEE", 1}, {"SNP", 6}, {"microcode", 7}}
}

func turinComponents() []component {
	return []component{{"FMC", 0}, {"boot loader", 1}, {"TEE", 2}, {"SNP", 3}, {"microcode", 7}}
}

// orderNegatives: SNP-T1, each component.
func orderNegatives() []changed {
	var list []changed
	for _, p := range []struct {
		name       string
		base       func() setup
		components []component
	}{{"Genoa", genoa, genoaComponents()}, {"Turin", turin, turinComponents()}} {
		for _, c := range p.components {
			list = append(list,
				changed{"SNP-T1", p.name + ", reported over committed: " + c.name, p.base, report(func(r *snp.Report) { up(&r.Reported, c.at) })},
				changed{"SNP-T1", p.name + ", not committed: " + c.name, p.base, report(func(r *snp.Report) { up(&r.Current, c.at) })},
			)
		}
	}
	return append(list,
		changed{"SNP-T1", "committed over current", provisional, report(func(r *snp.Report) {
			r.Committed.Raw = r.Current.Raw
			up(&r.Committed, 7)
		})},
		changed{"SNP-T1", "reported over committed, provisional accepted", provisional, report(func(r *snp.Report) { up(&r.Reported, 6) })},
	)
}

// floorNegatives: SNP-T2, each component of each TCB that can be alone.
func floorNegatives() []changed {
	var list []changed
	for _, p := range []struct {
		name       string
		base       func() setup
		components []component
	}{
		{"Genoa B1", genoa, []component{{"boot loader", 0}, {"SNP", 6}, {"microcode", 7}}},
		{"Genoa-X B2", func() setup { return strictOn(snp.Genoa, GenoaX()) }, []component{{"boot loader", 0}, {"SNP", 6}, {"microcode", 7}}},
		{"Turin C1", turin, turinComponents()},
		{"Milan B1", milan, []component{{"boot loader", 0}, {"SNP", 6}, {"microcode", 7}}},
		{"Milan-X B2", func() setup { return strictOn(snp.Milan, MilanX()) }, []component{{"boot loader", 0}, {"SNP", 6}, {"microcode", 7}}},
	} {
		for _, c := range p.components {
			for _, t := range []struct {
				name string
				low  func(r *snp.Report)
			}{
				{"reported", func(r *snp.Report) { r.Reported.Raw[c.at]-- }},
				{"launch", func(r *snp.Report) { r.Launch.Raw[c.at]-- }},
				{"reported, committed and current", func(r *snp.Report) {
					r.Reported.Raw[c.at]--
					r.Committed.Raw[c.at]--
					r.Current.Raw[c.at]--
				}},
			} {
				list = append(list, changed{"SNP-T2", fmt.Sprintf("%s, %s: %s too low", p.name, t.name, c.name), p.base, report(t.low)})
			}
		}
	}
	return append(list,
		changed{"SNP-T2", "reported and committed too low, current not", func() setup { return cloudOn(snp.Genoa, Genoa()) }, report(func(r *snp.Report) {
			r.Reported.Raw[6]--
			r.Committed.Raw[6]--
		})},
		changed{"SNP-T2", "stepping without floors", genoa, report(func(r *snp.Report) { r.CPUID.Stepping = 3 })},
		changed{"SNP-T2", "model without floors", genoa, report(func(r *snp.Report) { r.CPUID.Model = 0xa0 })},
		changed{"SNP-T2", "Turin, model without floors", turin, report(func(r *snp.Report) { r.CPUID.Model = 0x11 })},
	)
}

// mitigationNegatives: SNP-T3.
func mitigationNegatives() []changed {
	var list []changed
	for _, bit := range []uint{1, 2, 4} {
		list = append(list,
			changed{"SNP-T3", fmt.Sprintf("launch without bit %d", bit), genoa, report(func(r *snp.Report) { r.LaunchMitigations &^= 1 << bit })},
			changed{"SNP-T3", fmt.Sprintf("current without bit %d", bit), turin, report(func(r *snp.Report) { r.CurrentMitigations &^= 1 << bit })},
		)
	}
	return append(list,
		changed{"SNP-T3", "version 4, which has none", genoa, report(func(r *snp.Report) { r.Version, r.LaunchMitigations, r.CurrentMitigations = 4, 0, 0 })},
		changed{"SNP-T3", "Turin of profile cloud, version 3", func() setup { return cloudOn(snp.Turin, Turin()) }, report(func(r *snp.Report) { r.Version, r.LaunchMitigations, r.CurrentMitigations = 3, 0, 0 })},
	)
}

// firmwareNegatives: SNP-T4.
func firmwareNegatives() []changed {
	both := func(v snppolicy.Version) func(s *setup) {
		return report(func(r *snp.Report) { r.CurrentFirmware, r.CommittedFirmware = v, v })
	}
	return []changed{
		{"SNP-T4", "build too low", genoa, both(snppolicy.Version{Major: 1, Minor: 55, Build: 37})},
		{"SNP-T4", "minor too low", genoa, both(snppolicy.Version{Major: 1, Minor: 54, Build: 200})},
		{"SNP-T4", "major too low", genoa, both(snppolicy.Version{Major: 0, Minor: 200, Build: 200})},
		{"SNP-T4", "Milan, build too low", milan, both(snppolicy.Version{Major: 1, Minor: 55, Build: 21})},
		{"SNP-T4", "Turin, minor too low", turin, both(snppolicy.Version{Major: 1, Minor: 54, Build: 65})},
		{"SNP-T4", "not committed", genoa, report(func(r *snp.Report) { r.CurrentFirmware.Build++ })},
		{"SNP-T4", "committed over current", provisional, report(func(r *snp.Report) { r.CommittedFirmware.Build = r.CurrentFirmware.Build + 1 })},
		{"SNP-T4", "committed too low, current not", provisional, report(func(r *snp.Report) { r.CommittedFirmware.Build = 37 })},
	}
}

// listChip lists the chip that reports of Genoa name.
func listChip(s *setup) {
	r := Genoa()
	s.edit(`chips = "any"`, chips(&r))
}

// machineNegatives: SNP-I1.
func machineNegatives() []changed {
	other := func(s *setup) {
		r := s.build.Report
		r.ChipID[0] ^= 1
		s.replace(noChips, chips(&r))
	}
	return []changed{
		{"SNP-I1", "machine is not listed", genoa, other},
		{"SNP-I1", "Milan, machine is not listed", milan, other},
		{"SNP-I1", "Turin, machine is not listed", turin, other},
		{"SNP-I1", "no machine is listed", genoa, func(s *setup) { s.edits = nil }},
		{"SNP-I1", "machine does not say which it is, and machines are listed", func() setup {
			s := cloudOn(snp.Genoa, Genoa())
			s.edit(`masked_chip = "refuse"`, `masked_chip = "accept"`, `chips = "any"`, chips(&s.build.Report))
			return s
		}, report(func(r *snp.Report) { r.ChipID = [64]byte{} })},
		{"SNP-I1", "VLEK's machine is listed, which it can't prove to be", shownVLEK, listChip},
		{"SNP-I1", "VLEK's machine does not say which it is", func() setup { return vlek(snp.Genoa, Genoa()) }, listChip},
		{"SNP-I1", "Milan that nobody listed", milan, func(s *setup) {
			s.policy = func(p *snppolicy.Policy) { p.Chips = snppolicy.Values{Word: snppolicy.Any} }
		}},
	}
}
