package explaintpm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unicode/utf16"

	"safebox/measure/explain"
	"safebox/measure/explain/internal/inputs"
	"safebox/measure/explain/internal/registers"
	"safebox/measure/explain/internal/search"
	"safebox/measure/tpm"
)

// state is a boot that may have been the real one. Numbers are indices of
// lab's lists.
type state struct {
	boots    bootState
	bank     tpm.Bank
	override *string // load options of the host
}

// bootState is what a prediction depends on.
type bootState struct {
	boot                      tpm.Boot
	uki, firmware, secureBoot int
}

// lab predicts boots, each only once.
type lab struct {
	in       *Boot
	expected *tpm.Prediction
	start    state

	ukis       []explain.Named[[]byte] // the first may be nil: that of the disk
	firmware   []explain.Named[[]byte]
	secureBoot []explain.Named[*tpm.SecureBoot]

	predicted map[bootState][]*tpm.Prediction // by bank
	full      bool                            // predicted has all that it may
}

func newLab(in *Boot, expected *tpm.Prediction) (*lab, error) {
	if err := inputs.Check(len(in.UKIs), len(in.Firmware), len(in.SecureBoot), len(in.CommandLines)); err != nil {
		return nil, err
	}
	l := &lab{
		in: in, expected: expected, predicted: map[bootState][]*tpm.Prediction{},
		start: state{bank: in.Bank, boots: bootState{boot: in.Input.Boot}},
	}
	uki := in.Input.UKI
	if uki == nil {
		var err error
		if uki, err = ukiOf(in.Input.Disk, in.Input.DiskSize); err != nil {
			return nil, err
		}
	}
	l.ukis = append([]explain.Named[[]byte]{{Name: "the expected UKI", Value: uki}}, in.UKIs...)
	l.firmware = append([]explain.Named[[]byte]{{Name: "the expected firmware", Value: in.Input.Firmware}}, in.Firmware...)
	l.secureBoot = []explain.Named[*tpm.SecureBoot]{{Name: secureBootState(in.Input.SecureBoot), Value: in.Input.SecureBoot}}
	for _, s := range []*tpm.SecureBoot{nil, {}} {
		if name := secureBootState(s); name != l.secureBoot[0].Name {
			l.secureBoot = append(l.secureBoot, explain.Named[*tpm.SecureBoot]{Name: name, Value: s})
		}
	}
	l.secureBoot = append(l.secureBoot, in.SecureBoot...)
	if s := in.Input.SecureBoot; s != nil && (s.PK != nil || s.DB != nil) {
		turned := *s
		turned.Enabled = !s.Enabled
		l.secureBoot = append(l.secureBoot, explain.Named[*tpm.SecureBoot]{Name: secureBootState(&turned), Value: &turned})
	}
	return l, nil
}

// secureBootState names a state.
func secureBootState(s *tpm.SecureBoot) string {
	switch {
	case s == nil:
		return "absent from the firmware"
	case s.Enabled:
		return "on"
	case s.PK == nil && s.KEK == nil && s.DB == nil && s.DBX == nil:
		return "off, without keys"
	}
	return "off, with keys"
}

// predict computes a boot in both banks.
func (l *lab) predict(b bootState) ([]*tpm.Prediction, error) {
	if list, ok := l.predicted[b]; ok {
		if list == nil {
			return nil, errors.New("the boot can't be predicted")
		}
		return list, nil
	}
	if len(l.predicted) >= predictions {
		l.full = true
		return nil, fmt.Errorf("more than %d boots", predictions)
	}
	in := l.in.Input
	in.Boot, in.SecureBoot, in.Firmware = b.boot, l.secureBoot[b.secureBoot].Value, l.firmware[b.firmware].Value
	if b.boot != l.in.Input.Boot || b.uki != 0 {
		in.UKI, in.Disk, in.DiskSize = l.ukis[b.uki].Value, nil, 0
	}
	list, err := tpm.PredictBanks(in, tpm.SHA256, tpm.SHA384)
	if err != nil {
		l.predicted[b] = nil
		return nil, err
	}
	l.predicted[b] = list
	return list, nil
}

// probe compares a register of a state, and its neighbours in events.
func (l *lab) probe(index int, s state, reported []byte) (found bool, changes []search.Change, tried int, err error) {
	if len(s.bank.Zero()) != len(reported) {
		return false, nil, 0, nil
	}
	list, err := l.predict(s.boots)
	if err != nil {
		return false, nil, 0, err
	}
	r := list[s.bank-tpm.SHA256].PCRs[index]
	if r.Value == nil {
		return false, nil, 0, errors.New("the register was not predicted")
	}
	events := make([]registers.Event, len(r.Events))
	for i, e := range r.Events {
		events[i] = registers.Event{Name: e.Description, Digest: e.Digest}
	}
	events = overridden(index, s, events)
	if bytes.Equal(registers.Extend(s.bank.New(), s.bank.Zero(), events...), reported) {
		return true, nil, 1, nil
	}
	found, changes, tried = registers.Neighbours(s.bank.New(), events, reported)
	return found, changes, tried + 1, nil
}

// overridden puts the load options of the host where systemd-stub and the
// kernel measure them: PCR 12, behind the choice of a profile, and PCR 9 in place
// of the UKI's own command line. A UKI without one has the initrd alone there.
func overridden(index int, s state, events []registers.Event) []registers.Event {
	if s.override == nil {
		return events
	}
	options := registers.Event{Name: "load options", Digest: s.bank.Sum(wide(*s.override))}
	switch {
	case index == 9 && len(events) > 0:
		return append([]registers.Event{options}, events[len(events)-1:]...)
	case index == 12:
		return append(slices.Clip(events), options)
	}
	return events
}

// wide is UTF-16LE with its final NUL.
func wide(s string) []byte {
	var b []byte
	for _, c := range utf16.Encode([]rune(s + "\x00")) {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return b
}

// axes lists those that a register depends on.
func (l *lab) axes(index int) []search.Axis[state] {
	list := []search.Axis[state]{l.bankAxis(), l.ukiAxis(), l.bootAxis()}
	switch index {
	case 0:
		list = append(list, l.firmwareAxis())
	case 4, 7:
		list = append(list, l.secureBootAxis())
	case 9, 12:
		list = append(list, l.overrideAxis())
	}
	return list
}

func (l *lab) bankAxis() search.Axis[state] {
	a := search.Axis[state]{Name: "bank", Expected: l.in.Bank.String()}
	for _, bank := range []tpm.Bank{tpm.SHA256, tpm.SHA384} {
		if bank == l.in.Bank {
			continue
		}
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: bank.String(), Phrase: fmt.Sprintf("the %v bank instead of %v", bank, l.in.Bank),
			Set: func(s *state) { s.bank = bank },
		})
	}
	return a
}

func (l *lab) ukiAxis() search.Axis[state] {
	a := search.Axis[state]{Name: "UKI", Expected: l.ukis[0].Name}
	for i, u := range l.ukis[1:] {
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: u.Name, Phrase: search.Instead("UKI", u.Name, "the expected one"),
			Set: func(s *state) { s.boots.uki = i + 1 },
		})
	}
	return a
}

func (l *lab) bootAxis() search.Axis[state] {
	names := map[tpm.Boot]string{tpm.ESP: "boot from the ESP", tpm.Kernel: "boot by -kernel"}
	expected := l.in.Input.Boot
	a := search.Axis[state]{Name: "boot", Expected: expected.String()}
	for _, boot := range []tpm.Boot{tpm.ESP, tpm.Kernel} {
		if boot == expected {
			continue
		}
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: boot.String(), Phrase: fmt.Sprintf("%s instead of %s", names[boot], names[expected]),
			Set: func(s *state) { s.boots.boot = boot },
		})
	}
	return a
}

func (l *lab) firmwareAxis() search.Axis[state] {
	a := search.Axis[state]{Name: inputs.Firmware, Expected: l.firmware[0].Name}
	for i, f := range l.firmware[1:] {
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: f.Name, Phrase: search.Instead(inputs.Firmware, f.Name, "the expected one"),
			Set: func(s *state) { s.boots.firmware = i + 1 },
		})
	}
	return a
}

func (l *lab) secureBootAxis() search.Axis[state] {
	a := search.Axis[state]{Name: "Secure Boot", Expected: l.secureBoot[0].Name}
	for i, v := range l.secureBoot[1:] {
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: v.Name, Phrase: fmt.Sprintf("Secure Boot %s instead of %s", v.Name, a.Expected),
			Set: func(s *state) { s.boots.secureBoot = i + 1 },
		})
	}
	return a
}

func (l *lab) overrideAxis() search.Axis[state] {
	a := search.Axis[state]{Name: "load options of the host", Expected: "none"}
	for _, text := range l.in.CommandLines {
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: fmt.Sprintf("%q", text), Phrase: fmt.Sprintf("load options %q from the host instead of none", text),
			Set: func(s *state) { s.override = &text },
		})
	}
	return a
}
