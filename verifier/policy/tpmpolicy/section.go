package tpmpolicy

import (
	"fmt"
	"strings"
)

// values are what differs between the profiles.
type values struct {
	about      string
	keys       string
	roots      string
	usage      string
	crl        string
	production string
	extraData  string
	clock      string
	restarts   string
	log        string
	explained  string
	events     string
	digests    string
	secureBoot string
	registers  string
}

// allButIMA are the registers that firmware and boot loaders extend, or that
// keep their reset value: all but 10, which the kernel's IMA extends later.
const allButIMA = "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]"

// firmwareOnly are the registers of the firmware's own log.
const firmwareOnly = "[0, 1, 2, 3, 4, 5, 6, 7]"

func profileValues(profile string) values {
	v := values{
		about: "Raw evidence of a TPM, of a machine whose host you do not trust: the key must be\n# bound to the processor's own report.",
		keys:  `["hardware"]`, roots: "roots = \"none\"\n", usage: UsageAIK, crl: Required, production: Required,
		extraData: Transcript, clock: "safe", restarts: "0", log: Required, explained: allButIMA,
		events: Appliance, digests: Required, secureBoot: Off, registers: Release,
	}
	switch profile {
	case strict:
		return v
	case cloud:
		v.about += " Azure gives no event log: its registers are compared with the\n# release's values and nothing else explains them."
		v.usage, v.log, v.events = UsageSignature, Any, Any
		return v
	}
	return values{
		about: "FOR TESTS ONLY: real evidence of Google's and Microsoft's machines, of any software,\n# at the time when it was made.",
		keys:  `["hardware", "certificate"]`, roots: googleRoots, usage: UsageSignature, crl: Any, production: Required,
		extraData: Any, clock: "safe", restarts: `"any"`, log: Any, explained: firmwareOnly,
		events: Any, digests: Any, secureBoot: Any, registers: Any,
	}
}

// Section writes the commented table for a profile: strict, cloud, or test for
// any other name.
func Section(profile string) string {
	v := profileValues(profile)
	var b strings.Builder
	tables := ""
	roots := v.roots
	if strings.HasPrefix(roots, "[[") { // tables come after the keys
		roots, tables = "", "\n"+roots
	}
	fmt.Fprintf(&b, template, v.about, v.keys, roots, v.usage, v.crl, v.production, v.extraData, v.clock, v.restarts,
		v.log, v.explained, v.events, v.digests, v.secureBoot, v.registers, tables)
	return b.String()
}

// googleRoots are the two roots that Google published for the vTPMs of Compute
// Engine, by the SHA-256 of their DER: tpm_ek_root_1.cer (pki.goog,
// cloud_integrity) and gcp_ek_ak_ca_root.crt, as google/go-tpm-tools ships them
// in server/ca-certs at 67670e5.
const googleRoots = `[[vtpm.quote.roots]]
subject = "CN=tpm_ek_v1_cloud_host_root-signer-0-2018-04-06T10:58:26-07:00 K:1\\, 1:Pw003HsFYO4:0:18,OU=Cloud,O=Google LLC,L=Mountain View,ST=California,C=US"
sha256 = "9bd5285f8fb18502a7947e621ffd470266f49fcd3b73e19a190f690ad32a7caf"

[[vtpm.quote.roots]]
subject = "CN=EK/AK CA Root,OU=Google Cloud,O=Google LLC,L=Mountain View,ST=California,C=US"
sha256 = "594759594b9b61524f6c8ef668f7177f7b9066bc0674f2f49fe9e052be78beb2"
`

const template = `[vtpm.quote]
# %s

# Why an attestation key is believed; one ground is enough. "hardware": a report
# of SEV-SNP or TDX binds it (Azure). That report is of the paravisor with the TPM
# in it, so its measurement must be listed in the table of the processor: whoever
# runs another guest can bind any key. "certificate": a certificate under one of
# roots (Google Compute Engine): the TPM is then the provider's software.
# "pinned": SHA-256 of its public area is in pins.
attestation_keys = %s
pins = "none"
%s# "aik": extended key usage tcg-kp-AIKCertificate. "signature": key usage
# digitalSignature and nothing else, which is all that Google's certificates
# state (2021: the usage of an endorsement key besides; 2024: none).
certificate_usage = "%s"
# A revocation list of every issuer in the chain but the root.
crl = "%s"
# Machines of Google Compute Engine, as [[vtpm.quote.instances]] with project,
# project_number, zone, name and id; each may be "any".
instances = "any"
# Google's mark of machines that are no test of its own.
production = "%s"

# The quote's extra data: "transcript", or a list in hex.
extra_data = "%s"
banks = ["sha256"]  # each must be quoted; SHA-1 is never counted
# Exactly these registers must be quoted.
pcrs = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]
clock = "%s"  # the TPM knows that its clock was never set back
resets = "any"   # least number of boots, as at enrolment
restarts = %s   # most resumes since the boot

# "any": there may be none. A log that is there must replay.
event_log = "%s"
# Registers that the log must explain. 10 is not the firmware's: the kernel's
# IMA extends it.
explained = %s
# "appliance": the closed list of events of an appliance.
events = "%s"
# The data of an event must be what its digest is of, where its type says so. The
# shim that Google's images of 2021 boot logs more than it hashed: "any".
digests = "%s"
# "off": no keys enrolled, the state of a release's machines. "on": enabled.
secure_boot = "%s"
# Values of PK, KEK, db and dbx, as [[vtpm.quote.variables]] with name and sha256
# (a list of SHA-256 of the value).
variables = "any"
# Values of registers: "release", or [[vtpm.quote.registers]] with index and
# values (a list in hex, of the first bank).
registers = "%s"
%s`
