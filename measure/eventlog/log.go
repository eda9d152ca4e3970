// Package eventlog reads the measured-boot event log of a UEFI firmware and
// replays it to the register values it claims. A log is untrusted: it
// explains register values that a quote vouches for, and proves nothing alone.
//
// It implements the crypto-agile log of the TCG PC Client Platform Firmware
// Profile (PFP), Family 2.0, Level 00, Version 1.06 Revision 52, sections 10.2
// (structures) and 10.4 (events), in two forms:
//
// Log is a TPM's, as Linux exposes it in
// /sys/kernel/security/tpm0/binary_bios_measurements: the Specification ID
// event, then one TCG_PCR_EVENT2 after the other and nothing else.
//
// CCLog is a confidential guest's (UEFI 2.10, section 38, Confidential
// Computing), which Linux exposes in /sys/firmware/acpi/tables/data/CCEL: the
// same with measurement registers in place of PCRs, and a filled rest. Its
// place is told by the ACPI table CCEL: CCELTable.
//
// All numbers are little endian and nothing is aligned.
package eventlog

import (
	"encoding/binary"
	"fmt"
)

// Limits of a log. The largest of the logs that this package was tried with, a
// cloud machine with its vendor's keys enrolled, has 115 events in 45 kB.
const (
	MaxSize       = 1 << 20
	MaxEvents     = 4096
	MaxEventSize  = 1 << 18
	MaxAlgorithms = 8
)

// PCRs is the number of registers of a TPM (TCG PC Client Platform TPM Profile
// 1.05, section 4.6).
const PCRs = 24

// Log is a decoded event log.
type Log struct {
	Header Header
	Events []Event // in the order of the log
}

// Event is one TCG_PCR_EVENT2 (PFP 10.2.2), or a CC_EVENT (UEFI 2.10, section 38),
// which is laid out alike.
type Event struct {
	PCR     uint32 // in a CCLog the index of the measurement register
	Type    Type
	Digests []Digest // one for each of the header's algorithms, in its order
	Data    []byte
}

// Digest is one digest of an event: a TPMT_HA of the TPM 2.0 Library, Part 2.
type Digest struct {
	Algorithm Algorithm
	Value     []byte
}

// Digest returns the event's digest of the bank a, nil if it has none.
func (e *Event) Digest(a Algorithm) []byte {
	for _, d := range e.Digests {
		if d.Algorithm == a {
			return d.Value
		}
	}
	return nil
}

// Decode parses a whole log. Every byte must belong to it.
func Decode(b []byte) (*Log, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("parsing event log: length: got %d, want at most %d", len(b), MaxSize)
	}
	d := decoder{b: b, registers: registers{index: "PCR index", count: PCRs}}
	pcr, h, err := d.header()
	if err == nil && pcr != 0 {
		err = fmt.Errorf("PCR index: got %d, want 0 (a log of a TPM)", pcr)
	}
	if err != nil {
		return nil, fmt.Errorf("parsing event log header: %w", err)
	}
	events, err := d.events(h.Algorithms)
	if err != nil {
		return nil, err
	}
	return &Log{Header: *h, Events: events}, nil
}

// events parses events up to the end, or to the filling of a log that may have
// one.
func (d *decoder) events(algorithms []AlgorithmSize) ([]Event, error) {
	var events []Event
	for d.off < len(d.b) {
		if d.registers.filled {
			if end, err := atFilling(d.b[d.off:]); err != nil {
				return nil, fmt.Errorf("parsing event log at %#x: %w", d.off, err)
			} else if end {
				break
			}
		}
		if len(events) == MaxEvents {
			return nil, fmt.Errorf("parsing event log at %#x: more than %d events", d.off, MaxEvents)
		}
		start := d.off
		e, err := d.event(algorithms)
		if err != nil {
			return nil, fmt.Errorf("parsing event %d at %#x: %w", len(events), start, err)
		}
		events = append(events, *e)
	}
	return events, nil
}

// event parses a TCG_PCR_EVENT2 (PFP 10.2.2):
//
//	pcrIndex   u32
//	eventType  u32
//	digests    TPML_DIGEST_VALUES: u32 count, then u16 algorithm and digest each
//	eventSize  u32
//	event      eventSize bytes
func (d *decoder) event(algorithms []AlgorithmSize) (*Event, error) {
	e := &Event{PCR: d.u32(d.registers.index)}
	e.Type = Type(d.u32("type"))
	count := d.u32("digest count")
	if d.err != nil {
		return nil, d.err
	}
	if e.PCR >= d.registers.count {
		return nil, fmt.Errorf("%s: got %d, want below %d", d.registers.index, e.PCR, d.registers.count)
	}
	if count != uint32(len(algorithms)) {
		return nil, fmt.Errorf("digest count: got %d, want %d as in the header", count, len(algorithms))
	}
	e.Digests = make([]Digest, 0, len(algorithms))
	for i, a := range algorithms {
		got := Algorithm(d.u16("digest algorithm"))
		if d.err == nil && got != a.Algorithm {
			return nil, fmt.Errorf("digest %d: algorithm: got %v, want %v as in the header", i, got, a.Algorithm)
		}
		e.Digests = append(e.Digests, Digest{Algorithm: got, Value: d.bytes(int(a.Size), "digest")})
	}
	size := d.u32("event size")
	if d.err == nil && size > MaxEventSize {
		return nil, fmt.Errorf("event size: got %d, want at most %d", size, MaxEventSize)
	}
	e.Data = d.bytes(int(size), "event data")
	return e, d.err
}

// decoder walks over the bytes of a log. After its first error it returns
// zeros, so that a structure is read in one go and the error looked at once.
type decoder struct {
	b         []byte
	off       int
	err       error
	registers registers
}

// registers is what the two forms of a log differ in.
type registers struct {
	index  string // what the number of a register is called
	count  uint32
	filled bool // the log lies in an area whose rest is filled
}

// bytes returns a copy of the next n bytes, so that a decoded log does not
// share memory with its input.
func (d *decoder) bytes(n int, field string) []byte {
	if d.err == nil && n > len(d.b)-d.off {
		d.err = fmt.Errorf("%s at %#x: got %d bytes, want %d", field, d.off, len(d.b)-d.off, n)
	}
	if d.err != nil {
		return nil
	}
	out := make([]byte, n)
	copy(out, d.b[d.off:])
	d.off += n
	return out
}

func (d *decoder) u8(field string) uint8 {
	if b := d.bytes(1, field); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) u16(field string) uint16 {
	if b := d.bytes(2, field); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (d *decoder) u32(field string) uint32 {
	if b := d.bytes(4, field); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}
