package slacksim

import (
	"context"
	"sync"
	"time"
)

// A Clock is the time that the stand-in goes by: acks, triggers, response URLs,
// rate limits and repeated events. The zero Clock follows real time, plus what it
// was advanced by.
type Clock struct {
	mu      sync.Mutex
	frozen  bool
	at      time.Time // when frozen
	shift   time.Duration
	changed chan struct{}
}

// NewClock returns a clock that stands at the given time until it is advanced.
func NewClock(at time.Time) *Clock {
	return &Clock{frozen: true, at: at}
}

// Now is the time on the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *Clock) now() time.Time {
	if c.frozen {
		return c.at
	}
	return time.Now().Add(c.shift)
}

// Advance turns the clock forward and wakes whoever waits for a time on it.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	c.shift += d
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// reach waits until the clock shows at; it reports false if ctx or stop ended first.
func (c *Clock) reach(ctx context.Context, at time.Time, stop <-chan struct{}) bool {
	for {
		left, changed := c.until(at)
		if left <= 0 {
			return true
		}
		var timer *time.Timer
		var rings <-chan time.Time
		if !c.frozen {
			timer = time.NewTimer(left)
			rings = timer.C
		}
		over := false
		select {
		case <-changed:
		case <-rings:
		case <-stop:
			over = true
		case <-ctx.Done():
			over = true
		}
		if timer != nil {
			timer.Stop()
		}
		if over {
			return false
		}
	}
}

func (c *Clock) until(at time.Time) (time.Duration, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	return at.Sub(c.now()), c.changed
}
