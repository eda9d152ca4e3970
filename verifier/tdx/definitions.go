package tdx

import "safebox/verifier/check"

// Definitions lists the checks in the order of specs/verify.md, table 2.2.
func Definitions() []check.Definition {
	list := append(quoteDefinitions(), statusDefinitions()...)
	return append(list, guestDefinitions()...)
}

const refetch = "fetch Intel's collateral again and give it with the quote"

func quoteDefinitions() []check.Definition {
	return []check.Definition{
		check.Define(
			"TDX-F1", "quote is of a TD and well formed", "verify.md 2.1, 2.2 TDX-F1; format-policy.md: tdx.quotes",
			"give the quote as the guest got it, of a TDX guest, not of an SGX enclave; only zeros may follow it",
		),
		check.Define(
			"TDX-F2", "quoting enclave is Intel's by its vendor ID", "verify.md 2.2 TDX-F2",
			"the quote was made by another vendor's quoting enclave, which nobody here vouches for",
		),
		check.Define(
			"TDX-C1", "PCK certificate leads to Intel SGX Root CA", "verify.md 2.2 TDX-C1",
			"the machine's certificate is not Intel's, or not valid at this time: check the time of the verdict and the machine's registration with Intel",
		),
		check.Define(
			"TDX-C2", "no certificate is revoked", "verify.md 2.2 TDX-C2, 5.2",
			refetch+": the PCK CRL and the root CA CRL, both of today; a revoked machine must not be used",
		),
		check.Define(
			"TDX-C3", "TCB info and QE identity are genuine and of today", "verify.md 2.2 TDX-C3, 5.2",
			refetch+": TCB info, QE identity and their issuer chain, unchanged to the byte",
		),
		check.Define(
			"TDX-C4", "TCB documents are new enough and of one series", "verify.md 2.2 TDX-C4; format-policy.md: tdx.eval_number_min, tdx.series",
			refetch+", both documents from the same series: these are from before a TCB recovery",
		),
		check.Define(
			"TDX-Q1", "quote is signed by the platform", "verify.md 2.2 TDX-Q1",
			"the quote was changed after it was made, or was put together of two",
		),
		check.Define(
			"TDX-Q2", "quoting enclave is the one that Intel describes", "verify.md 2.2 TDX-Q2",
			"update the quoting enclave (DCAP packages) on the machine; if it is current "+refetch,
		),
	}
}

func statusDefinitions() []check.Definition {
	return []check.Definition{
		check.Define(
			"TDX-T1", "TCB info is of this platform and knows its TDX module", "verify.md 2.2 TDX-T1",
			"fetch the TCB info of the FMSPC that is named; a module that it does not know is newer than it or not Intel's",
		),
		check.Define(
			"TDX-T2", "platform has reached a TCB level", "verify.md 2.2 TDX-T2",
			"the machine's firmware or microcode is older than anything that Intel vouches for, or its PCK certificate is: update what is named and get a new certificate",
		),
		check.Define(
			"TDX-T3", "TDX module has reached a TCB level", "verify.md 2.2 TDX-T3",
			"update the TDX module on the machine and launch the guest again",
		),
		check.Define(
			"TDX-T4", "TCB status is accepted", "verify.md 2.2 TDX-T4, converge rule; format-policy.md: tdx.status, tdx.advisories, tdx.out_of_date",
			"update on the machine what is named as too low, get a new PCK certificate, launch the guest again; or accept the status in the policy, by name and date",
		),
		check.Define(
			"TDX-T5", "guest need not be launched again", "verify.md 2.2 TDX-T5; format-policy.md: tdx.relaunch_advised",
			"launch the guest again: the TDX module that launched it is not the one of now",
		),
	}
}

func guestDefinitions() []check.Definition {
	return []check.Definition{
		check.Define(
			"TDX-A1", "TD attributes are accepted, no debug", "verify.md 2.2 TDX-A1; format-policy.md: tdx.td_attributes",
			"launch the guest without debug, with SEPT_VE_DISABLE and without what the policy does not list",
		),
		check.Define(
			"TDX-A2", "extended features are accepted", "verify.md 2.2 TDX-A2; format-policy.md: tdx.xfam_required, tdx.xfam_allowed",
			"launch the guest with a CPU model that has these features alone, or allow them in the policy",
		),
		check.Define(
			"TDX-A3", "TDX module is accepted", "verify.md 2.2 TDX-A3; format-policy.md: tdx.mrseam",
			"add the module's digest, or say \"identity\" to take what Intel signs",
		),
		check.Define(
			"TDX-A4", "no service TD is bound", "verify.md 2.2 TDX-A4; format-policy.md: tdx.mrservicetd",
			"launch the guest without a migration TD: it could move the guest's memory elsewhere",
		),
		check.Define(
			"TDX-A5", "configuration and owner are the expected ones", "verify.md 2.2 TDX-A5; format-policy.md: tdx.mrconfigid, tdx.mrowner, tdx.mrownerconfig",
			"launch the guest with the configuration document that the evidence carries",
		),
		check.Define(
			"TDX-A6", "machine is one of the policy's", "verify.md 2.2 TDX-A6, 7.2; format-policy.md: tdx.chips, tdx.smt, tdx.cached_keys, tdx.dynamic_platform",
			"add the machine to tdx.chips only if it stands where you think it stands: the quote may be relayed from elsewhere",
		),
		check.Define(
			"TDX-M1", "firmware is the expected one (MRTD)", "verify.md 2.2 TDX-M1; format-policy.md: tdx.mrtd",
			"launch with the release's firmware: safebox explain tells what differs",
		),
		check.Define(
			"TDX-M2", "run-time registers are the expected ones, and the logs explain them", "verify.md 2.2 TDX-M2; format-policy.md: tdx.rtmr0 to tdx.rtmr3, tdx.event_log",
			"launch with the release's kernel, command line and initrd, and send the guest's own event logs: safebox explain tells what differs",
		),
		check.Define(
			"TDX-D1", "quote answers this challenge", "verify.md 2.2 TDX-D1; protocol.md 2; format-policy.md: tdx.report_data",
			"ask the guest for a new quote: this one was made for another challenge, key or release",
		),
	}
}
