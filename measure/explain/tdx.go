package explain

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"safebox/measure/eventlog"
	"safebox/measure/ovmf"
	"safebox/measure/tdx"
)

// TDX is a trust domain whose registers were expected, and what else the caller
// has at hand.
type TDX struct {
	Input tdx.Input

	// Inputs of other releases and hosts, to be tried in place of the expected ones.
	Firmware     []Named[*ovmf.Image]
	Vars         []Named[[]byte]    // OVMF_VARS.fd, for an image that is CODE alone
	ACPI         []Named[*tdx.ACPI] // such as a dump without programmed BARs
	Memory       []uint64           // sizes besides the common ones
	Kernels      []Named[[]byte]
	UKIs         []Named[[]byte]
	Initrds      []Named[Initrd]
	CommandLines []Named[string]

	// Log is the log that came with the registers. It explains them if it replays
	// to them.
	Log *eventlog.CCLog
}

// Initrd is what registers depend on of an initrd.
type Initrd struct {
	SHA384 [48]byte
	Size   uint64 // of the file
}

// Bounds of the search for a register: 2 s on one core of today. MRTD hashes the
// firmware for each probe, RTMR1 the kernel for each of its forms.
const (
	mrtdProbes  = 120
	rtmrProbes  = 20_000
	kernelForms = 60
)

// Explain searches for each register that is reported and differs. Reported
// values have the index of their register in a tdx.Prediction, nil for one that
// is not known. A register without a prediction is explained too; if nothing
// differs, the error is an EqualError.
func (in TDX) Explain(reported [eventlog.MRs][]byte) ([]*Result, error) {
	if err := in.check(reported); err != nil {
		return nil, fmt.Errorf("explaining TDX registers: %w", err)
	}
	expected, unusable, err := in.predict()
	if err != nil {
		return nil, fmt.Errorf("explaining TDX registers: %w", err)
	}
	lab := newTDLab(&in, unusable)
	var list []*Result
	for i, value := range reported {
		if value == nil {
			continue
		}
		r, err := lab.explain(i, expected.Registers[i], value)
		var equal *EqualError
		if errors.As(err, &equal) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	if list == nil {
		return nil, &EqualError{Value: "TDX registers"}
	}
	return list, nil
}

func (in *TDX) check(reported [eventlog.MRs][]byte) error {
	given := false
	for i, value := range reported {
		if value != nil && len(value) != len(tdx.Digest{}) {
			return fmt.Errorf("%s: got %d bytes, want %d", eventlog.MRName(uint32(i)), len(value), len(tdx.Digest{}))
		}
		given = given || value != nil
	}
	if !given {
		return errors.New("reported values: got none")
	}
	for _, n := range []int{
		len(in.Firmware), len(in.Vars), len(in.ACPI), len(in.Memory), len(in.Kernels), len(in.UKIs), len(in.Initrds), len(in.CommandLines),
	} {
		if n > maxAlternatives {
			return fmt.Errorf("other inputs: got %d of a kind, want at most %d", n, maxAlternatives)
		}
	}
	return nil
}

// predict computes what was expected. A firmware that is not whole has no
// registers; unusable says why, and what does not come from it is predicted.
func (in *TDX) predict() (p *tdx.Prediction, unusable, err error) {
	input := in.Input
	if input.Firmware != nil {
		if unusable = input.Firmware.CheckUnified(); unusable != nil {
			input.Firmware = nil
		}
	}
	p, err = tdx.Predict(input)
	return p, unusable, err
}

// explain searches for one register.
func (l *tdLab) explain(index int, expected tdx.Register, reported []byte) (*Result, error) {
	var want []byte
	if expected.Value != nil {
		want = expected.Value[:]
	}
	r, err := newResult(expected.Name, want, reported)
	if err != nil {
		return nil, err
	}
	if l.unusable != nil && index <= tdx.RTMR0 {
		r.note("the expected firmware can't be launched as it is: %v", l.unusable)
	} else if want == nil {
		r.note("nothing was predicted: %s", expected.Missing)
	}
	if slices.ContainsFunc(expected.Events, func(e tdx.Event) bool { return e.Source == tdx.FromLog }) {
		r.note("digests of the machine's own log stand in for unknown ones: nothing here speaks for what they hash")
	}
	if bytes.Count(reported, []byte{0}) == len(reported) {
		r.note("the reported register is zero: nothing was extended into it")
	}
	s := search[tdState]{start: l.start, axes: l.axes(index), most: rtmrProbes}
	if index == tdx.MRTD {
		s.most = mrtdProbes
	}
	s.probe = func(s tdState) (bool, []Change, int, error) { return l.probe(index, s, reported) }
	s.run()
	s.report(r, "this TD")
	if l.full {
		r.note("only %d forms of kernels were hashed", kernelForms)
	}
	l.explainLog(r, index, expected, reported)
	if len(r.Findings) == 0 {
		l.limits(r, index)
	}
	return r, nil
}

// limits says what a register's value can't tell.
func (l *tdLab) limits(r *Result, index int) {
	switch index {
	case tdx.MRTD:
		r.note("attributes, XFAM, MRCONFIGID, MROWNER and MROWNERCONFIG are not part of MRTD")
	case tdx.RTMR0:
		r.note("the ACPI tables depend on the QEMU version, every device and what the firmware programmed: give those of the machine to have them tried")
	case tdx.RTMR3:
		r.note("RTMR3 is extended by the running system: only its own log tells with what")
	}
}
