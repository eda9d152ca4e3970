package tdx

import (
	"crypto/sha512"
	"fmt"

	"safebox/measure/eventlog"
	"safebox/verifier/policy/tdxpolicy"
)

// measurements is TDX-M1, TDX-M2 and TDX-D1: what runs in the guest, and that
// the quote answers this challenge.
func (v *verification) measurements() {
	b, p, e := &v.q.Body, v.policy, &v.in.Expected
	v.record("TDX-M1", v.expect("MRTD", "mrtd", b.MRTD[:], p.MRTD, slicesOf(e.MRTD)))
	var all []finding
	for i := range b.RTMR {
		given := slicesOf(e.RTMR[i])
		if p.RTMR[i].Word == tdxpolicy.Runtime {
			given = v.replayRuntime()
		}
		name := eventlog.MRName(uint32(i + 1))
		all = append(all, v.expect(name, fmt.Sprintf("rtmr%d", i), b.RTMR[i][:], p.RTMR[i], given))
	}
	v.record("TDX-M2", append(all, v.eventLog()...)...)
	var transcript [][]byte
	if e.ReportData != nil {
		transcript = [][]byte{e.ReportData[:]}
	}
	v.record("TDX-D1", v.expect("REPORTDATA", "report_data", b.ReportData[:], p.ReportData, transcript))
}

// replayRuntime gives what RTMR3 is after the events of the runtime log.
func (v *verification) replayRuntime() [][]byte {
	if v.in.Runtime == nil {
		return nil
	}
	register := make([]byte, sha512.Size384)
	for i := range v.in.Runtime {
		sum := sha512.Sum384(append(register, v.in.Runtime[i][:]...))
		copy(register, sum[:])
	}
	return [][]byte{register}
}

// eventLog compares RTMR0 to RTMR2 with the replay of the firmware's log. The
// log is not signed: that it replays is all that makes it true. RTMR3 is the
// guest's own, of which the firmware logs nothing; a log that tells of it
// nevertheless must replay to it too.
func (v *verification) eventLog() []finding {
	const name = "event log (CCEL)"
	if v.in.EventLog == nil {
		if v.policy.EventLog == tdxpolicy.Any {
			v.log.Waive(name, "tdx.event_log = \"any\" in the policy, and there is none")
			return nil
		}
		return []finding{{false, name + " that replays to RTMR0, RTMR1 and RTMR2", "no " + name}}
	}
	if v.policy.EventLog == "" {
		return []finding{{false, name + ": the policy states nothing", "there is one"}}
	}
	failed := func(err error) []finding {
		return []finding{{false, name + " that replays to RTMR0, RTMR1 and RTMR2", err.Error()}}
	}
	log, err := eventlog.DecodeCCEL(v.in.EventLog)
	if err != nil {
		return failed(err)
	}
	replayed, err := log.Replay()
	if err != nil {
		return failed(err)
	}
	var all []finding
	for i, want := range replayed {
		got := v.q.Body.RTMR[i]
		if i == 3 && want == [48]byte{} {
			continue
		}
		all = append(all, finding{
			got == want,
			fmt.Sprintf("RTMR%d %x by the event log's replay", i, want), fmt.Sprintf("RTMR%d %x", i, got),
		})
	}
	return all
}
