package explain

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unicode/utf16"

	"safebox/measure/tpm"
)

// tpmState is a boot that may have been the real one. Numbers are indices of
// tpmLab's lists.
type tpmState struct {
	boots    bootState
	bank     tpm.Bank
	override *string // load options of the host
}

// bootState is what a prediction depends on.
type bootState struct {
	boot                      tpm.Boot
	uki, firmware, secureBoot int
}

// tpmLab predicts boots, each only once.
type tpmLab struct {
	in       *TPM
	expected *tpm.Prediction
	start    tpmState

	ukis       []Named[[]byte] // the first may be nil: that of the disk
	firmware   []Named[[]byte]
	secureBoot []Named[*tpm.SecureBoot]

	predicted map[bootState][]*tpm.Prediction // by bank
	full      bool                            // predicted has all that it may
}

func newTPMLab(in *TPM, expected *tpm.Prediction) (*tpmLab, error) {
	for _, n := range []int{len(in.UKIs), len(in.Firmware), len(in.SecureBoot), len(in.CommandLines)} {
		if n > maxAlternatives {
			return nil, fmt.Errorf("other inputs: got %d of a kind, want at most %d", n, maxAlternatives)
		}
	}
	l := &tpmLab{
		in: in, expected: expected, predicted: map[bootState][]*tpm.Prediction{},
		start: tpmState{bank: in.Bank, boots: bootState{boot: in.Input.Boot}},
	}
	uki := in.Input.UKI
	if uki == nil {
		var err error
		if uki, err = ukiOf(in.Input.Disk, in.Input.DiskSize); err != nil {
			return nil, err
		}
	}
	l.ukis = append([]Named[[]byte]{{"the expected UKI", uki}}, in.UKIs...)
	l.firmware = append([]Named[[]byte]{{"the expected firmware", in.Input.Firmware}}, in.Firmware...)
	l.secureBoot = []Named[*tpm.SecureBoot]{{secureBootState(in.Input.SecureBoot), in.Input.SecureBoot}}
	for _, s := range []*tpm.SecureBoot{nil, {}} {
		if name := secureBootState(s); name != l.secureBoot[0].Name {
			l.secureBoot = append(l.secureBoot, Named[*tpm.SecureBoot]{name, s})
		}
	}
	l.secureBoot = append(l.secureBoot, in.SecureBoot...)
	if s := in.Input.SecureBoot; s != nil && (s.PK != nil || s.DB != nil) {
		turned := *s
		turned.Enabled = !s.Enabled
		l.secureBoot = append(l.secureBoot, Named[*tpm.SecureBoot]{secureBootState(&turned), &turned})
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
func (l *tpmLab) predict(b bootState) ([]*tpm.Prediction, error) {
	if list, ok := l.predicted[b]; ok {
		if list == nil {
			return nil, errors.New("the boot can't be predicted")
		}
		return list, nil
	}
	if len(l.predicted) >= tpmPredictions {
		l.full = true
		return nil, fmt.Errorf("more than %d boots", tpmPredictions)
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
func (l *tpmLab) probe(index int, s tpmState, reported []byte) (found bool, changes []Change, tried int, err error) {
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
	steps := make([]step, len(r.Events))
	for i, e := range r.Events {
		steps[i] = step{e.Description, e.Digest}
	}
	steps = overridden(index, s, steps)
	if bytes.Equal(extend(s.bank.New(), s.bank.Zero(), steps...), reported) {
		return true, nil, 1, nil
	}
	found, changes, tried = eventNeighbours(s.bank.New(), steps, reported)
	return found, changes, tried + 1, nil
}

// overridden puts the load options of the host where systemd-stub and the
// kernel measure them: PCR 12, behind the choice of a profile, and PCR 9 in place
// of the UKI's own command line. A UKI without one has the initrd alone there.
func overridden(index int, s tpmState, steps []step) []step {
	if s.override == nil {
		return steps
	}
	options := step{"load options", s.bank.Sum(wide(*s.override))}
	switch {
	case index == 9 && len(steps) > 0:
		return append([]step{options}, steps[len(steps)-1:]...)
	case index == 12:
		return append(slices.Clip(steps), options)
	}
	return steps
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
func (l *tpmLab) axes(index int) []axis[tpmState] {
	list := []axis[tpmState]{l.bankAxis(), l.ukiAxis(), l.bootAxis()}
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

func (l *tpmLab) bankAxis() axis[tpmState] {
	a := axis[tpmState]{name: "bank", expected: l.in.Bank.String()}
	for _, bank := range []tpm.Bank{tpm.SHA256, tpm.SHA384} {
		if bank == l.in.Bank {
			continue
		}
		a.choices = append(a.choices, choice[tpmState]{
			value: bank.String(), phrase: fmt.Sprintf("the %v bank instead of %v", bank, l.in.Bank),
			set: func(s *tpmState) { s.bank = bank },
		})
	}
	return a
}

func (l *tpmLab) ukiAxis() axis[tpmState] {
	a := axis[tpmState]{name: "UKI", expected: l.ukis[0].Name}
	for i, u := range l.ukis[1:] {
		a.choices = append(a.choices, choice[tpmState]{
			value: u.Name, phrase: instead("UKI", u.Name, "the expected one"),
			set: func(s *tpmState) { s.boots.uki = i + 1 },
		})
	}
	return a
}

func (l *tpmLab) bootAxis() axis[tpmState] {
	names := map[tpm.Boot]string{tpm.ESP: "boot from the ESP", tpm.Kernel: "boot by -kernel"}
	expected := l.in.Input.Boot
	a := axis[tpmState]{name: "boot", expected: expected.String()}
	for _, boot := range []tpm.Boot{tpm.ESP, tpm.Kernel} {
		if boot == expected {
			continue
		}
		a.choices = append(a.choices, choice[tpmState]{
			value: boot.String(), phrase: fmt.Sprintf("%s instead of %s", names[boot], names[expected]),
			set: func(s *tpmState) { s.boots.boot = boot },
		})
	}
	return a
}

func (l *tpmLab) firmwareAxis() axis[tpmState] {
	a := axis[tpmState]{name: axisFirmware, expected: l.firmware[0].Name}
	for i, f := range l.firmware[1:] {
		a.choices = append(a.choices, choice[tpmState]{
			value: f.Name, phrase: instead(axisFirmware, f.Name, "the expected one"),
			set: func(s *tpmState) { s.boots.firmware = i + 1 },
		})
	}
	return a
}

func (l *tpmLab) secureBootAxis() axis[tpmState] {
	a := axis[tpmState]{name: "Secure Boot", expected: l.secureBoot[0].Name}
	for i, v := range l.secureBoot[1:] {
		a.choices = append(a.choices, choice[tpmState]{
			value: v.Name, phrase: fmt.Sprintf("Secure Boot %s instead of %s", v.Name, a.expected),
			set: func(s *tpmState) { s.boots.secureBoot = i + 1 },
		})
	}
	return a
}

func (l *tpmLab) overrideAxis() axis[tpmState] {
	a := axis[tpmState]{name: "load options of the host", expected: "none"}
	for _, text := range l.in.CommandLines {
		a.choices = append(a.choices, choice[tpmState]{
			value: fmt.Sprintf("%q", text), phrase: fmt.Sprintf("load options %q from the host instead of none", text),
			set: func(s *tpmState) { s.override = &text },
		})
	}
	return a
}
