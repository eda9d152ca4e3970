package eventlog

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// HashesData reports whether the digests of events of this type are the hash
// of the event data (PFP 10.4.1), or of a part that its structure sets apart.
// Of other events the data is only a hint: it may say anything without moving a
// register. So it is with EV_EVENT_TAG: Linux's EFI stub hashes the load options
// and the initrd, and logs their names alone.
func (t Type) HashesData() bool {
	switch t {
	case Separator, Action, EFIAction, SCRTMVersion, EFIVariableDriverConfig, EFIVariableBoot, EFIVariableBoot2,
		EFIVariableAuthority, EFIGPTEvent:
		return true
	}
	return false
}

// CheckData compares the SHA-256 and SHA-384 digests of an event whose type
// HashesData with its data. It returns nil for the other types: their data is
// not bound to anything.
//
// EV_EFI_VARIABLE_BOOT may be either hash, of the variable's value or of the
// whole structure: EDK II hashes the value, in the logs of TPMs and of
// confidential guests, and other vendors' firmware the structure. With the
// value's the variable's name is a hint too.
func (e *Event) CheckData() error {
	if !e.Type.HashesData() {
		return nil
	}
	for _, d := range e.Digests {
		h, err := d.Algorithm.newHash()
		if err != nil {
			continue // a bank that nothing rests on
		}
		h.Write(e.Data)
		want := h.Sum(nil)
		if bytes.Equal(d.Value, want) {
			continue
		}
		if _, value, ok := variableParts(e.Data); ok && e.Type == EFIVariableBoot {
			h.Reset()
			h.Write(value)
			if bytes.Equal(d.Value, h.Sum(nil)) {
				continue
			}
		}
		return fmt.Errorf("%v: %v digest: got %x, want %x as the hash of its data", e.Type, d.Algorithm, d.Value, want)
	}
	return nil
}

// variableSize is what comes before the name in a UEFI_VARIABLE_DATA.
const variableSize = 16 + 8 + 8

// variableParts gives the name and the value of a UEFI_VARIABLE_DATA (PFP 10.2):
// variable GUID, u64 name length in characters, u64 data length, UTF-16LE name
// without a NUL, data.
func variableParts(b []byte) (name, value []byte, ok bool) {
	if len(b) < variableSize {
		return nil, nil, false
	}
	chars, size := binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])
	rest := b[variableSize:]
	if chars > uint64(len(rest))/2 || size != uint64(len(rest))-2*chars {
		return nil, nil, false
	}
	return rest[:2*chars], rest[2*chars:], true
}

// CheckData does Event.CheckData for every event of the log.
func (l *Log) CheckData() error {
	for i := range l.Events {
		e := &l.Events[i]
		if err := e.CheckData(); err != nil {
			return fmt.Errorf("checking event %d in PCR %d: %w", i, e.PCR, err)
		}
	}
	return nil
}

// CheckData does Event.CheckData for every event of the log.
func (l *CCLog) CheckData() error {
	for i := range l.Events {
		e := &l.Events[i]
		if err := e.CheckData(); err != nil {
			return fmt.Errorf("checking event %d in %s: %w", i, MRName(e.PCR), err)
		}
	}
	return nil
}
