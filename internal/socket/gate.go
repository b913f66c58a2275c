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

	queued int           // envelopes that wait for a place among the handlers
	full   chan struct{} // closed when one does
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

// queue is called when an envelope begins to wait for a place among the handlers, and
// dequeue when it has one, or gives up.
func (g *gate) queue() {
	g.guard.Lock()
	defer g.guard.Unlock()
	if g.queued == 0 {
		close(g.room())
	}
	g.queued++
}

func (g *gate) dequeue() {
	g.guard.Lock()
	defer g.guard.Unlock()
	g.queued--
	if g.queued == 0 {
		g.full = nil
	}
}

// room is open for as long as nothing waits for a place; guard is held.
func (g *gate) room() chan struct{} {
	if g.full == nil {
		g.full = make(chan struct{})
	}
	return g.full
}

// settled returns when no ack is owed, and after a while anyway.
func (g *gate) settled() {
	if now := g.state(); now.paid != nil {
		now.full = nil // who asks holds no place
		now.settledWithin(afterAcks)
	}
}

// quiet returns when no ack is owed and nothing more comes, and after a while anyway. It
// is for a handler, and an ack may be owed for an envelope that waits for its place: then
// it returns at once.
func (g *gate) quiet() {
	for begun := time.Now(); ; {
		now := g.state()
		patience := afterAcks - time.Since(begun)
		switch {
		case patience <= 0:
			return
		case now.paid != nil:
			if !now.settledWithin(patience) {
				return
			}
		case now.left > 0:
			time.Sleep(now.left)
		default:
			return
		}
	}
}

// toWait is what there is to wait for: the acks that are owed in a burst, or, when none is
// owed, so much time until it is over.
type toWait struct {
	paid <-chan struct{}
	full <-chan struct{} // closed when a handler has to wait no longer
	left time.Duration
}

// settledWithin waits, and reports whether the acks that were owed are out.
func (w toWait) settledWithin(patience time.Duration) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-w.paid:
		return true
	case <-w.full:
		return false
	case <-timer.C:
		return false
	}
}

func (g *gate) state() toWait {
	g.guard.Lock()
	defer g.guard.Unlock()
	switch {
	case g.burst <= 1 || time.Since(g.last) >= afterAcks: // what is still owed does not wait for the processor
		return toWait{}
	case g.owed > 0:
		return toWait{paid: g.paid, full: g.room()}
	default:
		return toWait{left: quietTime - time.Since(g.last)}
	}
}
