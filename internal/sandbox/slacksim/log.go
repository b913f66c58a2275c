package slacksim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"
)

// Kinds of violations: rules of Slack's that an app breaks without Slack telling
// it, or that it should never break.
const (
	LateAck           = "late_ack"           // after three seconds, or never
	SecondAck         = "second_ack"         // of an envelope that was acked
	WrongConnection   = "wrong_connection"   // an ack on another than the envelope came on
	FrameTooLarge     = "frame_too_large"    // over 20,480 bytes
	Fragmented        = "fragmented"         // a message in several frames
	UnknownEnvelope   = "unknown_envelope"   // an ack of what was never sent
	UnexpectedPayload = "unexpected_payload" // in an ack that may carry none
	BadFrame          = "bad_frame"          // not an ack at all
	BadView           = "bad_view"           // in an ack
	BadErrors         = "bad_errors"         // for blocks that are no inputs of the view
	BadOptions        = "bad_options"        // in the ack of a block_suggestion
	BadMessage        = "bad_message"        // in the ack of a command
	InvalidBlocks     = "invalid_blocks"     // a call with blocks or a view that Slack refuses
)

// A Violation is a rule of Slack's that the app broke.
type Violation struct {
	At         time.Time
	Kind       string
	Detail     string
	EnvelopeID string
}

// String is for test logs.
func (v Violation) String() string {
	return fmt.Sprintf("%s: %s (envelope %s)", v.Kind, v.Detail, v.EnvelopeID)
}

// Violations are all that were recorded.
func (s *Server) Violations() []Violation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

// violate is called with the lock held.
func (s *Server) violate(kind, envelope, format string, args ...any) {
	v := Violation{At: s.clock.Now(), Kind: kind, Detail: fmt.Sprintf(format, args...), EnvelopeID: envelope}
	s.violations = append(s.violations, v)
	s.record(Event{Kind: "violation", Method: kind, Summary: v.Detail})
}

// Everything is every byte that the app sent: the bodies of its calls, forms also
// as they read decoded, and what came over its connections.
func (s *Server) Everything() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.everything)
}

func (s *Server) keep(body []byte, form url.Values) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.everything = append(append(s.everything, body...), '\n')
	for name, values := range form {
		for _, value := range values {
			s.everything = append(s.everything, name+"="+value+"\n"...)
		}
	}
}

// An Event is one line of the story: a call, an envelope, an ack, a message, a
// view, a connection or a violation.
type Event struct {
	At      time.Time
	Kind    string // api, envelope, ack, message, view, socket, violation
	Actor   string // a user ID, or the bot's
	Method  string // of the API, or the type of what was sent
	Summary string
	JSON    []byte // with tokens and what people typed into views left out

	// Of an ack: the type of the payload that it is for, such as view_submission, and how
	// long after its envelope it came.
	About string
	Took  time.Duration
}

// Log is the story so far.
func (s *Server) Log() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

// Subscribe has f called with every event from now on, in order and one at a time,
// until cancel is called or the stand-in is closed. f may call the stand-in.
func (s *Server) Subscribe(f func(Event)) (cancel func()) {
	s.mu.Lock()
	next := len(s.events)
	s.mu.Unlock()
	stop := make(chan struct{})
	s.spawn(func() {
		for {
			s.mu.Lock()
			fresh, changed := slices.Clone(s.events[next:]), s.changed
			s.mu.Unlock()
			next += len(fresh)
			for _, e := range fresh {
				select {
				case <-stop:
					return
				default:
					f(e)
				}
			}
			if len(fresh) > 0 {
				continue
			}
			select {
			case <-changed:
			case <-stop:
				return
			case <-s.ctx.Done():
				return
			}
		}
	})
	return sync.OnceFunc(func() { close(stop) })
}

// record is called with the lock held.
func (s *Server) record(e Event) {
	e.At = s.clock.Now()
	s.events = append(s.events, e)
	s.touch()
}

// redacted is JSON without what people typed: the state of views, values of text
// inputs, and verification tokens.
func redacted(v any) []byte {
	var o object
	if json.Unmarshal(encode(v), &o) != nil {
		return nil
	}
	delete(o, "token")
	for _, holder := range []object{o, obj(o["view"])} {
		if state := obj(holder["state"]); state != nil {
			for _, block := range obj(state["values"]) {
				for _, value := range obj(block) {
					hide(obj(value))
				}
			}
		}
	}
	for _, action := range list(o["actions"]) {
		if text(obj(action)["type"]) != "button" {
			hide(obj(action))
		}
	}
	return encode(o)
}

func hide(value object) {
	if v, ok := value["value"].(string); ok && v != "" {
		value["value"] = "[typed]"
	}
}
