package tdxtest

import (
	"fmt"
	"testing"

	"safebox/measure/eventlog"
	"safebox/verifier/tdx"
)

func measurementNegatives() []negative {
	body := func(change func(b *tdx.Body)) func(testing.TB, *Evidence) {
		return func(_ testing.TB, e *Evidence) { change(&e.Quote.Body) }
	}
	all := []negative{
		{id: "TDX-M1", name: "another firmware", change: body(func(b *tdx.Body) { b.MRTD[47] ^= 1 })},
		{id: "TDX-M1", name: "firmware that nobody gave", change: func(_ testing.TB, e *Evidence) { e.Expected.MRTD = nil }},
		{id: "TDX-M1", name: "firmware that the policy does not list", change: func(t testing.TB, e *Evidence) { e.Set(t, "mrtd", fmt.Sprintf(`["%x"]`, filled(1))) }},
		{id: "TDX-M2", name: "RTMR3 of a guest that is not fresh", change: body(func(b *tdx.Body) { b.RTMR[3][0] = 1 })},
		{id: "TDX-D1", name: "another challenge", change: func(_ testing.TB, e *Evidence) { e.Expected.ReportData[0] ^= 1 }},
		{id: "TDX-D1", name: "last byte of the report data", change: body(func(b *tdx.Body) { b.ReportData[63] ^= 1 })},
		{id: "TDX-D1", name: "challenge that nobody gave", change: func(_ testing.TB, e *Evidence) { e.Expected.ReportData = nil }},
		{id: "TDX-D1", name: "no report data", change: body(func(b *tdx.Body) { b.ReportData = [64]byte{} })},
		{id: "TDX-D1", name: "report data that the policy does not list", change: func(t testing.TB, e *Evidence) {
			e.Set(t, "report_data", fmt.Sprintf(`["%x"]`, [64]byte{9}))
		}},
	}
	for i := range 3 {
		all = append(all,
			negative{id: "TDX-M2", name: fmt.Sprintf("RTMR%d of another release", i), change: func(_ testing.TB, e *Evidence) {
				e.Expected.RTMR[i] = [][48]byte{filled(1)}
			}},
			negative{id: "TDX-M2", name: fmt.Sprintf("RTMR%d that nobody gave", i), change: func(_ testing.TB, e *Evidence) { e.Expected.RTMR[i] = nil }},
			negative{id: "TDX-M2", name: fmt.Sprintf("RTMR%d that the event log does not replay to", i), change: func(_ testing.TB, e *Evidence) {
				e.Quote.Body.RTMR[i] = filled(1)
				e.Expected.RTMR[i] = [][48]byte{filled(1)}
			}})
	}
	return all
}

func logNegatives() []negative {
	log := func(change func(l *eventlog.CCLog)) func(testing.TB, *Evidence) {
		return func(_ testing.TB, e *Evidence) {
			l := newLog()
			change(l)
			e.EventLog = l.Encode()
		}
	}
	runtime := func(change func(e *Evidence)) func(testing.TB, *Evidence) {
		return func(t testing.TB, e *Evidence) {
			t.Helper()
			e.Set(t, "rtmr3", `"runtime"`)
			e.UseRuntime(filled(0x31), filled(0x32))
			change(e)
		}
	}
	return []negative{
		{id: "TDX-M2", name: "no event log", change: func(_ testing.TB, e *Evidence) { e.EventLog = nil }},
		{id: "TDX-M2", name: "empty event log", change: func(_ testing.TB, e *Evidence) { e.EventLog = []byte{} }},
		{id: "TDX-M2", name: "event log of another kind", change: func(_ testing.TB, e *Evidence) { e.EventLog = []byte("no event log") }},
		{id: "TDX-M2", name: "event left out", change: log(func(l *eventlog.CCLog) { l.Events = l.Events[1:] })},
		{id: "TDX-M2", name: "events exchanged", change: log(func(l *eventlog.CCLog) { l.Events[0], l.Events[4] = l.Events[4], l.Events[0] })},
		{id: "TDX-M2", name: "digest of an event", change: log(func(l *eventlog.CCLog) { l.Events[2].Digests[0].Value[0] ^= 1 })},
		{id: "TDX-M2", name: "event of another register", change: log(func(l *eventlog.CCLog) { l.Events[3].PCR = 2 })},
		{id: "TDX-M2", name: "event of RTMR3, which nobody extended", change: log(func(l *eventlog.CCLog) {
			e := l.Events[2]
			e.PCR = 4
			l.Events = append(l.Events, e)
		})},
		{id: "TDX-M2", name: "event that extends MRTD", change: log(func(l *eventlog.CCLog) { l.Events[3].PCR = 0 })},
		{id: "TDX-M2", name: "event that extends nothing made one that does", change: log(func(l *eventlog.CCLog) { l.Events[1].Type = eventlog.Separator })},
		{id: "TDX-M2", name: "event behind the filling", change: func(_ testing.TB, e *Evidence) { e.EventLog = append(e.EventLog, 1) }},
		{id: "TDX-M2", name: "event log that does not replay, where none is required", change: func(t testing.TB, e *Evidence) {
			e.Profile = "test"
			e.Set(t, "event_log", `"any"`)
			log(func(l *eventlog.CCLog) { l.Events[2].Digests[0].Value[0] ^= 1 })(t, e)
		}},
		{id: "TDX-M2", name: "policy without an opinion on event logs", after: func(_ testing.TB, in *tdx.Input) { in.Policy.EventLog = "" }},
		{id: "TDX-M2", name: "policy without an opinion, no event log", change: func(_ testing.TB, e *Evidence) { e.EventLog = nil }, after: func(_ testing.TB, in *tdx.Input) {
			in.Policy.EventLog = ""
		}},
		{id: "TDX-M2", name: "no runtime log", change: runtime(func(e *Evidence) { e.Runtime = nil })},
		{id: "TDX-M2", name: "no runtime log of a fresh guest", change: runtime(func(e *Evidence) { e.UseRuntime(); e.Runtime = nil })},
		{id: "TDX-M2", name: "event of the runtime log left out", change: runtime(func(e *Evidence) { e.Runtime = e.Runtime[:1] })},
		{id: "TDX-M2", name: "events of the runtime log exchanged", change: runtime(func(e *Evidence) {
			e.Runtime[0], e.Runtime[1] = e.Runtime[1], e.Runtime[0]
		})},
	}
}
