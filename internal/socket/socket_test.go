package socket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
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

const patience = 20 * time.Second

// far is the far end of the connections: a WebSocket server that says what a test
// has it say.
type far struct {
	t      *testing.T
	server *httptest.Server
	opened chan *farConn

	guard   sync.Mutex
	refuse  []error // answers of the next openings
	asked   int
	noHello bool
	noPong  bool
}

// farConn is the far end of one connection.
type farConn struct {
	*websocket.Conn
	t     *testing.T
	acks  chan ack
	ended chan struct{}
}

type ack struct {
	ID      string          `json:"envelope_id"`
	Payload json.RawMessage `json:"payload"`
}

func newFar(t *testing.T) *far {
	t.Helper()
	f := &far{t: t, opened: make(chan *farConn, 100)}
	var serving sync.WaitGroup
	f.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serving.Add(1)
		defer serving.Done()
		upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		c := &farConn{Conn: ws, t: t, acks: make(chan ack, 1000), ended: make(chan struct{})}
		f.guard.Lock()
		hello := !f.noHello
		if f.noPong {
			ws.SetPingHandler(func(string) error { return nil })
		}
		f.guard.Unlock()
		if hello {
			c.say(map[string]any{"type": "hello", "num_connections": 3, "connection_info": map[string]any{"app_id": "A0BOT00001"}})
		}
		f.opened <- c
		c.read()
	}))
	t.Cleanup(func() { f.server.CloseClientConnections(); f.server.Close(); serving.Wait() })
	return f
}

func (c *farConn) read() {
	defer close(c.ended)
	defer func() { _ = c.Close() }()
	for {
		_, data, err := c.ReadMessage()
		if err != nil {
			return
		}
		var a ack
		if json.Unmarshal(data, &a) == nil {
			c.acks <- a
		}
	}
}

func (c *farConn) say(v any) {
	data, err := json.Marshal(v)
	if err == nil {
		err = c.WriteMessage(websocket.TextMessage, data)
	}
	if err != nil {
		c.t.Logf("the far end could not speak: %v", err)
	}
}

func (c *farConn) deliver(id string, more ...func(map[string]any)) {
	e := map[string]any{"envelope_id": id, "type": "interactive", "accepts_response_payload": true, "payload": map[string]any{"n": id}}
	for _, edit := range more {
		edit(e)
	}
	c.say(e)
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
	f.asked++
	if len(f.refuse) > 0 {
		err := f.refuse[0]
		f.refuse = f.refuse[1:]
		return nil, "", err
	}
	return nil, "ws" + strings.TrimPrefix(f.server.URL, "http"), nil
}

// running is a listener at work.
type running struct {
	*Listener
	cancel context.CancelFunc
	result chan error
	logs   *bytes.Buffer
}

func echo(_ context.Context, e Envelope, ack func(any) error) { _ = ack(json.RawMessage(e.Payload)) }

func listen(t *testing.T, f *far, l *Listener) *running {
	t.Helper()
	if l.Handle == nil {
		l.Handle = echo
	}
	var guard sync.Mutex
	r := &running{Listener: l, result: make(chan error, 1), logs: &bytes.Buffer{}}
	l.Opener, l.Log = f, slog.New(slog.NewTextHandler(locked{&guard, r.logs}, nil))
	if l.Connections == 0 {
		l.Connections = 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	done := make(chan struct{})
	go func() { defer close(done); r.result <- l.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return r
}

type locked struct {
	guard *sync.Mutex
	to    *bytes.Buffer
}

func (l locked) Write(p []byte) (int, error) {
	l.guard.Lock()
	defer l.guard.Unlock()
	return l.to.Write(p)
}

func TestEveryEnvelopeIsAcked(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	r := listen(t, f, &Listener{Handle: func(_ context.Context, e Envelope, ack func(any) error) {
		switch e.Type {
		case "interactive", "slash_commands":
			assert.NoError(t, ack(map[string]string{"for": e.ID}))
			assert.ErrorIs(t, ack(nil), errAcked)
		case "panics":
			panic("what somebody typed")
		case "large":
			assert.ErrorIs(t, ack(strings.Repeat("x", largest)), errTooLarge)
		}
	}})
	c := next(t, f.opened, "a connection")
	for _, tt := range []struct {
		id, kind    string
		accepts     bool
		wantPayload string
	}{
		{"E1", "interactive", true, `{"for":"E1"}`},
		{"E2", "interactive", false, ""}, // a payload where none is accepted is left out
		{"E3", "slash_commands", true, `{"for":"E3"}`},
		{"E4", "something_new", true, ""},
		{"E5", "panics", true, ""},
		{"E6", "large", true, ""},
	} {
		c.deliver(tt.id, func(e map[string]any) { e["type"], e["accepts_response_payload"] = tt.kind, tt.accepts })
		got := c.acked(t)
		assert.Equal(t, tt.id, got.ID)
		assert.Equal(t, tt.wantPayload, string(got.Payload))
	}
	c.deliver("E7", func(e map[string]any) { e["retry_attempt"] = "not a number" })
	assert.Equal(t, "E7", c.acked(t).ID, "what cannot be read is acked all the same")
	r.cancel()
	require.NoError(t, <-r.result)
	assert.NotContains(t, r.logs.String(), "what somebody typed")
	assert.Equal(t, "A0BOT00001", r.Status().AppID)
	assert.Equal(t, 3, r.Status().NumConnections)
}

// TestRefresh: the new connection stands before the old one goes, and what still
// comes over the old one is acked there.
func TestRefresh(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{"warning", "refresh_requested"} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			f := newFar(t)
			listen(t, f, &Listener{})
			old := next(t, f.opened, "a connection")
			old.say(map[string]any{"type": "disconnect", "reason": reason})
			successor := next(t, f.opened, "the successor")
			old.deliver("on the old one")
			assert.Equal(t, "on the old one", old.acked(t).ID)
			successor.deliver("on the new one")
			assert.Equal(t, "on the new one", successor.acked(t).ID)
			require.NoError(t, old.Close())
			next(t, old.ended, "the end of the old one")
		})
	}
}

// TestRefreshUnderLoad: hundreds of envelopes while connections come and go; each
// is acked once, where it was delivered.
func TestRefreshUnderLoad(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	listen(t, f, &Listener{Connections: 2})
	const rounds, each = 4, 100
	for round := range rounds {
		c := next(t, f.opened, "a connection")
		for i := range each {
			if i == each/2 {
				c.say(map[string]any{"type": "disconnect", "reason": "warning"})
			}
			c.deliver(fmt.Sprintf("%d-%d", round, i))
		}
		seen := map[string]int{}
		for range each {
			seen[c.acked(t).ID]++
		}
		assert.Len(t, seen, each)
		_ = c.Close()
	}
}

func TestADeadConnectionIsNoticed(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]*Listener{
		"no pong":          {PingEvery: 10 * time.Millisecond, PongTime: 50 * time.Millisecond},
		"no ping of Slack": {PingEvery: 10 * time.Millisecond, SilenceTime: 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFar(t)
			f.noPong = l.PongTime != 0
			l.Observe.Reconnect = func(reason string) { assert.Equal(t, "silent", reason) }
			listen(t, f, l)
			next(t, f.opened, "a connection")
			next(t, f.opened, "its successor")
		})
	}
}

func TestAConnectionWithoutHelloIsNone(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	f.noHello = true
	r := listen(t, f, &Listener{HelloTime: 50 * time.Millisecond})
	silent := next(t, f.opened, "a connection")
	assert.Zero(t, r.Status().Standing)
	f.guard.Lock()
	f.noHello = false
	f.guard.Unlock()
	next(t, silent.ended, "the end of the silent one")
	c := next(t, f.opened, "another try")
	c.deliver("E1")
	assert.Equal(t, "E1", c.acked(t).ID)
	assert.Equal(t, 1, r.Status().Standing)
}

// TestWhatOnlyAPersonCanMend ends the first start with a sentence about it.
func TestWhatOnlyAPersonCanMend(t *testing.T) {
	t.Parallel()
	for code, advice := range mend {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			f := newFar(t)
			f.refuse = []error{slack.SlackErrorResponse{Err: code}}
			r := listen(t, f, &Listener{})
			err := next(t, r.result, "the end")
			require.ErrorContains(t, err, advice)
				})
	}
}

func TestPassingRefusalsAreWaitedOut(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	f.refuse = []error{
		&slack.RateLimitedError{RetryAfter: time.Millisecond},
		slack.SlackErrorResponse{Err: "internal_error"},
		errors.New("connection refused"),
	}
	r := listen(t, f, &Listener{})
	next(t, f.opened, "a connection in the end")
	assert.Equal(t, 4, f.asked)
	assert.Nil(t, r.Observe.Reconnect)
}

// TestAnnouncedEndsThatMustNotBeHurried: these are answered by waiting, and the
// status says what to do.
func TestAnnouncedEndsThatMustNotBeHurried(t *testing.T) {
	t.Parallel()
	for reason, advice := range map[string]string{"link_disabled": "Socket Mode", "too_many_websockets": "ten connections"} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			f := newFar(t)
			told := make(chan string, 1)
			r := listen(t, f, &Listener{Observe: Observer{Reconnect: func(reason string) { told <- reason }}})
			c := next(t, f.opened, "a connection")
			c.say(map[string]any{"type": "disconnect", "reason": reason})
			assert.Equal(t, reason, next(t, told, "the reason"))
			next(t, c.ended, "the end of the connection")
			r.cancel()
			require.NoError(t, next(t, r.result, "the end"))
					assert.Contains(t, r.Status().Problem, advice)
			f.guard.Lock()
			defer f.guard.Unlock()
			assert.Equal(t, 1, f.asked, "it must not be opened again at once")
		})
	}
}

// TestDrain: what was received is finished and acked before the connection goes.
func TestDrain(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	r := listen(t, f, &Listener{Handle: func(_ context.Context, _ Envelope, ack func(any) error) {
		close(begun)
		<-goOn
		assert.NoError(t, ack(nil))
	}})
	c := next(t, f.opened, "a connection")
	c.deliver("E1")
	next(t, begun, "the handler")
	r.cancel()
	close(goOn)
	assert.Equal(t, "E1", c.acked(t).ID)
	require.NoError(t, next(t, r.result, "the end"))
	next(t, c.ended, "the end of the connection")
}

// TestDrainHasAnEnd: a handler that does not come to its end loses its context.
func TestDrainHasAnEnd(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	begun := make(chan struct{})
	r := listen(t, f, &Listener{StopTime: 50 * time.Millisecond, Handle: func(ctx context.Context, _ Envelope, _ func(any) error) {
		close(begun)
		<-ctx.Done()
	}})
	c := next(t, f.opened, "a connection")
	c.deliver("E1")
	next(t, begun, "the handler")
	r.cancel()
	assert.Equal(t, "E1", c.acked(t).ID, "acked empty")
	require.NoError(t, next(t, r.result, "the end"))
}
