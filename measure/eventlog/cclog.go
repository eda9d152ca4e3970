package eventlog

import "fmt"

// MRs is the number of measurement registers of a TDX guest (UEFI 2.10,
// section 38.4.1): index 0 is MRTD, 1 to 4 are RTMR0 to RTMR3.
const MRs = 5

// RTMRs is the number of registers that a TDX guest can extend.
const RTMRs = 4

// MRName returns the name of the measurement register with an index.
func MRName(index uint32) string {
	switch {
	case index == 0:
		return "MRTD"
	case index < MRs:
		return fmt.Sprintf("RTMR%d", index-1)
	}
	return fmt.Sprintf("measurement register %d", index)
}

// CCLog is the decoded event log of a TDX guest.
type CCLog struct {
	// HeaderRegister is the register that the Specification ID event names. It
	// extends nothing. EDK II writes 1 there and td-shim 0.
	HeaderRegister uint32
	Header         Header
	Events         []Event // in the order of the log; Event.PCR is 0 to 4

	// The area of the log is larger than its events and filled: by EDK II with
	// 0xff, by td-shim with zeros. A log that was cut at its end has no filling.
	Filling int // bytes
	Filler  byte
}

// DecodeCCEL parses the area of a confidential guest's log. The events end at
// the end of the area, or where the rest of it is filled with nothing but 0xff
// or nothing but zeros. Something that follows in the filling is refused: an
// event behind it would be one that other readers do not see.
func DecodeCCEL(b []byte) (*CCLog, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("parsing event log: length: got %d, want at most %d", len(b), MaxSize)
	}
	d := decoder{b: b, registers: registers{index: "register index", count: MRs, filled: true}}
	register, h, err := d.header()
	if err == nil && register > 1 {
		err = fmt.Errorf("register index: got %d, want 0 or 1", register)
	}
	if err != nil {
		return nil, fmt.Errorf("parsing event log header: %w", err)
	}
	events, err := d.events(h.Algorithms)
	if err != nil {
		return nil, err
	}
	l := &CCLog{HeaderRegister: register, Header: *h, Events: events, Filling: len(b) - d.off}
	if l.Filling > 0 {
		l.Filler = b[d.off]
	}
	return l, nil
}

// atFilling reports whether the rest of a log is its filling: register
// 0xffffffff, or register 0 with type 0, which no event of a guest has. rest is
// not empty.
func atFilling(rest []byte) (bool, error) {
	var mark int
	filler := rest[0]
	switch filler {
	case 0:
		mark = 8 // a register and a type
	case 0xff:
		mark = 4 // a register
	default:
		return false, nil
	}
	n := 0
	for n < len(rest) && rest[n] == filler {
		n++
	}
	if n == len(rest) {
		return true, nil
	}
	if n < mark {
		return false, nil
	}
	return false, fmt.Errorf("filling: got %#02x after %d bytes of %#02x, want %#02x up to the end", rest[n], n, filler, filler)
}
