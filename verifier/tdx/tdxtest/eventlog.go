package tdxtest

import (
	"crypto/sha512"

	"safebox/measure/eventlog"
)

// newLog makes a firmware's log that extends RTMR0, RTMR1 and RTMR2, with an
// event that extends nothing.
func newLog() *eventlog.CCLog {
	event := func(register uint32, kind eventlog.Type, text string) eventlog.Event {
		sum := sha512.Sum384([]byte(text))
		return eventlog.Event{
			PCR: register, Type: kind, Data: []byte(text),
			Digests: []eventlog.Digest{{Algorithm: eventlog.SHA384, Value: sum[:]}},
		}
	}
	const action = eventlog.Type(0x80000007) // EV_EFI_ACTION
	return &eventlog.CCLog{
		HeaderRegister: 1,
		Header: eventlog.Header{
			VersionMajor: 2, UintnSize: 2, VendorInfo: []byte{},
			Algorithms: []eventlog.AlgorithmSize{{Algorithm: eventlog.SHA384, Size: sha512.Size384}},
		},
		Events: []eventlog.Event{
			event(1, action, "configuration of the firmware"),
			event(1, eventlog.NoAction, "extends nothing"),
			event(2, action, "kernel"),
			event(3, action, "command line"),
			event(1, eventlog.Separator, "\x00\x00\x00\x00"),
		},
		Filling: 64, Filler: 0xff,
	}
}
