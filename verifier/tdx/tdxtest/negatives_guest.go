package tdxtest

import (
	"fmt"
	"testing"

	"safebox/verifier/policy/tdxpolicy"
	"safebox/verifier/tdx"
)

func guestNegatives() []negative {
	body := func(change func(b *tdx.Body)) func(testing.TB, *Evidence) {
		return func(_ testing.TB, e *Evidence) { change(&e.Quote.Body) }
	}
	set := func(a tdx.Attributes) func(testing.TB, *Evidence) {
		return body(func(b *tdx.Body) { b.TDAttributes |= a })
	}
	all := []negative{
		{id: "TDX-A1", name: "without SEPT_VE_DISABLE", change: body(func(b *tdx.Body) { b.TDAttributes = 0 })},
		{id: "TDX-A1", name: "debug", change: set(tdx.Debug)},
		{id: "TDX-A1", name: "migratable", change: set(tdx.Migratable)},
		{id: "TDX-A1", name: "PKS", change: set(tdx.PKS)},
		{id: "TDX-A1", name: "key locker", change: set(tdx.KeyLocker)},
		{id: "TDX-A1", name: "PERFMON", form: tdx.V5Body15, change: set(tdx.PerfMon)},
		{id: "TDX-A1", name: "debug, which the policy lists", change: set(tdx.Debug), after: listed(tdx.SEPTVEDisable | tdx.Debug)},
		{id: "TDX-A1", name: "bit 7, which the policy lists", change: set(1 << 7), after: listed(tdx.SEPTVEDisable | 1<<7)},
		{id: "TDX-A1", name: "migratable, which the policy lists", change: set(tdx.Migratable), after: listed(tdx.SEPTVEDisable | tdx.Migratable)},
		{id: "TDX-A1", name: "policy without attributes", after: func(_ testing.TB, in *tdx.Input) { in.Policy.TDAttributes = nil }},
		{id: "TDX-A2", name: "without SSE", change: body(func(b *tdx.Body) { b.XFAM &^= 2 })},
		{id: "TDX-A2", name: "APX", change: body(func(b *tdx.Body) { b.XFAM |= 1 << 19 })},
		{id: "TDX-A2", name: "bit 63", form: tdx.V5Body15, change: body(func(b *tdx.Body) { b.XFAM |= 1 << 63 })},
		{id: "TDX-A2", name: "AMX, which the policy does not allow", change: func(t testing.TB, e *Evidence) { e.Set(t, "xfam_allowed", `"e7db000000000000"`) }},
		{id: "TDX-A2", name: "policy without required features", after: func(_ testing.TB, in *tdx.Input) { in.Policy.XFAMRequired = 0 }},
		{id: "TDX-A3", name: "module that is not listed", change: func(t testing.TB, e *Evidence) { e.Set(t, "mrseam", fmt.Sprintf(`["%x"]`, filled(0xa0))) }},
		{id: "TDX-A3", name: "policy without an opinion on the module", after: func(_ testing.TB, in *tdx.Input) { in.Policy.MRSEAM = tdxpolicy.Value{} }},
		{id: "TDX-A3", name: "policy with another word", after: func(_ testing.TB, in *tdx.Input) { in.Policy.MRSEAM.Word = "fine" }},
		{id: "TDX-A4", name: "service TD bound", form: tdx.V5Body15, change: body(func(b *tdx.Body) { b.MRServiceTD[47] = 1 })},
		{id: "TDX-A4", name: "policy without an opinion", form: tdx.V5Body15, after: func(_ testing.TB, in *tdx.Input) { in.Policy.MRServiceTD.Word = "" }},
		{id: "TDX-A4", name: "policy without an opinion, body that does not tell", after: func(_ testing.TB, in *tdx.Input) { in.Policy.MRServiceTD.Word = tdxpolicy.Any }},
		{id: "TDX-A5", name: "another configuration", change: body(func(b *tdx.Body) { b.MRConfigID[47] ^= 1 })},
		{id: "TDX-A5", name: "configuration that nobody gave", change: func(_ testing.TB, e *Evidence) { e.Expected.ConfigID = nil }},
		{id: "TDX-A5", name: "configuration where the policy wants none", change: func(t testing.TB, e *Evidence) { e.Set(t, "mrconfigid", `"zero"`) }},
		{id: "TDX-A5", name: "MROWNER", change: body(func(b *tdx.Body) { b.MROwner[0] = 1 })},
		{id: "TDX-A5", name: "MROWNERCONFIG", change: body(func(b *tdx.Body) { b.MROwnerConfig[47] = 1 })},
		{id: "TDX-A5", name: "MROWNER that is not listed", change: func(t testing.TB, e *Evidence) { e.Set(t, "mrowner", fmt.Sprintf(`["%x"]`, filled(1))) }},
	}
	return append(all, missingExpectations()...)
}

// listed makes a policy accept attributes, as no file could.
func listed(a tdx.Attributes) func(testing.TB, *tdx.Input) {
	return func(_ testing.TB, in *tdx.Input) { in.Policy.TDAttributes = append(in.Policy.TDAttributes, uint64(a)) }
}

// missingExpectations are policies that say nothing about a field.
func missingExpectations() []negative {
	var all []negative
	for _, f := range []struct {
		id, name string
		value    func(p *tdxpolicy.Policy) *tdxpolicy.Value
	}{
		{"TDX-A5", "MRCONFIGID", func(p *tdxpolicy.Policy) *tdxpolicy.Value { return &p.MRConfigID }},
		{"TDX-A5", "MROWNER", func(p *tdxpolicy.Policy) *tdxpolicy.Value { return &p.MROwner }},
		{"TDX-A5", "MROWNERCONFIG", func(p *tdxpolicy.Policy) *tdxpolicy.Value { return &p.MROwnerConfig }},
		{"TDX-M1", "MRTD", func(p *tdxpolicy.Policy) *tdxpolicy.Value { return &p.MRTD }},
		{"TDX-M2", "RTMR0", func(p *tdxpolicy.Policy) *tdxpolicy.Value { return &p.RTMR[0] }},
		{"TDX-M2", "RTMR1", func(p *tdxpolicy.Policy) *tdxpolicy.Value { return &p.RTMR[1] }},
		{"TDX-M2", "RTMR2", func(p *tdxpolicy.Policy) *tdxpolicy.Value { return &p.RTMR[2] }},
		{"TDX-M2", "RTMR3", func(p *tdxpolicy.Policy) *tdxpolicy.Value { return &p.RTMR[3] }},
		{"TDX-D1", "REPORTDATA", func(p *tdxpolicy.Policy) *tdxpolicy.Value { return &p.ReportData }},
	} {
		all = append(all, negative{id: f.id, name: "policy without an opinion on " + f.name, after: func(_ testing.TB, in *tdx.Input) {
			*f.value(in.Policy) = tdxpolicy.Value{}
		}})
	}
	return all
}
