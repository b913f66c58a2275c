package atlassim

import (
	"sync"
	"time"
)

// A Clock is the time that the stand-in goes by: for the life of tokens and
// nonces and for rate limits. The zero Clock follows real time, plus what it was
// advanced by.
type Clock struct {
	mu     sync.Mutex
	frozen bool
	at     time.Time // when frozen
	shift  time.Duration
}

// NewClock returns a clock that stands at the given time until it is advanced.
func NewClock(at time.Time) *Clock {
	return &Clock{frozen: true, at: at}
}

// Now is the time on the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.frozen {
		return c.at
	}
	return time.Now().Add(c.shift)
}

// Advance turns the clock forward.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	c.shift += d
}
