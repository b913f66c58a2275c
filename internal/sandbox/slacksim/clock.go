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
	pulse   pulse
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

// stood is how long, in all, the process could not run although time went on. Whoever
// measures others by this clock takes it off: a machine that sleeps, or does something
// else for seconds, is no app that is slow.
func (c *Clock) stood() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.frozen {
		return 0
	}
	return c.pulse.beat(time.Now())
}

// beat keeps the count of [Clock.stood] until ctx ends.
func (c *Clock) beat(ctx context.Context) {
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	for {
		c.stood()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

const (
	beatEvery = 50 * time.Millisecond
	skipped   = 500 * time.Millisecond // between two beats: the process did not run
)

// A pulse counts the time between beats that are too far apart.
type pulse struct {
	last   time.Time
	missed time.Duration
}

// beat notes that the process runs, and gives what it has missed in all.
func (p *pulse) beat(now time.Time) time.Duration {
	if gap := now.Sub(p.last); gap >= skipped && !p.last.IsZero() {
		p.missed += gap
	}
	p.last = now
	return p.missed
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
