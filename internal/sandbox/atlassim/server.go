package atlassim

import (
	"context"
	"crypto/rand"
	"encoding/hex"
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
// port, with made-up credentials, real time and the rate limits of Atlas.
type Options struct {
	// Addr is where to listen, a loopback address. Default: a free port of 127.0.0.1.
	Addr string

	// Hosts are further names that requests may be addressed to. Names of the
	// loopback are always taken, any other is answered with 421, so that no web page
	// reaches the stand-in through a name of its own.
	Hosts []string

	// The service account. Default: made up, with characters that have to be escaped.
	ClientID, ClientSecret string

	// The API key. Default: made up.
	PublicKey, PrivateKey string

	Clock         *Clock        // default: real time
	TokenLifetime time.Duration // default: one hour
	RateLimit     RateLimit     // default: AtlasRateLimit
	NoRateLimits  bool
	Quirks        Quirks
}

// Quirks are what Atlas may or may not do. The zero Quirks are what is documented
// or, where nothing is, what asks the most of a client.
type Quirks struct {
	PutRefusesMissing bool // PUT answers 404 to a type that is not configured, instead of adding it
	PutMerges         bool // PUT keeps the fields that are not sent, instead of resetting them
	KeepIDs           bool // an integration keeps its id when it is updated
	NullEntries       bool // lists of integrations hold null entries
	UnknownTypes      bool // lists of integrations hold entries of a type that nobody has heard of
	NoRateHeaders     bool // answers do not say how many calls are left
	BareURLs          bool // a URL comes back without its last four characters, as in the document's example of Teams
	Templates         Templates
}

// A Server is a running stand-in. All its methods may be called at any time, by
// several goroutines; those that change the world act on the next request.
type Server struct {
	opt   Options
	clock *Clock
	http  *http.Server
	url   string

	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	serving  sync.WaitGroup // the accept loop and every request
	closing  sync.Once
	closeErr error

	mu          sync.Mutex
	changed     *sync.Cond // a call was answered, or a fault took effect
	closed      bool
	quirks      Quirks
	maintenance bool
	projects    map[string]*project
	userBucket  bucket
	login       login
	faults      []*Planned
	calls       []Call
	answered    int // calls ever answered, those forgotten included
	subscribers map[int]func(Call)
	nextID      int // of a subscriber
	observed    map[target]*observation
}

// New starts a stand-in; Close ends it.
func New(opt Options) (*Server, error) {
	if err := opt.fillIn(); err != nil {
		return nil, err
	}
	lc := net.ListenConfig{}
	listener, err := lc.Listen(context.Background(), "tcp", opt.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen for the Atlas stand-in: %w", err)
	}
	s := &Server{
		opt: opt, clock: opt.Clock, quirks: opt.Quirks,
		url:         "http://" + listener.Addr().String(),
		projects:    map[string]*project{},
		subscribers: map[int]func(Call){},
		observed:    map[target]*observation{},
	}
	s.changed = sync.NewCond(&s.mu)
	s.login = newLogin(opt)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return s.ctx },
	}
	s.serving.Go(func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.closeErr = fmt.Errorf("serve the Atlas stand-in: %w", err)
		}
	})
	return s, nil
}

func (o *Options) fillIn() error {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if host, _, err := net.SplitHostPort(o.Addr); err != nil {
		return fmt.Errorf("address of the Atlas stand-in: %w", err)
	} else if !loopback(host) {
		return fmt.Errorf("address of the Atlas stand-in: %s is not a loopback address", o.Addr)
	}
	if o.ClientID == "" {
		o.ClientID = "mdb_sa_id_" + randomHex(12)
	}
	if o.ClientSecret == "" {
		o.ClientSecret = "mdb_sa_sk_" + randomHex(8) + "+/%:" + randomHex(8)
	}
	if o.PublicKey == "" {
		o.PublicKey = randomHex(4)
	}
	if o.PrivateKey == "" {
		o.PrivateKey = randomHex(16)
	}
	if o.Clock == nil {
		o.Clock = &Clock{}
	}
	if o.TokenLifetime == 0 {
		o.TokenLifetime = time.Hour
	}
	if o.RateLimit == (RateLimit{}) {
		o.RateLimit = AtlasRateLimit
	}
	if o.RateLimit.Capacity < 1 || o.RateLimit.Refill < 1 || o.RateLimit.Period <= 0 {
		return fmt.Errorf("rate limit of the Atlas stand-in: %+v lets no call through", o.RateLimit)
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails: it ends the program instead
	return hex.EncodeToString(b)
}

// URL is the base URL of the stand-in, http://127.0.0.1:port.
func (s *Server) URL() string { return s.url }

// Clock is the clock that the stand-in goes by.
func (s *Server) Clock() *Clock { return s.clock }

// ClientID is the id of the service account.
func (s *Server) ClientID() string { return s.opt.ClientID }

// PublicKey is the public part of the API key.
func (s *Server) PublicKey() string { return s.opt.PublicKey }

// SetQuirks changes what Atlas does where it is free to.
func (s *Server) SetQuirks(q Quirks) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quirks = q
}

// Close cuts every connection, lets go of whatever hangs, and waits until the last
// request is done with. The world can still be asked what it holds.
func (s *Server) Close() error {
	s.closing.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.changed.Broadcast()
		s.mu.Unlock()
		s.cancel()
		err := s.http.Close()
		s.serving.Wait()
		s.closeErr = errors.Join(s.closeErr, err)
	})
	return s.closeErr
}

// serve is one request from its first byte to the last of its answer.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		panic(http.ErrAbortHandler)
	}
	defer s.serving.Done()
	x := &exchange{r: r, route: parseRoute(r), header: http.Header{}}
	x.call = Call{
		At: s.clock.Now(), Method: r.Method, Path: r.URL.Path, GroupID: x.route.group, Type: x.route.typ,
		Auth: authScheme(r), UserAgent: r.UserAgent(),
	}
	begun := time.Now()
	a := s.answer(x)
	x.call.Duration = time.Since(begun)
	x.call.Status, x.call.ErrorCode = a.status, a.code
	// Before the answer goes out, so that who has it also finds the call.
	s.record(x.call)
	if x.fault == nil || x.fault.fault.Kind != SlowBody {
		s.hit(x) // SlowBody takes effect in the middle of the answer
	}
	s.deliver(w, x, a)
}

func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.serving.Add(1)
	return true
}

// knownHost reports whether a request may be addressed to the host.
func (s *Server) knownHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	return loopback(strings.Trim(host, "[]")) || slices.Contains(s.opt.Hosts, host)
}
