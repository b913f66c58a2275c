package slacksim

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

const (
	ackTime         = 3 * time.Second
	largestFrame    = 20_480
	mostConnections = 10
	lastWords       = 10 * time.Second // from a warning to the cut
	debugLife       = 360 * time.Second
	writeTime       = 5 * time.Second
)

// sockets is the state of Socket Mode.
type sockets struct {
	off       bool
	skipHello int
	twice     bool
	gathering *gathering
	tickets   map[string]bool // that were given and not used
	conns     []*conn         // all that count, those without a hello too
	envelopes map[string]*envelope
}

// conn is one connection of the app.
type conn struct {
	ws      *websocket.Conn
	wire    *watchedConn
	writing sync.Mutex
	gone    chan struct{} // closed at its end
	greeted bool
	silent  bool
	closed  bool
}

// write sends a frame; what cannot be written is lost, as it is on the real wire.
func (c *conn) write(v any) { c.writeFrame(encode(v), func() {}) }

// writeFrame calls now just before it writes.
func (c *conn) writeFrame(frame []byte, now func()) {
	c.writing.Lock()
	defer c.writing.Unlock()
	now()
	_ = c.ws.SetWriteDeadline(time.Now().Add(writeTime))
	_ = c.ws.WriteMessage(websocket.TextMessage, frame)
}

// Connections counts the connections that were greeted and are open.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.greeted())
}

func (s *Server) greeted() []*conn {
	var all []*conn
	for _, c := range s.conns {
		if c.greeted {
			all = append(all, c)
		}
	}
	return all
}

// WaitConnections waits until there are at least n connections.
func (s *Server) WaitConnections(ctx context.Context, n int) error {
	if err := s.wait(ctx, func() bool { return len(s.greeted()) >= n }); err != nil {
		return fmt.Errorf("wait for %d connections, there are %d: %w", n, s.Connections(), err)
	}
	return nil
}

// WaitDisconnected waits until no connection is left.
func (s *Server) WaitDisconnected(ctx context.Context) error {
	if err := s.wait(ctx, func() bool { return len(s.greeted()) == 0 }); err != nil {
		return fmt.Errorf("wait for the connections to end, there are %d: %w", s.Connections(), err)
	}
	return nil
}

// SetSocketMode is the switch in the app's settings. Off, open connections end and
// no other opens: link_disabled.
func (s *Server) SetSocketMode(on bool) {
	s.mu.Lock()
	s.off = !on
	s.mu.Unlock()
	if !on {
		s.Refresh("link_disabled")
	}
}

// SkipHello leaves the next n connections without a hello.
func (s *Server) SkipHello(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skipHello = n
}

// DeliverTwice has every envelope delivered once more after its ack, unchanged.
func (s *Server) DeliverTwice(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.twice = on
}

// gathering is of envelopes that go out together.
type gathering struct {
	missing int
	all     chan struct{} // closed when none is missing
}

// gatherTime is how long envelopes wait for those that are still missing.
const gatherTime = time.Second

// Gather holds the next n envelopes back until all of them are ready to be sent, or one does
// not come in time: they then go out at once, and none waits while another is put together.
func (s *Server) Gather(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gathering = &gathering{missing: n, all: make(chan struct{})}
}

// gather counts one that is ready. It is called with the lock held.
func (s *Server) gather() *gathering {
	g := s.gathering
	if g == nil {
		return nil
	}
	g.missing--
	if g.missing <= 0 {
		s.release(g)
	}
	return g
}

// release lets go of those that wait; whoever comes later is waited for no more. It is
// called with the lock held.
func (s *Server) release(g *gathering) {
	if s.gathering == g {
		s.gathering = nil
		close(g.all)
	}
}

func (s *Server) untilAll(g *gathering) {
	if g == nil {
		return
	}
	timer := time.NewTimer(gatherTime)
	defer timer.Stop()
	select {
	case <-g.all:
	case <-timer.C:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.release(g)
	case <-s.ctx.Done():
	}
}

// Refresh tells every connection that it ends, and why. After warning and
// refresh_requested it is cut ten seconds later and goes on until then; other
// reasons end it at once.
func (s *Server) Refresh(reason string) {
	s.mu.Lock()
	conns := slices.Clone(s.conns)
	s.mu.Unlock()
	for _, c := range conns {
		s.dismiss(c, reason)
	}
}

func (s *Server) dismiss(c *conn, reason string) {
	c.write(object{"type": "disconnect", "reason": reason, "debug_info": object{"host": "applink-1"}})
	s.mu.Lock()
	s.record(Event{Kind: "socket", Method: "disconnect", Summary: "a connection is told to go: " + reason})
	s.mu.Unlock()
	if reason != "warning" && reason != "refresh_requested" {
		_ = c.ws.Close()
		return
	}
	at := s.clock.Now().Add(lastWords)
	s.spawn(func() {
		if s.clock.reach(s.ctx, at, c.gone) {
			_ = c.ws.Close()
		}
	})
}

// CutSockets cuts the TCP connection of every connection, without a word.
func (s *Server) CutSockets() {
	s.mu.Lock()
	conns := slices.Clone(s.conns)
	s.mu.Unlock()
	for _, c := range conns {
		reset(c.ws.NetConn())
	}
}

// SilenceSocket has the i-th connection fall silent: it stays open and counts, but
// nothing comes over it any more, no pings and no pongs, and what it gets is lost.
func (s *Server) SilenceSocket(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i < len(s.conns) {
		s.conns[i].silent = true
	}
}

var upgrader = websocket.Upgrader{
	ReadBufferSize: 4096, WriteBufferSize: 32 << 10,
	CheckOrigin: func(*http.Request) bool { return true }, // clients send the origin of the real Slack
}

func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	ticket := r.URL.Query().Get("ticket")
	s.mu.Lock()
	good := s.tickets[ticket]
	delete(s.tickets, ticket)
	s.mu.Unlock()
	if !good {
		http.Error(w, "this ticket is not valid, or not any more", http.StatusForbidden)
		return
	}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // answered
	}
	defer func() { _ = ws.Close() }()
	c := &conn{ws: ws, gone: make(chan struct{})}
	if wire, is := ws.NetConn().(*watchedConn); is {
		c.wire = wire
		wire.watch()
	}
	if !s.welcome(c, r.URL.Query().Get("debug_reconnects") == "true") {
		return
	}
	s.spawn(func() { s.ping(c) })
	s.listen(c)
	s.part(c)
}

// welcome takes a connection in, unless there are too many.
func (s *Server) welcome(c *conn, brief bool) bool {
	life := 18_060
	if brief {
		life = int(debugLife.Seconds())
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return false
	}
	if len(s.conns) >= mostConnections {
		s.record(Event{Kind: "socket", Method: "refused", Summary: "an eleventh connection"})
		s.mu.Unlock()
		c.write(object{"type": "disconnect", "reason": "too_many_websockets", "debug_info": object{"host": "applink-1"}})
		return false
	}
	s.conns = append(s.conns, c)
	n, greet := len(s.conns), s.skipHello == 0
	if !greet {
		s.skipHello--
	}
	s.mu.Unlock()
	if greet {
		c.write(object{
			"type": "hello", "num_connections": n, "connection_info": object{"app_id": AppID},
			"debug_info": object{"host": "applink-1", "build_number": 41, "approximate_connection_time": life},
		})
	}
	s.mu.Lock()
	c.greeted = greet // only now may envelopes follow
	s.record(Event{Kind: "socket", Method: "connected", Summary: fmt.Sprintf("connection %d", n)})
	s.mu.Unlock()
	if brief {
		at := s.clock.Now().Add(debugLife)
		s.spawn(func() {
			if s.clock.reach(s.ctx, at, c.gone) {
				s.dismiss(c, "refresh_requested")
			}
		})
	}
	return true
}

// part forgets a connection. What it was sent and did not ack is lost.
func (s *Server) part(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.closed = true
	close(c.gone)
	s.conns = slices.DeleteFunc(s.conns, func(other *conn) bool { return other == c })
	for _, e := range s.envelopes {
		if e.conns[len(e.conns)-1] == c {
			e.settle(errLost)
		}
	}
	s.record(Event{Kind: "socket", Method: "closed", Summary: fmt.Sprintf("%d connections are left", len(s.conns))})
}

// ping pings the client; that it answers is for its library to see to.
func (s *Server) ping(c *conn) {
	ticker := time.NewTicker(s.opt.PingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-c.gone:
			return
		case <-ticker.C:
		}
		if !s.isSilent(c) {
			_ = c.ws.WriteControl(websocket.PingMessage, []byte("Ping from applink-1"), time.Now().Add(writeTime))
		}
	}
}

func (s *Server) isSilent(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.silent
}

// listen reads acks until the connection ends.
func (s *Server) listen(c *conn) {
	c.ws.SetReadLimit(largestFrame)
	c.ws.SetPingHandler(func(data string) error {
		if !s.isSilent(c) {
			_ = c.ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(writeTime))
		}
		return nil
	})
	for {
		_, data, err := c.ws.ReadMessage()
		came := s.clock.Now()
		if errors.Is(err, websocket.ErrReadLimit) { // the library has closed with 1009
			s.complain(FrameTooLarge, "", "a frame of more than %d bytes", largestFrame)
		}
		split := c.wire != nil && c.wire.fragmented()
		if split {
			s.complain(Fragmented, "", "a message in several frames, which is lost")
		}
		if err != nil {
			return
		}
		s.keep(data, nil)
		if !split && !s.isSilent(c) {
			s.acked(c, data, came)
		}
	}
}

func (s *Server) complain(kind, envelope, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.violate(kind, envelope, format, args...)
}

// Reasons why an envelope was not acked. To the person at the client all of them
// look the same.
var (
	errNobody = errors.New("no connection of the app is open")
	errLost   = errors.New("the connection ended before the ack")
	errLate   = errors.New("operation_timeout: no ack within three seconds")
)

// envelope is one payload on its way to the app.
type envelope struct {
	id, kind string
	body     object
	frame    []byte
	shown    []byte // the payload, redacted
	accepts  bool
	sent     time.Time
	stood    time.Duration             // of the clock, when it was sent
	written  atomic.Pointer[time.Time] // when it was its turn on the connection
	conns    []*conn                   // that it was sent on, once or twice
	acks     int
	late     bool
	over     bool
	done     chan struct{} // closed when it was acked, or cannot be any more
	payload  object        // of the ack
	took     time.Duration
	err      error
}

// about is the type of the payload, where it says one, else that of the envelope.
func (e *envelope) about() string {
	return cmp.Or(text(obj(e.body["payload"])["type"]), e.kind)
}

// settle ends the waiting. It is called with the lock held.
func (e *envelope) settle(err error) {
	if !e.over {
		e.over, e.err = true, err
		close(e.done)
	}
}

// send puts a payload into an envelope and on a connection, whichever. It is
// called without the lock.
func (s *Server) send(kind string, payload any, accepts bool, more object) *envelope {
	e := &envelope{id: uuid(), kind: kind, accepts: accepts, done: make(chan struct{}), shown: redacted(payload)}
	e.body = object{"envelope_id": e.id, "type": kind, "accepts_response_payload": accepts, "payload": payload}
	for k, v := range more {
		e.body[k] = v
	}
	e.frame = encode(e.body)
	s.mu.Lock()
	c := s.pick()
	if c == nil || s.closed {
		e.settle(errNobody)
		s.record(Event{Kind: "envelope", Method: kind, Summary: kind + ": no connection is open", JSON: e.shown})
		s.mu.Unlock()
		return e
	}
	s.envelopes[e.id] = e
	s.dispatched(e, c)
	g := s.gather()
	s.mu.Unlock()
	s.untilAll(g)
	s.put(c, e)
	return e
}

// pick chooses a connection. It is called with the lock held.
func (s *Server) pick() *conn {
	open := s.greeted()
	if len(open) == 0 {
		return nil
	}
	return open[rand.IntN(len(open))] //nolint:gosec // spreads envelopes, guards nothing
}

// dispatched notes that an envelope goes over a connection, and watches its time.
// It is called with the lock held.
func (s *Server) dispatched(e *envelope, c *conn) {
	e.conns = append(e.conns, c)
	copies := len(e.conns)
	s.record(Event{Kind: "envelope", Method: e.kind, Summary: fmt.Sprintf("%s %s", e.kind, e.id), JSON: e.shown})
	e.sent, e.stood = s.clock.Now(), s.clock.stood()
	sent, stood := e.sent, e.stood
	stop := make(chan struct{})
	s.running.Add(2) // within a request or a person's act, neither of which Close overtakes
	go func() {
		defer s.running.Done()
		defer close(stop)
		s.untilAcked(e, c, copies)
	}()
	go func() {
		defer s.running.Done()
		if !s.outOfPatience(sent, stood, stop) {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if e.acks >= copies || c.closed {
			return
		}
		e.late = true
		if !c.silent {
			s.violate(LateAck, e.id, "%s: no ack within three seconds", e.kind)
		}
		e.settle(errLate)
		s.touch()
	}()
}

// outOfPatience waits for as long as Slack waits for an ack, counting only time in which the
// stand-in itself could run. It reports false if it was stopped before.
func (s *Server) outOfPatience(sent time.Time, stood time.Duration, stop <-chan struct{}) bool {
	for {
		more := s.clock.stood() - stood
		if !s.clock.reach(s.ctx, sent.Add(ackTime+more), stop) {
			return false
		}
		if s.clock.stood()-stood == more {
			return true
		}
	}
}

// untilAcked returns when an envelope has as many acks as copies, or cannot get them.
func (s *Server) untilAcked(e *envelope, c *conn, copies int) {
	if copies == 1 { // no need to be woken by every change: hundreds may wait
		select {
		case <-e.done:
		case <-s.ctx.Done():
		}
		return
	}
	_ = s.wait(s.ctx, func() bool { return e.acks >= copies || c.closed || e.late })
}

func (s *Server) put(c *conn, e *envelope) {
	if !s.isSilent(c) {
		c.writeFrame(e.frame, func() {
			now := s.clock.Now()
			e.written.Store(&now)
		})
	}
}

// await waits until an envelope was acked and gives the payload of the ack.
func (s *Server) await(ctx context.Context, e *envelope) (object, error) {
	select {
	case <-e.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.ctx.Done():
		return nil, errClosed
	}
	s.mu.Lock()
	again := s.twice && e.err == nil && len(e.conns) == 1
	var c *conn
	if again {
		if c = s.pick(); c != nil && !s.closed {
			s.dispatched(e, c)
		}
	}
	s.mu.Unlock()
	if c != nil {
		s.put(c, e)
	}
	return e.payload, e.err
}

// acked takes what the app sent over a connection, and when it came.
func (s *Server) acked(c *conn, data []byte, came time.Time) {
	var frame object
	err := json.Unmarshal(data, &frame)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || text(frame["envelope_id"]) == "" {
		s.violate(BadFrame, "", "%d bytes that are no ack", len(data))
		return
	}
	id := text(frame["envelope_id"])
	e := s.envelopes[id]
	if e == nil {
		s.violate(UnknownEnvelope, id, "an ack of an envelope that was never sent")
		return
	}
	if !slices.Contains(e.conns, c) {
		s.violate(WrongConnection, id, "%s came over another connection than its ack", e.kind)
		return
	}
	e.acks++
	took := came.Sub(*e.written.Load())
	s.record(Event{
		Kind: "ack", Actor: BotUserID, Method: e.kind, Summary: fmt.Sprintf("%s acked after %s", e.id, took.Round(time.Millisecond)),
		JSON: data, About: e.about(), Took: took,
	})
	if e.acks > len(e.conns) {
		s.violate(SecondAck, id, "%s was acked before", e.kind)
		return
	}
	if took-(s.clock.stood()-e.stood) > ackTime && !e.late {
		e.late = true
		s.violate(LateAck, id, "%s: acked after %s", e.kind, took)
	}
	payload := obj(frame["payload"])
	if frame["payload"] != nil && !e.accepts && (payload == nil || len(payload) > 0) {
		s.violate(UnexpectedPayload, id, "%s takes no payload in its ack", e.kind)
		payload = nil
	}
	if e.late {
		e.settle(errLate)
		return
	}
	if !e.over {
		e.payload, e.took = payload, took
		e.settle(nil)
	}
}
