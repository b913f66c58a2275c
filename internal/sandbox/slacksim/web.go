package slacksim

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Failure is what a call is answered with instead of what it asks for.
type Failure struct {
	Error      string        // of an answer with ok false
	Status     int           // default: 200, or 429 with RetryAfter
	RetryAfter time.Duration // sent in whole seconds
	Hang       bool          // no answer until the client gives up
	Reset      bool          // the connection is cut
	After      bool          // the call takes effect first
	left       int
}

// Fail has the next n calls of a method fail; "*" is any method. Failures planned
// earlier come first.
func (s *Server) Fail(method string, n int, f Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.left = n
	s.failures[method] = append(s.failures[method], &f)
}

// planned takes one planned failure. It is called with the lock held.
func (s *Server) planned(method string) *Failure {
	for _, name := range []string{method, "*"} {
		for len(s.failures[name]) > 0 {
			f := s.failures[name][0]
			if f.left > 0 {
				f.left--
				return f
			}
			s.failures[name] = s.failures[name][1:]
		}
	}
	return nil
}

// call is one call of the Web API.
type call struct {
	method string
	token  string // as it came
	header bool   // it came in the header
	args   object
	form   bool
}

// arg is an argument as text: numbers and truth values of forms are text too.
func (c *call) arg(name string) string {
	switch v := c.args[name].(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		return string(encode(v))
	}
}

// answer is what a call is answered with.
type answer struct {
	body   object
	status int
	wait   time.Duration
	header map[string]string
}

func ok(fields object) answer {
	body := object{"ok": true}
	for k, v := range fields {
		body[k] = v
	}
	return answer{body: body}
}

func no(code string) answer { return answer{body: object{"ok": false, "error": code}} }

func missing(name string) answer {
	a := no("invalid_arguments")
	a.body["response_metadata"] = object{"messages": []any{"[ERROR] missing required field: " + name}}
	return a
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		http.Error(w, "closed", http.StatusServiceUnavailable)
		return
	}
	defer s.running.Done()
	switch head, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); head {
	case "api":
		s.serveAPI(w, r, rest)
	case "link":
		s.serveSocket(w, r)
	case "commands", "actions":
		s.serveHook(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request, name string) {
	c, refusal := s.read(w, r, name)
	s.mu.Lock()
	failure := s.planned(name)
	s.mu.Unlock()
	a := refusal
	if failure == nil || failure.After {
		a = s.answerCall(c, refusal)
	}
	if failure != nil {
		if failure.Hang || failure.Reset {
			s.noteCall(c, no("(no answer)"))
			s.leaveOpen(w, r, failure)
			return
		}
		if failure.Error != "" || failure.Status != 0 || failure.RetryAfter > 0 {
			a = failure.answer()
		}
	}
	s.noteCall(c, a)
	write(w, a)
}

func (f *Failure) answer() answer {
	a := no(f.Error)
	a.status, a.wait = f.Status, f.RetryAfter
	if f.RetryAfter > 0 || f.Status == http.StatusTooManyRequests {
		a.status = http.StatusTooManyRequests
		if f.Error == "" {
			a.body["error"] = "ratelimited"
		}
	}
	return a
}

// leaveOpen gives no answer.
func (s *Server) leaveOpen(w http.ResponseWriter, r *http.Request, f *Failure) {
	if f.Hang {
		<-r.Context().Done() // ends with the client, or with Close
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	reset(conn)
}

// reset cuts a TCP connection without a goodbye.
func reset(conn net.Conn) {
	if t, is := underneath(conn).(*net.TCPConn); is {
		_ = t.SetLinger(0)
	}
	_ = conn.Close()
}

func write(w http.ResponseWriter, a answer) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	for k, v := range a.header {
		w.Header().Set(k, v)
	}
	if a.wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(a.wait.Seconds()))))
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	_, _ = w.Write(encode(a.body)) // a client that has gone needs no answer
}

const mostBody = 1 << 20

// read takes a call apart.
func (s *Server) read(w http.ResponseWriter, r *http.Request, name string) (*call, answer) {
	c := &call{method: name, args: object{}}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostBody))
	if err != nil {
		return c, no("request_timeout")
	}
	if bearer, is := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); is {
		c.token, c.header = bearer, true
	}
	var form url.Values
	defer func() { s.keep(body, form) }()
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		if len(body) == 0 { // slack-go sends no arguments so
			body = []byte("{}")
		}
		err := json.Unmarshal(body, &c.args)
		if c.args == nil {
			c.args = object{}
		}
		if err != nil {
			return c, no("invalid_json")
		}
		return c, answer{}
	}
	c.form = true
	if form, err = url.ParseQuery(string(body)); err != nil {
		return c, no("invalid_form_data")
	}
	for name, values := range form {
		c.args[name] = values[0]
	}
	for name, values := range r.URL.Query() {
		if name != "token" && c.args[name] == nil { // a token in an address was never taken
			c.args[name] = values[0]
		}
	}
	if c.token == "" {
		c.token = c.arg("token")
	}
	delete(c.args, "token")
	return c, answer{}
}

// method is one method of the Web API.
type method struct {
	do     func(*Server, *call) answer
	app    bool // takes the app-level token
	scopes func(*call, *Server) string
	tier   int // calls a minute; 0 is not limited
}

func needs(scope string) func(*call, *Server) string {
	return func(*call, *Server) string { return scope }
}

// methods are the methods that there are.
var methods = map[string]method{
	"auth.test":             {do: (*Server).authTest},
	"bots.info":             {do: (*Server).botsInfo, scopes: needs("users:read"), tier: 50},
	"apps.connections.open": {do: (*Server).openConnection, app: true},
	"views.open":            {do: (*Server).viewsOpen, tier: 100},
	"views.push":            {do: (*Server).viewsPush, tier: 100},
	"views.update":          {do: (*Server).viewsUpdate, tier: 100},
	"views.publish":         {do: (*Server).viewsPublish, tier: 100},
	"chat.postMessage":      {do: (*Server).postMessage, scopes: needs("chat:write")},
	"chat.update":           {do: (*Server).updateMessage, scopes: needs("chat:write"), tier: 50},
	"chat.postEphemeral":    {do: (*Server).postEphemeral, scopes: needs("chat:write"), tier: 100},
	"chat.getPermalink":     {do: (*Server).permalink},
	"conversations.info":    {do: (*Server).conversationsInfo, scopes: channelScope, tier: 50},
	"users.info":            {do: (*Server).usersInfo, scopes: needs("users:read"), tier: 100},
	"usergroups.users.list": {do: (*Server).groupUsers, scopes: needs("usergroups:read"), tier: 20},
	"team.info":             {do: (*Server).teamInfo, scopes: needs("team:read"), tier: 50},
}

// channelScope is what it takes to see a channel of that kind.
func channelScope(c *call, s *Server) string {
	id := c.arg("channel")
	switch ch := s.channel(id); {
	case isDM(id):
		return "im:read"
	case ch != nil && ch.Private:
		return "groups:read"
	default:
		return "channels:read"
	}
}

// answerCall answers a call, one at a time.
func (s *Server) answerCall(c *call, refusal answer) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, known := methods[c.method]
	if !known {
		return no("unknown_method")
	}
	if a := s.authorize(c, m); a.body != nil {
		return a
	}
	if refusal.body != nil {
		return refusal
	}
	if m.tier > 0 {
		if a := s.limit(c.method, float64(m.tier), float64(m.tier)/60); a.body != nil {
			return a
		}
	}
	return m.do(s, c)
}

func (s *Server) authorize(c *call, m method) answer {
	switch {
	case c.token == "", m.app && !c.header:
		return no("not_authed")
	case c.token != s.appToken && c.token != s.botToken:
		return no("invalid_auth")
	case s.tokenErrors[c.token] != "":
		return no(s.tokenErrors[c.token])
	case m.app != (c.token == s.appToken):
		return no("not_allowed_token_type")
	}
	needed, has := "", s.scopes
	switch {
	case m.app:
		needed, has = "connections:write", s.appScopes
	case m.scopes != nil:
		needed = m.scopes(c, s)
	}
	if needed != "" && !slices.Contains(has, needed) {
		a := no("missing_scope")
		a.body["needed"], a.body["provided"] = needed, strings.Join(has, ",")
		return a
	}
	return answer{}
}

// bucket lets so many calls through at once and so many a second after that.
type bucket struct {
	left float64
	at   time.Time
}

// limit takes one from a bucket, or says how long to wait for it.
func (s *Server) limit(name string, most, perSecond float64) answer {
	if s.opt.NoRateLimits {
		return answer{}
	}
	now := s.clock.Now()
	b := s.buckets[name]
	if b == nil {
		b = &bucket{left: most, at: now}
		s.buckets[name] = b
	}
	b.left = min(most, b.left+now.Sub(b.at).Seconds()*perSecond)
	b.at = now
	if b.left >= 1 {
		b.left--
		return answer{}
	}
	a := no("ratelimited")
	a.status = http.StatusTooManyRequests
	a.wait = time.Duration((1 - b.left) / perSecond * float64(time.Second))
	return a
}

// noteCall writes a call into the log.
func (s *Server) noteCall(c *call, a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	result := "ok"
	if a.body["ok"] != true {
		result = text(a.body["error"])
	}
	if result == "invalid_blocks" || result == "invalid_arguments" && strings.HasPrefix(c.method, "views.") {
		s.violate(InvalidBlocks, "", "%s: %s", c.method, encode(a.body["response_metadata"]))
	}
	noted := object{"arguments": c.args, "result": result}
	if id := text(obj(a.body["view"])["id"]); id != "" {
		noted["view_id"] = id
	}
	s.record(Event{
		Kind: "api", Actor: BotUserID, Method: c.method, Summary: fmt.Sprintf("%s: %s", c.method, result),
		JSON: encode(noted),
	})
}
