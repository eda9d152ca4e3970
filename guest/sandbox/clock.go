package sandbox

// tick is how far a clock moves when it is read, in nanoseconds. A clock that
// stood still would keep a program waiting for ever that waits for time to
// pass by looking.
const tick = 1000

// lastTime is where the clock stops, 146 years after it started, in
// nanoseconds: the sum of it and of a job's time is below the end of 64 bits,
// signed, as Go reads them.
const lastTime = 1 << 62

// virtualClock counts nanoseconds that no real clock knows: reading moves it by
// tick, and waiting moves it to the end of the wait at once. So sleeping works,
// takes no time, and tells nothing.
type virtualClock struct{ now uint64 }

func (c *virtualClock) read() uint64 {
	c.waitUntil(c.now + tick)
	return c.now
}

// waitUntil moves the clock forward, never back.
func (c *virtualClock) waitUntil(t uint64) { c.now = max(c.now, min(t, lastTime)) }
