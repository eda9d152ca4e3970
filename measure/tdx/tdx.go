// Package tdx predicts the measurement registers of an Intel TD, MRTD and RTMR0
// to RTMR3, from the files it is launched with, and compares an event log with
// the prediction. Every event says where its digest comes from: a digest out of
// the machine's own log proves nothing about that machine.
//
// It implements:
//   - Intel TDX Module v1.5 Base Architecture Specification 348549, "RTMR:
//     Run-Time Measurement Registers", and TDX Virtual Firmware Design Guide
//     344991, which says what the firmware measures.
//   - UEFI 2.10, section 38.4 (EFI_CC_MEASUREMENT_PROTOCOL) and edk2's map of it
//     (SecurityPkg, TdxMeasurementCommon.c): PCR 1 and 7 are RTMR0, PCR 2 to 6
//     RTMR1, PCR 8 to 15 RTMR2. PCR 0 would be MRTD, which nothing extends.
//   - TCG PC Client Platform Firmware Profile (PFP), Family 2.0, Level 00,
//     Version 1.06 Revision 52, section 10 (events).
//   - What edk2 and Linux make of these: RTMR layouts of specs/measure.md 5.3,
//     QEMU's direct kernel boot (5.5, 5.6) and unified kernel images (5.7).
//
// MRTD is package tdvf's. A register whose inputs are not all there has no
// value and says what is missing.
package tdx

import (
	"crypto/sha512"
	"fmt"
	"sync"

	"safebox/measure/eventlog"
	"safebox/measure/tdx/tdvf"
)

// Digest is a SHA-384 digest or the value of a register.
type Digest = tdvf.Digest

// Source says where a digest comes from.
type Source uint8

// The sources, from the weakest to the strongest.
const (
	Unknown  Source = iota // nothing is known of it: the register has no value
	FromLog                // a log of the machine itself: proves nothing about it
	Given                  // the caller gave a digest and not the bytes
	FromFile               // computed from bytes that the caller gave
	Computed               // follows from a specification and the choices of the Input
)

// String returns the source as it is printed behind a digest.
func (s Source) String() string {
	switch s {
	case Unknown:
		return "unknown"
	case FromLog:
		return "from log"
	case Given:
		return "given"
	case FromFile:
		return "from file"
	case Computed:
		return "computed"
	}
	return fmt.Sprintf("source %d", uint8(s))
}

// Event is one measurement.
type Event struct {
	Type        eventlog.Type
	Description string
	Digest      Digest // zero when the source is Unknown
	Source      Source
}

// Register is the prediction for one register.
type Register struct {
	Name    string  // "mrtd", "rtmr0" to "rtmr3"
	Value   *Digest // nil if something is missing
	Missing string  // what, in plain words
	Events  []Event // what extends it, in order; none for MRTD
}

// Source returns the weakest source of the register's events: a register of
// FromLog repeats what the machine says of itself. MRTD is FromFile, the
// firmware's; an RTMR that nothing extends is Computed.
func (r Register) Source() Source {
	if r.Value == nil {
		return Unknown
	}
	weakest := Computed
	if r.Name == name(MRTD) {
		weakest = FromFile
	}
	for _, e := range r.Events {
		weakest = min(weakest, e.Source)
	}
	return weakest
}

// Index of the registers of a Prediction. An RTMR's index is also the one of its
// events in a log (UEFI 2.10, section 38.4.1, EFI_CC_MR_INDEX).
const (
	MRTD = iota
	RTMR0
	RTMR1
	RTMR2
	RTMR3
)

// Prediction holds what the registers will be.
type Prediction struct {
	Registers [eventlog.MRs]Register // by index
}

// Predict computes the registers. An input that is malformed or contradicts
// itself is an error; one that is absent leaves its register without a value.
func Predict(in Input) (*Prediction, error) {
	if err := in.check(); err != nil {
		return nil, fmt.Errorf("predicting TDX registers: %w", err)
	}
	known := &input{Input: in}
	if in.UKI != nil {
		var err error
		if known.uki, err = in.UKI.predict(in.Variables); err != nil {
			return nil, fmt.Errorf("predicting TDX registers: %w", err)
		}
	}
	p := &Prediction{}
	var errs [eventlog.MRs]error
	var group sync.WaitGroup // each hashes files of its own
	for i, f := range [...]func(*input) (Register, error){
		MRTD: mrtd, RTMR0: rtmr0, RTMR1: rtmr1, RTMR2: rtmr2, RTMR3: rtmr3,
	} {
		group.Go(func() { p.Registers[i], errs[i] = f(known) })
	}
	group.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("predicting %s: %w", name(i), err)
		}
		p.Registers[i].Name = name(i)
	}
	return p, nil
}

func name(index int) string {
	return [eventlog.MRs]string{"mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3"}[index]
}

// mrtd is what the monitor loads and measures before the TD runs.
func mrtd(in *input) (Register, error) {
	if in.Firmware == nil {
		return Register{Missing: "no firmware given"}, nil
	}
	o := tdvf.Options{Order: in.Order, Trace: in.Trace}
	if in.Order == tdvf.TDHOBBug {
		// Not in.hob: a q35 machine has another HOB, and none has this order.
		if o.HOB = in.HOB; o.HOB == nil {
			return Register{Missing: "this order measures the TD HOB of a machine of Google Compute Engine: not given"}, nil
		}
	}
	d, err := tdvf.MRTD(in.Firmware, o)
	if err != nil {
		return Register{}, err
	}
	return Register{Value: &d}, nil
}

// Extend is TDG.MR.RTMR.EXTEND (Intel TDX Module v1.5 ABI Specification 348551):
// the hash of the register and the digest.
func Extend(value Digest, digests ...Digest) Digest {
	for _, d := range digests {
		value = sha512.Sum384(append(value[:], d[:]...))
	}
	return value
}
