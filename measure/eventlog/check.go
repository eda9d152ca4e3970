package eventlog

import (
	"bytes"
	"fmt"
)

// HashesData reports whether the digests of events of this type are the hash
// of the event data (PFP 10.4.1). Of other events the data is only a hint: it
// may say anything without moving a register.
func (t Type) HashesData() bool {
	switch t {
	case Separator, Action, EFIAction, SCRTMVersion, EFIVariableDriverConfig, EFIGPTEvent:
		return true
	}
	return false
}

// CheckData compares the SHA-256 and SHA-384 digests of an event whose type
// HashesData with its data. It returns nil for the other types: their data is
// not bound to anything.
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
		if want := h.Sum(nil); !bytes.Equal(d.Value, want) {
			return fmt.Errorf("%v in PCR %d: %v digest: got %x, want %x as the hash of its data",
				e.Type, e.PCR, d.Algorithm, d.Value, want)
		}
	}
	return nil
}

// CheckData does Event.CheckData for every event of the log.
func (l *Log) CheckData() error {
	for i := range l.Events {
		if err := l.Events[i].CheckData(); err != nil {
			return fmt.Errorf("checking event %d: %w", i, err)
		}
	}
	return nil
}
