package snppolicy

import (
	"fmt"
	"strings"
)

// Section writes the table [snp] of a profile with its comments; it is empty
// for a name that is no profile. Floors are those of specs/verify.md, section 8,
// of November 2026.
func Section(profile string) string {
	switch profile {
	case strict:
		return fmt.Sprintf(template, `["VCEK"]`, "transcript", "release", "configuration", "refuse", "refuse", "none") +
			floors("0x16", "0x16")
	case cloud:
		return fmt.Sprintf(template, `["VCEK", "VLEK"]`, "transcript", "release", "configuration", "accept", "accept", "any") +
			floors(`"any"`, "0x16")
	case test:
		return testSection
	}
	return ""
}

// template has: signing keys, report data, measurements, host data, SMT,
// provisional, chips.
const template = `[snp]
# Guests under AMD SEV-SNP. "Genoa" includes Bergamo and Siena. Keys of Milan can
# be extracted by software (arXiv 2605.12990: any report can be forged), so that
# Milan is refused. To accept your own machines of it, add "Milan" to products,
# say milan = "listed", and list their chip IDs under chips.
products = ["Genoa", "Turin"]
milan = "refuse"
versions = [3, 4, 5]  # of reports; where mitigations are asked for, only 5 passes
# "VCEK": a machine's own key. "VLEK": a key that AMD gives to a provider: it proves
# some machine of that provider, which csps must list.
signing_keys = %s
csps = "none"  # or the CSP_ID of VLEK certificates: ["CN=..."]
vmpls = [0]  # privilege level of who asked for the report; with an SVSM others

report_data = "%s"  # of the challenge: this evidence answers it
measurements = "%s"  # launch digests
host_data = "%s"  # "configuration": the digest of the document, "zero", or a list
# Lowest ABI version of the firmware that the guest policy may ask for. Guests of
# today ask for 0.0 or 0.31; the firmware itself has its floors below.
policy_abi = "any"
# Simultaneous multithreading: "refuse", in the guest policy and on the machine, or
# "accept". With it, other programs run on the guest's own cores (AMD-SB-3027).
smt = "%s"

# The ID block: signed launch data. With "require" list SHA-384 digests of keys.
id_block = "forbid"
id_keys = "none"
author_keys = "none"
family_ids = "zero"
image_ids = "zero"
guest_svn = 0

ecc = "require"  # memory that corrects errors
alias_check = "require"  # AMD-SB-3015 (BadRAM): the firmware has looked for aliased memory
crl = "require"  # AMD's revocation list of the product
# Firmware that the host has loaded and not committed to: it can go back to the
# older one. Large providers run so for weeks.
provisional = "%s"
masked_chip = "refuse"  # a machine that hides its chip ID
# Chip IDs, 64 bytes in hex as reports have them, that are accepted: the only answer
# to evidence relayed from a machine that somebody has broken. "none" accepts no
# machine until you list yours; "any" (not in profile strict) gives that answer up.
# A report signed by a VLEK is never from a listed machine: the key is in all of them.
chips = "%s"
`

// floors writes the lowest versions of each kind of processor. Mitigations are
// those of Milan and Genoa, and of Turin.
func floors(older, turin string) string {
	var b strings.Builder
	b.WriteString(floorsAbout)
	for _, f := range []struct{ text, mitigations string }{
		{genoaB1, older}, {genoaB2, older}, {turinC1, turin}, {milanB1, older}, {milanB2, older},
	} {
		fmt.Fprintf(&b, f.text, f.mitigations)
	}
	return b.String()
}

const floorsAbout = `
# Lowest versions, one table for each kind of processor: microcode numbers of two
# steppings can't be compared, and a kind without a table is refused. They hold for
# the reported, the committed, the current and the launch TCB. cpuid is
# family/model/stepping in hex. Each number names its source: a bulletin of AMD, or
# the section of specs/verify.md that has it from elsewhere. The review date of this
# file is theirs.
# mitigations: bits that both mitigation vectors must have, 0x16 = bits 1 (AMD-SB-3020),
# 2 (AMD-SB-3016) and 4 (AMD-SB-3030, AMD-SB-3034: the latter has no TCB floor, AMD
# withdrew it on 2026-09-24); or "any" for older reports. Bit 2 also asks for bit 6
# of the platform info.
# guest_policy: bits that the guest policy must have, or "none". AMD-SB-3021
# (Heracles) is answered by ["CIPHERTEXT_HIDING_DRAM", "PAGE_SWAP_DISABLE"], where
# machine and launch can do it.
# Bergamo and Siena (19/A0 to 19/AF) have no table yet: no floor of theirs has been
# confirmed. Take the numbers from AMD's bulletins for your machines.
`

const genoaB1 = `
[[snp.cpus]]
name = "Genoa B1"
cpuid = "19/11/1"
bootloader = 10  # verify.md 8
tee = 0
snp = 0x1b  # AMD-SB-3020 (RMPocalypse)
microcode = 0x56  # AMD-SB-3027 (StackWarp)
firmware = "1.55.38"  # AMD-SB-3015 (BadRAM)
mitigations = %s
guest_policy = "none"
`

const genoaB2 = `
[[snp.cpus]]
name = "Genoa-X B2"
cpuid = "19/11/2"
bootloader = 10  # as Genoa B1: no other number is known
tee = 0
snp = 0x1b  # AMD-SB-3020 (RMPocalypse)
microcode = 0x51  # AMD-SB-3027 (StackWarp)
firmware = "1.55.38"  # AMD-SB-3015 (BadRAM)
mitigations = %s
guest_policy = "none"
`

const turinC1 = `
[[snp.cpus]]
name = "Turin C1"
cpuid = "1A/02/1"
fmc = 1  # fmc, bootloader and tee: verify.md 8
bootloader = 1
tee = 1
snp = 0x04  # AMD-SB-3020 (RMPocalypse)
microcode = 0x51  # AMD-SB-3027 (StackWarp)
firmware = "1.55.0"  # verify.md 8: ABI 1.55
mitigations = %s
guest_policy = "none"
`

const milanB1 = `
[[snp.cpus]]
name = "Milan B1"
cpuid = "19/01/1"
bootloader = 4  # verify.md 8
tee = 0
snp = 0x1d  # AMD-SB-3030 (BreakFAST)
microcode = 0xde  # verify.md 7.7: the current fix, whose bulletin is not named
firmware = "1.55.22"  # AMD-SB-3015 (BadRAM)
mitigations = %s
guest_policy = "none"
`

const milanB2 = `
[[snp.cpus]]
name = "Milan-X B2"
cpuid = "19/01/2"
bootloader = 4  # as Milan B1: no other number is known
tee = 0
snp = 0x1d  # AMD-SB-3030 (BreakFAST)
microcode = 0x47  # verify.md 7.7: the current fix, whose bulletin is not named
firmware = "1.55.22"  # AMD-SB-3015 (BadRAM)
mitigations = %s
guest_policy = "none"
`

const testSection = `[snp]
# FOR TESTS ONLY: guests under AMD SEV-SNP of any age, firmware and machine. Guests
# that may be debugged or migrated are refused nevertheless.
products = ["Milan", "Genoa", "Turin"]
milan = "any"
versions = [2, 3, 4, 5]
signing_keys = ["VCEK", "VLEK"]
csps = ["CN=cc-us-east-2.amazonaws.com"]
vmpls = [0, 1, 2, 3]

report_data = "any"
measurements = "any"
host_data = "any"
policy_abi = "any"
smt = "accept"

id_block = "any"
id_keys = "any"
author_keys = "any"
family_ids = "any"
image_ids = "any"
guest_svn = "any"

ecc = "any"
alias_check = "any"
crl = "any"
provisional = "accept"
masked_chip = "accept"
chips = "any"
cpus = "any"
`
