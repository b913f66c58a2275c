package socket

import (
	"sync"
	"time"
)

const (
	quietTime = 3 * time.Millisecond   // without an envelope after which no more of a burst is expected
	afterAcks = 100 * time.Millisecond // for which what follows an ack makes way at the most
)

// A gate lets what follows an ack make way for other acks. Slack waits three seconds
// for those, and people do not see the rest so soon: when hundreds of envelopes come
// at once, all are acked before the work on the first ones takes the processor. One
// that comes alone makes way for nobody.
type gate struct {
	guard sync.Mutex
	owed  int       // acks
	burst int       // envelopes that came, none of them long after the one before
	last  time.Time // when an envelope came, or was acked
}

func (g *gate) enter() {
	g.guard.Lock()
	defer g.guard.Unlock()
	if g.owed == 0 && time.Since(g.last) >= quietTime {
		g.burst = 0
	}
	g.owed++
	g.burst++
	g.last = time.Now()
}

func (g *gate) leave() {
	g.guard.Lock()
	defer g.guard.Unlock()
	g.owed--
	g.last = time.Now()
}

// left is how long it is until the gate opens, if nothing comes.
func (g *gate) left() time.Duration {
	g.guard.Lock()
	defer g.guard.Unlock()
	switch {
	case g.owed > 0:
		return quietTime
	case g.burst == 1:
		return 0
	default:
		return quietTime - time.Since(g.last)
	}
}

// wait returns when no ack is owed and nothing more comes, and after a while anyway.
func (g *gate) wait() {
	for begun := time.Now(); time.Since(begun) < afterAcks; {
		left := g.left()
		if left <= 0 {
			return
		}
		time.Sleep(left)
	}
}
