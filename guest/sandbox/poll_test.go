package sandbox

import (
	"encoding/binary"
	"math"
	"testing"
)

// subscribe writes a $subscription: witx/wasi_snapshot_preview1.witx.
func subscribe(userdata uint64, tag byte, clock uint32, timeout uint64, flags uint16) []byte {
	b := make([]byte, 48)
	binary.LittleEndian.PutUint64(b, userdata)
	b[8] = tag
	binary.LittleEndian.PutUint32(b[16:], clock)
	binary.LittleEndian.PutUint64(b[24:], timeout)
	binary.LittleEndian.PutUint16(b[40:], flags)
	return b
}

func TestPoll(t *testing.T) {
	const start = 1_700_000_000_000_000_000 // the job's time
	const clock, read, absolute = 0, 1, 1
	type event struct {
		userdata uint64
		errno    uint16
		tag      byte
	}
	tests := []struct {
		name string
		subs [][]byte
		now  uint64 // of the virtual clock, afterwards
		want []event
	}{
		{"relative", [][]byte{subscribe(7, clock, 1, 5000, 0)}, 105_000, []event{{7, 0, 0}}},
		{"the first of two", [][]byte{subscribe(1, clock, 1, 9000, 0), subscribe(2, clock, 1, 5000, 0)}, 105_000, []event{{2, 0, 0}}},
		{"two at once", [][]byte{subscribe(1, clock, 0, 5000, 0), subscribe(2, clock, 1, 5000, 0)}, 105_000, []event{{1, 0, 0}, {2, 0, 0}}},
		{"point in time", [][]byte{subscribe(1, clock, 1, 300_000, absolute)}, 300_000, []event{{1, 0, 0}}},
		{"real time", [][]byte{subscribe(1, clock, 0, start+400_000, absolute)}, 400_000, []event{{1, 0, 0}}},
		{"the past", [][]byte{subscribe(1, clock, 0, 5, absolute)}, 100_000, []event{{1, 0, 0}}},
		{"a stream is ready", [][]byte{subscribe(1, clock, 1, 5000, 0), subscribe(2, read, 0, 0, 0)}, 100_000, []event{{2, 0, 1}}},
		{"no clock", [][]byte{subscribe(1, clock, 4, 5000, 0)}, 100_000, []event{{1, wasiInval, 0}}},
		{"no tag", [][]byte{subscribe(1, 3, 0, 0, 0)}, 100_000, []event{{1, wasiInval, 3}}},
		{"for ever", [][]byte{subscribe(1, clock, 1, math.MaxUint64, 0)}, lastTime, []event{{1, 0, 0}}},
		{"until the end of time", [][]byte{subscribe(1, clock, 1, math.MaxUint64, absolute)}, lastTime, []event{{1, 0, 0}}},
		{"until the end of real time", [][]byte{subscribe(1, clock, 0, math.MaxUint64, absolute)}, lastTime, []event{{1, 0, 0}}},
	}
	for _, test := range tests {
		for _, at := range []uint64{1000, 0} { // events beside the subscriptions, and over them
			p, _ := started(t)
			p.clock.now = 100_000
			copy(p.memory.now, join(test.subs...))
			result, _ := invoke(t, p, find(t, "poll_oneoff"), []uint64{0, at, uint64(len(test.subs)), 4000})
			var got []event
			for n := range uint64(binary.LittleEndian.Uint32(p.memory.now[4000:])) {
				e := p.memory.now[at+32*n:]
				got = append(got, event{binary.LittleEndian.Uint64(e), binary.LittleEndian.Uint16(e[8:]), e[10]})
			}
			if result != wasiSuccess || p.clock.now != test.now || len(got) != len(test.want) {
				t.Errorf("%s: result %d, clock %d, events %v; want clock %d, %v", test.name, result, p.clock.now, got, test.now, test.want)
				continue
			}
			for i := range got {
				if got[i] != test.want[i] {
					t.Errorf("%s: event %v, want %v", test.name, got[i], test.want[i])
				}
			}
		}
	}
}

// TestClock: it moves when it is read, never back, and stops at the end.
func TestClock(t *testing.T) {
	c := virtualClock{}
	if a, b := c.read(), c.read(); a != tick || b != 2*tick {
		t.Errorf("got %d, %d", a, b)
	}
	c.waitUntil(5)
	if c.now != 2*tick {
		t.Errorf("went back to %d", c.now)
	}
	c.waitUntil(math.MaxUint64)
	for range 2 {
		if got := c.read(); got != lastTime {
			t.Errorf("got %d, want the end, %d", got, uint64(lastTime))
		}
	}
}

func FuzzPoll(f *testing.F) {
	f.Add(uint64(0), uint64(500), uint64(1), uint64(400), subscribe(7, 0, 1, 5000, 0))
	f.Add(uint64(0), uint64(0), uint64(2), uint64(96), join(subscribe(1, 0, 0, math.MaxUint64, 1), subscribe(2, 2, 0, 0, 0)))
	f.Add(uint64(pageSize-48), uint64(0), uint64(1), uint64(0), subscribe(1, 3, 9, 0, 0))
	f.Fuzz(func(t *testing.T, in, out, n, count uint64, memory []byte) {
		p, _ := started(t)
		copy(p.memory.now, memory)
		before := p.clock.now
		result, ended := invoke(t, p, find(t, "poll_oneoff"), []uint64{in, out, n, count})
		if ended || result > 76 || p.clock.now < before || p.clock.now > lastTime {
			t.Fatalf("result %d, ended %t, clock %d", result, ended, p.clock.now)
		}
		if events := binary.LittleEndian.Uint32(append(p.memory.bytes(uint32(count), 4), 0, 0, 0, 0)); result == wasiSuccess && (events == 0 || uint64(events) > n) {
			t.Fatalf("%d events of %d subscriptions", events, n)
		}
	})
}
