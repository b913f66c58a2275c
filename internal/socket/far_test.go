package socket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 20 * time.Second
	ticket   = "ticket-of-a-test" // in the address of each connection; no log may show it
	typed    = "typed-by-a-person"
)

// far is the far end of the connections: it answers apps.connections.open, and
// serves the addresses that it gives. What it sees and Slack would not forgive, it
// reports at the end of the test.
type far struct {
	t        *testing.T
	listener net.Listener
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	opened   chan *farConn

	guard    sync.Mutex
	refuse   []error // answers of the next openings
	always   error   // answer of all others
	asked    []time.Time
	greeting any // the first frame; nil is none
	noPong   bool
	noPing   bool
	serve    func(c *farConn) // what to do with each connection; nil: pass it to opened
	parting  func(c *farConn) // what to do between the client's close frame and the answer to it
}

// farConn is the far end of one connection.
type farConn struct {
	*websocket.Conn
	f       *far
	acks    chan ack
	ended   chan struct{}   // closed when the client has gone
	goodbye int             // the code of the client's close frame, 1006 if there was none; read it after ended
	say     chan func()     // what is written next, in order
	unacked map[string]bool // f.guard guards it
	deaf    chan struct{}   // if there, nothing is read before it is closed; f.guard guards it
}

type ack struct {
	ID      string          `json:"envelope_id"`
	Payload json.RawMessage `json:"payload"`
}

var hi = map[string]any{
	"type": "hello", "num_connections": 3, "connection_info": map[string]any{"app_id": "A0BOT00001"},
	"debug_info": map[string]any{"host": "applink-7", "approximate_connection_time": 18060},
}

// newFar is a far end on loopback.
func newFar(t *testing.T) *far {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return startFar(t, listener, nil)
}

// newNearFar is a far end in memory, for a bubble in which time is not real.
func newNearFar(t *testing.T) *far {
	t.Helper()
	pipes := &pipes{ends: make(chan net.Conn), done: make(chan struct{})}
	return startFar(t, pipes, pipes.dial)
}

func startFar(t *testing.T, listener net.Listener, dial func(context.Context, string, string) (net.Conn, error)) *far {
	f := &far{t: t, listener: listener, dial: dial, opened: make(chan *farConn, 1000), greeting: hi}
	var serving sync.WaitGroup
	server := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serving.Add(1)
		defer serving.Done()
		f.connection(w, r)
	})}
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() { _ = server.Close(); serving.Wait() })
	return f
}

func (f *far) connection(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	ws.SetReadLimit(20_480)
	c := &farConn{
		Conn: ws, f: f, acks: make(chan ack, 10_000), ended: make(chan struct{}), goodbye: websocket.CloseAbnormalClosure,
		say: make(chan func(), 10_000), unacked: map[string]bool{},
	}
	f.guard.Lock()
	greeting, noPong, noPing, serve, parting := f.greeting, f.noPong, f.noPing, f.serve, f.parting
	f.guard.Unlock()
	ws.SetPingHandler(func(data string) error {
		if !noPong {
			c.control(websocket.PongMessage, []byte(data))
		}
		return nil
	})
	ws.SetCloseHandler(func(code int, _ string) error {
		c.goodbye = code
		if parting != nil {
			parting(c)
		}
		c.control(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""))
		return nil
	})
	if greeting != nil {
		c.send(greeting)
	}
	var speaking sync.WaitGroup
	speaking.Go(func() { c.speak(!noPing) })
	if serve == nil {
		f.opened <- c
	} else {
		speaking.Go(func() { serve(c) })
	}
	c.listen()
	speaking.Wait()
}

func (c *farConn) speak(ping bool) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-c.ended:
			return
		case write := <-c.say:
			write()
		case <-tick.C:
			if ping {
				_ = c.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second))
			}
		}
	}
}

func (c *farConn) listen() {
	defer func() { _ = c.Close() }()
	defer close(c.ended)
	for {
		kind, data, err := c.ReadMessage()
		if websocket.IsCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway) {
			c.finish()
		}
		if err != nil {
			return
		}
		c.f.guard.Lock()
		var a ack
		assert.NoError(c.f.t, json.Unmarshal(data, &a))
		assert.Equal(c.f.t, websocket.TextMessage, kind)
		assert.True(c.f.t, c.unacked[a.ID], "an ack of %q, which was not delivered here, or acked before", a.ID)
		delete(c.unacked, a.ID)
		deaf := c.deaf
		c.f.guard.Unlock()
		c.acks <- a
		if deaf != nil {
			<-deaf
		}
	}
}

// finish waits until all is written that is to be.
func (c *farConn) finish() {
	written := make(chan struct{})
	c.say <- func() { close(written) }
	<-written
}

// send has v written, after what was to be written before.
func (c *farConn) send(v any) {
	c.say <- func() { _ = c.WriteJSON(v) } // a client that has gone is what some tests are about
}

func (c *farConn) control(kind int, data []byte) {
	c.say <- func() { _ = c.WriteControl(kind, data, time.Now().Add(time.Second)) }
}

func (c *farConn) disconnect(reason string) {
	c.send(map[string]any{"type": "disconnect", "reason": reason})
}

// cut ends the connection without a word.
func (c *farConn) cut() { c.say <- func() { _ = c.Close() } }

func (c *farConn) expect(id string) {
	c.f.guard.Lock()
	defer c.f.guard.Unlock()
	c.unacked[id] = true
}

func (c *farConn) deliver(id string, more ...func(map[string]any)) {
	c.expect(id)
	e := map[string]any{"envelope_id": id, "type": "interactive", "accepts_response_payload": true, "payload": map[string]any{"n": id}}
	for _, edit := range more {
		edit(e)
	}
	c.send(e)
}

func (c *farConn) acked(t *testing.T) ack {
	t.Helper()
	return next(t, c.acks, "an ack")
}

func next[V any](t *testing.T, from <-chan V, what string) V {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		require.FailNow(t, "waited in vain for "+what)
		panic("unreachable")
	}
}

// StartSocketModeContext is what the listener opens connections with.
func (f *far) StartSocketModeContext(context.Context) (*slack.SocketModeConnection, string, error) {
	f.guard.Lock()
	defer f.guard.Unlock()
	f.asked = append(f.asked, time.Now())
	if len(f.refuse) > 0 {
		err := f.refuse[0]
		f.refuse = f.refuse[1:]
		return nil, "", err
	}
	return nil, "ws://" + f.listener.Addr().String() + "/link/?ticket=" + ticket, f.always
}

func (f *far) openings() int {
	f.guard.Lock()
	defer f.guard.Unlock()
	return len(f.asked)
}

// from now on, the far end behaves as edit says.
func (f *far) from(edit func(*far)) {
	f.guard.Lock()
	defer f.guard.Unlock()
	edit(f)
}

// running is a listener at work.
type running struct {
	*Listener
	cancel context.CancelFunc
	result chan error
	logs   *logs
}

func echo(_ context.Context, e Envelope, ack func(any) error) { _ = ack(e.Payload) } // tests look at the far end

// listen starts l, with one connection if it says nothing else. What it logs must
// not give away a ticket or what a person typed.
func listen(t *testing.T, f *far, l *Listener) *running {
	t.Helper()
	if l.Handle == nil {
		l.Handle = echo
	}
	if l.Connections == 0 {
		l.Connections = 1
	}
	r := &running{Listener: l, result: make(chan error, 1), logs: &logs{}}
	l.dial = f.dial
	l.Opener, l.Log = f, slog.New(slog.NewTextHandler(r.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	done := make(chan struct{})
	go func() { defer close(done); r.result <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
		assert.Zero(t, r.Status().Standing)
		assert.NotContains(t, r.logs.String(), ticket)
		assert.NotContains(t, r.logs.String(), typed)
	})
	return r
}

type logs struct {
	guard sync.Mutex
	bytes bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.guard.Lock()
	defer l.guard.Unlock()
	return l.bytes.Write(p)
}

func (l *logs) String() string {
	l.guard.Lock()
	defer l.guard.Unlock()
	return l.bytes.String()
}

// pipes is a network in memory.
type pipes struct {
	ends chan net.Conn
	once sync.Once
	done chan struct{}
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, distant := net.Pipe()
	select {
	case p.ends <- distant:
		return near, nil
	case <-p.done:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.ends:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return address("127.0.0.1:80") }

type address string

func (address) Network() string  { return "pipe" }
func (a address) String() string { return string(a) }
