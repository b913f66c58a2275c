package atlassim

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// A RateLimit is a token bucket: every call takes a token, and after each full
// period a number of them comes back.
type RateLimit struct {
	Capacity int
	Refill   int
	Period   time.Duration
}

// AtlasRateLimit is the limit that Atlas has for the integrations of a project,
// all calls together, and for the list of projects of a user.
var AtlasRateLimit = RateLimit{Capacity: 1200, Refill: 500, Period: time.Minute}

// A bucket is the state of one limit. The tokens come back in one go at the end of
// a period, not one by one, since that is the harder case for a client: a retry
// before Retry-After is up never succeeds.
type bucket struct {
	tokens int
	since  time.Time // when the running period began
}

// take takes a token; without one it says how long the next takes to come.
func (b *bucket) take(l RateLimit, now time.Time) (wait time.Duration, ok bool) {
	b.refill(l, now)
	if b.tokens <= 0 {
		return b.since.Add(l.Period).Sub(now), false
	}
	b.tokens--
	return 0, true
}

func (b *bucket) refill(l RateLimit, now time.Time) {
	if b.since.IsZero() {
		b.tokens, b.since = l.Capacity, now
		return
	}
	if periods := now.Sub(b.since) / l.Period; periods > 0 {
		b.tokens = min(l.Capacity, b.tokens+int(periods)*l.Refill)
		b.since = b.since.Add(periods * l.Period)
	}
}

// limit charges the call to the bucket it falls under, and notes what the answer
// has to say about that. The integrations of a project have a bucket per project;
// everything else is charged to the user.
func (s *Server) limit(x *exchange) *apiError {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &s.userBucket
	if p := s.projects[x.route.group]; p != nil && x.route.integrations() {
		b = &p.bucket
	}
	if s.opt.NoRateLimits {
		return nil
	}
	l := s.opt.RateLimit
	wait, ok := b.take(l, s.clock.Now())
	if !s.quirks.NoRateHeaders {
		x.header.Set("RateLimit-Limit", strconv.Itoa(l.Capacity))
		x.header.Set("RateLimit-Remaining", strconv.Itoa(b.tokens))
	}
	if ok {
		return nil
	}
	seconds := wholeSeconds(wait)
	e := refuse(http.StatusTooManyRequests, "RATE_LIMITED_TOKEN_BUCKET",
		"Too many calls to "+x.route.path+", the next one is possible in "+strconv.Itoa(seconds)+" seconds.",
		x.route.path, seconds, l.Capacity, l.Refill, int(l.Period/time.Second))
	e.retryAfter = wait
	return e
}

// wholeSeconds rounds up, and never to nothing: a client that waits as long as it
// is told must get through.
func wholeSeconds(d time.Duration) int {
	return max(1, int(math.Ceil(d.Seconds())))
}

// SetRateTokens sets how many more calls the integrations of a project may get
// before they are rate limited; an empty groupID means the calls of the user that
// no project is charged for.
func (s *Server) SetRateTokens(groupID string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &s.userBucket
	if groupID != "" {
		p := s.projects[groupID]
		if p == nil {
			return
		}
		b = &p.bucket
	}
	b.tokens, b.since = n, s.clock.Now()
}
