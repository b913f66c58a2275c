package approvals

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
)

// onReplica acts on a replica whose clock is off by so much: a process of its own
// as far as time goes, but on the Redis of all.
func onReplica(t *testing.T, s *Store, off time.Duration, act func(ctx context.Context, replica *Store)) {
	t.Helper()
	options, err := redis.ParseURL(redisd.Shared(t).URL)
	require.NoError(t, err)
	right := time.Now()
	synctest.Test(t, func(t *testing.T) {
		<-time.After(time.Until(right.Add(off))) // clocks in here begin in the year 2000, and nobody waits
		client := redis.NewClient(options)
		defer func() { assert.NoError(t, client.Close()) }()
		act(t.Context(), &Store{Redis: client, Sealer: s.Sealer, Team: s.Team, Policy: s.Policy, Retention: s.Retention})
	})
}

// TestClocksOfReplicasChangeNothing takes a request through its life on replicas
// whose clocks disagree by up to two hours. All that happens is by Redis' clock.
func TestClocksOfReplicasChangeNothing(t *testing.T) {
	t.Parallel()
	for name, off := range map[string][2]time.Duration{
		"right":                     {0, 0},
		"an hour ahead":             {time.Hour, 0},
		"an hour behind":            {-time.Hour, 0},
		"an hour ahead and behind":  {time.Hour, -time.Hour},
		"an hour behind and ahead":  {-time.Hour, time.Hour},
		"days ahead, a year behind": {72 * time.Hour, -365 * 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			s.Policy.Default.Approvals = 2
			c := &skewed{t: t, store: s, off: off, project: &project{held: pagerDuty(t, newKey("0ld0"))}}
			c.live()
		})
	}
}

// A skewed is a request between two replicas.
type skewed struct {
	t       *testing.T
	store   *Store // with the right clock
	off     [2]time.Duration
	project *project
	refuse  bool // Atlas does
	id      string
}

func (c *skewed) live() {
	begun := time.Now().Truncate(time.Millisecond)
	c.on(0, func(ctx context.Context, s *Store) error {
		r, err := s.Submit(ctx, "V0SKEW", pagerDuty(c.t, newKey("beef")), Submission{Targets: []atlas.Project{payments}, Reason: "r"}, mira)
		c.id = r.ID
		return err
	})
	c.work(0)
	c.work(1) // far from due: a look must not end it
	c.work(0)
	pending := c.is(Pending)
	assert.Equal(c.t, time.Hour, pending.ExpiresAt.Sub(pending.CreatedAt))
	c.within(begun, pending.CreatedAt, "it was made")

	c.on(1, func(ctx context.Context, s *Store) error { _, err := s.Approve(ctx, c.id, jo); return err })
	c.on(0, func(ctx context.Context, s *Store) error { _, err := s.Approve(ctx, c.id, kim); return err })
	approved := c.is(Approved)
	for _, vote := range approved.Votes {
		c.within(begun, vote.At, vote.User+" approved")
	}
	c.within(begun, approved.DecidedAt, "it was decided")
	c.leaseHolds()

	c.refuse = true
	c.work(1)
	failed := c.is(Failed)
	assert.Contains(c.t, failed.Target(payments.ID).Result.Detail, "no role", "no clock should have stopped it")
	c.within(begun, failed.Target(payments.ID).Result.At, "Atlas was asked")
	c.work(0) // far from lapsed
	for replica := range c.off {
		c.on(replica, func(ctx context.Context, s *Store) error {
			r, err := s.Get(ctx, c.id)
			assert.True(c.t, err == nil && r.Retryable(), "it can be tried again, as seen by replica %d", replica)
			return err
		})
	}

	c.refuse = false
	c.on(1, func(ctx context.Context, s *Store) error { _, err := s.Retry(ctx, c.id, jo); return err })
	c.work(0)
	applied := c.is(Applied)
	c.within(begun, applied.Target(payments.ID).Result.At, "Atlas was asked again")
	assert.Equal(c.t, 1, c.project.sent())
	trail, err := c.store.Trail(c.t.Context(), "", 100)
	require.NoError(c.t, err)
	for _, e := range trail {
		c.within(begun, e.At, e.Event)
	}
}

// leaseHolds checks that what a replica claims is not free for the other, however
// late that one takes it to be.
func (c *skewed) leaseHolds() {
	claim := func(ctx context.Context, s *Store) (*Request, error) {
		return (&worker{store: s, name: "due"}).claim(ctx, c.id)
	}
	c.on(0, func(ctx context.Context, s *Store) error {
		r, err := claim(ctx, s)
		assert.NotNil(c.t, r, "it is due")
		return err
	})
	c.on(1, func(ctx context.Context, s *Store) error {
		r, err := claim(ctx, s)
		assert.Nil(c.t, r, "somebody has it")
		return err
	})
}

// on acts on one of the two replicas.
func (c *skewed) on(replica int, act func(ctx context.Context, s *Store) error) {
	c.t.Helper()
	var err error
	onReplica(c.t, c.store, c.off[replica], func(ctx context.Context, s *Store) { err = act(ctx, s) })
	require.NoError(c.t, err)
}

// work has a replica look at the request, due or not.
func (c *skewed) work(replica int) {
	c.t.Helper()
	c.on(replica, func(ctx context.Context, s *Store) error {
		if err := s.Redis.ZAdd(ctx, s.keys().due(), zNow(c.id)).Err(); err != nil {
			return err
		}
		r, err := (&worker{store: s, name: "due"}).claim(ctx, c.id)
		if err != nil || r == nil {
			return errors.Join(err, errors.New("it was not there to be claimed"))
		}
		(&Reconciler{Store: s, Atlas: fakeAtlas{get: c.project.get, put: c.put}}).look(ctx, r)
		return nil
	})
}

func (c *skewed) put(ctx context.Context, id string, s *atlas.Settings) (*atlas.Integration, error) {
	if c.refuse {
		return nil, &atlas.Error{Status: 403, Code: "USER_UNAUTHORIZED", Detail: "no role"}
	}
	return c.project.put(ctx, id, s)
}

func (c *skewed) is(state State) *Request {
	c.t.Helper()
	r, err := c.store.Get(c.t.Context(), c.id)
	require.NoError(c.t, err)
	require.Equal(c.t, state, r.State)
	return r
}

// within checks that something happened during the test, by the right clock.
func (c *skewed) within(begun, at time.Time, what string) {
	c.t.Helper()
	assert.False(c.t, at.Before(begun) || at.After(time.Now()), "%s at %s, which is not between %s and now", what, at, begun)
}
