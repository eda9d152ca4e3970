package tdxtest

import (
	"testing"

	"safebox/verifier/policy/tdxpolicy"
	"safebox/verifier/tdx"
	"safebox/verifier/tdx/pcs/pcstest"
)

func levelNegatives() []negative {
	return []negative{
		{id: "TDX-T1", name: "TCB info of another FMSPC", change: func(_ testing.TB, e *Evidence) { e.Info.FMSPC = "90C06F000001" }},
		{id: "TDX-T1", name: "TCB info of another PCEID", change: func(_ testing.TB, e *Evidence) { e.Info.PCEID = "0001" }},
		{id: "TDX-T1", name: "TDX module of a version that the TCB info does not know", change: quote(func(q *tdx.Quote) { q.Body.TEETCBSVN[1] = 9 })},
		{id: "TDX-T1", name: "TDX module of another signer", change: quote(func(q *tdx.Quote) { q.Body.MRSignerSEAM[47] = 1 })},
		{id: "TDX-T1", name: "debug TDX module", change: quote(func(q *tdx.Quote) { q.Body.SEAMAttributes[0] = 1 })},
		{id: "TDX-T1", name: "signer of the matched module, not of the base", change: func(_ testing.TB, e *Evidence) {
			e.Info.Modules[1].MRSigner = "01" + e.Info.Modules[1].MRSigner[2:]
		}},
		{id: "TDX-T2", name: "SGX component below every level", change: func(_ testing.TB, e *Evidence) { e.Extension.SetComponent(7, 4) }},
		{id: "TDX-T2", name: "PCESVN below every level", change: func(_ testing.TB, e *Evidence) { e.Extension.PCESVN = 4 }},
		{id: "TDX-T2", name: "TDX component below every level", change: quote(func(q *tdx.Quote) { q.Body.TEETCBSVN[2] = 1 })},
		{id: "TDX-T2", name: "module of TDX 1.0 below every level", change: func(_ testing.TB, e *Evidence) {
			e.Quote.Body.TEETCBSVN = [16]byte{4, 0, 2}
		}},
		{id: "TDX-T3", name: "TDX module below every level", change: quote(func(q *tdx.Quote) { q.Body.TEETCBSVN[0] = 3 })},
		{id: "TDX-T3", name: "TDX module below the levels of its version, not of an older one", change: quote(func(q *tdx.Quote) {
			q.Body.TEETCBSVN = [16]byte{2, 3, 2}
		})},
		{id: "TDX-T3", name: "newer version of the TDX module with the lowest SVN", form: tdx.V5Body15, change: func(_ testing.TB, e *Evidence) {
			e.Quote.Body.TEETCBSVN, e.Quote.Body.TEETCBSVN2 = [16]byte{0, 3, 2}, [16]byte{0, 3, 2}
		}},
	}
}

func statusNegatives() []negative {
	return []negative{
		{id: "TDX-T4", name: "platform OutOfDate", change: func(_ testing.TB, e *Evidence) { e.Extension.PCESVN = 12 }},
		{id: "TDX-T4", name: "platform OutOfDate under a TDX module that is UpToDate", form: tdx.V5Body15, change: func(_ testing.TB, e *Evidence) {
			e.best().Status = "OutOfDate"
		}},
		{id: "TDX-T4", name: "platform Revoked under a TDX module that is UpToDate", change: func(_ testing.TB, e *Evidence) { e.best().Status = "Revoked" }},
		{id: "TDX-T4", name: "TDX module OutOfDate", change: func(_ testing.TB, e *Evidence) { e.Quote.Body.TEETCBSVN[0] = 6 }},
		{id: "TDX-T4", name: "TDX module Revoked", form: tdx.V5Body15, change: func(_ testing.TB, e *Evidence) { e.Info.Modules[1].Levels[0].Status = "Revoked" }},
		{id: "TDX-T4", name: "quoting enclave OutOfDate", change: func(_ testing.TB, e *Evidence) { e.Quote.Data.Report.ISVSVN = 3 }},
		{id: "TDX-T4", name: "quoting enclave Revoked", change: func(_ testing.TB, e *Evidence) { e.Identity.Levels[0].Status = "Revoked" }},
		{id: "TDX-T4", name: "SWHardeningNeeded", change: func(_ testing.TB, e *Evidence) { e.best().Status = "SWHardeningNeeded" }},
		{id: "TDX-T4", name: "ConfigurationNeeded", change: func(_ testing.TB, e *Evidence) { e.best().Status = "ConfigurationNeeded" }},
		{id: "TDX-T4", name: "ConfigurationAndSWHardeningNeeded", change: func(_ testing.TB, e *Evidence) { e.best().Status = "ConfigurationAndSWHardeningNeeded" }},
		{id: "TDX-T4", name: "UpToDate with an advisory", change: func(_ testing.TB, e *Evidence) { e.best().Advisories = []string{"INTEL-SA-00615"} }},
		{id: "TDX-T4", name: "advisory of the TDX module", change: func(_ testing.TB, e *Evidence) {
			e.Info.Modules[1].Levels[0].Advisories = []string{"INTEL-SA-01397"}
		}},
		{id: "TDX-T4", name: "advisory of the quoting enclave", change: func(_ testing.TB, e *Evidence) { e.Identity.Levels[0].Advisories = []string{"INTEL-SA-00837"} }},
		{id: "TDX-T4", name: "SWHardeningNeeded with an advisory besides the accepted one", change: func(t testing.TB, e *Evidence) {
			e.best().Status, e.best().Advisories = "SWHardeningNeeded", []string{"INTEL-SA-00615", "INTEL-SA-00828"}
			e.Set(t, "status", `["UpToDate", "SWHardeningNeeded"]`)
			e.Set(t, "advisories", `["INTEL-SA-00615"]`)
		}},
		{id: "TDX-T4", name: "ConfigurationNeeded, which nobody accepts", change: func(_ testing.TB, e *Evidence) { e.best().Status = "ConfigurationNeeded" }, after: func(_ testing.TB, in *tdx.Input) {
			in.Policy.Status = append(in.Policy.Status, "ConfigurationNeeded")
		}},
		{id: "TDX-T4", name: "Revoked in the policy's list", change: func(_ testing.TB, e *Evidence) { e.best().Status = "Revoked" }, after: func(_ testing.TB, in *tdx.Input) {
			in.Policy.Status = append(in.Policy.Status, "Revoked")
		}},
		{id: "TDX-T4", name: "policy without statuses", after: func(_ testing.TB, in *tdx.Input) { in.Policy.Status = nil }},
	}
}

func waiverNegatives() []negative {
	return []negative{
		{id: "TDX-T4", name: "OutOfDate in the list without a waiver", change: func(t testing.TB, e *Evidence) { e.outOfDate(t) }, after: func(_ testing.TB, in *tdx.Input) {
			in.Policy.Status = append(in.Policy.Status, "OutOfDate")
		}},
		{id: "TDX-T4", name: "waiver that ended yesterday", change: func(t testing.TB, e *Evidence) {
			e.outOfDate(t)
			e.waive(t, "2026-10-17", "2026-10-31", "2026-05-12")
		}},
		{id: "TDX-T4", name: "waiver for the recovery of tomorrow", change: func(t testing.TB, e *Evidence) {
			e.outOfDate(t)
			e.waive(t, "2026-11-02", "2026-11-17", "2026-05-12")
		}},
		{id: "TDX-T4", name: "level a day older than the waiver reaches back", change: func(t testing.TB, e *Evidence) {
			e.outOfDate(t)
			e.waive(t, "2026-10-17", "2026-11-01", "2026-05-13")
		}},
		{id: "TDX-T4", name: "advisory that the waiver does not name", change: func(t testing.TB, e *Evidence) {
			e.outOfDate(t)
			e.waive(t, "2026-10-17", "2026-11-01", "2026-05-12")
			e.Set(t, "advisories", `"none"`)
		}},
		{id: "TDX-T4", name: "waiver together with grace", change: func(t testing.TB, e *Evidence) {
			e.outOfDate(t)
			e.waive(t, "2026-10-17", "2026-11-01", "2026-05-12")
			e.Templates.PCKCRL.NextUpdate = At().Add(-1e9)
			e.Rules.Grace = 3600e9
		}},
		{id: "TDX-T4", name: "Revoked under a waiver", change: func(t testing.TB, e *Evidence) {
			e.outOfDate(t)
			e.waive(t, "2026-10-17", "2026-11-01", "2026-05-12")
			e.Info.Modules[1].Levels[1].Status = "Revoked"
		}},
		{id: "TDX-T4", name: "waiver of OutOfDate for one that needs configuration too", change: func(t testing.TB, e *Evidence) {
			e.outOfDate(t)
			e.waive(t, "2026-10-17", "2026-11-01", "2026-05-12")
			e.best().Status = "ConfigurationNeeded"
		}},
		{id: "TDX-T4", name: "OutOfDateConfigurationNeeded, which nobody accepts", change: func(t testing.TB, e *Evidence) {
			e.outOfDate(t)
			e.waive(t, "2026-10-17", "2026-11-01", "2026-05-12")
			e.best().Status = "ConfigurationNeeded"
		}, after: func(_ testing.TB, in *tdx.Input) {
			in.Policy.Status = append(in.Policy.Status, "OutOfDateConfigurationNeeded")
		}},
	}
}

func relaunchNegatives() []negative {
	return []negative{
		{id: "TDX-T5", name: "relaunch advised, OutOfDate waived", form: tdx.V5Body15, change: func(t testing.TB, e *Evidence) {
			e.outOfDate(t)
			e.waive(t, "2026-10-17", "2026-11-01", "2026-05-12")
			e.Quote.Body.TEETCBSVN2[0] = 7
		}},
		{id: "TDX-T5", name: "module of now older than at launch", form: tdx.V5Body15, change: func(_ testing.TB, e *Evidence) {
			e.Quote.Body.TEETCBSVN[0], e.Quote.Body.TEETCBSVN2[0] = 8, 7
		}},
		{id: "TDX-T5", name: "module of now of an older version", form: tdx.V5Body15, change: func(_ testing.TB, e *Evidence) {
			e.Quote.Body.TEETCBSVN2 = [16]byte{7, 0, 2}
		}},
		{id: "TDX-T5", name: "module of now of an unknown version", form: tdx.V5Body15, change: quote(func(q *tdx.Quote) { q.Body.TEETCBSVN2[1] = 9 })},
		{id: "TDX-T5", name: "module of now below every level", form: tdx.V5Body15, change: quote(func(q *tdx.Quote) { q.Body.TEETCBSVN2 = [16]byte{2, 3, 2} })},
		{id: "TDX-T5", name: "module of now OutOfDate", form: tdx.V5Body15, change: func(_ testing.TB, e *Evidence) {
			e.Quote.Body.TEETCBSVN2 = [16]byte{2, 3, 2}
			e.Info.Modules[0].Levels = append(e.Info.Modules[0].Levels, pcstest.SVNLevel{ISVSVN: 1, Date: "2024-03-13T00:00:00Z", Status: "OutOfDate"})
		}},
		{id: "TDX-T5", name: "what loads the module of now below every level", form: tdx.V5Body15, change: quote(func(q *tdx.Quote) { q.Body.TEETCBSVN2[2] = 1 })},
		{id: "TDX-T5", name: "relaunch advised, policy without an opinion", form: tdx.V5Body15, change: func(t testing.TB, e *Evidence) {
			e.outOfDate(t)
			e.waive(t, "2026-10-17", "2026-11-01", "2026-05-12")
			e.Quote.Body.TEETCBSVN2[0] = 7
		}, after: func(_ testing.TB, in *tdx.Input) { in.Policy.RelaunchAdvised = "" }},
	}
}

func machineNegatives() []negative {
	none := func(t testing.TB, e *Evidence) { e.Set(t, "chips", `"none"`) }
	off := func(key string) func(testing.TB, *Evidence) {
		return func(t testing.TB, e *Evidence) { e.Set(t, key, `"off"`) }
	}
	return []negative{
		{id: "TDX-A6", name: "machine that is not listed", change: func(_ testing.TB, e *Evidence) { e.Extension.PIID = []byte("other instance ID")[:16] }},
		{id: "TDX-A6", name: "no machine listed", change: none},
		{id: "TDX-A6", name: "instance ID listed as that of a processor", change: func(t testing.TB, e *Evidence) {
			e.Set(t, "chips", `["ppid:7465737420696e7374616e6365204944"]`) // "test instance ID"
		}},
		{id: "TDX-A6", name: "processor ID listed as that of a platform", change: func(t testing.TB, e *Evidence) {
			e.Set(t, "chips", `["piid:7465737420706c6174666f726d204944"]`) // "test platform ID"
		}},
		{id: "TDX-A6", name: "processor that is not listed", change: func(t testing.TB, e *Evidence) {
			e.UseProcessorCA(t)
			e.Extension.PPID = []byte("other platform ID")[:16]
		}},
		{id: "TDX-A6", name: "zero instance ID listed, certificate without one", change: func(t testing.TB, e *Evidence) {
			e.UseProcessorCA(t)
			e.Set(t, "chips", `["piid:00000000000000000000000000000000"]`)
		}},
		{id: "TDX-A6", name: "SMT on", change: off("smt")},
		{id: "TDX-A6", name: "keys kept at Intel", change: off("cached_keys")},
		{id: "TDX-A6", name: "packages may be exchanged", change: off("dynamic_platform")},
		{id: "TDX-A6", name: "certificate does not tell of SMT", change: func(t testing.TB, e *Evidence) {
			e.UseProcessorCA(t)
			e.Set(t, "smt", `"off"`)
		}},
		{id: "TDX-A6", name: "policy without an opinion on SMT", after: func(_ testing.TB, in *tdx.Input) { in.Policy.SMT = "" }},
		{id: "TDX-A6", name: "policy without machines", after: func(_ testing.TB, in *tdx.Input) { in.Policy.Chips = []tdxpolicy.Chip{} }},
	}
}
