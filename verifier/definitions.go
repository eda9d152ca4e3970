package verifier

import (
	"slices"
	"strconv"

	"safebox/measure/tpm/golden"
	"safebox/verifier/check"
)

// definitions lists the checks in the order of the verdict. A receipt's
// evidence is checked without the challenge when there is none.
func (v *verification) definitions() []check.Definition {
	list := slices.Grow(policyDefinitions(), 96) // as many as a verdict has
	list = append(list, check.Define(
		"EV-1", "evidence is well formed", "format-evidence.md",
		"ask the machine for evidence again; its file must not be changed in any byte",
	))
	if v.withChallenge() {
		list = append(list, challengeDefinitions(v.receipt)...)
	}
	list = append(list, releaseDefinitions()...)
	list = append(list, v.publishedDefinitions()...)
	list = append(list, configurationDefinitions()...)
	list = append(list, vendorDefinitions()...)
	list = append(list, v.platformDefinitions()...)
	return append(list, memoryDefinitions()...)
}

func policyDefinitions() []check.Definition {
	return []check.Definition{
		check.Define(
			"POL-1", "policy is readable", "format-policy.md",
			"safebox policy check FILE names the line and the key",
		),
		check.Define(
			"POL-2", "policy is not past its review date", "format-policy.md: review, stale",
			"review the policy and move its date",
		),
		check.Define(
			"PLAT-1", "platform is accepted", "format-policy.md: platforms",
			"the policy's list of platforms says what is accepted",
		),
	}
}

// challengeDefinitions leaves out the two about time for a receipt.
func challengeDefinitions(receipt bool) []check.Definition {
	list := []check.Definition{
		check.Define(
			"CH-1", "challenge is readable and the owner's own", "protocol.md 1",
			"give the challenge file that the machine answered, with its .secret file beside it",
		),
		check.Define(
			"FR-1", "nonce is the challenge's", "protocol.md 2: nonce",
			"this evidence answers another challenge: it was recorded before, or the files are mixed up",
		),
		check.Define(
			"FR-2", "audience is the challenge's owner", "protocol.md 2: audience",
			"this evidence was made for somebody else",
		),
	}
	if receipt {
		return list
	}
	return append(list,
		check.Define(
			"FR-3", "challenge is alive", "protocol.md 1: expires",
			"make a new challenge, with a longer --expires if files are carried by hand",
		),
		check.Define(
			"FR-4", "challenge does not live too long", "protocol.md 1; format-policy.md: challenge.max_life",
			"make a challenge with a shorter --expires and keep its .secret file beside it",
		))
}

func releaseDefinitions() []check.Definition {
	return []check.Definition{
		check.Define(
			"REL-1", "bundle and its release are readable", "protocol.md 8; format-bundle.md; format-release.md",
			"make the bundle again: safebox release bundle",
		),
		check.Define(
			"REL-2", "release is the one asked for", "protocol.md 1, 2 and 8: release",
			"challenge, bundle and evidence must be about the same release.json",
		),
	}
}

func configurationDefinitions() []check.Definition {
	return []check.Definition{
		check.Define(
			"CFG-1", "configuration document is accepted", "protocol.md 3; format-policy.md: configuration.documents",
			"add the document's SHA-256 to the policy, or boot with a document that it lists",
		),
	}
}

func keyDefinitions() []check.Definition {
	return []check.Definition{
		check.Define(
			"TPM-K1", "attestation key is known", "protocol.md 6",
			"make the challenge with --enroll, or give the pin of an earlier verification with --ak",
		),
		check.Define(
			"TPM-K2", "attestation key is restricted and made from the template", "TPM 2.0 Library, Part 2, 12.2.4; protocol.md 6",
			"this key could sign what no TPM has made: don't trust this machine",
		),
		check.Define(
			"TPM-K5", "root of the TPM is accepted for what it is", "format-policy.md: vtpm.roots, vtpm.software_roots",
			"safebox policy check FILE says which roots are accepted; a software TPM proves nothing about its host",
		),
	}
}

func quoteDefinitions() []check.Definition {
	return []check.Definition{
		check.Define(
			"TPM-Q1", "quote is a TPM's and about this transcript", "TPM 2.0 Library, Part 2, 10.12.12; protocol.md 2",
			"a field of the evidence was changed after the quote, or the quote is of another session",
		),
		check.Define(
			"TPM-Q2", "quote is signed by the attestation key", "TPM 2.0 Library, Part 2, 11.3.4",
			"the quote was changed, or another key signed it",
		),
		check.Define(
			"TPM-Q3", "quote covers exactly the policy's registers", "TPM 2.0 Library, Part 2, 10.12.4; format-policy.md: vtpm.pcrs",
			"the machine must quote exactly the registers that the policy lists",
		),
		check.Define(
			"TPM-Q4", "TPM was not suspended or set back", "TPM 2.0 Library, Part 2, 10.11.1; format-policy.md: vtpm.clock",
			"power the machine off and boot it again; after a power cut the clock is safe again within seconds",
		),
	}
}

func eventDefinitions() []check.Definition {
	return []check.Definition{
		check.Define(
			"TPM-E1", "event log replays to the quoted registers", "PFP 1.06, 10.4",
			"an event was changed, moved, dropped or added after the boot",
		),
		check.Define(
			"TPM-E2", "every event is on the list of its register", "PFP 1.06, 3.3.4 and 10.4.1",
			"the machine measured something that an appliance never does",
		),
		check.Define(
			"TPM-E3", "digests are those of the events' data", "PFP 1.06, 10.4.1",
			"the log tells another story than the registers",
		),
		check.Define(
			"TPM-E4", "banks are those of the policy", "protocol.md 4; format-policy.md: vtpm.banks",
			"the TPM must have the policy's banks allocated, and the firmware must measure into them",
		),
		check.Define(
			"TPM-E5", "Secure Boot is in the release's state", "PFP 1.06, 3.3.4; protocol.md 4",
			"boot with the release's own firmware variables: Secure Boot off and no keys",
		),
	}
}

// runtimeDefinitions is about what the guest itself measured.
func runtimeDefinitions() []check.Definition {
	return []check.Definition{
		check.Define(
			"CFG-2", "registers hold the configuration and the keys that arrived", "protocol.md 3; format-policy.md: configuration.state",
			"boot the machine again; with state = \"working\" it may have received keys before",
		),
	}
}

// registerDefinitions lists a check for each register that is compared, or one
// for all of them when nothing says which those are.
func (v *verification) registerDefinitions() []check.Definition {
	const source = "protocol.md 4; format-release.md: measurements"
	if len(v.compared) == 0 {
		return []check.Definition{check.Define("TPM-R", "registers are the release's", source, "see the checks before")}
	}
	list := make([]check.Definition, 0, len(v.compared))
	for _, r := range v.compared {
		list = append(list, check.Define(
			r.id,
			r.bank.String()+" register "+strconv.Itoa(r.index)+" is the release's: "+registerUse(r.index),
			source,
			v.hint(r),
		))
	}
	return list
}

func registerID(index int, bank golden.Bank) string {
	return "TPM-R" + strconv.Itoa(index) + "-" + bank.String()
}

// registerUse says what a register holds (PFP 3.3.4; UAPI Group, Unified
// Kernel Image specification; Linux EFI stub).
func registerUse(index int) string {
	return [...]string{
		0: "firmware", 1: "host's tables", 2: "option ROMs", 3: "their settings", 4: "boot programs",
		5: "partition table", 6: "vendor's use", 7: "Secure Boot", 8: "unused", 9: "initrd and load options",
		10: "kernel's IMA", 11: "unified kernel image", 12: "host's additions", 13: "extensions", 14: "shim", 15: "configuration",
	}[index]
}

func registerHint(index int) string {
	switch index {
	case 0:
		return "boot with the release's firmware"
	case 2, 3, 6:
		return "the host added option ROMs: start every device without one (romfile=)"
	case 7:
		return "boot with the release's firmware variables"
	case 8, 12, 13, 14:
		return "the host added a command line, credentials or extensions"
	case 5:
		return "the disk was resized or is another one; disk = \"any\" in the policy accepts that"
	}
	return "another program was booted than the release's, or in another way"
}
