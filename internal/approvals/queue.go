package approvals

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Times of the queues.
const (
	lease     = 6 * time.Second // how long a worker may be silent before another takes over
	heartbeat = lease / 3
	interval  = time.Second // between regular looks: they only have to find crashes and timers
	drain     = 8 * time.Second
	callTime  = 3 * time.Second // for one call of Redis by a worker
	batch     = 64
)

// A queue hands requests that are due in one of the two sorted sets to workers:
// at once when they moved in this process, at a regular look otherwise. Across
// all processes one worker at a time holds a request.
type queue struct {
	once  sync.Once
	woken chan string
	round atomic.Pointer[time.Time] // when the loop last came round; nil: it does not run
}

func (q *queue) open() chan string {
	q.once.Do(func() { q.woken = make(chan string, 1024) })
	return q.woken
}

// wake has a worker look at a request. If too many are waiting already, the
// regular look will find it.
func (q *queue) wake(id string) {
	select {
	case q.open() <- id:
	default:
	}
}

// came notes that the loop came round.
func (q *queue) came() {
	now := time.Now()
	q.round.Store(&now)
}

// stalled reports whether the loop runs and has not come round for a while.
func (q *queue) stalled(after time.Duration) bool {
	last := q.round.Load()
	return last != nil && time.Since(*last) > after
}

// worker says what to do with the requests of a queue.
type worker struct {
	store *Store
	queue *queue
	name  string // due or show
	key   string
	limit int
	work  func(ctx context.Context, r *Request)
}

// run works until ctx ends, then lets the workers finish for a while. What they
// cannot finish, another process takes up when their lease ends.
func (w *worker) run(ctx context.Context) error {
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var workers sync.WaitGroup
	next := make(chan string)
	for range w.limit {
		workers.Go(func() {
			for id := range next {
				if w.store.MakeWay != nil {
					w.store.MakeWay()
				}
				w.take(working, id)
			}
		})
	}
	look := time.NewTimer(0)
	defer look.Stop()
	defer w.queue.round.Store(nil)
	for {
		w.queue.came()
		select {
		case <-ctx.Done():
			time.AfterFunc(drain, stop) // stop may be called again
			close(next)
			workers.Wait()
			return nil
		case id := <-w.queue.open():
			hand(ctx, next, id)
		case <-look.C:
			ids, pause := w.look(ctx)
			hand(ctx, next, ids...)
			look.Reset(pause)
		}
	}
}

// hand gives requests to workers as these come free, until ctx ends: whoever stops begins
// nothing new.
func hand(ctx context.Context, next chan<- string, ids ...string) {
	for _, id := range ids {
		select {
		case <-ctx.Done():
			return
		default:
		}
		select {
		case next <- id:
		case <-ctx.Done():
			return
		}
	}
}

func (w *worker) look(ctx context.Context) (ids []string, next time.Duration) {
	next = interval*3/4 + rand.N(interval/2) //nolint:gosec // spreads replicas, guards nothing
	call, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	ids, wait, err := w.store.due(call, w.key, batch)
	if err != nil {
		if ctx.Err() == nil {
			w.store.log().WarnContext(ctx, "look for due requests", "queue", w.name, "error", err)
		}
		return nil, next
	}
	if wait >= 0 && wait < next {
		next = wait + time.Millisecond
	}
	return ids, next
}

// take claims a request, works on it and keeps the claim alive meanwhile.
func (w *worker) take(ctx context.Context, id string) {
	claimed := time.Now()
	r, err := w.claim(ctx, id)
	if err != nil {
		w.store.log().WarnContext(ctx, "claim a request", "queue", w.name, "request", id, "error", err)
		return
	}
	if r == nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		w.renew(ctx, cancel, r, claimed)
	}()
	defer func() { cancel(); <-beating }()
	err = guarded(func() error { w.work(ctx, r); return nil })
	if err != nil {
		w.store.log().ErrorContext(ctx, "work on a request", "queue", w.name, "request", r.ID, "error", err)
	}
}

// guarded makes a panic an error, so that one bad record does not stop the work
// on all others. Of the panic's value only the type is told: nobody knows what is
// in it. The stack holds no values.
func guarded(work func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic of type %T at %s", p, debug.Stack())
		}
	}()
	return work()
}

// sideBySide does n things, so many at a time. The last one it does itself: most requests
// have one target, and a goroutine costs more than it saves.
func sideBySide(n, atOnce int, do func(i int)) {
	places := make(chan struct{}, atOnce)
	var others sync.WaitGroup
	for i := range n {
		places <- struct{}{}
		if i == n-1 {
			do(i)
			break
		}
		others.Go(func() {
			do(i)
			<-places
		})
	}
	others.Wait()
}

// claim takes a request, or returns nil if there is nothing to do or somebody else has it.
func (w *worker) claim(ctx context.Context, id string) (*Request, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	reply, err := w.store.run(ctx, claimScript, id, Actor{}, w.store.keys().move(id), w.name, lease.Milliseconds())
	if err != nil || reply.word != "ok" {
		return nil, err
	}
	if w.store.Claimed != nil {
		w.store.Claimed(w.name, time.Duration(number(reply.more))*time.Millisecond)
	}
	return reply.request, nil
}

// renew keeps the claim until ctx ends. It ends ctx if the claim is lost, and also
// when it would be over before Redis can be asked again: whoever takes the request
// then must not meet this worker at Atlas.
func (w *worker) renew(ctx context.Context, lost context.CancelFunc, r *Request, renewed time.Time) {
	held := r.lease
	if w.name == "show" {
		held = r.showLease
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			asked := time.Now()
			call, cancel := context.WithTimeout(ctx, min(heartbeat, lease-asked.Sub(renewed)))
			reply, err := w.store.run(call, renewScript, r.ID, Actor{}, w.store.keys().move(r.ID), w.name, held, lease.Milliseconds())
			cancel()
			switch {
			case err == nil && reply.word == "ok":
				renewed = asked
			case err == nil || time.Since(renewed) >= lease-heartbeat:
				lost()
				return
			}
		}
	}
}

// backoff is the pause after so many attempts in a row that failed: from one
// second up to a minute, spread so that replicas do not come back together.
func backoff(tries int) time.Duration {
	pause := time.Second << min(tries, 6)
	if pause > time.Minute {
		pause = time.Minute
	}
	return pause/2 + rand.N(pause) //nolint:gosec // spreads replicas, guards nothing
}
