package approvals

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// project is one project of an Atlas in memory, holding a PagerDuty integration.
type project struct {
	guard sync.Mutex
	id    int
	held  *atlas.Settings
	puts  int
}

func (p *project) shown() *atlas.Integration {
	masks := map[string]atlas.Mask{}
	for i := range p.held.Type.Fields {
		if f := &p.held.Type.Fields[i]; f.Secret() && !f.NeverShown {
			masks[f.Name] = f.Mask(p.held.Secrets[f.Name])
		}
	}
	return &atlas.Integration{Type: p.held.Type.Name, ID: strings.Repeat("x", p.id+1), Plain: p.held.Complete(), Masks: masks}
}

func (p *project) get(context.Context, string) (*atlas.Integration, error) {
	p.guard.Lock()
	defer p.guard.Unlock()
	return p.shown(), nil
}

func (p *project) put(_ context.Context, _ string, s *atlas.Settings) (*atlas.Integration, error) {
	p.guard.Lock()
	defer p.guard.Unlock()
	p.held, p.id, p.puts = s, p.id+1, p.puts+1
	return p.shown(), nil
}

// sent is how many times the integration was written.
func (p *project) sent() int {
	p.guard.Lock()
	defer p.guard.Unlock()
	return p.puts
}

func (p *project) atlas() fakeAtlas { return fakeAtlas{get: p.get, put: p.put} }

// told is a Notifier that passes on what it is asked to show.
type told chan *Request

func (c told) Show(_ context.Context, r *Request, kind Kind, _ string) (string, error) {
	if kind == DM {
		shown := *r
		shown.Messages = maps.Clone(r.Messages)
		c <- &shown
	}
	return string(kind) + ":1", nil
}

// work runs a reconciler and a projector until the test ends.
func work(t *testing.T, s *Store, a Atlas) told {
	t.Helper()
	seen := make(told, 100)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, (&Reconciler{Store: s, Atlas: a}).Run(ctx)) })
	running.Go(func() { assert.NoError(t, (&Projector{Store: s, Notifier: seen}).Run(ctx)) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return seen
}

// until waits until people are shown what the test looks for.
func (c told) until(t *testing.T, what string, found func(*Request) bool) *Request {
	t.Helper()
	deadline := time.After(30 * time.Second)
	var last *Request
	for {
		select {
		case r := <-c:
			if last = r; found(r) {
				return r
			}
		case <-deadline:
			require.FailNow(t, "nobody was shown "+what, "last shown: %+v", last)
		}
	}
}

func (c told) untilState(t *testing.T, state State) *Request {
	t.Helper()
	return c.until(t, string(state), func(r *Request) bool { return r.State == state })
}

func TestApplyOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	p := &project{held: pagerDuty(t, newKey("0ld0"))}
	seen := work(t, s, p.atlas())
	r := submit(t, s)
	pending := seen.untilState(t, Pending)
	assert.NotNil(t, pending.Target(payments.ID).Baseline)
	_, err := s.Approve(t.Context(), r.ID, jo)
	require.NoError(t, err)
	applied := seen.untilState(t, Applied)
	assert.Equal(t, Proven, applied.Target(payments.ID).Outcome)
	assert.Equal(t, 1, p.sent())
	assertSecretsKept(t, s, applied)
}

// TestANewKeyThatEndsLikeTheOldOneIsSent: what Atlas shows cannot tell such keys
// apart, so it must not be taken for done.
func TestANewKeyThatEndsLikeTheOldOneIsSent(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	p := &project{held: pagerDuty(t, strings.Repeat("1", 28)+"beef")}
	seen := work(t, s, p.atlas())
	r := submit(t, s)
	assert.NotEmpty(t, seen.untilState(t, Pending).Doubts(), "approvers should be told that it looks the same")
	_, err := s.Approve(t.Context(), r.ID, jo)
	require.NoError(t, err)
	seen.untilState(t, Applied)
	assert.Equal(t, 1, p.sent())
}

func TestDriftIsNotOverwritten(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	p := &project{held: pagerDuty(t, newKey("0ld0"))}
	seen := work(t, s, p.atlas())
	r := submit(t, s)
	seen.untilState(t, Pending)
	_, err := p.put(t.Context(), payments.ID, pagerDuty(t, newKey("b0b0")))
	require.NoError(t, err)
	_, err = s.Approve(t.Context(), r.ID, jo)
	require.NoError(t, err)
	failed := seen.untilState(t, Failed)
	assert.Equal(t, Stale, failed.Target(payments.ID).Outcome)
	assert.Equal(t, 1, p.sent(), "only somebody else's")
	assert.False(t, failed.Retryable())
	assertSecretsKept(t, s, failed)
	_, err = s.Retry(t.Context(), r.ID, jo)
	require.ErrorIs(t, err, ErrTooLate)
}

// TestUnknownOutcomes: an answer that got lost is found out by reading.
func TestUnknownOutcomes(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection reset by peer")
	for _, tt := range []struct {
		name     string
		arrives  bool // the first PUT reaches Atlas though its answer does not come back
		kind     string
		wantPuts int
	}{
		{"before applying", false, "PAGER_DUTY", 1},
		{"after applying", true, "PAGER_DUTY", 1},
		{"after applying, with a secret that Atlas never shows", true, "PROMETHEUS", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			settings, old := pagerDuty(t, newKey("beef")), pagerDuty(t, newKey("0ld0"))
			if tt.kind == "PROMETHEUS" {
				settings, old = prometheus(t, "new password"), prometheus(t, "old password")
			}
			p := &project{held: old}
			var later atomic.Bool
			seen := work(t, s, fakeAtlas{get: p.get, put: func(ctx context.Context, id string, s *atlas.Settings) (*atlas.Integration, error) {
				if later.Swap(true) {
					return p.put(ctx, id, s)
				}
				if tt.arrives {
					_, _ = p.put(ctx, id, s)
				}
				return nil, lost
			}})
			r, err := s.Submit(t.Context(), "V"+tt.name, settings, Submission{Targets: []atlas.Project{payments}, Reason: "r"}, mira)
			require.NoError(t, err)
			seen.untilState(t, Pending)
			_, err = s.Approve(t.Context(), r.ID, jo)
			require.NoError(t, err)
			seen.untilState(t, Applied)
			assert.Equal(t, tt.wantPuts, p.sent())
		})
	}
}

func prometheus(t *testing.T, password string) *atlas.Settings {
	t.Helper()
	kind, ok := atlas.FindType("prometheus")
	require.True(t, ok)
	return &atlas.Settings{
		Type: kind, Plain: map[string]string{"username": "prom", "enabled": "true", "serviceDiscovery": "http"},
		Secrets: map[string]secret.Text{"password": secret.New(password)},
	}
}

// TestRetryTouchesOnlyWhatWasRefused with one of three projects failing.
func TestRetryTouchesOnlyWhatWasRefused(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	ids := []string{payments.ID, strings.Repeat("b2", 12), strings.Repeat("c3", 12)}
	held := map[string]*project{}
	for _, id := range ids {
		held[id] = &project{held: pagerDuty(t, newKey("0ld0"))}
	}
	var guard sync.Mutex
	broken := true
	seen := work(t, s, fakeAtlas{
		get: func(ctx context.Context, id string) (*atlas.Integration, error) { return held[id].get(ctx, id) },
		put: func(ctx context.Context, id string, s *atlas.Settings) (*atlas.Integration, error) {
			guard.Lock()
			defer guard.Unlock()
			if id == ids[1] && broken {
				broken = false
				return nil, &atlas.Error{Status: 401, Code: "USER_UNAUTHORIZED", Detail: "no role"}
			}
			return held[id].put(ctx, id, s)
		},
	})
	r := submit(t, s, atlas.Project{ID: ids[1], Name: "search"}, atlas.Project{ID: ids[2], Name: "ledger"})
	seen.untilState(t, Pending)
	_, err := s.Approve(t.Context(), r.ID, jo)
	require.NoError(t, err)
	failed := seen.untilState(t, Failed)
	assert.Equal(t, Refused, failed.Target(ids[1]).Outcome)
	assert.Contains(t, failed.Target(ids[1]).Result.Detail, "USER_UNAUTHORIZED")
	assert.Equal(t, Proven, failed.Target(ids[2]).Outcome)
	require.True(t, failed.Retryable())

	_, err = s.Retry(t.Context(), r.ID, mira)
	require.NoError(t, err)
	seen.untilState(t, Applied)
	for _, id := range ids {
		assert.Equal(t, 1, held[id].sent(), id)
	}
}

// TestDriftOfASecretThatAtlasNeverShows: without a change of ours that may have arrived,
// what is there now is somebody else's, however often the bot has looked.
func TestDriftOfASecretThatAtlasNeverShows(t *testing.T) {
	t.Parallel()
	noRole := &atlas.Error{Status: 401, Code: "USER_UNAUTHORIZED"}
	for _, tt := range []struct {
		name     string
		get, put error // of the first attempt
		stale    bool
		says     string
	}{
		{name: "after a refusal and a retry", put: noRole, stale: true, says: "Nothing was written"},
		{name: "after a limit", put: &atlas.Error{Status: 429, Code: "RATE_LIMITED"}, stale: true, says: "Nothing was written"},
		{name: "after a look that was not answered", get: &atlas.Error{Status: 503}, stale: true, says: "Nothing was written"},
		{name: "after a change that was not answered, it may be ours", put: &atlas.Error{Status: 503}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			p := &project{held: prometheus(t, "old password")}
			var approved, drifted atomic.Bool
			fail := func(err error) error {
				if err == nil || !approved.Load() || drifted.Swap(true) {
					return nil
				}
				_, _ = p.put(t.Context(), payments.ID, prometheus(t, "somebody else's"))
				return err
			}
			seen := work(t, s, fakeAtlas{
				get: func(ctx context.Context, id string) (*atlas.Integration, error) {
					if err := fail(tt.get); err != nil {
						return nil, err
					}
					return p.get(ctx, id)
				},
				put: func(ctx context.Context, id string, s *atlas.Settings) (*atlas.Integration, error) {
					if err := fail(tt.put); err != nil {
						return nil, err
					}
					return p.put(ctx, id, s)
				},
			})
			r, err := s.Submit(t.Context(), "V"+tt.name, prometheus(t, "new password"), Submission{Targets: []atlas.Project{payments}, Reason: "r"}, mira)
			require.NoError(t, err)
			seen.untilState(t, Pending)
			approved.Store(true)
			_, err = s.Approve(t.Context(), r.ID, jo)
			require.NoError(t, err)
			if errors.Is(tt.put, noRole) {
				seen.untilState(t, Failed)
				_, err = s.Retry(t.Context(), r.ID, mira)
				require.NoError(t, err)
			}
			if !tt.stale {
				seen.untilState(t, Applied)
				assert.Equal(t, 2, p.sent())
				return
			}
			failed := seen.until(t, "a stale target", func(r *Request) bool { return r.State == Failed && r.Target(payments.ID).Outcome == Stale })
			assert.Contains(t, failed.Target(payments.ID).Result.Detail, tt.says)
			assert.Equal(t, 1, p.sent(), "only somebody else's")
		})
	}
}

// TestAWorkerThatEndsWithoutAWord may have sent what it was at.
func TestAWorkerThatEndsWithoutAWord(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := inState(t, s, Approved)
	require.Equal(t, "ok", attempt[Begin](t, s, r))
	require.NoError(t, (&Reconciler{Store: s}).release(t.Context(), r, 0, 0, ""))
	r = hold(t, s, r.ID, "due")
	assert.False(t, r.Target(payments.ID).sent, "the one before it said that it was done")
	r = hold(t, s, r.ID, "due")
	assert.True(t, r.Target(payments.ID).sent)
}

// TestWhatIsLeftOfAnAttempt is told to whoever looks for somebody to blame.
func TestWhatIsLeftOfAnAttempt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		shown *atlas.Integration
		err   error
		want  Outcome
		says  string
	}{
		{"somebody changed it", &atlas.Integration{Type: "PAGER_DUTY", ID: "other"}, nil, Stale, "An earlier attempt of the bot may have gone through before that; make a new request"},
		{"somebody took it away", nil, &atlas.Error{Status: 404, Code: "INTEGRATION_NOT_CONFIGURED"}, Stale, "An earlier attempt of the bot may have gone through before that."},
		{"nobody may look any more", nil, &atlas.Error{Status: 403, Code: "IP_ADDRESS_NOT_ON_ACCESS_LIST"}, Refused, "An earlier attempt may have gone through: look in Atlas"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := &Reconciler{Atlas: fakeAtlas{get: func(context.Context, string) (*atlas.Integration, error) { return tt.shown, tt.err }}}
			req := &Request{Outcomes: map[string]Target{payments.ID: {Outcome: Waiting, sent: true}}}
			outcome, result, err := r.applyTarget(t.Context(), req, payments, pagerDuty(t, newKey("beef")))
			require.NoError(t, err)
			assert.Equal(t, tt.want, outcome)
			assert.Contains(t, result.Detail, tt.says)
		})
	}
}

// TestRetryOfWhatAtlasTookAndShowsOtherwise: what Atlas shows is our own change, and no
// reason to leave it alone.
func TestRetryOfWhatAtlasTookAndShowsOtherwise(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	p := &project{held: pagerDuty(t, newKey("0ld0"))}
	var later atomic.Bool
	seen := work(t, s, fakeAtlas{get: p.get, put: func(ctx context.Context, id string, s *atlas.Settings) (*atlas.Integration, error) {
		if !later.Swap(true) {
			s = pagerDuty(t, newKey("d1ff"))
		}
		return p.put(ctx, id, s)
	}})
	r := submit(t, s)
	seen.untilState(t, Pending)
	_, err := s.Approve(t.Context(), r.ID, jo)
	require.NoError(t, err)
	failed := seen.untilState(t, Failed)
	assert.Contains(t, failed.Target(payments.ID).Result.Detail, "shows something else")
	_, err = s.Retry(t.Context(), r.ID, mira)
	require.NoError(t, err)
	seen.untilState(t, Applied)
	assert.Equal(t, 2, p.sent())
}

// TestASecondLookThatIsNotAnswered decides nothing.
func TestASecondLookThatIsNotAnswered(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	p := &project{held: pagerDuty(t, newKey("0ld0"))}
	var changed, looked atomic.Bool
	seen := work(t, s, fakeAtlas{
		get: func(ctx context.Context, id string) (*atlas.Integration, error) {
			if changed.Load() && !looked.Swap(true) {
				return nil, &atlas.Error{Status: 503}
			}
			return p.get(ctx, id)
		},
		put: func(ctx context.Context, id string, s *atlas.Settings) (*atlas.Integration, error) {
			before, _ := p.get(ctx, id)
			changed.Store(true)
			_, err := p.put(ctx, id, s)
			return before, err // the answer was made before the change
		},
	})
	r := submit(t, s)
	seen.untilState(t, Pending)
	_, err := s.Approve(t.Context(), r.ID, jo)
	require.NoError(t, err)
	seen.untilState(t, Applied)
	assert.Equal(t, 1, p.sent())
}

// TestOfManyErrorsTheLongestPauseCounts: Atlas is left alone for as long as it asks for.
func TestOfManyErrorsTheLongestPauseCounts(t *testing.T) {
	t.Parallel()
	limit := func(d time.Duration) error { return &atlas.Error{Status: 429, RetryAfter: d} }
	reset := errors.New("connection reset by peer")
	for _, tt := range []struct{ a, b, want error }{
		{nil, nil, nil},
		{nil, reset, reset},
		{reset, nil, reset},
		{limit(60), reset, limit(60)},
		{reset, limit(60), limit(60)},
		{limit(60), limit(30), limit(60)},
		{limit(30), limit(60), limit(60)},
	} {
		assert.Equal(t, tt.want, lastsLonger(tt.a, tt.b), "%v, %v", tt.a, tt.b)
	}
}

func TestWhatIsNotConfiguredIsRejectedBeforeAnybodyIsAsked(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	seen := work(t, s, fakeAtlas{get: func(context.Context, string) (*atlas.Integration, error) {
		return nil, &atlas.Error{Status: 404, Code: "INTEGRATION_NOT_CONFIGURED", Detail: "not configured"}
	}})
	r := submit(t, s)
	rejected := seen.untilState(t, Rejected)
	assert.Equal(t, Refused, rejected.Target(payments.ID).Outcome)
	assert.NotContains(t, rejected.Messages, string(Card))
	assertSecretsKept(t, s, rejected)
	_, err := s.Approve(t.Context(), r.ID, jo)
	var state *StateError
	require.ErrorAs(t, err, &state)
}

// TestAnAlteredRecordIsNotApplied: what was approved is what runs.
func TestAnAlteredRecordIsNotApplied(t *testing.T) {
	t.Parallel()
	for name, alter := range map[string]func(t *testing.T, s *Store, id string){
		"another project": func(t *testing.T, s *Store, id string) {
			doc := s.Redis.HGet(t.Context(), s.keys().request(id), "doc").Val()
			s.Redis.HSet(t.Context(), s.keys().request(id), "doc", strings.ReplaceAll(doc, "payments-prod", "payments-dev"))
		},
		"another field": func(t *testing.T, s *Store, id string) {
			doc := s.Redis.HGet(t.Context(), s.keys().request(id), "doc").Val()
			s.Redis.HSet(t.Context(), s.keys().request(id), "doc", strings.Replace(doc, `"region":"EU"`, `"region":"US"`, 1))
		},
		"the new values of another request": func(t *testing.T, s *Store, id string) {
			value := s.Redis.Get(t.Context(), s.keys().sealed(submit(t, s).ID)).Val()
			s.Redis.Set(t.Context(), s.keys().sealed(id), value, time.Minute)
		},
		"the state, without a vote": func(t *testing.T, s *Store, id string) {
			s.Redis.HSet(t.Context(), s.keys().request(id), "state", "approved", "apply_until", "99999999999999")
			s.Redis.HDel(t.Context(), s.keys().request(id), "vote:"+jo.User)
		},
		"the requester's own vote": func(t *testing.T, s *Store, id string) {
			s.Redis.HDel(t.Context(), s.keys().request(id), "vote:"+jo.User)
			s.Redis.HSet(t.Context(), s.keys().request(id), "vote:"+mira.User, "1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			p := &project{held: pagerDuty(t, newKey("0ld0"))}
			r := inState(t, s, Approved)
			alter(t, s, r.ID)
			s.Redis.HSet(t.Context(), s.keys().request(r.ID), "lease_until", 0)
			s.Redis.ZAdd(t.Context(), s.keys().due(), zNow(r.ID))
			seen := work(t, s, p.atlas())
			failed := seen.untilState(t, Failed)
			assert.Equal(t, Refused, failed.Target(payments.ID).Outcome)
			assert.Zero(t, p.sent())
		})
	}
}

// TestRetriesEnd: an hour after a request failed for the first time. Whoever approved it
// did not approve it for good.
func TestRetriesEnd(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	p := &project{held: pagerDuty(t, newKey("0ld0"))}
	noRole := &atlas.Error{Status: 401, Code: "USER_UNAUTHORIZED"}
	seen := work(t, s, fakeAtlas{get: p.get, put: func(context.Context, string, *atlas.Settings) (*atlas.Integration, error) { return nil, noRole }})
	r := submit(t, s)
	seen.untilState(t, Pending)
	_, err := s.Approve(t.Context(), r.ID, jo)
	require.NoError(t, err)
	first := seen.untilState(t, Failed)
	assert.WithinDuration(t, first.DecidedAt.Add(retryWindow), first.RetryUntil, time.Second)

	_, err = s.Retry(t.Context(), r.ID, mira)
	require.NoError(t, err)
	second := seen.until(t, "the second failure", func(r *Request) bool { return r.State == Failed && r.Version > first.Version })
	assert.Equal(t, first.RetryUntil, second.RetryUntil)

	s.Redis.HSet(t.Context(), s.keys().request(r.ID), "retry_last", 1) // it is an hour later when this ends
	_, err = s.Retry(t.Context(), r.ID, mira)
	require.NoError(t, err)
	last := seen.until(t, "the last failure", func(r *Request) bool { return r.State == Failed && !r.Retryable() })
	assertSecretsKept(t, s, last)
}

// TestNoRetryWithoutTheSecrets: nobody is offered what cannot work.
func TestNoRetryWithoutTheSecrets(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	p := &project{held: pagerDuty(t, newKey("0ld0"))}
	r := inState(t, s, Approved)
	s.Redis.Del(t.Context(), s.keys().sealed(r.ID))
	s.Redis.HSet(t.Context(), s.keys().request(r.ID), "lease_until", 0)
	s.Redis.ZAdd(t.Context(), s.keys().due(), zNow(r.ID))
	failed := work(t, s, p.atlas()).untilState(t, Failed)
	assert.Contains(t, failed.Target(payments.ID).Result.Detail, "no longer stored")
	assert.False(t, failed.Retryable())
	assert.Zero(t, p.sent())
}

func TestRequestsExpire(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.Policy.Default.TTL = time.Second
	p := &project{held: pagerDuty(t, newKey("0ld0"))}
	seen := work(t, s, p.atlas())
	submit(t, s)
	seen.untilState(t, Pending)
	assertSecretsKept(t, s, seen.untilState(t, Expired))
	assert.Zero(t, p.sent())
}

// TestAtlasThatDoesNotAnswerForTooLong: trying ends, and says that it did.
func TestAtlasThatDoesNotAnswerForTooLong(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := inState(t, s, Applying)
	s.Redis.HSet(t.Context(), s.keys().request(r.ID), "apply_until", 1, "lease_until", 0)
	s.Redis.ZAdd(t.Context(), s.keys().due(), zNow(r.ID))
	seen := work(t, s, fakeAtlas{})
	failed := seen.untilState(t, Failed)
	assert.Contains(t, failed.Target(payments.ID).Result.Detail, "stopped trying")
	assert.True(t, failed.Retryable())
}

// TestWhatAnEndSaysWasSent: whoever goes on with the key must know whether Atlas may have it.
func TestWhatAnEndSaysWasSent(t *testing.T) {
	t.Parallel()
	ends := map[string]func(t *testing.T, s *Store, r *Request){
		"it takes too long": func(t *testing.T, s *Store, r *Request) {
			s.Redis.HSet(t.Context(), s.keys().request(r.ID), "apply_until", 1)
		},
		"the new values are gone": func(t *testing.T, s *Store, r *Request) {
			s.Redis.Del(t.Context(), s.keys().sealed(r.ID))
		},
		"they are not what was approved": func(t *testing.T, s *Store, r *Request) {
			s.Redis.Set(t.Context(), s.keys().sealed(r.ID), "something else", time.Hour)
		},
	}
	for name, end := range ends {
		for _, sent := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, sent before: %t", name, sent), func(t *testing.T) {
				t.Parallel()
				s := newStore(t)
				r := inState(t, s, Approved)
				end(t, s, r)
				s.Redis.HSet(t.Context(), s.keys().request(r.ID), "lease_until", 0)
				says, never := "Nothing was sent.", "may have gone through"
				if sent {
					s.Redis.HSet(t.Context(), s.keys().request(r.ID), "sent:"+payments.ID, 1)
					says, never = "An earlier attempt may have gone through: look in Atlas before you try again.", "Nothing was"
				}
				s.Redis.ZAdd(t.Context(), s.keys().due(), zNow(r.ID))
				failed := work(t, s, fakeAtlas{}).untilState(t, Failed)
				detail := failed.Target(payments.ID).Result.Detail
				assert.True(t, strings.HasSuffix(detail, ". "+says) || strings.HasSuffix(detail, "\n"+says), detail)
				assert.NotContains(t, detail, never)
			})
		}
	}
}

// TestAPanicStopsNothingElse: one bad record must not keep others waiting.
func TestAPanicStopsNothingElse(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	p := &project{held: pagerDuty(t, newKey("0ld0"))}
	bad := strings.Repeat("bad0", 6)
	seen := work(t, s, fakeAtlas{put: p.put, get: func(ctx context.Context, id string) (*atlas.Integration, error) {
		if id == bad {
			panic("a bug")
		}
		return p.get(ctx, id)
	}})
	_, err := s.Submit(t.Context(), "V0BAD", pagerDuty(t, newKey("beef")),
		Submission{Targets: []atlas.Project{{ID: bad, Name: "bad"}}, Reason: "r"}, mira)
	require.NoError(t, err)
	good := submit(t, s)
	seen.until(t, "the good request", func(r *Request) bool { return r.ID == good.ID && r.State == Pending })
}
