package socket

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unencodable is an answer whose encoding fails, or panics, with what was typed.
type unencodable struct{ panics bool }

func (u unencodable) MarshalJSON() ([]byte, error) {
	if u.panics {
		panic(typed)
	}
	return nil, errors.New(typed)
}

func TestEveryEnvelopeIsAcked(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	var panicked, failed, undecoded atomic.Int32
	r := listen(t, f, &Listener{
		Observe: Observer{
			Panicked:  func() { panicked.Add(1) },
			AckFailed: func(string) { failed.Add(1) },
			Undecoded: func() { undecoded.Add(1) },
		},
		Handle: func(_ context.Context, e Envelope, ack func(any) error) {
			switch e.Type {
			case "interactive", "slash_commands":
				assert.NoError(t, ack(map[string]string{"for": e.ID + "<&>"}))
				assert.ErrorIs(t, ack(nil), ErrAcked)
			case "events_api":
				assert.Equal(t, 2, e.RetryAttempt)
				assert.Equal(t, "timeout", e.RetryReason)
				assert.NoError(t, ack(nil))
			case "panics":
				panic(typed)
			case "panics later":
				assert.NoError(t, ack("kept"))
				panic(errors.New(typed))
			case "large":
				assert.ErrorIs(t, ack(strings.Repeat("x", mostAck)), ErrTooLarge)
			case "unencodable":
				assert.ErrorIs(t, ack(unencodable{}), ErrNotEncoded)
			case "encoding panics":
				_ = ack(unencodable{panics: true})
			}
		},
	})
	c := next(t, f.opened, "a connection")
	for i, tt := range []struct {
		kind        string
		accepts     bool
		wantPayload string
	}{
		{"interactive", true, `{"for":"E0<&>"}`},
		{"interactive", false, ""}, // a payload where none is accepted is left out
		{"slash_commands", true, `{"for":"E2<&>"}`},
		{"events_api", false, ""},
		{"something_new", true, ""},
		{"", true, ""},
		{"panics", true, ""},
		{"panics later", true, `"kept"`},
		{"large", true, ""},
		{"unencodable", true, ""},
		{"encoding panics", true, ""},
	} {
		id := fmt.Sprintf("E%d", i)
		c.deliver(id, func(e map[string]any) {
			e["type"], e["accepts_response_payload"] = tt.kind, tt.accepts
			e["retry_attempt"], e["retry_reason"] = 2, "timeout"
		})
		got := c.acked(t)
		assert.Equal(t, id, got.ID, tt.kind)
		assert.Equal(t, tt.wantPayload, string(got.Payload), tt.kind)
	}
	r.cancel()
	require.NoError(t, <-r.result)
	assert.EqualValues(t, 3, panicked.Load())
	assert.EqualValues(t, 2, failed.Load())
	assert.Zero(t, undecoded.Load())
	assert.Equal(t, Status{NumConnections: 2, AppID: "A0BOT00001", LastEnd: "closed"}, r.Status())
}

// TestOddFrames: what has an envelope ID is acked, and nothing stops the reading.
func TestOddFrames(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	var undecoded atomic.Int32
	listen(t, f, &Listener{Observe: Observer{Undecoded: func() { undecoded.Add(1) }}})
	c := next(t, f.opened, "a connection")
	for _, tt := range []struct {
		name, frame string
		acked, want string
		undecoded   int32
	}{
		{"a field of another type", `{"envelope_id":"E1","type":"interactive","retry_attempt":"two","accepts_response_payload":true,"payload":{"a":1}}`, "E1", `{"a":1}`, 0},
		{"an empty array for an object", `{"envelope_id":"E2","type":"interactive","accepts_response_payload":true,"payload":[]}`, "E2", `[]`, 0},
		{"null", `{"envelope_id":"E3","type":"slash_commands","accepts_response_payload":null,"payload":null}`, "E3", "", 0},
		{"cut off", `{"type":"interactive","envelope_id":"E4","payload":{"value":"` + typed, "E4", "", 1},
		{"without an envelope ID", `{"type":"news","payload":"` + typed + `"}`, "", "", 1},
		{"an array", `["` + typed + `"]`, "", "", 1},
		{"no JSON", typed, "", "", 1},
		{"nothing", ``, "", "", 1},
	} {
		before := undecoded.Load()
		if tt.acked != "" {
			c.expect(tt.acked)
		}
		c.say <- func() { assert.NoError(t, c.WriteMessage(websocket.TextMessage, []byte(tt.frame))) }
		if tt.acked != "" {
			got := c.acked(t)
			assert.Equal(t, tt.acked, got.ID, tt.name)
			assert.Equal(t, tt.want, string(got.Payload), tt.name)
		}
		c.deliver("after " + tt.name)
		assert.Equal(t, "after "+tt.name, c.acked(t).ID)
		assert.Equal(t, tt.undecoded, undecoded.Load()-before, tt.name)
	}
}

// TestTheLargestAck is one frame: the far end would not put two together.
func TestTheLargestAck(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	frames := make(chan []byte, 10_000)
	f.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return &writeWatch{conn, frames}, err
	}
	const around = len(`{"envelope_id":"E1","payload":""}` + "\n")
	listen(t, f, &Listener{Handle: func(_ context.Context, _ Envelope, ack func(any) error) {
		assert.NoError(t, ack(strings.Repeat("x", mostAck-around)))
	}})
	c := next(t, f.opened, "a connection")
	c.deliver("E1")
	assert.Len(t, c.acked(t).Payload, mostAck-around+2)
	for {
		frame := next(t, frames, "the frame of the ack")
		if len(frame) < mostAck {
			continue // the handshake
		}
		assert.Equal(t, byte(0x80|websocket.TextMessage), frame[0], "a final text frame")
		return
	}
}

type writeWatch struct {
	net.Conn
	writes chan<- []byte
}

func (w *writeWatch) Write(p []byte) (int, error) {
	w.writes <- append([]byte(nil), p...)
	return w.Conn.Write(p)
}

// TestRefresh: the new connection stands before the old one goes, and what still
// comes over the old one is acked there.
func TestRefresh(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{"warning", "refresh_requested", "a new reason"} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			f := newFar(t)
			told := make(chan string, 1)
			r := listen(t, f, &Listener{Observe: Observer{Reconnect: func(reason string) { told <- reason }}})
			old := next(t, f.opened, "a connection")
			old.disconnect(reason)
			successor := next(t, f.opened, "the successor")
			assert.Equal(t, reason, next(t, told, "the reason"))
			old.deliver("on the old one")
			assert.Equal(t, "on the old one", old.acked(t).ID)
			successor.deliver("on the new one")
			assert.Equal(t, "on the new one", successor.acked(t).ID)
			old.cut()
			next(t, old.ended, "the end of the old one")
			successor.deliver("still")
			assert.Equal(t, "still", successor.acked(t).ID)
			assert.Eventually(t, func() bool { return r.Status().Standing == 1 }, patience, time.Millisecond)
			assert.Empty(t, r.Status().Problem)
		})
	}
}

// TestRefreshUnderLoad: hundreds of envelopes while every connection is told to go
// several times, and is cut then; each is acked, once, where it was delivered.
func TestRefreshUnderLoad(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	listen(t, f, &Listener{Connections: 3, OpenEvery: time.Millisecond})
	const rounds, each = 9, 200
	var conns []*farConn
	for round := range rounds {
		c := next(t, f.opened, "a connection")
		conns = append(conns, c)
		for i := range each {
			if i == each/2 {
				c.disconnect([]string{"warning", "refresh_requested"}[round%2])
			}
			c.deliver(fmt.Sprintf("%d-%d", round, i))
		}
	}
	for _, c := range conns {
		for range each {
			c.acked(t)
		}
		f.from(func(*far) { assert.Empty(t, c.unacked) })
		c.cut()
	}
}

// TestWhatOnlyAPersonCanMend ends the bot with a sentence about it.
func TestWhatOnlyAPersonCanMend(t *testing.T) {
	t.Parallel()
	for code, sentence := range mend {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			f := newFar(t)
			f.always = slack.SlackErrorResponse{Err: code}
			r := listen(t, f, &Listener{Connections: 2})
			err := next(t, r.result, "the end")
			require.ErrorContains(t, err, sentence)
			require.ErrorContains(t, err, code)
			assert.LessOrEqual(t, f.openings(), 2)
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
	assert.Equal(t, 4, f.openings())
	assert.Eventually(t, func() bool { return r.Status().Standing == 1 && r.Status().Problem == "" }, patience, time.Millisecond)
}

func TestTheNumberOfConnectionsIsBounded(t *testing.T) {
	t.Parallel()
	for _, n := range []int{-1, 5} {
		l := &Listener{Connections: n}
		require.ErrorContains(t, l.Run(t.Context()), "1 to 4")
		assert.Zero(t, l.Status())
	}
}

// TestAnAddressThatIsNone does not get into the log either.
func TestAnAddressThatIsNone(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "::" + ticket, "ftp://slack.example/?" + ticket, "ws://127.0.0.1:1/?" + ticket, "ws://slack.example/?" + ticket} {
		l := &Listener{Opener: opener(func() (string, error) { return address, nil })}
		require.NoError(t, l.prepare(nil))
		_, err := l.connect(t.Context(), t.Context())
		require.Error(t, err)
		assert.NotContains(t, err.Error(), ticket)
	}
}

// TestSocketsAreSecure: what Slack's address leads to has to prove that it is Slack's,
// in a version of TLS that is worth it, and cannot send elsewhere.
func TestSocketsAreSecure(t *testing.T) {
	t.Parallel()
	answered := make(chan struct{}, 10)
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answered <- struct{}{}
		http.Redirect(w, r, "/?"+ticket, http.StatusFound)
	})
	old := httptest.NewUnstartedServer(answer)
	old.Config.ErrorLog = log.New(io.Discard, "", 0)
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11} //nolint:gosec // to be refused
	old.StartTLS()
	unknown := httptest.NewUnstartedServer(answer)
	unknown.Config.ErrorLog = log.New(io.Discard, "", 0)
	unknown.StartTLS()
	plain := httptest.NewServer(answer)
	for _, tt := range []struct {
		server *httptest.Server
		says   string
	}{{old, "protocol version"}, {unknown, "certificate"}, {plain, "status 302"}} {
		t.Cleanup(tt.server.Close)
		l := &Listener{Opener: opener(func() (string, error) { return strings.Replace(tt.server.URL, "http", "ws", 1) + "/?" + ticket, nil })}
		require.NoError(t, l.prepare(nil))
		_, err := l.connect(t.Context(), t.Context())
		require.ErrorContains(t, err, tt.says)
		assert.NotContains(t, err.Error(), ticket)
	}
	assert.Len(t, answered, 1, "the plain one was asked once, and its redirect not followed")
}

type opener func() (string, error)

func (o opener) StartSocketModeContext(context.Context) (*slack.SocketModeConnection, string, error) {
	address, err := o()
	return nil, address, err
}
