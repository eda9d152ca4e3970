package tdxtest

import (
	"bytes"
	"crypto/sha512"
	"fmt"
	"testing"
	"time"

	"safebox/verifier/checktest"
	"safebox/verifier/endorse"
	"safebox/verifier/tdx"
	"safebox/verifier/tdx/pcs/pcstest"
	"safebox/verifier/verdict"
)

// Forms lists the forms of quotes.
func Forms() []tdx.Form { return []tdx.Form{tdx.V4, tdx.V5Body10, tdx.V5Body15} }

// Positives are evidence that passes: of every form and authority under the
// profile strict with a list of machines, then what a policy may accept besides.
func Positives() []checktest.Positive {
	var all []checktest.Positive
	add := func(name string, form tdx.Form, change func(t testing.TB, e *Evidence), after func(t testing.TB, in *tdx.Input)) {
		all = append(all, checktest.Positive{Name: name, Run: func(t testing.TB) *verdict.Verdict { return run(t, form, change, after) }})
	}
	for _, form := range Forms() {
		add("strict, "+form.String()+", Platform CA", form, nil, nil)
		add("strict, "+form.String()+", Processor CA", form, func(t testing.TB, e *Evidence) { e.UseProcessorCA(t) }, nil)
	}
	for _, p := range variants() {
		add(p.name, p.form, p.change, p.after)
	}
	return all
}

// run makes evidence, changes it and what was made of it, and verifies.
func run(t testing.TB, form tdx.Form, change func(testing.TB, *Evidence), after func(testing.TB, *tdx.Input)) *verdict.Verdict {
	t.Helper()
	e := New(t, form)
	if change != nil {
		change(t, e)
	}
	in := e.Input(t)
	if after != nil {
		after(t, &in)
	}
	return Verdict(in)
}

type variant struct {
	name   string
	form   tdx.Form
	change func(t testing.TB, e *Evidence)
	after  func(t testing.TB, in *tdx.Input)
}

func variants() []variant {
	return append([]variant{
		{name: "module of TDX 1.0", form: tdx.V4, change: func(_ testing.TB, e *Evidence) {
			e.Quote.Body.TEETCBSVN = [16]byte{5, 0, 2}
			e.Info.Modules = nil
		}},
		{name: "no padding, no NUL after the chain", form: tdx.V4, change: func(_ testing.TB, e *Evidence) { e.Quote.Padding = 0 }, after: edit(func(q *tdx.Quote) {
			q.Data.Chain = bytes.TrimSuffix(q.Data.Chain, []byte{0})
		})},
		{name: "module kept through an update", form: tdx.V5Body15, change: func(_ testing.TB, e *Evidence) { e.Quote.Body.TEETCBSVN2 = [16]byte{8, 1, 2} }},
		{name: "module by its digest", form: tdx.V4, change: func(t testing.TB, e *Evidence) {
			e.Set(t, "mrseam", fmt.Sprintf(`["%x"]`, e.Quote.Body.MRSEAM))
		}},
		{name: "one package, SMT and cached keys off", form: tdx.V4, change: func(t testing.TB, e *Evidence) {
			e.Extension.Dynamic, e.Extension.CachedKeys, e.Extension.SMT = false, false, false
			e.Set(t, "smt", `"off"`)
			e.Set(t, "cached_keys", `"off"`)
			e.Set(t, "dynamic_platform", `"off"`)
		}},
		{name: "runtime log", form: tdx.V5Body15, change: func(t testing.TB, e *Evidence) {
			e.Set(t, "rtmr3", `"runtime"`)
			e.UseRuntime(filled(0x31), filled(0x32))
		}},
		{name: "runtime log without events", form: tdx.V4, change: func(t testing.TB, e *Evidence) {
			e.Set(t, "rtmr3", `"runtime"`)
			e.UseRuntime()
		}},
		{name: "older list beside the newer", form: tdx.V4, after: func(_ testing.TB, in *tdx.Input) {
			in.Endorsements.CRLs = append(in.Endorsements.CRLs, in.Endorsements.CRLs...)
			in.Endorsements.TCBInfos = append(in.Endorsements.TCBInfos, in.Endorsements.TCBInfos...)
		}},
		{name: "leaf on a list of tomorrow", form: tdx.V4, change: twoLists(At().AddDate(0, 0, 1), At().AddDate(0, 0, 31))},
		{name: "documents by two signers", form: tdx.V4, change: func(t testing.TB, e *Evidence) { e.secondSigner(t, 33) }},
		{name: "newer TCB info of another platform besides", form: tdx.V4, change: besides(func(other *pcstest.TCBInfo) {
			other.FMSPC, other.Evaluation = "00806F050000", 22
		})},
		{name: "older TCB info besides, with a status that is not accepted", form: tdx.V4, change: besides(func(other *pcstest.TCBInfo) {
			other.Evaluation, other.Levels[0].Status = 20, "Revoked"
		})},
		{name: "expired TCB info besides", form: tdx.V4, change: besides(func(other *pcstest.TCBInfo) {
			other.Evaluation, other.NextUpdate = 22, At().Add(-1e9).Format(time.RFC3339)
		})},
		{name: "older and expired QE identities besides", form: tdx.V4, change: func(_ testing.TB, e *Evidence) {
			older, expired := *e.Identity, *e.Identity
			older.Evaluation, older.ISVProdID = 20, 1
			expired.Evaluation, expired.NextUpdate = 22, At().Add(-1e9).Format(time.RFC3339)
			e.After = func(t testing.TB, in *tdx.Input) {
				t.Helper()
				in.Endorsements.Identities = append([]endorse.Signed{
					pcstest.Sign(t, e.Keys.TCB, older.JSON()), pcstest.Sign(t, e.Keys.TCB, expired.JSON()),
				}, in.Endorsements.Identities...)
			}
		}},
	}, statusVariants()...)
}

// besides puts another TCB info before the right one.
func besides(change func(other *pcstest.TCBInfo)) func(testing.TB, *Evidence) {
	return func(_ testing.TB, e *Evidence) {
		other := pcstest.NewTCBInfo(e.Info.IssueDate, e.Info.NextUpdate)
		change(other)
		e.After = func(t testing.TB, in *tdx.Input) {
			t.Helper()
			in.Endorsements.TCBInfos = append([]endorse.Signed{pcstest.Sign(t, e.Keys.TCB, other.JSON())}, in.Endorsements.TCBInfos...)
		}
	}
}

func statusVariants() []variant {
	return []variant{
		{name: "SWHardeningNeeded with its advisory accepted", form: tdx.V4, change: func(t testing.TB, e *Evidence) {
			e.best().Status, e.best().Advisories = "SWHardeningNeeded", []string{"INTEL-SA-00615"}
			e.Set(t, "status", `["UpToDate", "SWHardeningNeeded"]`)
			e.Set(t, "advisories", `["INTEL-SA-00615"]`)
		}},
		{name: "ConfigurationNeeded, by name", form: tdx.V4, change: func(t testing.TB, e *Evidence) {
			e.best().Status = "ConfigurationNeeded"
			e.Set(t, "status", `["UpToDate", "ConfigurationNeeded"]`)
			e.Set(t, "configuration_by", `"operator of the test"`)
		}},
		{name: "OutOfDate, on the last day of the waiver", form: tdx.V4, change: func(t testing.TB, e *Evidence) {
			e.outOfDate(t)
			e.waive(t, "2026-10-17", "2026-11-01", "2026-05-12")
		}},
		{name: "waiver for the recovery of today", form: tdx.V4, change: func(t testing.TB, e *Evidence) {
			e.outOfDate(t)
			e.waive(t, "2026-11-01", "2026-11-16", "2026-05-12")
		}},
		{name: "OutOfDateConfigurationNeeded, by name and date", form: tdx.V4, change: func(t testing.TB, e *Evidence) {
			e.outOfDate(t)
			e.best().Status = "ConfigurationNeeded"
			e.waive(t, "2026-10-20", "2026-11-03", "2026-05-12")
			e.Set(t, "status", `["OutOfDateConfigurationNeeded"]`)
			e.Set(t, "configuration_by", `"operator of the test"`)
		}},
		{name: "expired within grace", form: tdx.V4, change: func(_ testing.TB, e *Evidence) {
			e.Rules.At = nextUpdate().Add(3600e9)
			e.Rules.Grace, e.Rules.AnyAgeTCB = 2*3600e9, true
		}},
		{name: "relaunch advised, which a policy for tests accepts", form: tdx.V5Body15, change: func(t testing.TB, e *Evidence) {
			e.Profile = "test"
			e.outOfDate(t)
			e.waive(t, "2026-10-17", "2026-11-01", "2026-05-12")
			e.Quote.Body.TEETCBSVN2 = [16]byte{7, 1, 2}
			e.Set(t, "relaunch_advised", `"accept"`)
		}},
	}
}

// UseRuntime sets RTMR3 to what a log gives, and the log.
func (e *Evidence) UseRuntime(events ...[48]byte) {
	e.Runtime = append([][48]byte{}, events...)
	var register [48]byte
	for _, v := range events {
		register = sha512.Sum384(append(register[:], v[:]...))
	}
	e.Quote.Body.RTMR[3] = register
}

// best is the best TCB level of the platform.
func (e *Evidence) best() *pcstest.Level { return &e.Info.Levels[0] }

// outOfDate launches the guest under a TDX module that is out of date.
func (e *Evidence) outOfDate(t testing.TB) {
	t.Helper()
	e.Quote.Body.TEETCBSVN[0], e.Quote.Body.TEETCBSVN2[0] = 5, 5
	e.Info.Modules[1].Levels[1].Date = "2026-05-12T00:00:00Z"
	e.Set(t, "advisories", `["INTEL-SA-01397"]`)
}

// waive accepts OutOfDate for a time.
func (e *Evidence) waive(t testing.TB, recovery, until, oldest string) {
	t.Helper()
	e.Set(t, "status", `["UpToDate", "OutOfDate"]`)
	e.Set(t, "out_of_date", fmt.Sprintf(`[{ by = "operator of the test", recovery = %s, until = %s, oldest = %s }]`, recovery, until, oldest))
}

// edit changes a quote after it was signed.
func edit(change func(q *tdx.Quote)) func(testing.TB, *tdx.Input) {
	return func(t testing.TB, in *tdx.Input) {
		t.Helper()
		q, err := tdx.Decode(in.Quote)
		if err != nil {
			t.Fatal(err)
		}
		change(q)
		in.Quote = q.Encode()
	}
}
