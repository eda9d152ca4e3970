package cloud

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"safebox/measure/eventlog"
	"safebox/verifier/policy/tpmpolicy"
	"safebox/verifier/tpm"
)

// checkEvents: TPM-E1, TPM-E2, TPM-E3 and TPM-E5.
func (v *verification) checkEvents() {
	const replays = "the quoted value of every register that the log must explain"
	p := v.policy
	if len(v.evidence.EventLog) == 0 {
		if !p.AnyEventLog {
			v.log.Fail("TPM-E1", replays, "the evidence has no event log")
			return
		}
		v.log.Waive("event log", "there is none, and vtpm.quote.event_log = \"any\" in the policy")
		const none = "not applicable: the evidence has no event log"
		v.log.Pass("TPM-E1", replays, none)
		v.log.Pass("TPM-E2", "listed events", none)
		v.log.Pass("TPM-E3", "digests of the events' data", none)
		v.checkSecureBoot(nil)
		return
	}
	log, err := eventlog.Decode(v.evidence.EventLog)
	if err != nil {
		v.log.Fail("TPM-E1", replays, err.Error())
		return
	}
	for _, q := range v.quotes {
		v.log.Check("TPM-E1", v.checkReplay(log, q), replays, fmt.Sprintf("%d events give registers %v", len(log.Events), p.Explained))
	}
	if rest := p.Unexplained(); len(rest) > 0 {
		v.log.Waive(fmt.Sprintf("what was extended into registers %v", rest), "vtpm.quote.explained in the policy does not list them")
	}
	v.checkList(log)
	v.checkDigests(log)
	v.checkSecureBoot(log)
}

// checkReplay: TPM-E1, for one bank. A register that the log must explain and
// has no event for must have its reset value.
func (v *verification) checkReplay(log *eventlog.Log, q quote) error {
	if len(v.policy.Explained) == 0 {
		return fmt.Errorf("the policy does not say which registers the log must explain")
	}
	bank := eventlog.Algorithm(q.Bank)
	if !slices.ContainsFunc(log.Header.Algorithms, func(a eventlog.AlgorithmSize) bool { return a.Algorithm == bank }) {
		return fmt.Errorf("the log has no bank %v", bank)
	}
	values, err := log.Replay(bank)
	if err != nil {
		return err
	}
	for _, index := range v.policy.Explained {
		if !v.selected(index) {
			return fmt.Errorf("register %d is not among those that must be quoted", index)
		}
	}
	var differ []string
	for _, index := range v.replayed(log, q) {
		if got := q.Values[index]; !bytes.Equal(got, values[index]) {
			differ = append(differ, fmt.Sprintf("%s register %d: quoted %x, replayed %x", q.name, index, got, values[index]))
		}
	}
	if len(differ) > 0 {
		return fmt.Errorf("%s", strings.Join(differ, "; "))
	}
	return nil
}

// replayed lists the registers that the log is held against: those that it must
// explain, and every other one that it has something to say of.
func (v *verification) replayed(log *eventlog.Log, q quote) []int {
	list := slices.Clone(v.policy.Explained)
	for i := range log.Events {
		e := &log.Events[i]
		index := int(e.PCR)
		if _, quoted := q.Values[index]; quoted && e.Type != eventlog.NoAction && !slices.Contains(list, index) {
			list = append(list, index)
		}
	}
	slices.Sort(list)
	return list
}

// checkList: TPM-E2.
func (v *verification) checkList(log *eventlog.Log) {
	count := fmt.Sprintf("%d events", len(log.Events))
	switch v.policy.Events {
	case tpmpolicy.Appliance:
		v.log.Check("TPM-E2", tpm.CheckEvents(log), "listed events only, one separator in each of PCR 0 to 7", count)
	case tpmpolicy.Any:
		v.log.Pass("TPM-E2", tpmpolicy.Any, count)
		v.log.Waive("kinds of events", "vtpm.quote.events = \"any\" in the policy")
	default:
		v.log.Fail("TPM-E2", "a list of events", "the policy names none")
	}
}

// checkDigests: TPM-E3.
func (v *verification) checkDigests(log *eventlog.Log) {
	err := tpm.CheckDigests(log)
	if !v.policy.AnyDigests {
		v.log.Check("TPM-E3", err, "every digest the hash of its data, where the type says so", fmt.Sprintf("%d events", len(log.Events)))
		return
	}
	got := fmt.Sprintf("%d events", len(log.Events))
	if err != nil {
		got = "not so: " + err.Error()
	}
	v.log.Pass("TPM-E3", tpmpolicy.Any, got)
	v.log.Waive("data of events", "vtpm.quote.digests = \"any\" in the policy")
}
