package sandbox

import (
	"encoding/binary"
	"math"
)

// Sizes of $subscription and $event, and the tags of $eventtype.
const (
	subscriptionSize = 48
	eventSize        = 32
	tagClock         = 0
	tagWrite         = 2

	maxSubscriptions = 1024
)

// subscription is what a program waits for: u64 userdata, u8 tag at 8; for a
// clock u32 id at 16, u64 timeout at 24, u16 flags at 40 (bit 0: the timeout is
// a point in time).
type subscription struct {
	userdata uint64
	tag      byte
	deadline uint64 // of a clock, on the virtual clock
	valid    bool
}

// poll waits for nothing: the virtual clock moves to the first deadline, and
// whatever is due then is reported. Streams are always ready, and at their end.
func (p *program) poll(c *call) uint64 {
	n := c.u32(2)
	if n == 0 || n > maxSubscriptions {
		return wasiInval
	}
	in, out := c.bytes(c.u32(0), n*subscriptionSize), c.bytes(c.u32(1), n*eventSize)
	if in == nil || out == nil {
		return wasiFault
	}
	list, first := p.subscriptions(in)
	p.clock.waitUntil(first)
	// Read before written: a program may have laid both over each other.
	events := uint32(0)
	for _, s := range list {
		if s.tag == tagClock && s.valid && s.deadline > p.clock.now {
			continue
		}
		e := out[events*eventSize:][:eventSize]
		clear(e)
		binary.LittleEndian.PutUint64(e, s.userdata)
		if !s.valid {
			binary.LittleEndian.PutUint16(e[8:], wasiInval)
		}
		e[10] = s.tag
		events++
	}
	if !c.putU32(c.u32(3), events) {
		return wasiFault
	}
	return wasiSuccess
}

// subscriptions reads the list; first is the earliest deadline, or 0 if
// something is ready without waiting.
func (p *program) subscriptions(b []byte) (list []subscription, first uint64) {
	first = math.MaxUint64
	for ; len(b) > 0; b = b[subscriptionSize:] {
		s := p.subscription(b)
		list = append(list, s)
		first = min(first, s.deadline)
	}
	return list, first
}

func (p *program) subscription(b []byte) subscription {
	le := binary.LittleEndian
	s := subscription{userdata: le.Uint64(b), tag: b[8]}
	if s.tag != tagClock {
		s.valid = s.tag <= tagWrite
		return s
	}
	id, timeout, absolute := le.Uint32(b[16:]), le.Uint64(b[24:]), le.Uint16(b[40:])&1 != 0
	if s.valid = id <= clockThread; !s.valid {
		return s
	}
	switch {
	case !absolute:
		timeout = p.clock.now + min(timeout, lastTime)
	case id == clockRealtime:
		timeout -= min(timeout, p.startTime())
	}
	s.deadline = min(timeout, lastTime) // where the clock stops, all is due
	return s
}
