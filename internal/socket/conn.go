package socket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	writeTime = 3 * time.Second // Slack's patience for an ack; a frame that takes longer is lost
	closeTime = time.Second     // for each half of the closing handshake
	mostRead  = 4 << 20         // bytes of a frame: a payload holds a whole view and its state
)

// conn is one connection, from its hello to its end.
type conn struct {
	l        *Listener
	ws       *websocket.Conn
	handling context.Context
	since    time.Time

	leaving chan struct{} // closed when the end is announced, or is there
	retired chan struct{} // closed when it may be closed, after grace
	settled chan struct{} // closed when it takes no more envelopes and owes no ack
	dead    chan struct{} // closed when nothing more will be read or written

	writing chan struct{} // holds a value while a message is written

	guard    sync.Mutex
	why      string        // what leaving was closed for
	left     time.Time     // when it was closed; zero: it was not
	grace    time.Duration // what retired was closed with
	pinged   time.Time     // by Slack
	ponged   time.Time
	owed     int  // acks of envelopes that were taken
	settling bool // it takes envelopes until none is owed
	closed   bool // it takes no more
}

// hello is the first frame of every connection.
type hello struct {
	Type           string `json:"type"`
	Reason         string `json:"reason"` // of a disconnect in its place
	NumConnections int    `json:"num_connections"`
	ConnectionInfo struct {
		AppID string `json:"app_id"`
	} `json:"connection_info"`
	DebugInfo struct {
		Host string `json:"host"`
	} `json:"debug_info"`
}

func newConn(handling context.Context, l *Listener, ws *websocket.Conn) *conn {
	now := time.Now()
	c := &conn{
		l: l, ws: ws, handling: handling, since: now, pinged: now, ponged: now,
		leaving: make(chan struct{}), retired: make(chan struct{}),
		settled: make(chan struct{}), dead: make(chan struct{}),
		writing: make(chan struct{}, 1),
	}
	ws.SetReadLimit(mostRead)
	ws.SetPingHandler(func(data string) error {
		c.guard.Lock()
		c.pinged = time.Now()
		c.guard.Unlock()
		return c.control(websocket.PongMessage, []byte(data), writeTime)
	})
	ws.SetPongHandler(func(string) error {
		c.guard.Lock()
		defer c.guard.Unlock()
		c.ponged = time.Now()
		return nil
	})
	// By itself the library would answer a close frame at once, after which no ack
	// can be written: read answers it when the acks are out.
	ws.SetCloseHandler(func(int, string) error { return nil })
	return c
}

// greet waits for the hello, without which a connection is none.
func (c *conn) greet(ctx context.Context) (hello, error) {
	if err := c.ws.SetReadDeadline(time.Now().Add(c.l.HelloTime)); err != nil {
		return hello{}, fmt.Errorf("wait for slack's hello: %w", err)
	}
	stop := context.AfterFunc(ctx, func() {
		_ = c.ws.NetConn().SetReadDeadline(time.Now()) // ends ReadMessage; if it fails, HelloTime does
	})
	_, data, err := c.ws.ReadMessage()
	if !stop() {
		return hello{}, fmt.Errorf("wait for slack's hello: %w", ctx.Err())
	}
	if err != nil {
		return hello{}, fmt.Errorf("wait for slack's hello: %w", err)
	}
	var h hello
	if err := json.Unmarshal(data, &h); err != nil && h.Type == "" {
		return hello{}, errors.New("slack's first frame is not a hello")
	}
	switch h.Type {
	case "hello":
	case "disconnect":
		return hello{}, &turnedAway{reason: h.Reason}
	default:
		return hello{}, errors.New("slack's first frame is not a hello")
	}
	if err := c.ws.SetReadDeadline(time.Time{}); err != nil {
		return hello{}, fmt.Errorf("wait for slack's hello: %w", err)
	}
	return h, nil
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
	for {
		_, data, err := c.ws.ReadMessage()
		if err != nil {
			c.finish(err)
			return
		}
		c.received(data)
	}
}

func (c *conn) received(data []byte) {
	f, ok := decode(data)
	switch {
	case !ok:
		c.undecoded(data)
	case f.Type == "disconnect":
		c.leave(f.Reason)
		if advice[f.Reason] != "" { // there will be no successor to wait for
			c.retire(0)
		}
	default:
		f.ReceivedAt = time.Now()
		c.handle(f.Envelope)
	}
}

// decode reads a frame, if it is one that says what it is about.
func decode(data []byte) (f frame, ok bool) {
	err := json.Unmarshal(data, &f)
	var odd *json.UnmarshalTypeError // one field is not as we know it; the others are read
	return f, (err == nil || errors.As(err, &odd)) && (f.ID != "" || f.Type == "disconnect")
}

// finish ends a connection that reads no more. After a close frame, or where the
// other end only stopped sending, what is still owed may yet arrive.
func (c *conn) finish(err error) {
	c.leave("closed")
	c.l.left(c)
	c.l.Log.Debug("a connection to slack reads no more", "reason", c.reason(), "error", err)
	c.settle(writeTime)
	code := websocket.CloseNormalClosure
	var closing *websocket.CloseError
	if errors.As(err, &closing) && closing.Code != websocket.CloseAbnormalClosure { // which stands for a missing frame
		code = closing.Code
	}
	c.goodbye(code)
	_ = c.ws.Close()
}

// leave notes why the connection ends; the first reason stands.
func (c *conn) leave(reason string) {
	c.guard.Lock()
	defer c.guard.Unlock()
	select {
	case <-c.leaving:
	default:
		c.why, c.left = reason, time.Now()
		close(c.leaving)
	}
}

func (c *conn) reason() string {
	c.guard.Lock()
	defer c.guard.Unlock()
	return c.why
}

// goes reports whether the connection ends, and has been known to for d.
func (c *conn) goes(d time.Duration) bool {
	c.guard.Lock()
	defer c.guard.Unlock()
	return !c.left.IsZero() && time.Since(c.left) >= d
}

// retire lets the connection be closed after grace, unless Slack closes it before.
func (c *conn) retire(grace time.Duration) {
	c.guard.Lock()
	defer c.guard.Unlock()
	select {
	case <-c.retired:
	default:
		c.grace = grace
		close(c.retired)
	}
}

// part closes the connection when it is retired or the bot stops. Until then, and
// until no ack is owed, it goes on reading: what Slack has sent is answered.
func (c *conn) part() {
	select {
	case <-c.dead:
		return
	case <-c.l.stopping:
	case <-c.retired:
		grace := time.NewTimer(c.grace)
		defer grace.Stop()
		select {
		case <-c.dead:
			return
		case <-c.l.stopping:
		case <-grace.C:
		}
	}
	c.leave("closed")
	c.settle(c.l.HandleTime)
	c.goodbye(websocket.CloseNormalClosure)
	_ = c.ws.NetConn().SetReadDeadline(time.Now().Add(closeTime)) // if it fails, there is nothing to read
}

// take reports whether an envelope may be answered on this connection, and if so,
// has the connection wait for its ack.
func (c *conn) take() bool {
	c.guard.Lock()
	defer c.guard.Unlock()
	if c.closed {
		return false
	}
	c.owed++
	c.l.unacked.enter()
	return true
}

// settleOne is the end of what take began.
func (c *conn) settleOne() {
	c.guard.Lock()
	defer c.guard.Unlock()
	c.l.unacked.leave()
	c.owed--
	if c.settling && c.owed == 0 {
		c.shut()
	}
}

// shut has no more envelopes taken; guard is held.
func (c *conn) shut() {
	if !c.closed {
		c.closed = true
		close(c.settled)
	}
}

// settle waits until no ack is owed, at the most for d, and has no more envelopes
// taken from then on: there is no instant at which one is taken and cannot be acked.
func (c *conn) settle(d time.Duration) {
	c.guard.Lock()
	c.settling = true
	if c.owed == 0 {
		c.shut()
	}
	c.guard.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c.settled:
	case <-timer.C:
	case <-c.l.gaveUp:
	case <-c.dead:
	}
	c.guard.Lock()
	defer c.guard.Unlock()
	if c.owed > 0 && !c.closed {
		c.l.Log.Warn("a connection to slack ends before its acks", "envelopes", c.owed)
	}
	c.shut()
}

// watch asks the other end whether it is there, and looks for its own asking. A
// connection can die without a word, and Slack goes on sending into it.
func (c *conn) watch() {
	tick := time.NewTicker(c.l.PingEvery)
	defer tick.Stop()
	for {
		select {
		case <-c.dead:
			return
		case <-tick.C:
			if c.silent() {
				c.sever("silent")
				return
			}
			_ = c.control(websocket.PingMessage, nil, writeTime) // if it fails, no pong comes
		}
	}
}

func (c *conn) silent() bool {
	c.guard.Lock()
	defer c.guard.Unlock()
	return time.Since(c.ponged) >= c.l.PongTime || time.Since(c.pinged) >= c.l.SilenceTime
}

// sever ends a connection that cannot be talked to any more.
func (c *conn) sever(reason string) {
	c.leave(reason)
	c.guard.Lock()
	c.shut() // no ack can be written: finish need not wait for any
	c.guard.Unlock()
	_ = c.ws.Close() // ends read
}

// write sends one message as one frame, on this connection and no other.
func (c *conn) write(data []byte) error {
	timer := time.NewTimer(writeTime)
	defer timer.Stop()
	select {
	case c.writing <- struct{}{}:
		defer func() { <-c.writing }()
	case <-timer.C:
		return errors.New("write to slack: the connection is stuck")
	case <-c.dead:
		return errors.New("write to slack: the connection is gone")
	}
	err := c.ws.SetWriteDeadline(time.Now().Add(writeTime))
	if err == nil {
		err = c.ws.WriteMessage(websocket.TextMessage, data)
	}
	if err == nil {
		return nil
	}
	if !errors.Is(err, websocket.ErrCloseSent) {
		c.sever("unwritable") // half a frame may be out: nothing can follow it
	}
	return fmt.Errorf("write to slack: %w", err)
}

func (c *conn) control(kind int, data []byte, within time.Duration) error {
	err := c.ws.WriteControl(kind, data, time.Now().Add(within))
	if err != nil && !errors.Is(err, websocket.ErrCloseSent) {
		return fmt.Errorf("write to slack: %w", err)
	}
	return nil
}

// goodbye sends a close frame, unless one was sent.
func (c *conn) goodbye(code int) {
	_ = c.control(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), closeTime) // the connection is closed anyway
}
