package atlassim

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"time"
)

// A Call is one request and what became of it. It holds no secret.
type Call struct {
	At        time.Time // on the stand-in's clock
	Method    string
	Path      string // without the query
	GroupID   string
	Type      string
	Auth      string // the scheme: bearer, digest, basic or nothing
	UserAgent string
	Status    int    // 0: the connection ended without an answer
	ErrorCode string // of Atlas or of RFC 6749
	Applied   bool   // a write was stored
	Duration  time.Duration
}

// An observation is what is remembered about an integration, whether it is
// configured or not.
type observation struct {
	puts    [][]byte
	effects int
}

func (s *Server) observe(group, typ string) *observation {
	t := target{group, typ}
	if s.observed[t] == nil {
		s.observed[t] = &observation{}
	}
	return s.observed[t]
}

// noteBody keeps the body of an authenticated PUT.
func (s *Server) noteBody(x *exchange) {
	if x.r.Method != http.MethodPut || x.route.op != oneIntegration {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.observe(x.route.group, x.route.typ)
	o.puts = append(o.puts, bytes.Clone(x.body))
}

func (s *Server) record(c Call) {
	s.mu.Lock()
	s.calls = append(s.calls, c)
	s.answered++
	told := make([]func(Call), 0, len(s.subscribers))
	for _, f := range s.subscribers {
		told = append(told, f)
	}
	s.changed.Broadcast()
	s.mu.Unlock()
	for _, f := range told {
		f(c)
	}
}

// Calls lists the requests that were answered or given up, in the order of their end.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Puts lists the bodies of all PUTs to an integration, exactly as they came in,
// refused ones included. Those without valid credentials or beyond the rate limit
// do not count.
func (s *Server) Puts(groupID, typ string) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.observe(groupID, typ).puts)
}

// Effects counts the calls that made a difference to what is held of an
// integration; the same settings once more are none, nor is what Seed and
// ChangeBehind do.
func (s *Server) Effects(groupID, typ string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.observe(groupID, typ).effects
}

// Forget forgets all calls, bodies and effects so far.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = nil
	s.observed = map[target]*observation{}
}

// Subscribe has f told of every call, just before its answer goes out, by the
// goroutine that serves it: several at a time, and the client waits for f. f may use
// the server, but not Close it.
func (s *Server) Subscribe(f func(Call)) (cancel func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.nextID
	s.nextID++
	s.subscribers[id] = f
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.subscribers, id)
	}
}

// WaitCalls waits until the calls so far are as enough wants them. enough is asked
// once at first and again after every call; it may use the server.
func (s *Server) WaitCalls(ctx context.Context, enough func([]Call) bool) error {
	for {
		s.mu.Lock()
		seen, calls := s.answered, slices.Clip(s.calls) // only ever appended to
		s.mu.Unlock()
		if enough(calls) {
			return nil
		}
		if err := s.await(ctx, func() bool { return s.answered > seen }); err != nil {
			return err
		}
	}
}
