package nitropolicy

import "strings"

// Profiles that Section knows, besides test.
const (
	strict = "strict"
	cloud  = "cloud"
)

// Section writes the commented table of a kind for a profile: strict, cloud or
// test. It is empty for others.
func Section(kind Kind, profile string) string {
	text := enclaveSection
	if kind == NitroTPM {
		text = tpmSection
	}
	values := sectionValues(profile)
	if values == nil || kind != Enclave && kind != NitroTPM {
		return ""
	}
	return strings.NewReplacer(append(values, "<table>", kind.table(), "<separator>", separatorOnly(profile))...).Replace(text)
}

// sectionValues are what differs between the profiles.
func sectionValues(profile string) []string {
	switch profile {
	case strict:
		return []string{
			"<time>", Live, "<maxage>", "300", "<skew>", "5", "<instances>", None, "<parent>", Instance, "<image>", Release,
			"<overrides>", Zero, "<own>", Configuration, "<keys>", Absent, "<rest>", Unused, "<nonce>", Challenge, "<data>", Transcript, "<key>", Absent,
		}
	case cloud:
		return []string{
			"<time>", Live, "<maxage>", "300", "<skew>", "30", "<instances>", Any, "<parent>", Instance, "<image>", Release,
			"<overrides>", Zero, "<own>", Configuration, "<keys>", Any, "<rest>", Unused, "<nonce>", Challenge, "<data>", Transcript, "<key>", Absent,
		}
	case test:
		return []string{
			"<time>", At, "<maxage>", `"any"`, "<skew>", "0", "<instances>", Any, "<parent>", Any, "<image>", Any,
			"<overrides>", Any, "<own>", Any, "<keys>", Any, "<rest>", Any, "<nonce>", Any, "<data>", Any, "<key>", Any,
		}
	}
	return nil
}

// separatorOnly is a register with one event, the separator 00000000, in the
// SHA-384 bank (TCG PC Client PFP 1.06, section 3.3.2.2): nothing else went in.
// It equals PCR2, 3 and 6 of a real NitroTPM document of 2026-08-13
// (specs/nitro.md, section 7; vectors, pcr/known_answers.json).
func separatorOnly(profile string) string {
	if profile == test {
		return `"any"`
	}
	return `["518923b0f955d08da077c96aaba522b9decede61c599cea6c41889cfbea4ae4d50529d96fe4d1afdafb65e7f95bf23c4"]`
}

// common is the start of both sections. AWS's words for the ages: Nitro
// Enclaves User Guide, "Verifying the root of trust"; specs/nitro.md, 4.3, 4.4.
const common = `
# When: "live" (now), "at" (the time that is asked about, for archives), or
# "self" (profile test only: the document's own time proves only that it was
# valid once).
time = "<time>"
# Age of the document in seconds, 1 to 3600. AWS has no revocation list that can
# be relied on, so a document must be young: 300 (specs/nitro.md 4.4, step 5;
# specs/verify.md 3, point 5).
max_age = <maxage>
# Seconds by which the clock here may be slow, 0 to 300: a leaf begins only three
# seconds before its first use (specs/nitro.md 4.3).
skew = <skew>
# AWS's guide says to switch revocation checking off ("Verifying the root of
# trust"): "any" is the only value, and written out so that it is seen.
crl = "any"
`

// fields is their end.
const fields = `
# What ties the document to this session (specs/protocol.md, section 2):
# "challenge" and "transcript", or lists of hex. public_key: "absent", "any" or
# a list; the Safebox has none.
nonce = "<nonce>"
user_data = "<data>"
public_key = "<key>"
`

const enclaveSection = `
[<table>]  # AWS Nitro enclaves` + common + `# An enclave in debug mode has PCR0, 1 and 2 zero, and its parent reads its
# console: "refuse", or "accept" (profile test only).
debug = "refuse"
# Parent instances: a list of IDs such as "i-0123456789abcdef0", "any", or "none".
# Nothing else tells your machines from a stranger's that was broken
# (specs/verify.md 7.2). "none" accepts no machine until you list yours.
instances = "<instances>"
` + fields + `
# Registers by number: "release", "configuration", "zero", "any" or a list of hex
# of 48 bytes. 0 (or 1 and 2) says whose code runs: never "any" for real data.
# 8 is the image's signer, and alone accepts every image ever signed
# (specs/nitro.md 4.4, step 9).
[<table>.pcrs]
0 = "<image>"
1 = "<image>"
2 = "<image>"
3 = "any"  # IAM role of the parent: list it to accept one account's role only
4 = "<parent>"  # "instance": the parent that the document names
8 = "any"
16 = "<own>"  # the Safebox's configuration (specs/protocol.md, section 3)
17 = "<keys>"  # "absent": no keys have arrived since the start
rest = "<rest>"  # the others: "unused" (zero, or not in the document) or "any"
`

const tpmSection = `
[<table>]  # AWS instances with a NitroTPM` + common + `# Instances: a list of IDs such as "i-0123456789abcdef0", "any", or "none". Any
# user with root on any instance can ask for a document; nothing else tells your
# machines from a stranger's that was broken (specs/verify.md 7.2). "none" accepts
# no machine until you list yours.
instances = "<instances>"
` + fields + `
# Registers by number: "release", "configuration", "zero", "any" or a list of hex
# of 48 bytes, in the SHA-384 bank (specs/nitro.md 7 and 7.1).
[<table>.pcrs]
0 = "any"  # AWS's firmware, which is not published
1 = "any"  # AWS's, and seen to change within ten months
2 = <separator>  # no option ROM: the separator alone, as in a real document
3 = <separator>
4 = "<image>"  # what was booted
5 = "any"  # the partition table
6 = <separator>
7 = "<image>"  # Secure Boot variables
8 = "<overrides>"
9 = "<image>"
10 = "any"  # a kernel's IMA log, where it has one
11 = "<image>"  # sections of the unified kernel image
12 = "<overrides>"  # command lines and credentials that override the image's: must be "zero"
13 = "<overrides>"
14 = "<overrides>"
15 = "<own>"  # the Safebox's configuration (specs/protocol.md, section 3)
rest = "<rest>"  # 16 to 23: "unused" (zero; 17 to 22 all ff) or "any"
`
