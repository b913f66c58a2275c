package socket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"
)

const (
	ackTime   = 3 * time.Second         // Slack waits this long for an ack
	queueTime = 2500 * time.Millisecond // so an envelope that waited this long is not begun
	mostAck   = 19_000                  // bytes; Slack closes the connection beyond 20,480
)

// What an ack can fail with, besides a connection that is gone.
var (
	ErrAcked      = errors.New("the envelope was acked already")
	ErrTooLarge   = errors.New("the answer is too large for slack: it may have 19,000 bytes")
	ErrNotEncoded = errors.New("the answer cannot be written as JSON")
)

// handle has an envelope answered, and returns at once. The queue is bounded, and
// what does not fit in, or does not get its turn before Slack loses patience, is
// left unacked on purpose: Slack then tells the person that it did not work, and
// sends events again, while an empty ack would say that it did.
func (c *conn) handle(e Envelope) {
	l := c.l
	tell(l.Observe.Envelope, e.Type)
	if !c.take() {
		l.drop(&e, "the connection is closing")
		return
	}
	select {
	case l.admitted <- struct{}{}:
	default:
		c.settleOne()
		l.drop(&e, "too many wait already")
		return
	}
	go func() { // stop waits for the place that it holds
		defer func() { <-l.admitted }()
		if !l.turn() {
			c.settleOne()
			l.drop(&e, "it waited too long")
			return
		}
		defer func() { <-l.handled }()
		c.answer(&e)
	}()
}

// turn waits for a place among the handlers, and reports whether there was one.
func (l *Listener) turn() bool {
	select {
	case l.handled <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(queueTime)
	defer timer.Stop()
	select {
	case l.handled <- struct{}{}:
		return true
	case <-timer.C:
		return false
	}
}

func (l *Listener) drop(e *Envelope, why string) {
	tell(l.Observe.Dropped, e.Type)
	l.Log.Error("an envelope is not handled and not acked", "envelope", e.ID, "type", e.Type, "why", why)
}

// answer runs the handler. Whatever that does, the envelope is acked.
func (c *conn) answer(e *Envelope) {
	ctx, cancel := context.WithTimeout(c.handling, c.l.HandleTime)
	defer cancel()
	a := &answer{conn: c, envelope: e}
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
	c.l.Handle(ctx, *e, a.ack)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		c.l.Log.Warn("a handler used up its time", "envelope", e.ID, "type", e.Type,
			"took", time.Since(e.ReceivedAt).Round(time.Millisecond).String())
	}
}

// answer is the one ack of an envelope.
type answer struct {
	conn     *conn
	envelope *Envelope
	begun    atomic.Bool
}

// ack is what the handler calls. What the handler does after it makes way, unless others
// may wait for its place.
func (a *answer) ack(payload any) error {
	err := a.once(payload)
	if l := a.conn.l; err == nil && len(l.handled) < cap(l.handled) {
		l.unacked.quiet()
	}
	return err
}

func (a *answer) once(payload any) error {
	if !a.envelope.AcceptsPayload {
		payload = nil // Slack would not look at it
	}
	// Encoded first: if that panics, the envelope can still be acked.
	data, unfit := encode(a.envelope.ID, payload)
	if !a.begun.CompareAndSwap(false, true) {
		return ErrAcked
	}
	if unfit != nil {
		data, _ = encode(a.envelope.ID, nil) // a string can be encoded
	}
	return a.send(data, unfit)
}

// empty acks the envelope unless that was done.
func (a *answer) empty() {
	if !a.begun.Load() {
		_ = a.once(nil) // send logs
	}
}

// send writes the ack. unfit is why it is not the one that the handler wanted.
func (a *answer) send(data []byte, unfit error) error {
	defer a.conn.settleOne()
	l, e := a.conn.l, a.envelope
	err := a.conn.write(data)
	if err == nil {
		l.acked(e, time.Since(e.ReceivedAt))
	}
	if err = errors.Join(unfit, err); err != nil {
		tell(l.Observe.AckFailed, e.Type)
		l.Log.Warn("ack an envelope", "envelope", e.ID, "type", e.Type, "error", err)
	}
	return err
}

func (l *Listener) acked(e *Envelope, after time.Duration) {
	if l.Observe.Acked != nil {
		l.Observe.Acked(e.Type, after)
	}
	if after > ackTime {
		l.Log.Warn("an ack came too late for slack", "envelope", e.ID, "type", e.Type, "after", after.Round(time.Millisecond).String())
	}
}

// encode makes the frame of an ack.
func encode(id string, payload any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false) // six bytes for one, of few
	err := encoder.Encode(struct {
		ID      string `json:"envelope_id"`
		Payload any    `json:"payload,omitempty"`
	}{id, payload})
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: it is a %T", ErrNotEncoded, payload) // err may quote it
	case b.Len() > mostAck:
		return nil, fmt.Errorf("%w and has %d", ErrTooLarge, b.Len())
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// undecoded acks what cannot be read, if only its envelope can be told.
func (c *conn) undecoded(data []byte) {
	if c.l.Observe.Undecoded != nil {
		c.l.Observe.Undecoded()
	}
	id := envelopeID(data)
	c.l.Log.Warn("slack sent something that is not an envelope", "bytes", len(data), "envelope", id)
	if id == "" || !c.take() {
		return
	}
	l := c.l
	select {
	case l.admitted <- struct{}{}:
		go func() { // a write may take its time, and read has none
			defer func() { <-l.admitted }()
			(&answer{conn: c, envelope: &Envelope{ID: id, ReceivedAt: time.Now()}}).empty()
		}()
	default:
		c.settleOne()
	}
}

// envelopeID finds the ID in a frame that is broken further on.
func envelopeID(data []byte) string {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if opening, err := decoder.Token(); err != nil || opening != json.Delim('{') {
		return ""
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return ""
		}
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			return ""
		}
		var id string
		if key == "envelope_id" && json.Unmarshal(value, &id) == nil && id != "" {
			return id
		}
	}
	return ""
}
