package socket

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
	"golang.org/x/sync/errgroup"
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
// asks for is kept, and may go on working after it; ack's error says that Slack
// did not get it. An envelope whose handler returns without an ack is acked empty.
// ctx ends when the bot has no more time for it.
type Handler func(ctx context.Context, e Envelope, ack func(payload any) error)

// An Opener asks Slack for the address of a connection; *slack.Client is one.
type Opener interface {
	StartSocketModeContext(ctx context.Context) (*slack.SocketModeConnection, string, error)
}

// A Listener keeps the connections. Its zero values are those of production;
// tests shorten the times.
type Listener struct {
	Opener      Opener
	Handle      Handler
	Connections int // 1 to 4; 0 is 2
	Log         *slog.Logger
	Observe     Observer

	HelloTime   time.Duration // how long Slack may take to say hello
	PingEvery   time.Duration // between pings of our own
	PongTime    time.Duration // without an answer to them the connection is dead
	SilenceTime time.Duration // without a ping of Slack's it is dead
	DrainTime   time.Duration // how long an old connection may live on
	HandleTime  time.Duration // for one envelope
	StopTime    time.Duration // for what is under way when the bot ends

	guard    sync.Mutex
	live     map[*conn]bool
	problem  string
	peak     int // num_connections, as Slack said last
	appID    string
	everOpen bool
	handlers chan struct{} // has one value for each that works
	reading  sync.WaitGroup
}

// mostHandlers bounds the envelopes that are handled at a time. Slack gives three
// seconds for an ack: what would wait longer than that is better refused by it.
const mostHandlers = 512

// Observer is told what happens, for metrics. Any of its functions may be nil.
type Observer struct {
	Envelope   func(kind string)
	Acked      func(kind string, after time.Duration)
	AckFailed  func(kind string)
	Panicked   func()
	Reconnect  func(reason string)
	Undecoded  func()
	Standing   func(connections int)
	ToldNumber func(connections int) // all of the app, by Slack's count
}

// Status is how the connections are.
type Status struct {
	Standing       int    // connections that have said hello
	NumConnections int    // of the whole app, by Slack's count
	AppID          string // as hello names it
	Problem        string // why there are fewer than there should be; empty if nothing is known
}

// Status says how the connections are.
func (l *Listener) Status() Status {
	l.guard.Lock()
	defer l.guard.Unlock()
	return Status{Standing: len(l.live), NumConnections: l.peak, AppID: l.appID, Problem: l.problem}
}

// Run keeps the connections until ctx ends, and then lets what is under way come
// to its end. It returns an error only if Slack refuses the very first connection
// for a reason that a person must mend; the error says which.
func (l *Listener) Run(ctx context.Context) error {
	l.defaults()
	stop, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	slots, opening := errgroup.WithContext(ctx)
	for range l.Connections {
		slots.Go(func() error { return l.slot(opening, stop) })
	}
	err := slots.Wait() // every slot has stopped opening
	l.drain(cancel)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (l *Listener) defaults() {
	set := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	set(&l.HelloTime, 10*time.Second)
	set(&l.PingEvery, 5*time.Second)
	set(&l.PongTime, 15*time.Second)
	set(&l.SilenceTime, 30*time.Second)
	set(&l.DrainTime, 30*time.Second)
	set(&l.HandleTime, 15*time.Second)
	set(&l.StopTime, 8*time.Second)
	if l.Connections == 0 {
		l.Connections = 2
	}
	if l.Log == nil {
		l.Log = slog.New(slog.DiscardHandler)
	}
	l.live = map[*conn]bool{}
	l.handlers = make(chan struct{}, mostHandlers)
}

// drain lets the handlers finish and ack on connections that still read, then
// closes those. What takes longer than StopTime is cut off.
func (l *Listener) drain(cut context.CancelFunc) {
	timer := time.NewTimer(l.StopTime)
	defer timer.Stop()
	for range mostHandlers { // who has every place knows that nobody works, and nobody can begin
		select {
		case l.handlers <- struct{}{}:
		case <-timer.C:
			l.Log.Warn("some envelopes were not finished in time")
			cut()
			l.handlers <- struct{}{} // a handler ends with its context
		}
	}
	l.guard.Lock()
	for c := range l.live {
		c.close(websocket.CloseNormalClosure)
	}
	l.guard.Unlock()
	l.reading.Wait()
}

// joined and left keep count of the connections that have said hello.
func (l *Listener) joined(c *conn, h hello) {
	l.guard.Lock()
	defer l.guard.Unlock()
	l.live[c] = true
	l.problem, l.everOpen, l.peak = "", true, h.NumConnections
	if h.ConnectionInfo.AppID != "" {
		l.appID = h.ConnectionInfo.AppID
	}
	tell(l.Observe.Standing, len(l.live))
	tell(l.Observe.ToldNumber, h.NumConnections)
	if h.NumConnections >= 8 {
		l.Log.Warn("the app has many connections; Slack allows ten over all processes", "connections", h.NumConnections)
	}
}

func (l *Listener) left(c *conn) {
	l.guard.Lock()
	defer l.guard.Unlock()
	delete(l.live, c)
	tell(l.Observe.Standing, len(l.live))
}

func (l *Listener) trouble(problem string) {
	l.guard.Lock()
	defer l.guard.Unlock()
	l.problem = problem
}

func (l *Listener) opened() bool {
	l.guard.Lock()
	defer l.guard.Unlock()
	return l.everOpen
}

func tell[V any](f func(V), value V) {
	if f != nil {
		f(value)
	}
}

var errTooLarge = errors.New("the ack is too large for Slack")
