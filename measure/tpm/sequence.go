package tpm

import (
	"safebox/measure/eventlog"
	"safebox/measure/tpm/golden"
)

// sequence collects the events of a boot in the order of the log.
type sequence struct {
	bank   Bank
	events []PCREvent

	// unknown are the registers of which not everything is known: their
	// events are left out, for half of them would fold to a wrong value.
	unknown [eventlog.PCRs]bool
}

// add appends an event whose digest is the hash of data, given in pieces.
func (s *sequence) add(pcr int, t eventlog.Type, description string, data ...[]byte) {
	if !s.unknown[pcr] {
		s.addDigest(pcr, t, description, s.bank.Sum(data...))
	}
}

func (s *sequence) addDigest(pcr int, t eventlog.Type, description string, d Digest) {
	if !s.unknown[pcr] {
		s.events = append(s.events, PCREvent{PCR: pcr, Event: Event{Type: t, Description: description, Digest: d}})
	}
}

// separator appends the mark between firmware and what it boots (PFP 10.4.1,
// EV_SEPARATOR).
func (s *sequence) separator(pcr int) {
	s.add(pcr, eventlog.Separator, "separator", []byte(golden.SeparatorData))
}

// register folds the events of one register.
func (s *sequence) register(pcr int, r Rule) Register {
	out := Register{Rule: r, Value: s.bank.Zero()}
	for _, e := range s.events {
		if e.PCR == pcr {
			out.Value = s.bank.Extend(out.Value, e.Digest)
			out.Events = append(out.Events, e.Event)
		}
	}
	return out
}

// readyToBoot is what firmware measures when it turns from itself to a boot
// option: an action, then the separators of all registers that do not have
// theirs yet. PCR 1 is not predicted, and PCR 7 has its separator since the
// Secure Boot variables were measured. PCR 2, 3 and 6 hold nothing else: option
// ROM code that the host adds would move PCR 2.
func (s *sequence) readyToBoot() {
	s.add(4, eventlog.EFIAction, callingBootOption, []byte(callingBootOption))
	for _, pcr := range []int{0, 2, 3, 4, 5, 6} {
		s.separator(pcr)
	}
}
