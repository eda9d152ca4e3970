package tpm

import (
	"safebox/measure/eventlog"
	"safebox/measure/tpm/golden"
)

// sequence collects the events of one register in order.
type sequence struct {
	bank   Bank
	events []Event
}

// add appends an event whose digest is the hash of data.
func (s *sequence) add(t eventlog.Type, description string, data []byte) {
	s.addDigest(t, description, s.bank.Sum(data))
}

func (s *sequence) addDigest(t eventlog.Type, description string, d Digest) {
	s.events = append(s.events, Event{Type: t, Description: description, Digest: d})
}

// separator appends the mark between firmware and what it boots (PFP 10.4.1,
// EV_SEPARATOR): firmware puts it into PCR 0 to 7 when it is ready to boot, into
// PCR 7 once the Secure Boot variables are measured.
func (s *sequence) separator() {
	s.add(eventlog.Separator, "separator", []byte(golden.SeparatorData))
}

// register folds the events.
func (s *sequence) register(r Rule) Register {
	value := s.bank.Zero()
	for _, e := range s.events {
		value = s.bank.Extend(value, e.Digest)
	}
	return Register{Rule: r, Value: value, Events: s.events}
}

// separatorOnly is PCR 2, 3 and 6. Option ROM code that the host adds would
// move PCR 2.
func separatorOnly(bank Bank) Register {
	s := &sequence{bank: bank}
	s.separator()
	return s.register(Exact)
}

func untouched(bank Bank) Register { return Register{Rule: Zero, Value: bank.Zero()} }
