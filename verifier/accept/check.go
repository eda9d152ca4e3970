package accept

import (
	"fmt"

	"safebox/measure/snp"
	"safebox/verifier/release"
)

// checkMemory is a machine's memory that any launch must allow, in bytes.
const checkMemory = 4 << 30

// Check computes again what a launch says of itself twice: each of its example
// machines of SEV-SNP, and RTMR1 to RTMR3 of TDX. What it can't check, because
// it follows from the artifacts alone, is the firmware's part (seed, reset_eip,
// hash_table and sections; mrtd, layout, cfv_sha384, td_hob and accepted) and
// kernel_pe_sha384.
func Check(l release.Launch) error {
	if l.TDX != nil {
		_, err := TDX(l, TDXMachine{Memory: checkMemory})
		return err
	}
	// One machine, for a launch that has no examples.
	_, err := SNP(l, SNPMachine{VMM: snp.QEMU, CPU: snp.Signature(25, 1, 1), Features: snp.DefaultFeatures}, 1)
	return err
}

// checkShapes computes the examples.
func checkShapes(l release.Launch) error {
	if l.SNP == nil {
		return fmt.Errorf("launch %s: not one of SEV-SNP", l.Platform)
	}
	for _, s := range l.SNP.Shapes {
		if err := checkShape(l, s); err != nil {
			return fmt.Errorf("launch snp: shape %.80q: %w", s.Name, err)
		}
	}
	return nil
}

func checkShape(l release.Launch, s release.SNPMachine) error {
	vmm, err := snp.ParseVMM(s.VMM)
	if err != nil {
		return err
	}
	if err := checkName(s, vmm); err != nil {
		return err
	}
	list, err := digests(l, SNPMachine{VMM: vmm, CPU: s.CPUSignature, Features: s.GuestFeatures}, s.VCPUs)
	if err != nil {
		return err
	}
	if want := list[s.VCPUs-1].String(); s.LaunchDigest != want {
		return fmt.Errorf("launch_digest: got %s, want %s, to which the launch's own parts lead", s.LaunchDigest, want)
	}
	return nil
}

// ShapeName names an example machine by its VMM, its CPU type as QEMU names it
// and its number of vCPUs.
func ShapeName(vmm snp.VMM, cpu string, vcpus int) string {
	return fmt.Sprintf("%v/%s/%d", vmm, cpu, vcpus)
}

// checkName wants the name, which people read, to say what the members do.
func checkName(s release.SNPMachine, vmm snp.VMM) error {
	for _, t := range snp.CPUTypes() {
		if t.Signature() == s.CPUSignature && s.Name == ShapeName(vmm, t.Name, s.VCPUs) {
			return nil
		}
	}
	return fmt.Errorf("name: want %s with a CPU type of signature %#010x", ShapeName(vmm, "TYPE", s.VCPUs), s.CPUSignature)
}
