package socket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	writeTime = 3 * time.Second
	largest   = 19_000  // bytes of an ack; Slack closes the connection beyond 20,480
	mostRead  = 4 << 20 // bytes of a frame: a payload holds a whole view and its state
	closeTime = time.Second
)

// conn is one connection, from its hello to its end.
type conn struct {
	l        *Listener
	ws       *websocket.Conn
	handling context.Context
	since    time.Time

	leaving chan struct{} // closed when Slack announces the end
	dead    chan struct{} // closed when nothing more will be read

	writing sync.Mutex

	guard  sync.Mutex
	why    string
	gone   bool // leaving is closed
	pinged time.Time
	ponged time.Time
}

// hello is the first frame of every connection.
type hello struct {
	Type           string `json:"type"`
	NumConnections int    `json:"num_connections"`
	ConnectionInfo struct {
		AppID string `json:"app_id"`
	} `json:"connection_info"`
}

func newConn(l *Listener, ws *websocket.Conn, handling context.Context) *conn {
	return &conn{l: l, ws: ws, handling: handling, leaving: make(chan struct{}), dead: make(chan struct{})}
}

// greet waits for the hello, without which a connection is none.
func (c *conn) greet() error {
	c.ws.SetReadLimit(mostRead)
	if err := c.ws.SetReadDeadline(time.Now().Add(c.l.HelloTime)); err != nil {
		return fmt.Errorf("set up a connection: %w", err)
	}
	var h hello
	if err := c.ws.ReadJSON(&h); err != nil {
		return errors.New("slack opened a connection and did not say hello")
	}
	switch h.Type {
	case "hello":
	case "disconnect":
		return errors.New("slack opened a connection and took it back")
	default:
		return fmt.Errorf("slack opened a connection and did not say hello first")
	}
	now := time.Now()
	c.since, c.pinged, c.ponged = now, now, now
	c.ws.SetPingHandler(func(data string) error {
		c.guard.Lock()
		c.pinged = time.Now()
		c.guard.Unlock()
		return c.control(websocket.PongMessage, []byte(data))
	})
	c.ws.SetPongHandler(func(string) error {
		c.guard.Lock()
		defer c.guard.Unlock()
		c.ponged = time.Now()
		return nil
	})
	if err := c.ws.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("set up a connection: %w", err)
	}
	c.l.joined(c, h)
	return nil
}

// frame is what Slack sends: an envelope, or news about the connection.
type frame struct {
	Envelope
	Reason string `json:"reason"`
}

// read hands over what arrives until the connection ends. It never waits for a
// handler: pings must be answered.
func (c *conn) read() {
	defer close(c.dead)
	defer c.l.left(c)
	defer func() { _ = c.ws.Close() }()
	for {
		kind, data, err := c.ws.ReadMessage()
		if err != nil {
			c.leave("closed")
			return
		}
		var f frame
		if kind != websocket.TextMessage || json.Unmarshal(data, &f) != nil {
			c.undecoded(data)
			continue
		}
		switch {
		case f.Type == "disconnect":
			c.leave(f.Reason)
			c.drainWithin(c.l.DrainTime)
			if f.Reason == "too_many_websockets" || f.Reason == "link_disabled" {
				return
			}
		case f.ID != "":
			f.ReceivedAt = time.Now()
			c.handle(f.Envelope)
		}
	}
}

// undecoded acks what cannot be read, if only its envelope can be told.
func (c *conn) undecoded(data []byte) {
	if c.l.Observe.Undecoded != nil {
		c.l.Observe.Undecoded()
	}
	c.l.Log.Warn("slack sent something that is not an envelope", "bytes", len(data))
	var id struct {
		ID string `json:"envelope_id"`
	}
	if json.Unmarshal(data, &id) == nil && id.ID != "" {
		_ = c.write(map[string]any{"envelope_id": id.ID}) // nobody is there to be told
	}
}

// drainWithin ends an old connection that Slack does not close by itself.
func (c *conn) drainWithin(d time.Duration) {
	_ = c.ws.SetReadDeadline(time.Now().Add(d)) // a connection that is gone already ends by itself
}

// leave notes why the connection ends; the first reason stands.
func (c *conn) leave(reason string) {
	c.guard.Lock()
	defer c.guard.Unlock()
	if !c.gone {
		c.gone, c.why = true, reason
		close(c.leaving)
	}
}

func (c *conn) reason() string {
	c.guard.Lock()
	defer c.guard.Unlock()
	return c.why
}

// handle has an envelope answered. If too many are under way already, it waits
// for none: an ack that comes later than three seconds helps nobody.
func (c *conn) handle(e Envelope) {
	tell(c.l.Observe.Envelope, e.Type)
	select {
	case c.l.handlers <- struct{}{}:
		go func() {
			defer func() { <-c.l.handlers }()
			c.answered(e)
		}()
	default:
		c.l.Log.Error("too many envelopes at a time; one is left to slack's own error", "envelope", e.ID, "type", e.Type)
	}
}

// answered runs the handler. Whatever it does, the envelope is acked.
func (c *conn) answered(e Envelope) {
	ctx, cancel := context.WithTimeout(c.handling, c.l.HandleTime)
	defer cancel()
	a := &answer{conn: c, envelope: &e}
	defer a.empty()
	defer func() {
		if p := recover(); p != nil {
			if c.l.Observe.Panicked != nil {
				c.l.Observe.Panicked()
			}
			// Its value may be what somebody typed.
			c.l.Log.Error("panic in a handler", "envelope", e.ID, "type", e.Type,
				"panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
		}
	}()
	c.l.Handle(ctx, e, a.ack)
}

// answer is the one ack of an envelope.
type answer struct {
	conn     *conn
	envelope *Envelope
	once     sync.Once
}

var errAcked = errors.New("the envelope was acked already")

func (a *answer) ack(payload any) error {
	err := errAcked
	a.once.Do(func() { err = a.send(payload) })
	return err
}

func (a *answer) empty() { a.once.Do(func() { _ = a.send(nil) }) } // send logs

func (a *answer) send(payload any) error {
	frame := map[string]any{"envelope_id": a.envelope.ID}
	if payload != nil && a.envelope.AcceptsPayload {
		frame["payload"] = payload
	}
	err := a.conn.write(frame)
	if errors.Is(err, errTooLarge) {
		err = errors.Join(err, a.conn.write(map[string]any{"envelope_id": a.envelope.ID}))
	}
	l := a.conn.l
	if err != nil {
		tell(l.Observe.AckFailed, a.envelope.Type)
		l.Log.Warn("ack an envelope", "envelope", a.envelope.ID, "type", a.envelope.Type, "error", err)
		return err
	}
	if l.Observe.Acked != nil {
		l.Observe.Acked(a.envelope.Type, time.Since(a.envelope.ReceivedAt))
	}
	return nil
}

// write sends one frame, on this connection and no other.
func (c *conn) write(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return errors.New("encode an ack")
	}
	if len(data) > largest {
		return errTooLarge
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.ws.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return fmt.Errorf("write to slack: %w", err)
	}
	if err := c.ws.WriteMessage(websocket.TextMessage, data); err != nil {
		return fmt.Errorf("write to slack: %w", err)
	}
	return nil
}

func (c *conn) control(kind int, data []byte) error {
	err := c.ws.WriteControl(kind, data, time.Now().Add(writeTime))
	if errors.Is(err, websocket.ErrCloseSent) {
		return nil
	}
	return err
}

// ping asks the other end whether it is there, and watches for its own asking. A
// connection can die without a word, and Slack goes on sending into it.
func (c *conn) ping() {
	tick := time.NewTicker(c.l.PingEvery)
	defer tick.Stop()
	for {
		select {
		case <-c.dead:
			return
		case <-tick.C:
			_ = c.control(websocket.PingMessage, nil) // if it fails, no pong comes
			if c.silent() {
				c.leave("silent")
				_ = c.ws.Close() // ends read
				return
			}
		}
	}
}

func (c *conn) silent() bool {
	c.guard.Lock()
	defer c.guard.Unlock()
	return time.Since(c.ponged) > c.l.PongTime || time.Since(c.pinged) > c.l.SilenceTime
}

// close says goodbye, and waits a little for the other end to do so too.
func (c *conn) close(code int) {
	_ = c.control(websocket.CloseMessage, websocket.FormatCloseMessage(code, "")) // the deadline ends it anyway
	_ = c.ws.SetReadDeadline(time.Now().Add(closeTime))
}
