package commands

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// openings counts who has forms opened: each costs a call of Slack and several of
// Atlas, whose limits everybody shares.
type openings struct {
	guard  sync.Mutex
	people map[string]*rate.Limiter
}

// mostCounted bounds about how many people something is remembered.
const mostCounted = 10_000

// allow reports whether somebody may open one more form now.
func (o *openings) allow(user string, perMinute int) bool {
	if perMinute <= 0 {
		return true
	}
	o.guard.Lock()
	defer o.guard.Unlock()
	if o.people == nil || len(o.people) > mostCounted {
		o.people = map[string]*rate.Limiter{}
	}
	if o.people[user] == nil {
		o.people[user] = rate.NewLimiter(rate.Every(time.Minute/time.Duration(perMinute)), perMinute)
	}
	return o.people[user].Allow()
}
