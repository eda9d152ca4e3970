package snp

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"safebox/measure/snp/idblock"
	"safebox/verifier/policy/snppolicy"
)

// platform: SNP-P1, P2, T1 to T4, I1, and the part of SNP-B4 that is the
// policy's.
func (v *verification) platform() {
	v.acceptedProduct()
	cpu := v.cpu()
	v.guestPolicy(cpu)
	v.platformInfo(cpu)
	v.order()
	v.floors(cpu)
	v.mitigations(cpu)
	v.firmware(cpu)
	v.machine()
}

// cpu gives what the policy asks of the report's processor: an entry without
// floors if it asks nothing of any, nil if it knows none of that kind.
func (v *verification) cpu() *snppolicy.CPU {
	if v.policy.AnyCPU {
		return &snppolicy.CPU{Name: "any", AnyMitigations: true}
	}
	if v.report.Version < versionCPUID {
		return nil
	}
	c := v.report.CPUID
	return v.policy.Find(c.Family, c.Model, c.Stepping)
}

// settle notes what is wrong, or that nothing is. Where the processor has no
// entry the whole can't be told, only what is wrong already.
func (v *verification) settle(id string, wrong []string, whole bool, want, got string) {
	if len(wrong) > 0 {
		v.log.Fail(id, want, got+"; "+strings.Join(wrong, "; "))
	} else if whole {
		v.log.Pass(id, want, got)
	}
}

// guestPolicy: SNP-P1.
func (v *verification) guestPolicy(cpu *snppolicy.CPU) {
	p := v.report.Policy
	const never = idblock.MigrateMA | idblock.Debug | idblock.CXLAllow
	refused, required := never, idblock.Policy(0)
	if !v.policy.SMT {
		refused |= idblock.SMT
	}
	if cpu != nil {
		required = cpu.GuestPolicy
	}
	var wrong []string
	for _, b := range idblock.PolicyBits() {
		switch {
		case refused.Has(b.Mask) && p.Has(b.Mask):
			wrong = append(wrong, b.Name+" is set: "+b.Set)
		case required.Has(b.Mask) && !p.Has(b.Mask):
			wrong = append(wrong, b.Name+" is not set: "+b.Unset)
		}
	}
	want := "guest policy without " + bitNames(refused)
	if required != 0 {
		want += ", with " + bitNames(required)
	}
	switch major, minor := p.ABI(); {
	case v.policy.AnyABI:
		v.log.Waive("lowest ABI of the firmware in the guest policy", "snp.policy_abi = \"any\" in the policy; SNP-T4 looks at the firmware itself")
	case v.policy.ABI == snppolicy.Version{}:
		wrong = append(wrong, "the policy gives no lowest ABI")
	case (snppolicy.Version{Major: major, Minor: minor}).Below(v.policy.ABI):
		wrong = append(wrong, fmt.Sprintf("ABI %d.%d is below %d.%d", major, minor, v.policy.ABI.Major, v.policy.ABI.Minor))
	}
	v.settle("SNP-P1", wrong, cpu != nil, want, p.String())
}

func bitNames(p idblock.Policy) string {
	var names []string
	for _, b := range idblock.PolicyBits() {
		if p.Has(b.Mask) {
			names = append(names, b.Name)
		}
	}
	return strings.Join(names, ", ")
}

// mitigationIOMMU is the bit of the mitigation vectors that stands for
// AMD-SB-3016; the machine then shows PlatformIOMMUSafe too.
const mitigationIOMMU = 1 << 2

// platformInfo: SNP-P2.
func (v *verification) platformInfo(cpu *snppolicy.CPU) {
	p, guest := v.report.Platform, v.report.Policy
	var wrong []string
	rule := func(broken bool, text string) {
		if broken {
			wrong = append(wrong, text)
		}
	}
	rule(p&^platformKnown != 0, fmt.Sprintf("bits %#x are unknown", uint64(p&^platformKnown)))
	rule(p.Has(PlatformTIO), "trusted I/O is on")
	rule(!v.policy.AnyAliasCheck && !p.Has(PlatformAliasCheckComplete), "memory was not checked for aliases (AMD-SB-3015)")
	rule(!v.policy.AnyECC && !p.Has(PlatformECC), "memory does not correct errors")
	rule(!v.policy.SMT && p.Has(PlatformSMT), "SMT is on")
	rule(!guest.Has(idblock.SMT) && p.Has(PlatformSMT), "SMT is on, which the guest policy forbids")
	rule(guest.Has(idblock.RAPLDisabled) && !p.Has(PlatformRAPLDisabled), "RAPL is on, which the guest policy forbids")
	rule(guest.Has(idblock.CiphertextHidingDRAM) && !p.Has(PlatformCiphertextHiding), "ciphertext is not hidden, which the guest policy demands")
	rule(cpu != nil && cpu.Mitigations&mitigationIOMMU != 0 && !p.Has(PlatformIOMMUSafe), "the IOMMU's writes are not flushed (AMD-SB-3016)")
	v.waive(v.policy.AnyAliasCheck && !p.Has(PlatformAliasCheckComplete), "check for aliased memory", "alias_check")
	v.waive(v.policy.AnyECC && !p.Has(PlatformECC), "memory that corrects errors", "ecc")
	if v.policy.SMT && p.Has(PlatformSMT) {
		v.log.Waive("simultaneous multithreading", "snp.smt = \"accept\" in the policy")
	}
	v.settle("SNP-P2", wrong, cpu != nil, "platform info: no unknown bit, what the policy and the guest policy demand", p.String())
}

// waive notes what nobody checks because a key is "any".
func (v *verification) waive(waived bool, what, key string) {
	if waived {
		v.log.Waive(what, "snp."+key+" = \"any\" in the policy")
	}
}

// order: SNP-T1. A host may load newer firmware for a trial, and go back until
// it commits to it.
func (v *verification) order() {
	r := v.report
	if r.Reported.Product == 0 {
		return
	}
	wrong := prefixed("reported over committed: ", r.Committed.below(r.Reported))
	wrong = append(wrong, prefixed("committed over current: ", r.Current.below(r.Committed))...)
	want := "reported TCB is not over the committed one, which is the current one"
	if v.policy.Provisional {
		want = "reported TCB is not over the committed one, which is not over the current one"
		if r.Committed.Raw != r.Current.Raw {
			v.log.Waive("firmware that the host can still take back", "snp.provisional = \"accept\" in the policy")
		}
	} else {
		wrong = append(wrong, prefixed("provisional: committed below current: ", r.Committed.below(r.Current))...)
	}
	v.settle("SNP-T1", wrong, true, want,
		fmt.Sprintf("reported %v; committed %v; current %v", r.Reported, r.Committed, r.Current))
}

func prefixed(prefix string, list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = prefix + s
	}
	return out
}

// floors: SNP-T2.
func (v *verification) floors(cpu *snppolicy.CPU) {
	const id = "SNP-T2"
	r := v.report
	got := fmt.Sprintf("reported %v; committed %v; current %v; launch %v", r.Reported, r.Committed, r.Current, r.Launch)
	switch {
	case v.policy.AnyCPU:
		v.log.Waive("lowest versions of firmware and microcode", "snp.cpus = \"any\" in the policy")
		v.log.Pass(id, "any: the policy has no floors", got)
		return
	case r.Reported.Product == 0:
		return // SNP-B4 refuses an unknown processor
	case cpu == nil:
		what := "CPUID " + r.CPUID.String()
		if r.Version < versionCPUID {
			what = "version 2, which does not name the processor"
		}
		v.log.Fail(id, "a processor that the policy has floors for (snp.cpus)", what)
		return
	}
	floor := TCB{
		Product: r.Reported.Product, FMC: cpu.FMC,
		Bootloader: cpu.Bootloader, TEE: cpu.TEE, SNP: cpu.SNP, Microcode: cpu.Microcode,
	}
	var wrong []string
	for _, t := range []struct {
		name string
		tcb  TCB
	}{{"reported", r.Reported}, {"committed", r.Committed}, {"current", r.Current}, {"launch", r.Launch}} {
		wrong = append(wrong, prefixed(t.name+": ", t.tcb.below(floor))...)
	}
	v.settle(id, wrong, true, fmt.Sprintf("each TCB of %s at least %v", cpu.Name, floor), got)
}

// mitigations: SNP-T3.
func (v *verification) mitigations(cpu *snppolicy.CPU) {
	const id = "SNP-T3"
	if cpu == nil {
		return
	}
	r := v.report
	got := fmt.Sprintf("launch %#x, current %#x", r.LaunchMitigations, r.CurrentMitigations)
	if r.Version < versionMitigation {
		got = fmt.Sprintf("version %d, which has no mitigation vectors", r.Version)
	}
	if cpu.AnyMitigations {
		if !v.policy.AnyCPU {
			v.log.Waive("mitigation vectors of "+cpu.Name, "mitigations = \"any\" in the policy")
		}
		v.log.Pass(id, "not applicable: the policy asks for none", got)
		return
	}
	if cpu.Mitigations == 0 {
		v.log.Fail(id, "mitigation vectors from the policy, which gives none", got)
		return
	}
	missing := cpu.Mitigations &^ (r.LaunchMitigations & r.CurrentMitigations)
	if missing != 0 {
		got += fmt.Sprintf("; missing %#x", missing)
	}
	v.log.Record(id, missing == 0, fmt.Sprintf("version 5, launch and current mitigation vectors with %#x", cpu.Mitigations), got)
}

// firmware: SNP-T4.
func (v *verification) firmware(cpu *snppolicy.CPU) {
	if cpu == nil {
		return
	}
	r := v.report
	var wrong []string
	if r.CommittedFirmware.Below(cpu.Firmware) {
		wrong = append(wrong, "committed below "+cpu.Firmware.String())
	}
	if r.CurrentFirmware.Below(cpu.Firmware) {
		wrong = append(wrong, "current below "+cpu.Firmware.String())
	}
	want := "firmware " + cpu.Firmware.String() + " at least, committed"
	if v.policy.AnyCPU {
		want = "any firmware, committed"
	}
	switch {
	case r.CurrentFirmware.Below(r.CommittedFirmware):
		wrong = append(wrong, "committed over current")
	case r.CommittedFirmware != r.CurrentFirmware && !v.policy.Provisional:
		wrong = append(wrong, "provisional: committed below current")
	}
	v.settle("SNP-T4", wrong, v.policy.AnyCPU || cpu.Firmware != snppolicy.Version{},
		want, fmt.Sprintf("current %v, committed %v", r.CurrentFirmware, r.CommittedFirmware))
}

// machine: SNP-I1. It is the only answer to a report relayed from a broken
// machine.
func (v *verification) machine() {
	const id = "SNP-I1"
	chip, chips := v.report.ChipID, v.policy.Chips
	got := hex.EncodeToString(chip[:])
	listed := chip != [64]byte{} && slices.ContainsFunc(chips.List, func(b []byte) bool { return bytes.Equal(b, chip[:]) })
	switch {
	case chips.Word == "" && len(chips.List) > 0:
		switch {
		case chip == [64]byte{}:
			got = "zero: this machine does not say which it is"
		case v.report.Signer.SigningKey() == VLEK:
			// Whoever has broken one machine of the provider has the key, and writes
			// any chip ID into a report (specs/verify.md, section 7.2).
			listed, got = false, "signed by a VLEK, whose word for the chip ID proves nothing: "+got
		}
		v.log.Record(id, listed, fmt.Sprintf("one of %d machines of the policy", len(chips.List)), got)
	case chips.Word != snppolicy.Any:
		v.log.Fail(id, "one of the machines of the policy, which lists none (snp.chips)", got)
	case v.product == Milan && v.policy.Milan != snppolicy.Any:
		v.log.Fail(id, "a machine that the policy lists: keys of Milan can be extracted by software", got)
	default:
		v.log.Waive("which machine made the report", "snp.chips = \"any\" in the policy: evidence relayed from a broken machine passes")
		v.log.Pass(id, "any: the policy lists none", got)
	}
}
