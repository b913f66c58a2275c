package socket

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
)

// Pauses between connections.
const (
	firstPause = 500 * time.Millisecond
	mostPause  = time.Minute
	mendPause  = 5 * time.Minute // when only a person can help, or Slack has too many already
	steady     = time.Minute     // a connection that lived this long was a good one
	fleeting   = 5 * time.Second // one that did not live this long is no reason to hurry
)

// slot keeps one connection standing until ctx ends. An old connection that was
// told to go reads and acks on, until Slack closes it, while its successor stands.
// handling is what the handlers live by: it outlasts ctx.
func (l *Listener) slot(ctx, handling context.Context) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = firstPause, mostPause
	for {
		c, err := l.connect(ctx, handling)
		if ctx.Err() != nil {
			if c != nil {
				l.keep(c) // drain closes it
			}
			return nil
		}
		if err != nil {
			wait, fatal := l.judge(err, pause)
			if fatal && !l.opened() {
				return err
			}
			l.Log.Warn("open a connection to slack", "error", err, "pause", wait.String())
			l.trouble(err.Error())
			if !sleep(ctx, wait) {
				return nil
			}
			continue
		}
		l.keep(c)
		select {
		case <-ctx.Done():
			return nil
		case <-c.leaving:
		case <-c.dead:
		}
		lived := time.Since(c.since)
		if lived >= steady {
			pause.Reset()
		}
		reason := c.reason()
		tell(l.Observe.Reconnect, reason)
		l.Log.Info("a connection to slack ends", "reason", reason, "lived", lived.Round(time.Millisecond).String())
		if !sleep(ctx, l.pauseAfter(reason, lived, pause)) {
			return nil
		}
	}
}

// keep reads a connection until it ends.
func (l *Listener) keep(c *conn) {
	l.reading.Go(c.read)
	l.reading.Go(c.ping)
}

// pauseAfter is how long to wait before the successor of a connection is opened.
func (l *Listener) pauseAfter(reason string, lived time.Duration, pause *backoff.ExponentialBackOff) time.Duration {
	switch {
	case reason == "link_disabled":
		l.trouble("Socket Mode is switched off in the app's settings: switch it on (Settings, Socket Mode).")
		return spread(mendPause)
	case reason == "too_many_websockets":
		l.trouble("The app has more than ten connections: run fewer replicas, lower SLACK_CONNECTIONS, or give every environment an app of its own.")
		return spread(mendPause)
	case lived < fleeting:
		return pause.NextBackOff()
	default:
		return rand.N(firstPause / 5) //nolint:gosec // spreads replicas, guards nothing
	}
}

// mend says, for refusals that only a person can help, what to do.
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
	"link_disabled":           "Socket Mode is switched off: switch it on in the app's settings.",
}

// judge says how long to wait after an opening that failed, and whether only a
// person can help.
func (l *Listener) judge(err error, pause *backoff.ExponentialBackOff) (wait time.Duration, fatal bool) {
	var limited *slack.RateLimitedError
	var refusal slack.SlackErrorResponse
	switch {
	case errors.As(err, &limited):
		wait = limited.RetryAfter
		if wait <= 0 {
			wait = 30 * time.Second
		}
		return wait + rand.N(wait/4+firstPause), false //nolint:gosec // spreads replicas, guards nothing
	case errors.As(err, &refusal) && mend[refusal.Err] != "":
		return spread(mendPause), true
	default:
		return pause.NextBackOff(), false
	}
}

// connect opens a connection and waits for its hello.
func (l *Listener) connect(ctx, handling context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*l.HelloTime)
	defer cancel()
	_, address, err := l.Opener.StartSocketModeContext(ctx)
	if err != nil {
		var refusal slack.SlackErrorResponse
		if errors.As(err, &refusal) && mend[refusal.Err] != "" {
			return nil, fmt.Errorf("slack refuses to open a connection (%w): %s", err, mend[refusal.Err])
		}
		return nil, fmt.Errorf("ask slack for a connection: %w", err)
	}
	dialer := websocket.Dialer{
		Proxy:            http.ProxyFromEnvironment,
		HandshakeTimeout: l.HelloTime,
		// Slack does not put fragments together again: a frame must fit.
		WriteBufferSize: 32 << 10,
	}
	ws, response, err := dialer.DialContext(ctx, address, nil)
	if response != nil && response.Body != nil {
		_ = response.Body.Close()
	}
	if err != nil {
		return nil, errors.New("dial the connection that slack gave") // the error quotes the address, with its ticket
	}
	c := newConn(l, ws, handling)
	if err := c.greet(); err != nil {
		_ = ws.Close()
		return nil, err
	}
	return c, nil
}

// sleep waits, and reports whether ctx lasted.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func spread(d time.Duration) time.Duration { return d + rand.N(d/4) } //nolint:gosec // spreads replicas, guards nothing
