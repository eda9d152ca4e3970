package cloud

import "safebox/verifier/check"

// Definitions lists the checks in the order of the verdict.
func Definitions() []check.Definition {
	return append(append(formDefinitions(), quoteDefinitions()...), eventDefinitions()...)
}

func formDefinitions() []check.Definition {
	return []check.Definition{
		check.Define(
			"TPM-F1", "evidence is in a known form", "verify.md 0; format-verdict.md: forms of TPM evidence",
			"give the file as the agent wrote it: an attestation of go-tpm-tools, or JSON evidence of Azure or of a plain TPM",
		),
		check.Define(
			"TPM-H1", "hardware report binds the attestation key", "verify.md 4: TPM-H1",
			"look at the checks of the hardware report: it must verify, and its report_data must be SHA-256 of the claims that name the key",
		),
		check.Define(
			"TPM-K1", "attestation key is known", "verify.md 4: TPM-K1; format-policy.md: vtpm.quote.attestation_keys",
			"the policy accepts keys bound by hardware, keys with a certificate, or keys that it names: this one is none of these",
		),
		check.Define(
			"TPM-K2", "attestation key is restricted to signing what its TPM made", "verify.md 4: TPM-K2; TPM 2.0 Library, Part 2, 8.3",
			"this key could sign what no TPM has made, or its public area is not in the file: don't trust this machine",
		),
		check.Define(
			"TPM-K3", "certificate is an attestation key's, valid and not revoked", "verify.md 4: TPM-K3; format-policy.md: vtpm.quote.certificate_usage, crl",
			"give the issuers' certificates and revocation lists with --collateral; a certificate of an endorsement key is no attestation key's",
		),
		check.Define(
			"TPM-K4", "certificate names an accepted machine", "verify.md 4: TPM-K4; format-policy.md: vtpm.quote.instances, production",
			"compare the project, zone and instance with those that the policy lists",
		),
	}
}

func quoteDefinitions() []check.Definition {
	return []check.Definition{
		check.Define(
			"TPM-Q1", "quote is a TPM's and about this session", "verify.md 4: TPM-Q1; TPM 2.0 Library, Part 2, 10.12.12",
			"ask the machine for a quote with the session's extra data; one without any extra data could be of any day",
		),
		check.Define(
			"TPM-Q2", "quote is signed by the attestation key", "verify.md 4: TPM-Q2; TPM 2.0 Library, Part 2, 11.3.4",
			"the quote was changed, another key signed it, or key or scheme are too weak",
		),
		check.Define(
			"TPM-Q3", "quote covers exactly the policy's registers", "verify.md 4: TPM-Q3; format-policy.md: vtpm.quote.pcrs",
			"the machine must quote exactly the registers that the policy lists, and send their values along",
		),
		check.Define(
			"TPM-Q4", "TPM was not suspended or set back", "verify.md 4: TPM-Q4; TPM 2.0 Library, Part 2, 10.11.1",
			"boot the machine again; after a power cut the clock is safe again within seconds",
		),
	}
}

func eventDefinitions() []check.Definition {
	return []check.Definition{
		check.Define(
			"TPM-E1", "event log replays to the quoted registers", "verify.md 4: TPM-E1; PFP 1.06, 10.4",
			"an event was changed, moved, dropped or added after the boot, or there is no log",
		),
		check.Define(
			"TPM-E2", "every event is on the list of its register", "verify.md 4: TPM-E2; PFP 1.06, 3.3.4 and 10.4.1",
			"the machine measured something that an appliance never does",
		),
		check.Define(
			"TPM-E3", "digests are those of the events' data", "verify.md 4: TPM-E3; PFP 1.06, 10.4.1",
			"the log tells another story than the registers",
		),
		check.Define(
			"TPM-E4", "banks are those of the policy, without SHA-1", "verify.md 4: TPM-E4; format-policy.md: vtpm.quote.banks",
			"the TPM must have the policy's banks allocated, and quote each of them",
		),
		check.Define(
			"TPM-E5", "Secure Boot is in the policy's state", "verify.md 4: TPM-E5; format-policy.md: vtpm.quote.secure_boot, variables",
			"the machine's Secure Boot is in another state, or trusts other keys, than the policy says",
		),
		check.Define(
			"TPM-R", "registers are the policy's", "verify.md 0 (7); format-policy.md: vtpm.quote.registers",
			"the machine booted something else than the release or the policy lists",
		),
	}
}
