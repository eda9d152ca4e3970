// Package explaintdx says why registers of a trust domain are not the expected
// ones. Its axes are what VMMs, firmware and measuring tools settle in different
// ways within the Intel TDX module ABI and the TDVF design guide.
package explaintdx

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"safebox/measure/eventlog"
	"safebox/measure/explain"
	"safebox/measure/explain/internal/inputs"
	"safebox/measure/explain/internal/registers"
	"safebox/measure/explain/internal/search"
	"safebox/measure/ovmf"
	"safebox/measure/tdx"
)

// TD is a trust domain whose registers were expected, and what else the caller
// has at hand.
type TD struct {
	Input tdx.Input

	// Inputs of other releases and hosts, to be tried in place of the expected ones.
	Firmware     []explain.Named[*ovmf.Image]
	Vars         []explain.Named[[]byte]    // OVMF_VARS.fd, for an image that is CODE alone
	ACPI         []explain.Named[*tdx.ACPI] // such as a dump without programmed BARs
	Memory       []uint64                   // sizes besides the common ones
	Kernels      []explain.Named[[]byte]
	UKIs         []explain.Named[[]byte]
	Initrds      []explain.Named[Initrd]
	CommandLines []explain.Named[string]

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
// differs, the error is an explain.EqualError.
func (in TD) Explain(reported [eventlog.MRs][]byte) ([]*explain.Result, error) {
	if err := in.check(reported); err != nil {
		return nil, fmt.Errorf("explaining TDX registers: %w", err)
	}
	expected, unusable, err := in.predict()
	if err != nil {
		return nil, fmt.Errorf("explaining TDX registers: %w", err)
	}
	l := newLab(&in, unusable)
	return registers.Each("TDX registers", reported[:], func(i int) (*explain.Result, error) {
		return l.explain(i, expected.Registers[i], reported[i])
	})
}

func (in *TD) check(reported [eventlog.MRs][]byte) error {
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
	return inputs.Check(len(in.Firmware), len(in.Vars), len(in.ACPI), len(in.Memory), len(in.Kernels), len(in.UKIs),
		len(in.Initrds), len(in.CommandLines))
}

// predict computes what was expected. A firmware that is not whole has no
// registers; unusable says why, and what does not come from it is predicted.
func (in *TD) predict() (p *tdx.Prediction, unusable, err error) {
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
func (l *lab) explain(index int, expected tdx.Register, reported []byte) (*explain.Result, error) {
	var want []byte
	if expected.Value != nil {
		want = expected.Value[:]
	}
	r, err := explain.New(expected.Name, want, reported)
	if err != nil {
		return nil, err
	}
	if l.unusable != nil && index <= tdx.RTMR0 {
		r.Note("the expected firmware can't be launched as it is: %v", l.unusable)
	} else if want == nil {
		r.Note("nothing was predicted: %s", expected.Missing)
	}
	if slices.ContainsFunc(expected.Events, func(e tdx.Event) bool { return e.Source == tdx.FromLog }) {
		r.Note("digests of the machine's own log stand in for unknown ones: nothing here speaks for what they hash")
	}
	if bytes.Count(reported, []byte{0}) == len(reported) {
		r.Note("the reported register is zero: nothing was extended into it")
	}
	s := search.Space[state]{Start: l.start, Axes: l.axes(index), Most: rtmrProbes}
	if index == tdx.MRTD {
		s.Most = mrtdProbes
	}
	s.Probe = func(s state) (bool, []search.Change, int, error) { return l.probe(index, s, reported) }
	s.Search()
	s.Report(r, "this TD")
	if l.full {
		r.Note("only %d forms of kernels were hashed", kernelForms)
	}
	l.explainLog(r, index, expected, reported)
	if len(r.Findings) == 0 {
		l.limits(r, index)
	}
	return r, nil
}

// limits says what a register's value can't tell.
func (l *lab) limits(r *explain.Result, index int) {
	switch index {
	case tdx.MRTD:
		r.Note("attributes, XFAM, MRCONFIGID, MROWNER and MROWNERCONFIG are not part of MRTD")
	case tdx.RTMR0:
		r.Note("the ACPI tables depend on the QEMU version, every device and what the firmware programmed: give those of the machine to have them tried")
	case tdx.RTMR3:
		r.Note("RTMR3 is extended by the running system: only its own log tells with what")
	}
}
