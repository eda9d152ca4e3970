package tdxpolicy

import "fmt"

// choices are what differs between the profiles.
type choices struct {
	quotes, evalNumber, status, advisories, configurationBy, outOfDate, relaunch string
	attributes, owner, chips                                                     string
	configID, release, rtmr3, eventLog, reportData                               string
}

// Section writes the commented table [tdx] of a profile: strict, cloud or test.
// Of any other name it gives nothing.
func Section(profile string) string {
	c := choices{
		quotes: `["v4", "v5/1.0", "v5/1.5"]`, evalNumber: "20", status: `["UpToDate"]`, advisories: `"none"`,
		configurationBy: "nobody", outOfDate: Refuse, relaunch: Refuse,
		attributes: `["0000001000000000"]`, owner: Zero, chips: "none",
		configID: Configuration, release: Release, rtmr3: Zero, eventLog: Required, reportData: Transcript,
	}
	switch profile {
	case strict:
	case cloud:
		c.chips, c.rtmr3 = Any, Runtime
	case test:
		c.evalNumber, c.advisories, c.configurationBy = "17", `"any"`, "this policy, for tests"
		c.status = `["UpToDate", "SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded",
          "OutOfDate", "OutOfDateConfigurationNeeded"]`
		c.outOfDate, c.relaunch = Any, Accept
		c.attributes = `["0000001000000000", "0000004000000000", "0000000000000000"]`
		c.owner, c.chips = Any, Any
		c.configID, c.release, c.rtmr3, c.eventLog, c.reportData = Any, Any, Any, Any, Any
	default:
		return ""
	}
	return fmt.Sprintf(template,
		c.quotes, c.evalNumber, c.status, c.advisories, c.configurationBy, c.outOfDate, c.relaunch,
		c.attributes, c.configID, c.owner, c.owner, c.chips,
		c.release, c.release, c.release, c.release, c.rtmr3, c.eventLog, c.reportData)
}

const template = `[tdx]
# What a quote of an Intel TDX guest must show.

# Layouts of quotes: version 4, version 5 with a body of TDX 1.0 or of TDX 1.5.
# Only "v5/1.5" shows service TDs and what the TDX module was updated to.
quotes = %s

# Intel publishes TCB documents in two series, "standard" and "early". The
# documents do not say which one they are of; it names the entry of the rollback
# memory.
series = "standard"

# The least tcbEvaluationDataNumber of TCB info and QE identity. 20 holds
# INTEL-SA-01397 of 2026-02-10, the joint review of TDX 1.5 (CVE-2025-30513,
# -31944, -32007, -27940, -32467, -27572; specs/verify.md 7.7 and 8). Older
# documents may still be in their 30 days and hide a TCB recovery. Raise it with
# each recovery.
eval_number_min = %s

# TCB statuses that are accepted. Revoked, and a platform that no level of
# Intel's matches, never are. SWHardeningNeeded wants the advisories that you
# have looked at; ConfigurationNeeded wants a name in configuration_by;
# OutOfDate wants a dated waiver in out_of_date.
status = %s

# Intel's advisories that may apply to the platform: "none", or a list such as
# ["INTEL-SA-00837"].
advisories = %s

# Who decided that platforms which need configuration are accepted.
configuration_by = "%s"

# For how long OutOfDate is accepted: "refuse", or a waiver of at most 15 days
# after the TCB recovery event:
#   out_of_date = [{ by = "name", recovery = 2026-08-11, until = 2026-08-26, oldest = 2025-05-14 }]
# "oldest" is the tcbDate of the oldest level that is still accepted.
out_of_date = "%s"

# A TDX 1.5 guest that was launched under a TDX module that is out of date now,
# and was kept through the module's update: Intel advises to launch it again.
relaunch_advised = "%s"

# TD attributes, all 8 bytes as they stand in the quote. 0000001000000000 is
# SEPT_VE_DISABLE alone. Debug (bits 0 to 7) and MIGRATABLE (bit 29) are refused
# in every profile. Guests of Azure have all zero: its paravisor handles #VE.
td_attributes = %s

# Extended features: what must be on, and what may be on. 0x6DBE7 is what TDX
# modules allow (specs/verify.md 8; all quotes of the vectors are within it);
# narrow it to what your image uses. 8 bytes as they stand in the quote.
xfam_required = "0300000000000000"
xfam_allowed = "e7db060000000000"

# TDX module: "identity" is what Intel's TCB info signs, or a list of digests.
mrseam = "identity"

# Bound service TDs, such as one for migration: none, in every profile.
mrservicetd = "zero"

# Digests that the host sets at launch. "configuration" is SHA-384 of the
# configuration document.
mrconfigid = "%s"
mrowner = "%s"
mrownerconfig = "%s"

# Machines, by the platform instance ID or the provisioning ID in their PCK
# certificate: "none" refuses every machine until you list yours, such as
#   chips = ["piid:07828474603e7019dc930775ffe8cdd2"]
# It is the one answer to evidence that is relayed from another, broken machine
# (memory-bus interposers: Battering RAM, WireTap, TEE.fail, DDRop).
# safebox inspect QUOTE shows both. Certificates of Intel's Processor CA have a
# provisioning ID alone.
chips = "%s"

# What Intel's certificate says of the machine: simultaneous multithreading,
# platform keys kept at Intel, processor packages that may be exchanged. Intel
# sells no TDX machine without the first; its weaknesses are in the TCB status.
smt = "any"
cached_keys = "any"
dynamic_platform = "any"

# Measurements: the firmware (MRTD), its configuration (RTMR0), the kernel
# (RTMR1), the command line and initrd (RTMR2). "release" is what the release
# says of them.
mrtd = "%s"
rtmr0 = "%s"
rtmr1 = "%s"
rtmr2 = "%s"

# What the guest itself measures while it runs: "zero" is a fresh one, "runtime"
# the replay of the log that comes with the evidence.
rtmr3 = "%s"

# The firmware's event log (CCEL), which must replay to RTMR0, 1 and 2.
# "any" accepts evidence without one; a log that is there must replay always.
event_log = "%s"

# What binds the quote to the challenge: all 64 bytes.
report_data = "%s"
`
