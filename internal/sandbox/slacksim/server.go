package slacksim

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options say what a stand-in is like. The zero Options are a stand-in on a free
// port, in real time, with Slack's rate limits.
type Options struct {
	Addr         string        // a loopback address; default: a free port of 127.0.0.1
	Clock        *Clock        // default: real time
	PingEvery    time.Duration // between the pings of a connection, in real time; default: 3 s
	NoRateLimits bool
}

// A Server is a running stand-in. All its methods may be called at any time, by
// several goroutines.
type Server struct {
	opt       Options
	clock     *Clock
	http      *http.Server
	url       string
	appToken  string
	botToken  string
	ctx       context.Context // ends with Close
	cancel    context.CancelFunc
	running   sync.WaitGroup
	closing   sync.Once
	closeErr  error
	mu        sync.Mutex
	changed   chan struct{} // closed and made anew with every change
	closed    bool
	lastStamp int64 // of message timestamps, in microseconds
	workspace
	sockets
	traffic
}

// workspace is what Slack keeps.
type workspace struct {
	users         map[string]*User
	groups        map[string][]string
	channels      map[string]*Channel
	scopes        []string
	appScopes     []string
	tokenErrors   map[string]string
	noHome        bool
	noMessagesTab bool
	freePlan      bool
	messages      []*message
	views         map[string]*view
	modals        map[string][]*view // stacks, by user
	homes         map[string]*view
	triggers      map[string]*trigger
	hooks         map[string]*hook
}

// traffic is what went back and forth.
type traffic struct {
	violations []Violation
	everything []byte
	events     []Event
	failures   map[string][]*Failure
	buckets    map[string]*bucket
}

// New starts a stand-in; Close ends it.
func New(opt Options) (*Server, error) {
	if opt.Addr == "" {
		opt.Addr = "127.0.0.1:0"
	}
	if opt.Clock == nil {
		opt.Clock = &Clock{}
	}
	if opt.PingEvery == 0 {
		opt.PingEvery = 3 * time.Second
	}
	if err := loopback(opt.Addr); err != nil {
		return nil, err
	}
	lc := net.ListenConfig{}
	listener, err := lc.Listen(context.Background(), "tcp", opt.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen for the Slack stand-in: %w", err)
	}
	s := &Server{
		opt: opt, clock: opt.Clock, url: "http://" + listener.Addr().String(), changed: make(chan struct{}),
		appToken: "xapp" + "-1-" + AppID + "-" + random(6) + "-" + random(16),
		botToken: "xoxb" + "-" + random(6) + "-" + random(12),
		workspace: workspace{
			users: map[string]*User{}, groups: map[string][]string{}, channels: map[string]*Channel{},
			scopes: slices.Clone(defaultScopes), appScopes: []string{"connections:write"}, tokenErrors: map[string]string{},
			views: map[string]*view{}, modals: map[string][]*view{}, homes: map[string]*view{},
			triggers: map[string]*trigger{}, hooks: map[string]*hook{},
		},
		sockets: sockets{tickets: map[string]bool{}, envelopes: map[string]*envelope{}},
		traffic: traffic{failures: map[string][]*Failure{}, buckets: map[string]*bucket{}},
	}
	s.populate()
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return s.ctx },
	}
	s.running.Go(func() { s.clock.beat(s.ctx) })
	s.running.Go(func() {
		if err := s.http.Serve(watched{listener}); !errors.Is(err, http.ErrServerClosed) {
			s.closeErr = fmt.Errorf("serve the Slack stand-in: %w", err)
		}
	})
	return s, nil
}

func loopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("the Slack stand-in's address: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("the Slack stand-in listens on loopback only, not on %q", addr)
	}
	return nil
}

// Close ends every connection and waits for everything that the stand-in started.
func (s *Server) Close() error {
	s.closing.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.touch()
		s.mu.Unlock()
		s.cancel()
		_ = s.http.Close() // open requests are cut off
		s.CutSockets()
		s.running.Wait()
	})
	return s.closeErr
}

// APIURL is what a client takes for the root of the Web API. It ends in a slash.
func (s *Server) APIURL() string { return s.url + "/api/" }

// AppToken is the app-level token.
func (s *Server) AppToken() string { return s.appToken }

// BotToken is the bot token.
func (s *Server) BotToken() string { return s.botToken }

// spawn runs something that Close waits for; it reports false after Close.
func (s *Server) spawn(f func()) bool {
	if !s.enter() {
		return false
	}
	go func() {
		defer s.running.Done()
		f()
	}()
	return true
}

func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.running.Add(1)
	return true
}

// touch wakes whoever waits for a change. It is called with the lock held.
func (s *Server) touch() {
	close(s.changed)
	s.changed = make(chan struct{})
}

var errClosed = errors.New("the Slack stand-in is closed")

// wait waits until a condition holds, which is looked at with the lock held.
func (s *Server) wait(ctx context.Context, holds func() bool) error {
	for {
		s.mu.Lock()
		ok, changed := holds(), s.changed
		s.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ctx.Done():
			return errClosed
		}
	}
}

// stamp makes a timestamp that no message had before. It is called with the lock held.
func (s *Server) stamp() string {
	now := s.clock.Now().UnixMicro()
	s.lastStamp = max(now, s.lastStamp+1)
	return fmt.Sprintf("%d.%06d", s.lastStamp/1e6, s.lastStamp%1e6)
}

// random is a name of n bytes that was not used before.
func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(b)
}

func uuid() string {
	h := random(16)
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// object is a JSON object that came from the app or goes to it.
type object = map[string]any

// encode is for values that were decoded from JSON or built of plain types.
func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("slacksim: " + err.Error())
	}
	return b
}

// clone is a deep copy.
func clone(o object) object {
	if o == nil {
		return nil
	}
	var c object
	_ = json.Unmarshal(encode(o), &c) // it was JSON before
	return c
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

func obj(v any) object {
	o, _ := v.(object)
	return o
}
