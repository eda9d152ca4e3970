package tdx

import (
	"crypto/sha512"
	"strings"

	"safebox/measure/eventlog"
	"safebox/measure/tpm/golden"
)

// sequence collects the events of one register in order.
type sequence struct {
	events  []Event
	missing []string
}

func (s *sequence) add(source Source, t eventlog.Type, description string, data []byte) {
	s.events = append(s.events, Event{t, description, sha512.Sum384(data), source})
}

// computed appends an event whose digest is the hash of data.
func (s *sequence) computed(t eventlog.Type, description string, data []byte) {
	s.add(Computed, t, description, data)
}

// either appends the event of bytes or of the digest that stands in for them;
// with neither it is unknown and the register has no value.
func (s *sequence) either(t eventlog.Type, description string, data []byte, source Source, m *Measurement, missing string) {
	switch {
	case data != nil:
		s.add(source, t, description, data)
	case m != nil:
		s.events = append(s.events, Event{t, description, m.Digest, m.Source})
	default:
		s.unknown(t, description, missing)
	}
}

func (s *sequence) unknown(t eventlog.Type, description, missing string) {
	s.events = append(s.events, Event{t, description, Digest{}, Unknown})
	s.lack(missing)
}

// lack notes what is missing, once.
func (s *sequence) lack(missing string) {
	for _, m := range s.missing {
		if m == missing {
			return
		}
	}
	s.missing = append(s.missing, missing)
}

// action appends an EV_EFI_ACTION: its string without a NUL (PFP 10.4.4).
func (s *sequence) action(text string) { s.computed(eventlog.EFIAction, text, []byte(text)) }

// separator appends the mark between firmware and what it boots (PFP 10.4.1,
// EV_SEPARATOR).
func (s *sequence) separator() {
	s.computed(eventlog.Separator, "separator", []byte(golden.SeparatorData))
}

// Strings of EV_EFI_ACTION (PFP 10.4.4).
const (
	callingBootOption = "Calling EFI Application from Boot Option"
	exitInvoked       = "Exit Boot Services Invocation"
	exitReturned      = "Exit Boot Services Returned with Success"
)

func (s *sequence) exits() {
	s.action(exitInvoked)
	s.action(exitReturned)
}

// register folds the events.
func (s *sequence) register() Register {
	r := Register{Events: s.events}
	if len(s.missing) > 0 {
		r.Missing = strings.Join(s.missing, "; ")
		return r
	}
	value := Digest{}
	for _, e := range s.events {
		value = Extend(value, e.Digest)
	}
	r.Value = &value
	return r
}
