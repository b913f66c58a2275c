package atlassim

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Match says which requests a fault is for; what is empty matches any. Calls of
// the API match once they are authenticated and not rate limited, so that a digest
// login, two requests, is one call. Requests for tokens match by their path only.
type Match struct {
	Method  string
	GroupID string
	Type    string
	Path    string // whole, without the query

	// BeforeAuth matches before credentials are looked at, as a proxy in front of
	// Atlas would, the first request of a digest login included.
	BeforeAuth bool
}

func (m *Match) matches(x *exchange, early bool) bool {
	return m.BeforeAuth == early &&
		(m.Path != "" || x.route.op != tokens) &&
		(m.Path == "" || m.Path == x.route.path) &&
		(m.Method == "" || m.Method == x.r.Method) &&
		(m.GroupID == "" || m.GroupID == x.route.group) &&
		(m.Type == "" || m.Type == x.route.typ)
}

// A Kind is one of the ways in which a request can go wrong.
type Kind int

// The kinds of faults. Unless they say otherwise the request is carried out as
// usual, and only its answer suffers.
const (
	Refuse           Kind = iota // an error answer, nothing is done
	RefuseAfterApply             // an error answer, although it was done
	ResetBeforeApply             // the connection is reset, nothing is done
	ResetAfterApply              // the connection is reset after it was done
	HangBeforeApply              // no answer; it is done when released, unless the client is gone by then
	HangAfterApply               // it is done, but the answer waits until released
	LateApply                    // no answer; it is done when released, long after the client has gone
	StoreWrong                   // answers 200, but something else is kept: see Fault.Edit
	StoreNothing                 // answers 200, but all stays as it was
	StaleAnswer                  // it is done, but the answer shows what was before
	SlowBody                     // half of the answer, the rest when released
	HugeBody                     // an answer without an end
	CutBody                      // the connection is reset in the middle of the answer
	TruncatedJSON                // half of the JSON, as if it were whole
	WrongContentType             // the right answer, called text/plain
	HTMLPage                     // the error page of a proxy, nothing is done
	Redirect                     // to Fault.Location, nothing is done
	EchoSecret                   // refused, quoting the values that were sent
)

// A Fault is what goes wrong. The fields that a kind has no use for are ignored.
type Fault struct {
	Kind Kind

	// Of an error answer. Default: 500, and the code that Atlas has for the status.
	Status     int
	Code       string
	Detail     string
	Parameters []any
	RetryAfter time.Duration

	Header   map[string]string // set on whatever is answered
	Location string            // of a Redirect
	// Edit is what StoreWrong does to the settings; by default the end of every free
	// text is changed. It must not use the Server.
	Edit func(settings map[string]any)
}

// Always has a fault used until it is withdrawn.
const Always = -1

// A Planned is a fault that waits for its requests.
type Planned struct {
	s        *Server
	match    Match
	fault    Fault
	left     int // negative: Always
	used     int
	release  sync.Once
	released chan struct{}
}

// Fail has the next n requests that match go wrong. Of several faults for a request
// the one asked for first is used.
func (s *Server) Fail(m Match, f Fault, n int) *Planned {
	p := &Planned{s: s, match: m, fault: f, left: n, released: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, p)
	return p
}

// Release lets go of the requests that hang in the fault, now and from now on.
func (p *Planned) Release() { p.release.Do(func() { close(p.released) }) }

// Withdraw has no further request go wrong. Those that hang still do.
func (p *Planned) Withdraw() {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.left = 0
}

// Used counts the requests that went wrong so far.
func (p *Planned) Used() int {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	return p.used
}

// Wait waits until n requests went wrong: hang, or are about to be answered. What
// was to be stored is stored by then.
func (p *Planned) Wait(ctx context.Context, n int) error {
	return p.s.await(ctx, func() bool { return p.used >= n })
}

// take finds the fault for a request and uses it up.
func (s *Server) take(x *exchange, early bool) *Planned {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = slices.DeleteFunc(s.faults, func(p *Planned) bool { return p.left == 0 })
	for _, p := range s.faults {
		if p.match.matches(x, early) {
			if p.left > 0 {
				p.left--
			}
			return p
		}
	}
	return nil
}

// hit notes that the fault of a request took effect.
func (s *Server) hit(x *exchange) {
	if x.fault == nil || x.hit {
		return
	}
	x.hit = true
	s.mu.Lock()
	defer s.mu.Unlock()
	x.fault.used++
	s.changed.Broadcast()
}

// withFault answers a request by next, and lets go wrong what shall.
func (s *Server) withFault(x *exchange, early bool, next func() *answer) *answer {
	if x.fault != nil {
		return next()
	}
	if x.fault = s.take(x, early); x.fault == nil {
		return next()
	}
	nothing, f := &answer{}, &x.fault.fault
	switch f.Kind {
	case Refuse, HTMLPage, Redirect, EchoSecret:
		return f.refusal(x)
	case ResetBeforeApply:
		return nothing
	case HangBeforeApply:
		if !s.hang(x, x.r.Context().Done()) {
			return nothing
		}
	case LateApply:
		if !s.hang(x, nil) {
			return nothing
		}
	}
	a := next()
	switch f.Kind {
	case RefuseAfterApply:
		return f.refusal(x)
	case ResetAfterApply:
		return nothing
	case HangAfterApply:
		if !s.hang(x, x.r.Context().Done()) {
			return nothing
		}
	}
	return a
}

// hang waits until the fault is released; it is false when the client gives up, or
// the stand-in ends, before that.
func (s *Server) hang(x *exchange, gone <-chan struct{}) bool {
	s.hit(x)
	select {
	case <-x.fault.released:
		return true
	case <-gone:
		return false
	case <-s.ctx.Done():
		return false
	}
}

// usualCodes are what Atlas says with a status when nothing else is asked for.
var usualCodes = map[int]string{
	http.StatusBadRequest:         "VALIDATION_ERROR",
	http.StatusUnauthorized:       "USER_UNAUTHORIZED",
	http.StatusPaymentRequired:    "ACCOUNT_SUSPENDED",
	http.StatusForbidden:          "ACCESS_FORBIDDEN",
	http.StatusNotFound:           "RESOURCE_NOT_FOUND",
	http.StatusMethodNotAllowed:   "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES",
	http.StatusConflict:           "INTEGRATION_ALREADY_CONFIGURED",
	http.StatusGone:               "VERSION_GONE",
	http.StatusTooManyRequests:    "RATE_LIMITED_TOKEN_BUCKET",
	http.StatusServiceUnavailable: "SERVICE_UNAVAILABLE",
}

// refusal is the answer of the faults that are an error answer.
func (f *Fault) refusal(x *exchange) *answer {
	switch f.Kind {
	case HTMLPage:
		a := &answer{status: cmp.Or(f.Status, http.StatusBadGateway), header: http.Header{}}
		a.header.Set("Content-Type", "text/html; charset=utf-8")
		a.body = []byte("<!DOCTYPE html>\n<html><head><title>Bad gateway</title></head>" +
			"<body><h1>Bad gateway</h1><p>Try again in a minute.</p></body></html>\n")
		return a
	case Redirect:
		a := &answer{status: cmp.Or(f.Status, http.StatusTemporaryRedirect), header: http.Header{}}
		a.header.Set("Location", f.Location)
		return a
	case EchoSecret:
		values := texts(x.body)
		e := refuse(cmp.Or(f.Status, http.StatusBadRequest), cmp.Or(f.Code, "INVALID_INTEGRATION_SETTINGS"),
			"The settings were not accepted: "+strings.Join(values, ", ")+".")
		for _, v := range values {
			e.parameters = append(e.parameters, v)
			e.violations = append(e.violations, violation{Field: "settings", Description: "not accepted: " + v})
		}
		return e.answer()
	}
	status := cmp.Or(f.Status, http.StatusInternalServerError)
	if x.route.op == tokens {
		a := oauthError(status, cmp.Or(f.Code, "server_error"), cmp.Or(f.Detail, "Unexpected error."))
		if f.RetryAfter > 0 {
			a.header.Set("Retry-After", strconv.Itoa(wholeSeconds(f.RetryAfter)))
		}
		return a
	}
	e := refuse(status, cmp.Or(f.Code, usualCodes[status], "UNEXPECTED_ERROR"),
		cmp.Or(f.Detail, "Asked for: "+http.StatusText(status)+"."), f.Parameters...)
	e.retryAfter = f.RetryAfter
	return e.answer()
}

// texts are the strings of a JSON object, in no order; of anything else the whole.
func texts(body []byte) []string {
	var sent map[string]any
	if err := json.Unmarshal(body, &sent); err != nil {
		return []string{string(body)}
	}
	var all []string
	for name, v := range sent {
		if s, ok := v.(string); ok && name != "type" {
			all = append(all, s)
		}
	}
	return all
}

// spoil changes settings before they are stored.
func (f *Fault) spoil(typ string, settings map[string]any) {
	if f.Edit != nil {
		f.Edit(settings)
		return
	}
	for i := range types[typ] {
		fl := &types[typ][i]
		s, ok := settings[fl.name].(string)
		if !ok || fl.choices != nil || s == "" {
			continue
		}
		end := "a"
		if strings.HasSuffix(s, end) {
			end = "b"
		}
		settings[fl.name] = s[:len(s)-1] + end
	}
}

// deliver sends the answer, or what the fault makes of it.
func (s *Server) deliver(w http.ResponseWriter, x *exchange, a *answer) {
	if a.status == 0 {
		reset(w)
		return
	}
	for _, h := range []http.Header{x.header, a.header} {
		for name, values := range h {
			w.Header()[name] = values
		}
	}
	kind, body := Refuse, a.body
	if x.fault != nil {
		kind = x.fault.fault.Kind
		for name, v := range x.fault.fault.Header {
			w.Header().Set(name, v)
		}
	}
	switch kind {
	case TruncatedJSON:
		body = body[:len(body)/2]
	case WrongContentType:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	case HugeBody:
		w.WriteHeader(a.status)
		s.pour(w)
		return
	}
	if a.status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(a.status)
	if kind == SlowBody || kind == CutBody {
		half := len(body) / 2
		if !send(w, body[:half]) {
			return
		}
		if kind == CutBody {
			reset(w)
			return
		}
		if !s.hang(x, x.r.Context().Done()) {
			return
		}
		body = body[half:]
	}
	send(w, body)
}

// send writes and flushes; it is false when the client is gone, which is its own affair.
func send(w http.ResponseWriter, b []byte) bool {
	if _, err := w.Write(b); err != nil {
		return false
	}
	return http.NewResponseController(w).Flush() == nil
}

// pour writes a list of integrations that does not end.
func (s *Server) pour(w http.ResponseWriter) {
	chunk := []byte(strings.Repeat(" null,", 4096))
	for ok := send(w, []byte(`{"links":[],"results":[`)); ok && s.ctx.Err() == nil; {
		_, err := w.Write(chunk)
		ok = err == nil
	}
}

// reset ends the connection without an answer, or without the rest of it.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a reset rather than an orderly end; both are no answer
	}
	_ = conn.Close() // nobody is left to tell
}

// await waits until a condition on the state of the server holds.
func (s *Server) await(ctx context.Context, holds func() bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
	})
	defer stop()
	for !holds() {
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("wait for the Atlas stand-in: %w", ctx.Err())
		case s.closed:
			return errors.New("wait for the Atlas stand-in: it is closed")
		}
		s.changed.Wait()
	}
	return nil
}
