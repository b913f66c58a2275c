package socket

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/slack-go/slack"
)

// An Envelope is one delivery of Slack.
type Envelope struct {
	ID             string          `json:"envelope_id"`
	Type           string          `json:"type"` // slash_commands, interactive, events_api, or what is yet to come
	Payload        json.RawMessage `json:"payload"`
	AcceptsPayload bool            `json:"accepts_response_payload"`
	RetryAttempt   int             `json:"retry_attempt"`
	RetryReason    string          `json:"retry_reason"`
	ReceivedAt     time.Time       `json:"-"`
}

// A Handler answers an envelope. It calls ack once, as soon as what the envelope
// asks for is kept, and may go on working after it. Ack's error says that Slack did
// not get that answer: [ErrTooLarge], [ErrNotEncoded] (both of these envelopes are
// acked empty instead), [ErrAcked], or that the connection is gone. An envelope whose
// handler returns or panics without an ack is acked empty. ctx ends when the bot has
// no more time for it. Handlers run concurrently.
type Handler func(ctx context.Context, e Envelope, ack func(payload any) error)

// An Opener asks Slack for the address of a connection; *slack.Client is one.
type Opener interface {
	StartSocketModeContext(ctx context.Context) (*slack.SocketModeConnection, string, error)
}

// A Listener keeps the connections. Its zero values are those of production;
// tests shorten the times. The zero log and observer are silent.
type Listener struct {
	Opener      Opener
	Handle      Handler
	Connections int // 1 to 4; 0 is 2
	Log         *slog.Logger
	Observe     Observer

	OpenEvery   time.Duration // one opening for each connection in this time, in the long run
	OpenTime    time.Duration // how long an address, and then dialling it, may take
	HelloTime   time.Duration // how long Slack may take to say hello
	PingEvery   time.Duration // between pings of our own
	PongTime    time.Duration // without an answer to them the connection is dead
	SilenceTime time.Duration // without a ping of Slack's it is dead
	DrainTime   time.Duration // how long an old connection may live on beside its successor
	HandleTime  time.Duration // for one envelope
	StopTime    time.Duration // for what is under way when the bot ends; closing takes up to 3 s more

	// Tests set these: what to dial with instead of the network, and how many
	// envelopes are handled, and wait to be, at a time.
	dial                   func(ctx context.Context, network, address string) (net.Conn, error)
	mostHandled, mostQueue int

	openings *openings
	hurries  *hurries
	admitted chan struct{} // has one value for each envelope under way
	handled  chan struct{} // has one for each of these that a handler works on
	unacked  gate          // envelopes that came and wait for their ack
	stopping chan struct{} // closed when connections are to close
	gaveUp   chan struct{} // closed when nothing is waited for any more
	reading  sync.WaitGroup

	guard   sync.Mutex
	slots   []*slot
	live    map[*conn]bool
	refuse  context.CancelCauseFunc // ends Run
	refusal error                   // what only a person can mend, while a connection still stands
	met     bool                    // Slack has said hello
	told    int                     // num_connections, as Slack said last, without those that ended since
	appID   string
	lastEnd string
}

const (
	// mostHandled bounds the envelopes that handlers work on at a time.
	mostHandled = 512
	// mostQueue bounds those that wait for that. They hold their payloads in memory.
	mostQueue = 2048
	// manyConnections is when to warn: Slack allows an app ten, over all processes.
	manyConnections = 8
	// cutTime is what handlers get, beyond StopTime, to notice that their context ended.
	cutTime = time.Second
)

// Observer is told what happens, for metrics. Any of its functions may be nil. They
// must be quick, and must not call the listener.
type Observer struct {
	Envelope   func(kind string)                      // received
	Acked      func(kind string, after time.Duration) // written, this long after it was received
	AckFailed  func(kind string)                      // the answer did not reach Slack
	Dropped    func(kind string)                      // not handled and not acked: too many, or too late
	Panicked   func()
	Reconnect  func(reason string) // a connection ended
	Undecoded  func()              // a frame that is no envelope
	Standing   func(connections int)
	ToldNumber func(connections int) // all of the app, by Slack's last count, without ours that ended since
}

// Status is how the connections are.
type Status struct {
	Standing       int    // connections that have said hello and still read
	NumConnections int    // of the whole app, by Slack's last count, without ours that ended since
	AppID          string // as hello names it
	Problem        string // why there are fewer than there should be; empty if nothing is known
	LastEnd        string // why a connection ended last: Slack's word, or closed, silent, unwritable
}

// Status says how the connections are.
func (l *Listener) Status() Status {
	l.guard.Lock()
	defer l.guard.Unlock()
	status := Status{Standing: len(l.live), NumConnections: l.told, AppID: l.appID, LastEnd: l.lastEnd}
	for _, s := range l.slots {
		if status.Problem == "" {
			status.Problem = s.problem
		}
	}
	return status
}

// Run keeps the connections until ctx ends, then lets what is under way come to
// its end, and returns nil. It returns an error when Slack refuses connections for
// a reason that a person must mend and none stands any more; the error says which
// setting. A Listener runs once.
func (l *Listener) Run(ctx context.Context) error {
	opening, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	if err := l.prepare(refuse); err != nil {
		return err
	}
	handling, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var slots sync.WaitGroup
	for _, s := range l.slots {
		slots.Go(func() { s.run(opening, handling) })
	}
	slots.Wait() // they end with opening
	l.stop(cut)
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(opening)
}

func (l *Listener) prepare(refuse context.CancelCauseFunc) error {
	defaults := []struct {
		knob  *time.Duration
		value time.Duration
	}{
		{&l.OpenEvery, time.Minute},
		{&l.OpenTime, 10 * time.Second},
		{&l.HelloTime, 5 * time.Second},
		{&l.PingEvery, 5 * time.Second},
		{&l.PongTime, 15 * time.Second},
		{&l.SilenceTime, 30 * time.Second},
		{&l.DrainTime, 8 * time.Second}, // Slack cuts what it has warned after ten
		{&l.HandleTime, 15 * time.Second},
		{&l.StopTime, 7 * time.Second},
	}
	for _, d := range defaults {
		if *d.knob == 0 {
			*d.knob = d.value
		}
	}
	if l.Connections == 0 {
		l.Connections = 2
	}
	if l.Connections < 1 || l.Connections > 4 {
		return fmt.Errorf("keep %d connections to slack: it must be 1 to 4, as an app may have ten over all its processes", l.Connections)
	}
	if l.Log == nil {
		l.Log = slog.New(slog.DiscardHandler)
	}
	if l.mostHandled == 0 {
		l.mostHandled, l.mostQueue = mostHandled, mostQueue
	}
	l.admitted = make(chan struct{}, l.mostHandled+l.mostQueue)
	l.handled = make(chan struct{}, l.mostHandled)
	l.stopping, l.gaveUp = make(chan struct{}), make(chan struct{})
	// Every slot may open at once, and a few things may go wrong, before it slows down.
	l.openings = &openings{every: l.OpenEvery / time.Duration(l.Connections), burst: l.Connections + 4}
	l.hurries = &hurries{openings: openings{every: hurryEvery, burst: mostHurries}}
	l.guard.Lock()
	defer l.guard.Unlock()
	l.live, l.refuse = map[*conn]bool{}, refuse
	for range l.Connections {
		l.slots = append(l.slots, newSlot(l))
	}
	return nil
}

// stop closes the connections, each as soon as none of its envelopes waits for an
// ack, and waits for the handlers. They lose their context after StopTime.
func (l *Listener) stop(cut context.CancelFunc) {
	last := time.AfterFunc(l.StopTime, func() {
		l.Log.Warn("the time to stop is up; what is still under way is cut off", "envelopes", len(l.admitted))
		cut()
	})
	defer last.Stop()
	end := time.AfterFunc(l.StopTime+cutTime, func() { close(l.gaveUp) })
	defer end.Stop()
	close(l.stopping)
	l.reading.Wait()
	for range cap(l.admitted) { // nothing reads: who has every place knows that nobody works
		select {
		case l.admitted <- struct{}{}:
		case <-l.gaveUp:
			l.Log.Error("handlers ignore that their time is over; they are left behind")
			return
		}
	}
}

// joined and left keep count of the connections that have said hello.
func (l *Listener) joined(c *conn, h hello) {
	l.Log.Info("a connection to slack stands", "host", h.DebugInfo.Host, "connections", h.NumConnections)
	if h.NumConnections >= manyConnections {
		l.Log.Warn("the app has many connections; slack allows ten over all processes that share its token", "connections", h.NumConnections)
	}
	l.guard.Lock()
	defer l.guard.Unlock()
	l.live[c] = true
	l.met, l.told, l.refusal = true, h.NumConnections, nil
	if h.ConnectionInfo.AppID != "" {
		l.appID = h.ConnectionInfo.AppID
	}
	tell(l.Observe.Standing, len(l.live))
	tell(l.Observe.ToldNumber, h.NumConnections)
}

func (l *Listener) left(c *conn) {
	l.guard.Lock()
	defer l.guard.Unlock()
	delete(l.live, c)
	l.lastEnd = c.reason()
	// Slack counts when it says hello, and next in hours. A successor's hello counts the
	// one that drains beside it.
	l.told = max(l.told-1, len(l.live))
	tell(l.Observe.Standing, len(l.live))
	tell(l.Observe.ToldNumber, l.told)
	l.endIfRefused()
}

// deafSoon reports whether there are connections, and Slack is about to cut all of them.
func (l *Listener) deafSoon() bool {
	l.guard.Lock()
	defer l.guard.Unlock()
	for c := range l.live {
		if !c.goes(lastCall) {
			return false
		}
	}
	return len(l.live) > 0
}

// refused notes that Slack opens no more connections until a person acts. What
// stands goes on standing: it still brings clicks.
func (l *Listener) refused(err error) {
	l.guard.Lock()
	defer l.guard.Unlock()
	l.refusal = err
	l.endIfRefused()
}

func (l *Listener) endIfRefused() {
	if l.refusal != nil && len(l.live) == 0 {
		l.refuse(l.refusal)
	}
}

// hasMet reports whether Slack has ever said hello.
func (l *Listener) hasMet() bool {
	l.guard.Lock()
	defer l.guard.Unlock()
	return l.met
}

// MakeWay returns when no envelope waits for its ack any more, and after a while anyway.
// It is for work that nobody waits for as long as that.
func (l *Listener) MakeWay() { l.unacked.settled() }

func tell[V any](f func(V), value V) {
	if f != nil {
		f(value)
	}
}
