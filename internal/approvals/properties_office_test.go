package approvals

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
)

// The size of an office.
const (
	officeReplicas = 3
	officeRequests = 4
	officeProjects = 3
	officePeople   = 5
)

// An office is everything in which requests live: people, replicas of the bot, an
// Atlas, and what people were told, which is all that the properties go by.
type office struct {
	t        *testing.T
	stores   []*Store
	replicas []*mortal
	atlas    *drawer
	requests []*asked
	steps    int

	guard   sync.Mutex // targets of one request are worked on side by side
	faults  []string   // seen where a test cannot be ended
	reached map[string]int
}

// An asked is a request and what people were told about it.
type asked struct {
	id, key   string
	requester string
	needed    int
	targets   []int

	yes    map[string]bool // whose approval was accepted
	acts   []act
	ended  State // denied or cancelled, as somebody was told
	final  map[string]string
	lapses int
	failed bool        // and can be tried again
	open   atomic.Bool // a worker is at it right now
}

// entitled says whether enough people other than the requester agreed, and nobody ended it.
func (q *asked) entitled() bool {
	others := len(q.yes)
	if q.yes[q.requester] {
		others--
	}
	return others >= q.needed && q.ended == ""
}

// A mortal is what connects a replica to Redis, for as many commands as it lives.
type mortal struct {
	client *redis.Client
	left   atomic.Int64 // commands until it dies; below zero: it does not
	after  atomic.Bool  // it dies after the last of them rather than before
	dead   atomic.Bool
}

var errDead = errors.New("the process has died")

func newMortals(t *testing.T) []*mortal {
	t.Helper()
	replicas := make([]*mortal, officeReplicas)
	for i := range replicas {
		options, err := redis.ParseURL(redisd.Shared(t).URL)
		require.NoError(t, err)
		m := &mortal{client: redis.NewClient(options)}
		m.client.AddHook(m)
		t.Cleanup(func() { assert.NoError(t, m.client.Close()) })
		replicas[i] = m
	}
	return replicas
}

func (m *mortal) DialHook(next redis.DialHook) redis.DialHook { return next }

func (m *mortal) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (m *mortal) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		last := m.left.Add(-1) == 0
		if m.dead.Load() || last && !m.after.Load() {
			m.dead.Store(true)
			cmd.SetErr(errDead)
			return errDead
		}
		err := next(ctx, cmd)
		if last {
			m.dead.Store(true)
			cmd.SetErr(errDead)
			return errDead
		}
		return err
	}
}

// live gives a replica so many commands; 0: it does not die.
func (m *mortal) live(commands int, after bool) {
	m.dead.Store(false)
	m.after.Store(after)
	m.left.Store(int64(commands))
}

func newOffice(t *testing.T, base *Store, replicas []*mortal) *office {
	t.Helper()
	o := &office{t: t, replicas: replicas, reached: map[string]int{}}
	o.atlas = &drawer{office: o, changes: map[change]int{}}
	team := fmt.Sprintf("T%d", teams.Add(1))
	for i, m := range replicas {
		m.live(0, false)
		o.stores = append(o.stores, &Store{
			Redis: m.client, Sealer: base.Sealer, Team: team, Policy: Policy{Default: Rule{TTL: time.Hour, Approvals: i + 1}}, Retention: 24 * time.Hour,
		})
	}
	for i := range o.atlas.projects {
		o.atlas.projects[i] = &project{held: pagerDuty(t, newKey("0ld"+fmt.Sprint(i)))}
	}
	return o
}

func (o *office) fault(format string, args ...any) {
	o.guard.Lock()
	defer o.guard.Unlock()
	o.faults = append(o.faults, fmt.Sprintf(format, args...))
}

func (o *office) reach(what string) {
	o.guard.Lock()
	defer o.guard.Unlock()
	o.reached[what]++
}

func person(n int) Actor { return Actor{User: fmt.Sprintf("U%d", n), Via: "test"} }

// submit makes a new request. How many approvers it needs is for the replica to say.
func (o *office) submit(rt *rapid.T) {
	number := len(o.requests)
	if number == officeRequests {
		rt.Skip("enough requests")
	}
	q := &asked{
		key: newKey(fmt.Sprintf("%04x", 0xbee0+number)), requester: person(rapid.IntRange(0, officePeople-1).Draw(rt, "requester")).User,
		targets: rapid.SliceOfNDistinct(rapid.IntRange(0, officeProjects-1), 1, 2, rapid.ID[int]).Draw(rt, "targets"), yes: map[string]bool{},
	}
	s := o.stores[rapid.IntRange(0, officeReplicas-1).Draw(rt, "replica")]
	sub := Submission{Reason: "rotated"}
	for _, target := range q.targets {
		sub.Targets = append(sub.Targets, raceProject(target))
	}
	r, err := s.Submit(o.t.Context(), fmt.Sprint("V", number), pagerDuty(o.t, q.key), sub, Actor{User: q.requester, Via: "test"})
	require.NoError(rt, err)
	q.id, q.needed, q.acts = r.ID, s.Policy.Default.Approvals, []act{{"submit", q.requester}}
	o.requests = append(o.requests, q)
}

// agree has several people approve a request, one after the other.
func (o *office) agree(rt *rapid.T) {
	c := drawClick(rt, o, Approve)
	people := rapid.Permutation([]int{0, 1, 2, 3, 4}).Draw(rt, "people")
	for _, n := range people[:rapid.IntRange(2, officePeople).Draw(rt, "how many")] {
		c.by = person(n)
		o.click(c)
	}
}

// approved makes requests that everybody approves, so that they get in each other's way.
func (o *office) approved(rt *rapid.T) {
	for range officeRequests - 1 {
		o.submit(rt)
		q := o.requests[len(o.requests)-1]
		o.work(&shift{request: q})
		for n := range officePeople {
			o.click(click{request: q, event: Approve, by: person(n), store: o.stores[0]})
		}
	}
}

// retry has somebody try a request again, rather one with which that can be done.
func (o *office) retry(rt *rapid.T) {
	c := drawClick(rt, o, Retry)
	c.request = o.rather(c.request)
	o.click(c)
}

// rather gives a request that failed, if there is one.
func (o *office) rather(otherwise *asked) *asked {
	if at := slices.IndexFunc(o.requests, func(q *asked) bool { return q.failed }); at >= 0 {
		return o.requests[at]
	}
	return otherwise
}

// A click is something that somebody does at a request.
type click struct {
	request *asked
	event   Event
	by      Actor
	store   *Store
}

func drawRequest(rt *rapid.T, o *office) *asked {
	if len(o.requests) == 0 {
		rt.Skip("no requests yet")
	}
	return o.requests[rapid.IntRange(0, len(o.requests)-1).Draw(rt, "request")]
}

func drawClick(rt *rapid.T, o *office, events ...Event) click {
	return click{
		request: drawRequest(rt, o), event: rapid.SampledFrom(events).Draw(rt, "event"),
		by:    person(rapid.IntRange(0, officePeople-1).Draw(rt, "person")),
		store: o.stores[rapid.IntRange(0, officeReplicas-1).Draw(rt, "replica")],
	}
}

// click does it, and remembers what the person was told.
func (o *office) click(c click) {
	q, ctx := c.request, o.t.Context()
	var err error
	switch c.event {
	case Approve:
		_, err = c.store.Approve(ctx, q.id, c.by)
	case Deny:
		_, err = c.store.Deny(ctx, q.id, "not now", c.by)
	case Cancel:
		_, err = c.store.Cancel(ctx, q.id, c.by)
	default:
		_, err = c.store.Retry(ctx, q.id, c.by)
	}
	own := c.by.User == q.requester
	var state *StateError
	switch {
	case (c.event == Approve || c.event == Deny) && own != errors.Is(err, ErrOwnRequest):
		o.fault("%s of their own request by %s: %v", c.event, c.by.User, err)
	case c.event == Cancel && own == errors.Is(err, ErrNotRequester):
		o.fault("cancel by %s: %v", c.by.User, err)
	case err == nil:
		o.accepted(c)
	case !errors.As(err, &state) && !slices.ContainsFunc([]error{ErrOwnRequest, ErrNotRequester, ErrVotedAlready, ErrTooLate},
		func(answer error) bool { return errors.Is(err, answer) }):
		o.fault("%s: %v", c.event, err)
	}
}

func (o *office) accepted(c click) {
	o.reach(string(c.event))
	o.guard.Lock()
	defer o.guard.Unlock()
	q := c.request
	q.acts = append(q.acts, act{string(c.event), c.by.User})
	switch c.event {
	case Approve:
		if q.yes[c.by.User] {
			o.faults = append(o.faults, c.by.User+" approved twice")
		}
		if q.ended != "" {
			o.faults = append(o.faults, fmt.Sprintf("%s approved what is %s", c.by.User, q.ended))
		}
		q.yes[c.by.User] = true
	case Deny:
		q.ended = Denied
	case Cancel:
		q.ended = Cancelled
	}
}

// timePasses takes a request past the time in which it can be decided, or retried.
func (o *office) timePasses(rt *rapid.T) {
	q, field := drawRequest(rt, o), "expires"
	if rapid.IntRange(0, 9).Draw(rt, "what is over") < 9 {
		q, field = o.rather(q), "retry_until"
	}
	k := o.stores[0].keys()
	keys := []string{k.request(q.id), k.sealed(q.id), k.audit()}
	require.NoError(rt, peekScript.Run(o.t.Context(), o.stores[0].Redis, keys, field).Err())
}

// drift is somebody changing a project in Atlas, without the bot.
func (o *office) drift(rt *rapid.T) {
	p := o.atlas.projects[rapid.IntRange(0, officeProjects-1).Draw(rt, "project")]
	_, err := p.put(o.t.Context(), "", pagerDuty(o.t, newKey(fmt.Sprintf("d%03x", o.steps%0xfff))))
	require.NoError(rt, err)
}

// changed counts the targets that a request changed.
func (o *office) changed(q *asked) int {
	n := 0
	for _, target := range q.targets {
		n += o.atlas.changes[change{q.key, target}]
	}
	return n
}

// requestOf finds the request by the key that it sends.
func (o *office) requestOf(s *atlas.Settings) *asked {
	key := s.Secrets["serviceKey"].Reveal()
	at := slices.IndexFunc(o.requests, func(q *asked) bool { return q.key == key })
	return o.requests[at]
}

func projectNumber(id string) int { return int(number(strings.TrimLeft(id[:2], "0"))) }
