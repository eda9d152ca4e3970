package snptest

import (
	"safebox/measure/snp/idblock"
	"safebox/verifier/policy/snppolicy"
	"safebox/verifier/snp"
)

// report makes a hook that changes the report's fields.
func report(f func(r *snp.Report)) func(s *setup) { return func(s *setup) { f(&s.build.Report) } }

// tcbBindingNegatives: SNP-B1, each component of the certificate is one off.
func tcbBindingNegatives() []changed {
	vlekGenoa := func() setup { return vlek(snp.Genoa, Genoa()) }
	return []changed{
		{"SNP-B1", "VCEK of a newer boot loader", genoa, set(Integer(11), 3, 1)},
		{"SNP-B1", "VCEK of an older boot loader", genoa, set(Integer(9), 3, 1)},
		{"SNP-B1", "VCEK of another TEE", genoa, set(Integer(1), 3, 2)},
		{"SNP-B1", "VCEK of another SNP firmware", genoa, set(Integer(0x1c), 3, 3)},
		{"SNP-B1", "VCEK of older microcode", genoa, set(Integer(0x55), 3, 8)},
		{"SNP-B1", "VLEK of newer microcode", vlekGenoa, set(Integer(0x57), 3, 8)},
		{"SNP-B1", "Turin, VCEK of another FMC", turin, set(Integer(2), 3, 9)},
		{"SNP-B1", "Turin, VCEK of another boot loader", turin, set(Integer(2), 3, 1)},
		{"SNP-B1", "Turin, VCEK of another TEE", turin, set(Integer(2), 3, 2)},
		{"SNP-B1", "Turin, VCEK of another SNP firmware", turin, set(Integer(5), 3, 3)},
		{"SNP-B1", "Turin, VCEK of other microcode", turin, set(Integer(0x52), 3, 8)},
		{"SNP-B1", "Milan, VCEK of other microcode", milan, set(Integer(0xdf), 3, 8)},
	}
}

// bindingNegatives: SNP-B2, SNP-B3.
func bindingNegatives() []changed {
	cloudGenoa := func() setup { return cloudOn(snp.Genoa, Genoa()) }
	cloudTurin := func() setup { return cloudOn(snp.Turin, Turin()) }
	vlekGenoa := func() setup { return vlek(snp.Genoa, Genoa()) }
	hwid := func(n int, mask byte) func(s *setup) {
		return func(s *setup) {
			id := s.build.Report.ChipID
			id[n] ^= mask
			size := 64
			if s.build.Product == snp.Turin {
				size = 8
			}
			set(id[:size], 4)(s)
		}
	}
	return []changed{
		{"SNP-B2", "HWID's first bit", genoa, hwid(0, 0x80)},
		{"SNP-B2", "HWID's last bit", genoa, hwid(63, 1)},
		{"SNP-B2", "Turin, HWID's last bit", turin, hwid(7, 1)},
		{"SNP-B2", "chip ID is masked", cloudGenoa, report(func(r *snp.Report) { r.ChipID = [64]byte{} })},
		{"SNP-B2", "Turin, chip ID is masked", cloudTurin, report(func(r *snp.Report) { r.ChipID = [64]byte{} })},
		{"SNP-B2", "Turin, chip ID longer than 8 bytes", cloudTurin, report(func(r *snp.Report) { r.ChipID[8] = 1 })},
		{"SNP-B2", "Turin, last byte of the chip ID", cloudTurin, report(func(r *snp.Report) { r.ChipID[63] = 1 })},
		{"SNP-B3", "provider is not listed", vlekGenoa, set(Text("CN=another.example"), 5)},
		{"SNP-B3", "provider's name is longer than a listed one", vlekGenoa, set(Text(CSP+"x"), 5)},
		{"SNP-B3", "provider's name is a part of a listed one", vlekGenoa, set(Text(CSP[:len(CSP)-1]), 5)},
		{"SNP-B3", "no provider is listed", vlekGenoa, func(s *setup) { s.edits = nil }},
	}
}

// productNegatives: SNP-B4.
func productNegatives() []changed {
	cloudGenoa := func() setup { return cloudOn(snp.Genoa, Genoa()) }
	return []changed{
		{"SNP-B4", "product is not listed", cloudGenoa, func(s *setup) { s.edit(`products = ["Genoa", "Turin"]`, `products = ["Turin"]`) }},
		{"SNP-B4", "Milan, which the profile refuses", milan, func(s *setup) { s.edits = s.edits[:2] }},
		{"SNP-B4", "Milan, which a policy lists and does not accept", milan, func(s *setup) {
			s.policy = func(p *snppolicy.Policy) { p.Milan = "" }
		}},
		{"SNP-B4", "VCEK is of another product", genoa, set(Text("Milan-B1"), 2)},
		{"SNP-B4", "VLEK is of another product", func() setup { return vlek(snp.Genoa, Genoa()) }, set(Text("Milan"), 2)},
		{"SNP-B4", "unknown model", genoa, report(func(r *snp.Report) { r.CPUID.Model = 0x20 })},
		{"SNP-B4", "unknown family", genoa, report(func(r *snp.Report) { r.CPUID.Family = 0x17 })},
		{"SNP-B4", "Venice", turin, report(func(r *snp.Report) { r.CPUID.Model = 0x50 })},
		{"SNP-B4", "version 2 by a key of Turin", func() setup {
			s := setup{build: Build{Product: snp.Turin, Report: Turin()}, profile: "test"}
			return s
		}, func(s *setup) {
			r := &s.build.Report
			r.Version = 2
			SetTCB(r, [8]byte{0, 0, 0, 0, 0, 0, 0, 9})
		}},
	}
}

// signatureNegatives: SNP-S1.
func signatureNegatives() []changed {
	zeroed := func(at int) func(s *setup) {
		return func(s *setup) { s.build.Signed = func(b []byte) { clear(b[at : at+72]) } }
	}
	return []changed{
		{"SNP-S1", "report ID changed after it was signed", genoa, xorSigned(0x140, 1)},
		{"SNP-S1", "first bit of R", genoa, xorSigned(0x2a0, 1)},
		{"SNP-S1", "last bit of R", genoa, xorSigned(0x2a0+47, 0x80)},
		{"SNP-S1", "first bit of S", genoa, xorSigned(0x2e8, 1)},
		{"SNP-S1", "last bit of S", genoa, xorSigned(0x2e8+47, 0x80)},
		{"SNP-S1", "R is zero", genoa, zeroed(0x2a0)},
		{"SNP-S1", "S is zero", genoa, zeroed(0x2e8)},
		{"SNP-S1", "R and S are exchanged", genoa, func(s *setup) {
			s.build.Signed = func(b []byte) {
				for i := range 72 {
					b[0x2a0+i], b[0x2e8+i] = b[0x2e8+i], b[0x2a0+i]
				}
			}
		}},
		{"SNP-S1", "another key's signature", genoa, func(s *setup) { s.build.SigningKey = "other" }},
		{"SNP-S1", "another key's signature, VLEK", func() setup { return vlek(snp.Turin, Turin()) }, func(s *setup) { s.build.SigningKey = "other" }},
	}
}

// guestNegatives: SNP-D1, SNP-M1, SNP-M2, SNP-M4.
func guestNegatives() []changed {
	input := func(f func(in *snp.Input)) func(s *setup) {
		return func(s *setup) { s.input = func(_ *Evidence, in *snp.Input) { f(in) } }
	}
	return []changed{
		{"SNP-D1", "first bit", genoa, input(func(in *snp.Input) { in.Expected.ReportData[0] ^= 1 })},
		{"SNP-D1", "last bit", genoa, input(func(in *snp.Input) { in.Expected.ReportData[63] ^= 0x80 })},
		{"SNP-D1", "nobody gave the transcript", genoa, input(func(in *snp.Input) { in.Expected.ReportData = nil })},
		{"SNP-D1", "transcript is zero, and so is the report's", func() setup {
			s := genoa()
			s.build.Report.ReportData = [64]byte{}
			return s
		}, func(*setup) {}},
		{"SNP-D1", "none of a list", genoa, func(s *setup) {
			s.edit(`report_data = "transcript"`, `report_data = ["`+hex64()+`"]`)
		}},
		{"SNP-M1", "first bit", genoa, input(func(in *snp.Input) { in.Expected.Measurements[1][0] ^= 1 })},
		{"SNP-M1", "last bit", genoa, input(func(in *snp.Input) { in.Expected.Measurements[1][47] ^= 0x80 })},
		{"SNP-M1", "nobody gave the release", genoa, input(func(in *snp.Input) { in.Expected.Measurements = nil })},
		{"SNP-M1", "release gives no values", genoa, input(func(in *snp.Input) { in.Expected.Measurements = [][48]byte{} })},
		{"SNP-M1", "measurement is zero, and so is the release's", genoa, func(s *setup) { s.build.Report.Measurement = [48]byte{} }},
		{"SNP-M1", "none of a list", genoa, func(s *setup) {
			s.edit(`measurements = "release"`, `measurements = ["`+hex64()[:96]+`"]`)
		}},
		{"SNP-M2", "first bit of the host data", genoa, input(func(in *snp.Input) { in.Expected.HostData[0] ^= 1 })},
		{"SNP-M2", "last bit of the host data", genoa, input(func(in *snp.Input) { in.Expected.HostData[31] ^= 0x80 })},
		{"SNP-M2", "nobody gave the configuration", genoa, input(func(in *snp.Input) { in.Expected.HostData = nil })},
		{"SNP-M2", "host data that must be zero", genoa, func(s *setup) { s.edit(`host_data = "configuration"`, `host_data = "zero"`) }},
		{"SNP-M2", "another family ID", withIDBlock, report(func(r *snp.Report) { r.FamilyID[15] = 1 })},
		{"SNP-M2", "another image ID", withIDBlock, report(func(r *snp.Report) { r.ImageID[0] = 7 })},
		{"SNP-M2", "guest SVN too low", withIDBlock, report(func(r *snp.Report) { r.GuestSVN = 8 })},
		{"SNP-M4", "migration agent", genoa, report(func(r *snp.Report) { r.ReportIDMA = [32]byte{1} })},
		{"SNP-M4", "first bit", genoa, report(func(r *snp.Report) { r.ReportIDMA[0] = 0x7f })},
		{"SNP-M4", "last bit", genoa, report(func(r *snp.Report) { r.ReportIDMA[31] = 0xfe })},
	}
}

// hex64 is a value of 64 bytes that no field has.
func hex64() string {
	const sixteen = "00112233445566778899aabbccddeeff"
	return sixteen + sixteen + sixteen + sixteen
}

// idBlockNegatives: SNP-M3 with an ID block.
func idBlockNegatives() []changed {
	anyBlock := func() setup {
		s := setup{build: withIDBlock().build, profile: "test"}
		return s
	}
	return []changed{
		{"SNP-M3", "ID block where it is forbidden", genoa, report(func(r *snp.Report) { r.IDKeyDigest = idKey() })},
		{"SNP-M3", "another ID key", withIDBlock, report(func(r *snp.Report) { r.IDKeyDigest[47] ^= 1 })},
		{"SNP-M3", "another author key", withIDBlock, report(func(r *snp.Report) { r.AuthorKeyDigest[0] ^= 1 })},
		{"SNP-M3", "no author key", withIDBlock, report(func(r *snp.Report) { r.AuthorKeyDigest, r.Signer = [48]byte{}, 0 })},
		{"SNP-M3", "author key where none is accepted", withIDBlock, func(s *setup) {
			s.replace(`author_keys = "none"`, `author_keys = "none"`)
		}},
		{"SNP-M3", "AUTHOR_KEY_EN without a digest", anyBlock, report(func(r *snp.Report) { r.AuthorKeyDigest = [48]byte{} })},
		{"SNP-M3", "author's digest without AUTHOR_KEY_EN", anyBlock, report(func(r *snp.Report) { r.Signer = 0 })},
	}
}

// withoutIDBlockNegatives: SNP-M3 without one.
func withoutIDBlockNegatives() []changed {
	require := func(s *setup) {
		s.edits = append(s.edits, withIDBlock().edits[2:]...)
	}
	author := func(r *snp.Report) { r.Signer, r.AuthorKeyDigest = 1, authorKey() }
	return []changed{
		{"SNP-M3", "no ID block where one is required", genoa, require},
		{"SNP-M3", "author key without an ID block", genoa, report(author)},
		{"SNP-M3", "family ID without an ID block", genoa, report(func(r *snp.Report) { r.FamilyID[0] = 1 })},
		{"SNP-M3", "image ID without an ID block", genoa, report(func(r *snp.Report) { r.ImageID[15] = 1 })},
		{"SNP-M3", "guest SVN without an ID block", genoa, report(func(r *snp.Report) { r.GuestSVN = 1 })},
		{"SNP-M3", "family ID without an ID block, any accepted", func() setup {
			return setup{build: Build{Product: snp.Genoa, Report: Genoa()}, profile: "test"}
		}, report(func(r *snp.Report) { r.FamilyID[0] = 1 })},
	}
}

// guestPolicyNegatives: SNP-P1.
func guestPolicyNegatives() []changed {
	bit := func(b idblock.Policy) func(s *setup) { return report(func(r *snp.Report) { r.Policy |= b }) }
	without := func(b idblock.Policy) func(s *setup) { return report(func(r *snp.Report) { r.Policy &^= b }) }
	testGenoa := func() setup { return setup{build: Build{Product: snp.Genoa, Report: Genoa()}, profile: "test"} }
	return []changed{
		{"SNP-P1", "debugging", genoa, bit(idblock.Debug)},
		{"SNP-P1", "debugging, profile test", testGenoa, bit(idblock.Debug)},
		{"SNP-P1", "migration", genoa, bit(idblock.MigrateMA)},
		{"SNP-P1", "migration, profile test", testGenoa, bit(idblock.MigrateMA)},
		{"SNP-P1", "CXL", genoa, bit(idblock.CXLAllow)},
		{"SNP-P1", "SMT", genoa, bit(idblock.SMT)},
		{"SNP-P1", "several sockets", closed, without(idblock.SingleSocket)},
		{"SNP-P1", "weaker memory encryption", closed, without(idblock.MemAES256XTS)},
		{"SNP-P1", "RAPL", closed, without(idblock.RAPLDisabled)},
		{"SNP-P1", "ciphertext not hidden", closed, without(idblock.CiphertextHidingDRAM)},
		{"SNP-P1", "pages swapped", closed, without(idblock.PageSwapDisabled)},
		{"SNP-P1", "ABI's minor version too low", closed, report(func(r *snp.Report) { r.Policy-- })},
		{"SNP-P1", "ABI's major version too low", closed, report(func(r *snp.Report) { r.Policy = r.Policy&^0xffff | 200 })},
	}
}
