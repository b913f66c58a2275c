package socket

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
)

// refusal is an answer of apps.connections.open that only a person can change.
type refusal struct{ code, mend string }

func (r *refusal) Error() string {
	return fmt.Sprintf("slack refuses to open a connection (%s): %s", r.code, r.mend)
}

// mend says, for these answers, what to do.
var mend = map[string]string{
	"invalid_auth":            "SLACK_APP_TOKEN is not valid: copy the app-level token again (Basic Information, App-Level Tokens).",
	"not_authed":              "SLACK_APP_TOKEN did not arrive: copy the app-level token again.",
	"account_inactive":        "the token's account is deactivated: install the app again.",
	"token_revoked":           "SLACK_APP_TOKEN was revoked: make a new app-level token.",
	"token_expired":           "SLACK_APP_TOKEN has expired: make a new app-level token.",
	"not_allowed_token_type":  "SLACK_APP_TOKEN is not an app-level token: it must start with xapp-.",
	"missing_scope":           "the app-level token lacks the scope connections:write: make one that has it.",
	"no_permission":           "the app-level token may not open connections: make one with the scope connections:write.",
	"forbidden_team":          "the app may not be used in this workspace: ask an admin of it.",
	"access_denied":           "Slack denies access: ask an admin of the workspace.",
	"team_access_not_granted": "the app is not installed in this workspace: install it.",
	linkDisabled:              "Socket Mode is switched off: switch it on in the app's settings.",
}

// turnedAway is what a connection ends with that gets a disconnect for a hello.
type turnedAway struct{ reason string }

func (t *turnedAway) Error() string {
	return fmt.Sprintf("slack opened a connection and took it back (%s)", t.reason)
}

// connect opens a connection, waits for its hello, and has it read.
func (l *Listener) connect(ctx, handling context.Context) (*conn, error) {
	address, err := l.address(ctx)
	if err != nil {
		return nil, err
	}
	ws, err := l.dialSlack(ctx, address)
	if err != nil {
		return nil, err
	}
	c := newConn(handling, l, ws)
	h, err := c.greet(ctx)
	if err != nil {
		c.goodbye(websocket.CloseNormalClosure)
		_ = ws.Close()
		return nil, err
	}
	l.joined(c, h)
	l.reading.Go(c.read)
	l.reading.Go(c.watch)
	l.reading.Go(c.part)
	return c, nil
}

// address asks for the address of one connection. It holds a ticket: it is not logged.
func (l *Listener) address(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, l.OpenTime)
	defer cancel()
	_, address, err := l.Opener.StartSocketModeContext(ctx)
	var answer slack.SlackErrorResponse
	switch {
	case errors.As(err, &answer) && mend[answer.Err] != "":
		return "", &refusal{code: answer.Err, mend: mend[answer.Err]}
	case err != nil:
		return "", fmt.Errorf("ask slack for a connection: %w", err)
	case address == "": // what slack-go makes of {"ok":false} without a reason
		return "", errors.New("ask slack for a connection: the answer names no address")
	}
	return address, nil
}

func (l *Listener) dialSlack(ctx context.Context, address string) (*websocket.Conn, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, errors.New("dial slack: the address that it gave is none") // err quotes it, with its ticket
	case u.Scheme == "ws" && !loopback(u.Hostname()):
		return nil, errors.New("dial slack: the address that it gave is not of a secure socket, which is taken on loopback only")
	}
	dialer := websocket.Dialer{
		Proxy:            proxy,
		NetDialContext:   l.dial,
		HandshakeTimeout: l.OpenTime,
		TLSClientConfig:  &tls.Config{MinVersion: tls.VersionTLS12},
		// Slack does not put fragments together again: a frame must fit.
		WriteBufferSize: 32 << 10,
	}
	if l.dial != nil {
		dialer.Proxy = nil
	}
	ws, response, err := dialer.DialContext(ctx, address, nil)
	if response != nil && response.Body != nil {
		_ = response.Body.Close()
	}
	switch {
	case err != nil && response != nil:
		return nil, fmt.Errorf("dial slack: status %d: %w", response.StatusCode, err)
	case err != nil:
		return nil, fmt.Errorf("dial slack: %w", err)
	}
	return ws, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// proxy is the proxy of the environment. Its address may hold a password, which
// the standard library's error would quote.
func proxy(r *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(r)
	if err != nil {
		return nil, errors.New("the proxy that the environment names has no valid address")
	}
	return u, nil
}

// isLimited reports whether Slack asks to be left alone for a while, in any of the
// forms in which slack-go lets that through.
func isLimited(err error) bool {
	var limited *slack.RateLimitedError
	var status slack.StatusCodeError
	var answer slack.SlackErrorResponse
	var retryAfter *strconv.NumError // the status was 429, and its Retry-After not whole seconds
	return errors.As(err, &limited) ||
		errors.As(err, &status) && status.Code == http.StatusTooManyRequests ||
		errors.As(err, &answer) && answer.Err == "ratelimited" ||
		errors.As(err, &retryAfter)
}

// openings bounds how often connections are opened, over all slots: Slack counts
// openings, also of connections that work and then end soon.
type openings struct {
	every time.Duration // between openings, in the long run
	burst int           // as many may follow each other without a pause

	guard sync.Mutex
	full  time.Time // when the whole burst may be used again
	held  time.Time // none before this
}

// reserve takes the right to open, and says how long to wait before using it.
func (o *openings) reserve(now time.Time) time.Duration {
	o.guard.Lock()
	defer o.guard.Unlock()
	at := now
	if free := o.full.Add(-time.Duration(o.burst-1) * o.every); free.After(at) {
		at = free
	}
	if o.held.After(at) {
		at = o.held
	}
	o.full = later(o.full, at).Add(o.every)
	return at.Sub(now)
}

// hold keeps everybody from opening until then.
func (o *openings) hold(until time.Time) {
	o.guard.Lock()
	defer o.guard.Unlock()
	if until.After(o.held) {
		o.held = until
	}
}

// Of openings that do not wait.
const (
	mostHurries = 12
	hurryEvery  = 5 * time.Minute // one more may be used again
	hurryPause  = 5 * time.Second // between two
)

// hurries bounds the openings that do not wait for their turn: Slack can tell all
// connections to go, again and again, for a minute or two, without a command lost.
type hurries struct {
	openings
	last time.Time
}

// take reports whether one may be opened at once.
func (h *hurries) take(now time.Time) bool {
	h.guard.Lock()
	defer h.guard.Unlock()
	if now.Sub(h.last) < hurryPause || h.full.Add(-time.Duration(h.burst-1)*h.every).After(now) {
		return false
	}
	h.last, h.full = now, later(h.full, now).Add(h.every)
	return true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
