package socket

import (
	"sync"
	"time"
)

const (
	quietTime = 3 * time.Millisecond   // without an envelope after which no more of a burst is expected
	afterAcks = 300 * time.Millisecond // for which other work makes way at the most
)

// A gate lets other work make way for acks. Slack waits three seconds for those, and
// people do not see the rest so soon: when hundreds of envelopes come at once, all are
// acked before the work that they give rise to takes the processor. One that comes alone
// makes way for nobody.
type gate struct {
	guard sync.Mutex
	owed  int           // acks
	paid  chan struct{} // closed when none is owed
	burst int           // envelopes that came, none of them long after the one before
	came  time.Time     // when the last envelope came
	last  time.Time     // when one came, or was acked
}

func (g *gate) enter() {
	g.guard.Lock()
	defer g.guard.Unlock()
	now := time.Now()
	if g.owed == 0 {
		g.paid = make(chan struct{})
		if now.Sub(g.last) >= quietTime {
			g.burst = 0
		}
	}
	if now.Sub(g.came) >= afterAcks { // an ack that is owed from before may take seconds
		g.burst = 0
	}
	g.owed++
	g.burst++
	g.came, g.last = now, now
}

func (g *gate) leave() {
	g.guard.Lock()
	defer g.guard.Unlock()
	g.owed--
	if g.owed == 0 {
		close(g.paid)
	}
	g.last = time.Now()
}

// settled returns when no ack is owed, and after a while anyway.
func (g *gate) settled() {
	if paid, _ := g.state(); paid != nil {
		settledWithin(paid, afterAcks)
	}
}

// quiet returns when no ack is owed and nothing more comes, and after a while anyway.
func (g *gate) quiet() {
	for begun := time.Now(); ; {
		paid, left := g.state()
		patience := afterAcks - time.Since(begun)
		switch {
		case patience <= 0:
			return
		case paid != nil:
			settledWithin(paid, patience)
		case left > 0:
			time.Sleep(left)
		default:
			return
		}
	}
}

func settledWithin(paid <-chan struct{}, patience time.Duration) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-paid:
	case <-timer.C:
	}
}

// state is what there is to wait for: the acks that are owed in a burst, or, when none is
// owed, so much time until it is over.
func (g *gate) state() (paid <-chan struct{}, left time.Duration) {
	g.guard.Lock()
	defer g.guard.Unlock()
	switch {
	case g.burst <= 1 || time.Since(g.last) >= afterAcks: // what is still owed does not wait for the processor
		return nil, 0
	case g.owed > 0:
		return g.paid, 0
	default:
		return nil, quietTime - time.Since(g.last)
	}
}
