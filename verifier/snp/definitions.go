package snp

import (
	"slices"

	"safebox/verifier/check"
)

// Definitions lists the checks in the order of specs/verify.md, table 1.2.
func Definitions() []check.Definition {
	return slices.Concat(formatDefinitions(), chainDefinitions(), bindingDefinitions(), guestDefinitions(), platformDefinitions())
}

const reportTable = "AMD 56860, 7.3, ATTESTATION_REPORT"

func formatDefinitions() []check.Definition {
	return []check.Definition{
		check.Define(
			"SNP-F1", "report has the size and version of one", reportTable+"; format-policy.md: snp.versions",
			"give the report alone, as the firmware wrote it; older firmware makes older versions",
		),
		check.Define(
			"SNP-F2", "nothing reserved is used", reportTable,
			"the report was changed, or is by newer firmware than this verifier knows",
		),
		check.Define(
			"SNP-F3", "report is signed, by a kind of key that the policy accepts", reportTable+": SIGNATURE_ALGO, SIGNING_KEY; format-policy.md: snp.signing_keys",
			"machines of a provider may sign with its VLEK; a host can also leave reports unsigned (MASK_CHIP_KEY)",
		),
		check.Define(
			"SNP-F4", "guest asked for the report, at an accepted privilege level", reportTable+": VMPL; format-policy.md: snp.vmpls",
			"the host can ask for reports too, and another level may be another program: don't trust this one",
		),
	}
}

func chainDefinitions() []check.Definition {
	return []check.Definition{
		check.Define(
			"SNP-C1", "root is AMD's, byte for byte", "verify.md 1.2; AMD 57230, 3",
			"the endorsements lead to somebody else's root: the evidence is forged, or of a new product",
		),
		check.Define(
			"SNP-C2", "signing key is certified under the root", "AMD 57230, 3; RFC 5280, 6.1",
			"fetch the certificates of this machine and this TCB again, with the chain of its product",
		),
		check.Define(
			"SNP-C3", "certificates are valid at the time", "RFC 5280, 4.1.2.5",
			"check the time of the verification; a VLEK lives for a year, so the provider must load a new one",
		),
		check.Define(
			"SNP-C4", "certificate says what it must about the machine", "AMD 57230, 3, X.509 Certificate Extensions",
			"the certificate is of a product that this verifier does not know",
		),
		check.Define(
			"SNP-C5", "nothing in the chain is revoked", "RFC 5280, 6.3; format-policy.md: snp.crl",
			"fetch AMD's revocation list of the product again and put it among the endorsements",
		),
	}
}

func bindingDefinitions() []check.Definition {
	return []check.Definition{
		check.Define(
			"SNP-B1", "key is of the reported TCB", "AMD 57230, 3; "+reportTable+": REPORTED_TCB",
			"fetch the VCEK for the TCB that the report names",
		),
		check.Define(
			"SNP-B2", "key is of the reporting machine", "AMD 57230, 3; format-policy.md: snp.masked_chip",
			"fetch the VCEK for the chip ID that the report names; a host that masks it hides which machine it is",
		),
		check.Define(
			"SNP-B3", "provider is accepted", "AMD 57230, CSP_ID; format-policy.md: snp.csps",
			"a VLEK stands for any machine of its provider: list the provider only if you trust all of them",
		),
		check.Define(
			"SNP-B4", "product is accepted and the key's", "AMD 57230, 3; format-policy.md: snp.products, snp.milan",
			"the policy says which products are accepted; keys of Milan can be extracted by software",
		),
		check.Define(
			"SNP-S1", "report is signed by the key", "AMD 56860, 10, ECDSA P-384 with SHA-384",
			"the report was changed, or the certificate is of another machine",
		),
	}
}

func guestDefinitions() []check.Definition {
	return []check.Definition{
		check.Define(
			"SNP-D1", "report is about this transcript", "protocol.md 2; format-policy.md: snp.report_data",
			"the report is of another session, or a field of the evidence was changed after it",
		),
		check.Define(
			"SNP-M1", "guest was launched from the release", "AMD 56860, 8.17; format-policy.md: snp.measurements",
			"firmware, kernel, initrd, command line or the number of vCPUs is another than the release's",
		),
		check.Define(
			"SNP-M2", "host data and image are the expected ones", "protocol.md 3; format-policy.md: snp.host_data, snp.family_ids, snp.image_ids, snp.guest_svn",
			"launch with the digest of the configuration document as host data, and with the release's ID block",
		),
		check.Define(
			"SNP-M3", "ID block is as the policy asks", "AMD 56860, 8.18; format-policy.md: snp.id_block, snp.id_keys, snp.author_keys",
			"launch without an ID block, or with one that a key of the policy signed",
		),
		check.Define(
			"SNP-M4", "no migration agent is bound", reportTable+": REPORT_ID_MA",
			"a migration agent can move the guest: launch without one",
		),
	}
}

func platformDefinitions() []check.Definition {
	return []check.Definition{
		check.Define(
			"SNP-P1", "guest policy keeps the host out", "AMD 56860, 4.3, Guest Policy; format-policy.md: snp.smt, snp.policy_abi, snp.cpus.guest_policy",
			"launch with another guest policy: no debugging, no migration, no CXL, SMT as the policy says",
		),
		check.Define(
			"SNP-P2", "machine is set up safely", "AMD 56860, 7.3, PLATFORM_INFO; format-policy.md: snp.ecc, snp.alias_check, snp.smt",
			"change the machine's firmware settings; without the alias check it needs newer firmware",
		),
		check.Define(
			"SNP-T1", "firmware is committed", "AMD 56860, 2.2, TCB_VERSION; format-policy.md: snp.provisional",
			"the host can still go back to older firmware: commit the current one (SNP_COMMIT)",
		),
		check.Define(
			"SNP-T2", "firmware and microcode are new enough", "verify.md 8; format-policy.md: snp.cpus",
			"update the machine's firmware and microcode, commit, and launch the guest again",
		),
		check.Define(
			"SNP-T3", "attacks are mitigated by the firmware's word", reportTable+": LAUNCH_MIT_VECTOR, CURRENT_MIT_VECTOR; format-policy.md: snp.cpus.mitigations",
			"update the machine's firmware and launch the guest again; reports before version 5 don't say it",
		),
		check.Define(
			"SNP-T4", "SEV firmware is new enough and committed", reportTable+": CURRENT_BUILD, COMMITTED_BUILD; format-policy.md: snp.cpus.firmware",
			"update the SEV firmware and commit it (SNP_COMMIT)",
		),
		check.Define(
			"SNP-I1", "machine is one of those listed", "verify.md 7.2; format-policy.md: snp.chips",
			"list the machine's chip ID in the policy if it is yours: a report can be relayed from any broken machine",
		),
	}
}
