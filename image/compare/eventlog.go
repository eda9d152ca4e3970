package compare

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"safebox/measure/eventlog"
)

// eventLog is a decoded log, of a TPM or of a confidential guest.
type eventLog struct {
	guest  bool
	header eventlog.Header
	events []eventlog.Event
}

// decodeLog reads a log. edk2 writes register 1 into the header of a guest's
// log, td-shim 0 as in a TPM's.
func decodeLog(b []byte) (*eventLog, error) {
	of := func(l *eventlog.CCLog) *eventLog { return &eventLog{true, l.Header, l.Events} }
	if len(b) >= 4 && binary.LittleEndian.Uint32(b) != 0 {
		l, err := eventlog.DecodeCCEL(b)
		if err != nil {
			return nil, err
		}
		return of(l), nil
	}
	l, err := eventlog.Decode(b)
	if err == nil {
		return &eventLog{false, l.Header, l.Events}, nil
	}
	if l, errGuest := eventlog.DecodeCCEL(b); errGuest == nil {
		return of(l), nil
	}
	return nil, err
}

func (l *eventLog) kind() string {
	if l.guest {
		return "log of a TDX guest"
	}
	return "log of a TPM"
}

func (l *eventLog) register(index uint32) string {
	if l.guest {
		return eventlog.MRName(index)
	}
	return fmt.Sprintf("pcr%d", index)
}

// of lists the events of one register.
func (l *eventLog) of(index uint32) []*eventlog.Event {
	var list []*eventlog.Event
	for i := range l.events {
		if e := &l.events[i]; e.PCR == index {
			list = append(list, e)
		}
	}
	return list
}

// logs compares two event logs and returns the first event of each register
// that differs: an event makes its register differ from there on, and no other
// one. Registers whose values differ come first. Of those that don't, the first
// event that is only described differently follows, such as an image that was
// loaded to another address.
func logs(a, b []byte) []Difference {
	logA, errA := decodeLog(a)
	logB, errB := decodeLog(b)
	if errA != nil || errB != nil {
		return []Difference{*firstByte(a, b).refused(errA, errB)}
	}
	if logA.guest != logB.guest {
		return []Difference{{What: "format", A: logA.kind(), B: logB.kind()}}
	}
	if d := logHeaders(&logA.header, &logB.header); d != nil {
		return []Difference{*d}
	}
	var found []Difference
	for _, equal := range []func(x, y *eventlog.Event) bool{sameExtend, sameEvent} {
		for index := range uint32(eventlog.PCRs) {
			name := logB.register(index)
			if d := registerEvents(logA.of(index), logB.of(index), equal); d != nil && !listed(found, name) {
				found = append(found, *d.in(name))
			}
		}
	}
	if found != nil {
		return found
	}
	return []Difference{*logOrder(logA, logB, a, b)}
}

func listed(list []Difference, register string) bool {
	return slices.ContainsFunc(list, func(d Difference) bool { return d.Path[0] == register })
}

// logHeaders compares the Specification ID events. Logs with other digests
// can't be compared by them.
func logHeaders(a, b *eventlog.Header) *Difference {
	if !slices.Equal(a.Algorithms, b.Algorithms) {
		return &Difference{What: "algorithms", A: algorithms(a), B: algorithms(b)}
	}
	if !bytes.Equal(a.VendorInfo, b.VendorInfo) {
		return &Difference{What: "vendor information", A: fmt.Sprintf("%x", a.VendorInfo), B: fmt.Sprintf("%x", b.VendorInfo)}
	}
	fields := []struct {
		name string
		a, b uint32
	}{
		{"platform class", a.PlatformClass, b.PlatformClass},
		{"minor version", uint32(a.VersionMinor), uint32(b.VersionMinor)},
		{"major version", uint32(a.VersionMajor), uint32(b.VersionMajor)},
		{"errata", uint32(a.Errata), uint32(b.Errata)},
		{"UINTN size", uint32(a.UintnSize), uint32(b.UintnSize)},
	}
	for _, f := range fields {
		if f.a != f.b {
			return &Difference{What: f.name, A: fmt.Sprint(f.a), B: fmt.Sprint(f.b)}
		}
	}
	return nil
}

func algorithms(h *eventlog.Header) string {
	var text []byte
	for i, a := range h.Algorithms {
		if i > 0 {
			text = append(text, ' ')
		}
		text = append(text, a.Algorithm.String()...)
	}
	return string(text)
}

// registerEvents finds the first event of a register that differs.
func registerEvents(a, b []*eventlog.Event, equal func(x, y *eventlog.Event) bool) *Difference {
	for i := range max(len(a), len(b)) {
		name := fmt.Sprintf("event %d", i)
		switch {
		case i >= len(a):
			return onOneSide(describeEvent(b[i], nil), false).in(name)
		case i >= len(b):
			return onOneSide(describeEvent(a[i], nil), true).in(name)
		case !equal(a[i], b[i]):
			return events(a[i], b[i]).in(name)
		}
	}
	return nil
}

// events shows two events. Long data may be described in the same words.
func events(a, b *eventlog.Event) *Difference {
	d := &Difference{A: describeEvent(a, b), B: describeEvent(b, a)}
	if d.A == d.B {
		return firstByte(a.Data, b.Data).in(d.B, "data")
	}
	return d
}

// sameExtend reports whether two events do the same to a register. EV_NO_ACTION
// does nothing but for its data, which may tell of a register's first value.
func sameExtend(x, y *eventlog.Event) bool {
	if x.Type == eventlog.NoAction && !bytes.Equal(x.Data, y.Data) {
		return false
	}
	return x.Type == y.Type && slices.EqualFunc(x.Digests, y.Digests, func(p, q eventlog.Digest) bool {
		return p.Algorithm == q.Algorithm && bytes.Equal(p.Value, q.Value)
	})
}

func sameEvent(x, y *eventlog.Event) bool { return sameExtend(x, y) && bytes.Equal(x.Data, y.Data) }

// describeEvent shows an event with the last of its digests that the other one
// does not share: the strongest algorithm comes last in logs.
func describeEvent(e, other *eventlog.Event) string {
	text := clip(fmt.Sprintf("%v %s", e.Type, e.Describe()))
	for _, d := range slices.Backward(e.Digests) {
		if other == nil || !bytes.Equal(d.Value, other.Digest(d.Algorithm)) {
			return fmt.Sprintf("%s with %v %x", text, d.Algorithm, d.Value)
		}
	}
	return text + " with the same digests"
}

// logOrder names what differs between logs with equal events in every
// register: their order across registers, or the filling behind them.
func logOrder(logA, logB *eventLog, a, b []byte) *Difference {
	for i := range logB.events {
		if ea, eb := &logA.events[i], &logB.events[i]; ea.PCR != eb.PCR {
			return &Difference{What: fmt.Sprintf("order: event %d", i), A: logA.register(ea.PCR), B: logB.register(eb.PCR)}
		}
	}
	d := firstByte(a, b)
	d.Note = "the events are equal, only what is around them differs"
	return d
}
