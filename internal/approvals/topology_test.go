package approvals

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// redisPage is where whoever runs Redis finds the ACL rules. The tests keep to
// those and no others.
var redisPage = filepath.Join("..", "..", "docs", "redis.md")

// clientOf speaks to a topology as the bot does.
func clientOf(t *testing.T, topology *redisd.Topology) redis.UniversalClient {
	t.Helper()
	plain := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	u, err := url.Parse(topology.URL)
	require.NoError(t, err)
	var client redis.UniversalClient
	switch query := u.Query(); {
	case query.Has("master_name"):
		o, err := redis.ParseFailoverURL(topology.URL)
		require.NoError(t, err)
		o.TLSConfig, o.ContextTimeoutEnabled = topology.TLS, true
		client = redis.NewFailoverClient(o)
	case query.Has("addr"):
		o, err := redis.ParseClusterURL(topology.URL)
		require.NoError(t, err)
		o.TLSConfig, o.ContextTimeoutEnabled, o.MaintNotificationsConfig = topology.TLS, true, plain
		o.ClusterStateReloadInterval = time.Second
		client = redis.NewClusterClient(o)
	default:
		o, err := redis.ParseURL(topology.URL)
		require.NoError(t, err)
		o.TLSConfig, o.ContextTimeoutEnabled, o.MaintNotificationsConfig = topology.TLS, true, plain
		client = redis.NewClient(o)
	}
	t.Cleanup(func() {
		assert.NoError(t, client.Close())
		probesEnd()
	})
	return client
}

// probesEnd waits for what go-redis leaves behind of a client that is closed while
// a node is away: a goroutine that sleeps for a second before it looks. Whether it
// is gone at the end, TestMain sees.
func probesEnd() {
	const probe = "pool.(*ConnPool).tryDial"
	stacks := make([]byte, 4<<20)
	for until := time.Now().Add(5 * time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if !bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte(probe)) {
			return
		}
	}
}

// silent keeps what go-redis would print of nodes that are away out of the results.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func init() { redis.SetLogger(silent{}) }

// storeOn is a store with a workspace of its own in that Redis.
func storeOn(t *testing.T, client redis.UniversalClient) *Store {
	t.Helper()
	keyset, err := secret.NewKeyset()
	require.NoError(t, err)
	sealer, err := secret.NewSealer(keyset)
	require.NoError(t, err)
	return &Store{
		Redis: client, Sealer: sealer, Team: fmt.Sprintf("T%d", teams.Add(1)),
		Policy: Policy{Default: Rule{TTL: time.Hour, Approvals: 1}}, Retention: 24 * time.Hour,
	}
}

// heldProject is a project that counts which updates changed something, and can
// hold one back until the test has done what it wants to do meanwhile.
type heldProject struct {
	project
	begun   chan struct{} // an update is on its way, if the test looks for it
	proceed chan struct{} // closed: updates go through

	counting sync.Mutex
	keys     []string // that the project was changed to
}

func newHeldProject(t *testing.T) *heldProject {
	t.Helper()
	return &heldProject{
		project: project{held: pagerDuty(t, newKey("0ld0"))},
		begun:   make(chan struct{}, 10), proceed: make(chan struct{}),
	}
}

func (p *heldProject) atlas() fakeAtlas {
	return fakeAtlas{get: p.get, put: func(ctx context.Context, id string, s *atlas.Settings) (*atlas.Integration, error) {
		p.begun <- struct{}{}
		select {
		case <-p.proceed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		p.counting.Lock()
		defer p.counting.Unlock()
		if p.key() != s.Secrets["serviceKey"].Reveal() {
			p.keys = append(p.keys, s.Secrets["serviceKey"].Reveal())
		}
		return p.put(ctx, id, s)
	}}
}

func (p *heldProject) key() string {
	p.guard.Lock()
	defer p.guard.Unlock()
	return p.held.Secrets["serviceKey"].Reveal()
}

// assertChangedOnce checks that one change reached Atlas, and which.
func (p *heldProject) assertChangedOnce(t *testing.T) {
	t.Helper()
	p.counting.Lock()
	defer p.counting.Unlock()
	assert.Equal(t, []string{newKey("beef")}, p.keys, "what the project was changed to")
}

// received waits for something to happen.
func received[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(30 * time.Second):
		require.FailNow(t, "this did not happen: "+what)
		panic("not reached")
	}
}

// reaches waits until a request is kept in a state, through times in which Redis
// does not answer.
func reaches(t *testing.T, s *Store, id string, state State) *Request {
	t.Helper()
	var last *Request
	insist(t, func(ctx context.Context) error {
		r, err := s.Get(ctx, id)
		if err != nil {
			return err
		}
		last = r
		if r.State != state {
			return fmt.Errorf("it is %s", r.State)
		}
		return nil
	})
	return last
}

// atRest waits until a request is in a state and no worker has anything to write
// about it, but for reminders that are a long way off.
func atRest(t *testing.T, s *Store, id string, state State) {
	t.Helper()
	reaches(t, s, id, state)
	insist(t, func(ctx context.Context) error {
		next, err := s.Redis.ZScore(ctx, s.keys().show(), id).Result()
		switch {
		case errors.Is(err, redis.Nil), err == nil && time.Until(time.UnixMilli(int64(next))) > time.Minute:
			return nil
		case err != nil:
			return err
		default:
			return errors.New("its messages are not drawn")
		}
	})
}

// insist does what a person does whom the bot answered that Redis is away: try
// again, here at once, until there is an answer about the request. It returns
// how long that took. Each try has the time that a click has.
func insist(t *testing.T, act func(ctx context.Context) error) time.Duration {
	t.Helper()
	begun, tick := time.Now(), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		err := act(ctx)
		cancel()
		if err == nil || errors.Is(err, ErrVotedAlready) {
			return time.Since(begun)
		}
		require.NotErrorIs(t, err, ErrNotFound)
		require.Less(t, time.Since(begun), 60*time.Second, "still: %v", err)
	}
}
