package socket

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/slack-go/slack"
)

// Pauses between connections.
const (
	hop        = 100 * time.Millisecond // spreads the replicas that one host of Slack's sends away
	firstPause = 500 * time.Millisecond
	mostPause  = time.Minute
	limitPause = 30 * time.Second // when Slack limits and does not say for how long
	mendPause  = 5 * time.Minute  // when only a person can help, or Slack has too many already
	fleeting   = 5 * time.Second  // a connection that did not live this long is no reason to hurry
	steady     = time.Minute      // one that lived this long was good, whatever came before it

	// Slack cuts what it has announced after ten seconds: so late can a successor be opened.
	lastCall = 7 * time.Second
)

// What Slack calls the two ends after which nobody may hurry back.
const (
	linkDisabled      = "link_disabled"
	tooManyWebsockets = "too_many_websockets"
)

// advice says, for these ends, what a person can do.
//
// Both are asked about again, very slowly: to switch Socket Mode on, or to stop a
// forgotten process, then heals the bot without a restart, and twelve openings an
// hour harm nobody.
var advice = map[string]string{
	linkDisabled:      "Socket Mode is switched off in the app's settings: switch it on (Settings, Socket Mode).",
	tooManyWebsockets: "The app has more than ten connections: run fewer replicas, lower SLACK_CONNECTIONS, or give every environment an app of its own.",
}

// A slot is the place of one standing connection.
type slot struct {
	l       *Listener
	pause   *backoff.ExponentialBackOff
	problem string // why no connection stands in it; l.guard guards it
}

func newSlot(l *Listener) *slot {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = firstPause, mostPause
	return &slot{l: l, pause: pause}
}

// run keeps a connection standing until ctx ends. One that was told to go reads
// and acks on until its successor stands, and for a while after. handling is what
// the handlers live by: it outlasts ctx.
func (s *slot) run(ctx, handling context.Context) {
	var old *conn
	var pause time.Duration
	for {
		c := s.open(ctx, handling, pause)
		if c == nil {
			return
		}
		if old != nil {
			old.retire(s.l.DrainTime)
		}
		select {
		case <-ctx.Done():
			return
		case <-c.leaving:
		}
		old, pause = c, s.ended(c)
	}
}

// open tries, after a pause, until a connection stands; it returns nil if ctx ends
// before that.
func (s *slot) open(ctx, handling context.Context, pause time.Duration) *conn {
	for {
		if hurry, ok := s.sleep(ctx, pause); !ok {
			return nil
		} else if !hurry {
			if _, ok := s.sleep(ctx, s.l.openings.reserve(time.Now())); !ok {
				return nil
			}
		}
		c, err := s.l.connect(ctx, handling)
		switch {
		case ctx.Err() != nil: // a connection that stands all the same, stop closes
			return nil
		case err == nil:
			s.trouble("")
			return c
		}
		s.trouble(err.Error())
		pause = s.pauseAfterFailure(err)
		s.l.Log.Warn("open a connection to slack", "error", err, "pause", pause.String())
	}
}

// ended takes note of a connection that ends, and says how long to wait before its
// successor is opened.
func (s *slot) ended(c *conn) time.Duration {
	reason, lived := c.reason(), time.Since(c.since)
	tell(s.l.Observe.Reconnect, reason)
	if lived >= steady {
		s.pause.Reset()
	}
	var pause time.Duration
	switch {
	case advice[reason] != "":
		s.trouble(advice[reason])
		s.l.Log.Error(advice[reason], "reason", reason)
		pause = spread(mendPause)
	case lived < fleeting:
		pause = s.pause.NextBackOff()
	default:
		pause = rand.N(hop) //nolint:gosec // spreads replicas, guards nothing
	}
	s.l.Log.Info("a connection to slack ends", "reason", reason,
		"lived", lived.Round(time.Millisecond).String(), "pause", pause.Round(time.Millisecond).String())
	return pause
}

// pauseAfterFailure says how long to wait after an opening that failed.
func (s *slot) pauseAfterFailure(err error) time.Duration {
	var refused *refusal
	var turned *turnedAway
	switch {
	case errors.As(err, &refused):
		// Switched off while the bot runs is for the bot to sit out, as if Slack had said
		// so on a connection. At the start, it is a step of the set-up that was forgotten.
		if refused.code != linkDisabled || !s.l.hasMet() {
			s.l.refused(err)
		}
		return spread(mendPause)
	case errors.As(err, &turned) && advice[turned.reason] != "":
		tell(s.l.Observe.Reconnect, turned.reason)
		s.trouble(advice[turned.reason])
		return spread(mendPause)
	case isLimited(err):
		pause := spread(limitedFor(err))
		s.l.openings.hold(time.Now().Add(pause)) // the limit is the app's, so every slot waits
		return pause
	default:
		return s.pause.NextBackOff()
	}
}

func (s *slot) trouble(problem string) {
	s.l.guard.Lock()
	defer s.l.guard.Unlock()
	s.problem = problem
}

// limitedFor is how long Slack wants to be left alone.
func limitedFor(err error) time.Duration {
	var limited *slack.RateLimitedError
	if errors.As(err, &limited) && limited.RetryAfter > 0 {
		return limited.RetryAfter
	}
	return limitPause
}

// sleep waits, and reports whether ctx lasted. It is cut short when every connection is
// about to be cut because Slack said so: pauses are there to spare Slack, and not to
// have people's commands go nowhere.
func (s *slot) sleep(ctx context.Context, d time.Duration) (hurry, ok bool) {
	look := time.NewTicker(time.Second)
	defer look.Stop()
	end := time.NewTimer(d)
	defer end.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, false
		case <-end.C:
			return false, ctx.Err() == nil
		case <-look.C:
			if s.l.deafSoon() && s.l.hurries.take(time.Now()) {
				return true, true
			}
		}
	}
}

// spread makes a pause up to a quarter longer, so that replicas part.
func spread(d time.Duration) time.Duration {
	return d + rand.N(d/4+1) //nolint:gosec // guards nothing
}
