package snptest

import (
	"safebox/verifier/policy/snppolicy"
	"safebox/verifier/snp"
)

func formatNegatives() []changed {
	length := func(n int) func(s *setup) {
		return func(s *setup) {
			s.input = func(e *Evidence, in *snp.Input) {
				in.Report = append(append([]byte{}, e.Report...), make([]byte, 64)...)[:n]
			}
		}
	}
	return []changed{
		{"SNP-F1", "nothing", genoa, length(0)},
		{"SNP-F1", "one byte less", genoa, length(snp.Size - 1)},
		{"SNP-F1", "one byte more", genoa, length(snp.Size + 1)},
		{"SNP-F1", "version 1", genoa, bytesAt(0, 1)},
		{"SNP-F1", "version 6", genoa, bytesAt(0, 6)},
		{"SNP-F1", "version 5 + 2^24", genoa, bytesAt(3, 1)},
		{"SNP-F1", "version that the policy does not list", func() setup { return version(3) }, func(s *setup) { s.edit("versions = [3, 4, 5]", "versions = [4, 5]") }},
		{"SNP-F1", "version 2 without the policy's word", func() setup {
			s := setup{build: Build{Product: snp.Milan, Report: Milan()}, profile: "test"}
			s.build.Report.Version = 2
			return s
		}, func(s *setup) { s.edit("versions = [2, 3, 4, 5]", "versions = [3, 4, 5]") }},
	}
}

func reservedNegatives() []changed {
	v3 := func() setup { return version(3) }
	v2 := func() setup {
		s := setup{build: Build{Product: snp.Milan, Report: Milan()}, profile: "test"}
		s.build.Report.Version = 2
		return s
	}
	list := []changed{
		{"SNP-F2", "guest policy, bit 17 is zero", genoa, func(s *setup) { s.build.Report.Policy &^= 1 << 17 }},
		{"SNP-F2", "guest policy, bit 26", genoa, func(s *setup) { s.build.Report.Policy |= 1 << 26 }},
		{"SNP-F2", "guest policy, bit 63", genoa, func(s *setup) { s.build.Report.Policy |= 1 << 63 }},
		{"SNP-F2", "signer info, bit 5", genoa, func(s *setup) { s.build.Report.Signer |= 1 << 5 }},
		{"SNP-F2", "signer info, bit 31", genoa, func(s *setup) { s.build.Report.Signer |= 1 << 31 }},
		{"SNP-F2", "version 3, mitigation vector", v3, bytesAt(0x1f8, 1)},
		{"SNP-F2", "version 3, last of the mitigation vectors", v3, bytesAt(0x207, 1)},
		{"SNP-F2", "version 4, mitigation vector", func() setup { return version(4) }, bytesAt(0x1f8, 1)},
		{"SNP-F2", "version 2, CPUID family", v2, bytesAt(0x188, 0x19)},
		{"SNP-F2", "version 2, CPUID stepping", v2, bytesAt(0x18a, 1)},
		{"SNP-F2", "version 2, mitigation vector", v2, bytesAt(0x1f8, 1)},
	}
	for _, offset := range []int{0x4c, 0x4f, 0x18b, 0x19f, 0x1eb, 0x1ef, 0x208, 0x29f} {
		list = append(list, changed{"SNP-F2", "reserved byte " + at(offset), genoa, bytesAt(offset, 1)})
	}
	// The four TCBs: bytes 2 to 5 for Genoa, 4 to 6 for Turin.
	for _, tcb := range []int{0x38, 0x180, 0x1e0, 0x1f0} {
		for _, i := range []int{2, 3, 4, 5} {
			list = append(list, changed{"SNP-F2", "Genoa, reserved byte of the TCB " + at(tcb+i), genoa, bytesAt(tcb+i, 1)})
		}
		for _, i := range []int{4, 5, 6} {
			list = append(list, changed{"SNP-F2", "Turin, reserved byte of the TCB " + at(tcb+i), turin, bytesAt(tcb+i, 1)})
		}
	}
	for _, offset := range []int{0x2a0 + 48, 0x2a0 + 71, 0x2e8 + 48, 0x2e8 + 71, 0x330, 0x49f} {
		list = append(list, changed{"SNP-F2", "signature, byte " + at(offset), genoa, xorSigned(offset, 0x80)})
	}
	return list
}

func signerNegatives() []changed {
	signer := func(v snp.SignerInfo) func(s *setup) {
		return func(s *setup) {
			// The chain stays that of a VCEK.
			s.build.Bytes = func(b []byte) { b[0x48] = byte(v) }
		}
	}
	return []changed{
		{"SNP-F3", "algorithm 0", genoa, bytesAt(0x34, 0)},
		{"SNP-F3", "algorithm 2", genoa, bytesAt(0x34, 2)},
		{"SNP-F3", "no key", genoa, signer(7 << 2)},
		{"SNP-F3", "reserved key 2", genoa, signer(2 << 2)},
		{"SNP-F3", "VCEK that the host has forbidden", genoa, signer(2)},
		{"SNP-F3", "VLEK under a policy for VCEKs", shownVLEK, func(s *setup) { s.edit(`signing_keys = ["VCEK", "VLEK"]`, `signing_keys = ["VCEK"]`) }},
		{"SNP-F3", "VCEK under a policy for VLEKs", genoa, func(s *setup) {
			s.profile = "cloud"
			s.edits = []string{`signing_keys = ["VCEK", "VLEK"]`, `signing_keys = ["VLEK"]`}
		}},
		{"SNP-F4", "asked for by the host", genoa, func(s *setup) { s.build.Report.VMPL = 1<<32 - 1 }},
		{"SNP-F4", "asked for by the host, under a policy that names its value", genoa, func(s *setup) {
			s.build.Report.VMPL = 1<<32 - 1
			s.policy = func(p *snppolicy.Policy) { p.VMPLs = []int{1<<32 - 1} }
		}},
		{"SNP-F4", "VMPL 1", genoa, func(s *setup) { s.build.Report.VMPL = 1 }},
		{"SNP-F4", "VMPL 0 under a policy for 1", genoa, func(s *setup) { s.edit("vmpls = [0]", "vmpls = [1]") }},
		{"SNP-F4", "VMPL 2^31", genoa, func(s *setup) { s.build.Report.VMPL = 1 << 31 }},
	}
}
