package pagetest

import "safebox/verifier/verdict"

// Unreached is raw evidence of an SNP machine whose chip is not the one that
// its certificate is for. The numbers are made up.
func Unreached() Example {
	return Example{
		Name: "unreached",
		Verdict: &verdict.Verdict{
			Platform: "snp", Type: verdict.Type, At: "2026-11-21T09:00:00Z", Profile: "strict",
			Evidence:   "9d1f0a6e5b7c41d2a3f4958677889900aabbccddeeff00112233445566778899",
			Collateral: "c01a0a6e5b7c41d2a3f4958677889900aabbccddeeff0011223344556677cdef",
			Policy:     "0b5d0a6e5b7c41d2a3f4958677889900aabbccddeeff0011223344556677abcd",
			Checks:     checks(snpChecks),
			Waived:     []verdict.Waiver{},
		},
	}
}

const snpChecks = `
POL-1|policy is readable|a policy, every key known and present|policy|format-policy.md
SNP-F1|report has the form of its version|1184 bytes, version 3 to 5|1184 bytes, version 3|AMD 56860, 7.3, table 23
SNP-F2|reserved bytes are zero|zero bytes, known bits|as wanted|AMD 56860, 7.3, table 23
SNP-F3|report is signed with a chip's key|ECDSA P-384 by VCEK|ECDSA P-384 by VCEK|AMD 56860, 7.3
SNP-F4|report was asked for by the guest|VMPL 0|VMPL 0|AMD 56860, 7.3
SNP-C1|root is AMD's, byte for byte|ARK-Genoa|ARK-Genoa|specs/verify.md 1.2
SNP-C2|chain leads from the root to the chip|ARK, ASK, VCEK|ARK, ASK, VCEK|AMD 57230, 3
SNP-C3|certificates are valid|at 2026-11-21T09:00:00Z|ASK until 2047-10-31, VCEK until 2033-06-02|RFC 5280, 6.1
SNP-C4|certificate says which chip it is for|all extensions, none unknown|bl 10, tee 0, snp 23, ucode 84|AMD 57230, 3.1
SNP-C5|list of revoked certificates is fresh|issued within 30 days before 2026-11-21T09:00:00Z|issued 2026-03-02T00:00:00Z, 264 days before|RFC 5280, 5|fetch a newer list: safebox collateral fetch
SNP-B1|report has the certificate's TCB|bl 10, tee 0, snp 23, ucode 84|bl 10, tee 0, snp 22, ucode 84|AMD 57230, 3.1|the certificate is for another firmware: fetch the one for the reported TCB
SNP-B2|report is of the certificate's chip|3ac3fe21e13fb0990eb28a802e3fb6a29483a6b0753590c951bdd3b8e53786184ca39e359669a2b76a1936776b564ea464cdce40c05f63c9b610c5068b006b5d|3ac3fe21e13fb0990eb28a802e3fb6a29483a6b0753590c951bdd3b8e53786184ca39e359669a2b76a1936776b564ea464cdce40c05f63c9b610c5068b00ff5d|AMD 57230, 3.1|the certificate is for another chip: give the one for this machine
SNP-B3|provider is accepted|not applicable: VCEK|not applicable: VCEK|AMD 57230, 4
SNP-B4|processor is the certificate's|Genoa|Genoa|AMD 57230, 3.1
SNP-S1|report is signed by the chip||-|AMD 56860, 7.3|-
SNP-D1|report answers the challenge|||specs/protocol.md 2|-
SNP-M1|measurement is the release's|||specs/verify.md 1.2|-
SNP-M2|host data is the configuration's|||specs/verify.md 1.2|-
SNP-P1|guest policy forbids debugging and migration|debug off, migration off, SMT off|debug off, migration off, SMT on|AMD 56860, 4.3|switch SMT off in the guest policy, or accept it: smt = "allow"
SNP-P2|platform is set up safely|alias check done, TIO off|alias check done, TIO off|AMD 56860, 7.3
SNP-T1|firmware versions are in order|reported = committed = current|bl 10, tee 0, snp 22, ucode 84 in all|AMD 56860, 3.3
SNP-T2|firmware is new enough|at least bl 10, tee 0, snp 27, ucode 86|bl 10, tee 0, snp 22, ucode 84: snp 22 is below 27, ucode 84 is below 86|AMD-SB-3020, AMD-SB-3027|update the machine's firmware (AMD-SB-3020 needs snp 27)
SNP-I1|chip is on the list|||specs/verify.md 7.2|-
`
