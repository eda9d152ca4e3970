package verifier

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"safebox/measure/eventlog"
	"safebox/measure/tpm/golden"
	"safebox/verifier/tpm"
)

// Registers that a firmware's log does not explain.
const (
	imaPCR     = 10 // the kernel's IMA extends its boot aggregate, which follows from the others
	runtimePCR = 15 // the guest's own: CFG-2
)

// checkEvents: TPM-E1 to TPM-E5.
func (v *verification) checkEvents() {
	if v.evidence == nil || v.evidence.VTPM == nil {
		return
	}
	log, err := eventlog.Decode(v.evidence.VTPM.EventLog)
	if err != nil {
		v.log.Fail("TPM-E1", "an event log that decodes", err.Error())
		return
	}
	v.events = log
	v.checkBanks()
	for i := range v.quotes {
		v.checkReplay(&v.quotes[i])
	}
	const consistent = "every digest the hash of its data, where the type says so"
	v.log.Check("TPM-E2", tpm.CheckEvents(log), "listed events only, one separator in each of PCR 0 to 7", fmt.Sprintf("%d events", len(log.Events)))
	v.log.Check("TPM-E3", tpm.CheckDigests(log), consistent, fmt.Sprintf("%d events", len(log.Events)))
	const off = "Secure Boot off, no keys enrolled"
	v.log.Check("TPM-E5", tpm.CheckSecureBoot(log), off, off)
}

// checkBanks: TPM-E4. Each bank of the policy must be quoted, and each that is
// quoted must be in the log.
func (v *verification) checkBanks() {
	if v.policy == nil || len(v.quotes) == 0 {
		return
	}
	var want, quoted, logged []string
	for _, b := range v.policy.VTPM.Banks {
		want = append(want, b.String())
	}
	for _, a := range v.events.Header.Algorithms {
		logged = append(logged, a.Algorithm.String())
	}
	ok := true
	for i := range v.quotes {
		name := v.quotes[i].bank.String()
		quoted = append(quoted, name)
		ok = ok && slices.Contains(logged, name)
	}
	for _, name := range want {
		ok = ok && slices.Contains(quoted, name)
	}
	v.log.Record("TPM-E4", ok, "quotes of "+strings.Join(want, " and ")+", all in the log",
		"quotes of "+strings.Join(quoted, " and ")+", log of "+strings.Join(logged, " and "))
}

// checkReplay: TPM-E1, for one bank. A register without an event must have its
// reset value.
func (v *verification) checkReplay(q *quote) {
	const want = "the quoted value of every register but 10 and 15"
	values, err := v.events.Replay(eventAlgorithm(q.bank))
	if err != nil {
		v.log.Fail("TPM-E1", want, err.Error())
		return
	}
	var differ []string
	for _, index := range q.attest.PCRs {
		if index == imaPCR || index == runtimePCR {
			continue
		}
		if got, ok := q.values[index]; !ok || !bytes.Equal(got, values[index]) {
			differ = append(differ, fmt.Sprintf("%v register %d: quoted %x, replayed %x", q.bank, index, got, values[index]))
		}
	}
	v.log.Record("TPM-E1", len(differ) == 0 && len(q.attest.PCRs) > 0, want, got(differ, "the quoted values"))
}

// got lists what differs, or says that nothing does.
func got(differ []string, none string) string {
	if len(differ) == 0 {
		return none
	}
	return strings.Join(differ, "; ")
}

// eventAlgorithm is the bank's name in an event log.
func eventAlgorithm(b golden.Bank) eventlog.Algorithm {
	switch b {
	case golden.SHA256:
		return eventlog.SHA256
	case golden.SHA384:
		return eventlog.SHA384
	}
	return 0
}
