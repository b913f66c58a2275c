package approvals

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// states are all there are.
var states = []State{Submitted, Pending, Approved, Applying, Applied, Failed, Rejected, Denied, Cancelled, Expired}

// attempt carries out the move of an event on a request as its caller would, and
// answers the script's word.
var attempt = map[Event]func(t *testing.T, s *Store, r *Request) string{
	Prepare: func(t *testing.T, s *Store, r *Request) string {
		return try(t, s, r, prepareScript, Actor{Via: "bot"}, nil, r.lease, payments.ID, string(Waiting), "null", "{}")
	},
	Reject: func(t *testing.T, s *Store, r *Request) string {
		return try(t, s, r, prepareScript, Actor{Via: "bot"}, nil, r.lease, payments.ID, string(Refused), "null", `{"detail":"no"}`)
	},
	Approve: func(t *testing.T, s *Store, r *Request) string {
		return try(t, s, r, approveScript, jo, nil, 60000, 60000, 0, jo.Human)
	},
	Deny: func(t *testing.T, s *Store, r *Request) string {
		return try(t, s, r, denyScript, jo, nil, "not now", jo.Human)
	},
	Cancel: func(t *testing.T, s *Store, r *Request) string { return try(t, s, r, cancelScript, mira, nil) },
	Expire: func(t *testing.T, s *Store, r *Request) string {
		s.Redis.HSet(t.Context(), s.keys().request(r.ID), "expires", 1)
		return try(t, s, r, expireScript, Actor{Via: "bot"}, nil)
	},
	Begin: func(t *testing.T, s *Store, r *Request) string {
		return try(t, s, r, beginScript, Actor{Via: "bot"}, []string{s.keys().target(payments.ID, r.Type)}, r.lease, 60000, 0)
	},
	Succeed: func(t *testing.T, s *Store, r *Request) string { return outcome(t, s, r, Proven) },
	Fail:    func(t *testing.T, s *Store, r *Request) string { return outcome(t, s, r, Refused) },
	Retry: func(t *testing.T, s *Store, r *Request) string {
		return try(t, s, r, retryScript, jo, []string{s.keys().openFor(payments.ID, r.Type)}, 60000, 60000, 0, mostOverlaps, 60000, payments.ID)
	},
	Lapse: func(t *testing.T, s *Store, r *Request) string {
		s.Redis.HSet(t.Context(), s.keys().request(r.ID), "retry_until", 1)
		return try(t, s, r, lapseScript, Actor{Via: "bot"}, nil)
	},
}

func outcome(t *testing.T, s *Store, r *Request, o Outcome) string {
	return try(t, s, r, outcomeScript, Actor{Via: "bot"}, []string{s.keys().target(payments.ID, r.Type)},
		r.lease, payments.ID, payments.Name, string(o), "{}", "", 60000)
}

func try(t *testing.T, s *Store, r *Request, script *redis.Script, by Actor, more []string, args ...any) string {
	t.Helper()
	reply, err := s.run(t.Context(), script, r.ID, by, s.keys().move(r.ID, more...), args...)
	require.NoError(t, err)
	return reply.word
}

// TestMoves tries every move in every state: it must lead where the table says,
// and where the table says nothing it must change nothing at all.
func TestMoves(t *testing.T) {
	t.Parallel()
	events := slices.Sorted(maps.Keys(attempt))
	for _, state := range states {
		for _, event := range events {
			t.Run(fmt.Sprintf("%s in %s", event, state), func(t *testing.T) {
				t.Parallel()
				s := newStore(t)
				r := inState(t, s, state)
				before := snapshot(t, s, r.ID)

				word := attempt[event](t, s, r)

				after, err := s.Get(t.Context(), r.ID)
				require.NoError(t, err)
				if want, possible := moves[state][event]; possible {
					assert.Equal(t, "ok", word)
					assert.Equal(t, want, after.State)
					assert.Greater(t, after.Version, r.Version, "people should see the move")
					assertAudited(t, s, r.ID, event)
					assertSecretsKept(t, s, after)
					return
				}
				assert.NotEqual(t, "ok", word)
				assert.Equal(t, state, after.State)
				// Expire and Lapse touch a field here to make time pass; Begin takes the targets anew.
				if event != Expire && event != Lapse && event != Begin {
					assert.Equal(t, before, snapshot(t, s, r.ID), "a refused move must change nothing")
				}
			})
		}
	}
}

// inState brings a request into a state by the moves that lead there.
func inState(t *testing.T, s *Store, state State) *Request {
	t.Helper()
	paths := map[State][]Event{
		Pending: {Prepare}, Approved: {Prepare, Approve}, Applying: {Prepare, Approve, Begin},
		Applied: {Prepare, Approve, Begin, Succeed}, Failed: {Prepare, Approve, Begin, Fail},
		Rejected: {Reject}, Denied: {Prepare, Deny}, Cancelled: {Cancel}, Expired: {Expire},
	}
	r := submit(t, s)
	for _, event := range paths[state] {
		if event == Prepare || event == Reject || event == Begin {
			r = hold(t, s, r.ID, "due")
		}
		require.Equal(t, "ok", attempt[event](t, s, r), "%s on the way to %s", event, state)
	}
	after, err := s.Get(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, state, after.State)
	if state.Open() || state == Failed {
		after = hold(t, s, r.ID, "due")
	}
	return after
}

// snapshot is everything that Redis holds of a workspace, but for what merely
// says which worker has the request.
func snapshot(t *testing.T, s *Store, id string) map[string]any {
	t.Helper()
	ctx := t.Context()
	all := map[string]any{}
	names, err := s.Redis.Keys(ctx, s.keys().name("*")).Result()
	require.NoError(t, err)
	for _, name := range names {
		kind, err := s.Redis.Type(ctx, name).Result()
		require.NoError(t, err)
		switch kind {
		case "hash":
			all[name], err = s.Redis.HGetAll(ctx, name).Result()
		case "zset":
			all[name], err = s.Redis.ZRangeWithScores(ctx, name, 0, -1).Result()
		case "stream":
			all[name], err = s.Redis.XLen(ctx, name).Result()
		default:
			all[name], err = s.Redis.Get(ctx, name).Result()
		}
		require.NoError(t, err)
	}
	require.Contains(t, all, s.keys().request(id))
	return all
}

func assertAudited(t *testing.T, s *Store, id string, event Event) {
	t.Helper()
	trail, err := s.Trail(t.Context(), "", 100)
	require.NoError(t, err)
	assert.True(t, slices.ContainsFunc(trail, func(e Entry) bool { return e.Event == string(event) && e.Fields["request"] == id }),
		"the trail should hold the %s", event)
}

// assertSecretsKept checks that sealed secrets are there exactly as long as they
// may still be needed.
func assertSecretsKept(t *testing.T, s *Store, r *Request) {
	t.Helper()
	kept, err := s.Redis.Exists(t.Context(), s.keys().sealed(r.ID)).Result()
	require.NoError(t, err)
	needed := r.State.Open() || r.Retryable()
	assert.Equal(t, needed, kept == 1, "sealed secrets of a request that is %s", r.State)
}

// TestFence: what a worker does after it lost the request changes nothing.
func TestFence(t *testing.T) {
	t.Parallel()
	for _, event := range []Event{Prepare, Reject, Begin, Succeed, Fail} {
		t.Run(string(event), func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			state := map[Event]State{Prepare: Submitted, Reject: Submitted, Begin: Approved}[event]
			if state == "" {
				state = Applying
			}
			old := inState(t, s, state)
			hold(t, s, old.ID, "due") // somebody else has it now
			before := snapshot(t, s, old.ID)
			assert.Equal(t, "fenced", attempt[event](t, s, old))
			assert.Equal(t, before, snapshot(t, s, old.ID))
		})
	}
}

func TestRulesOfVoting(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.Policy.Default.Approvals = 2
	ctx := t.Context()
	r := inState(t, s, Submitted)
	require.Equal(t, "ok", attempt[Prepare](t, s, r))

	_, err := s.Approve(ctx, r.ID, mira)
	require.ErrorIs(t, err, ErrOwnRequest)
	_, err = s.Deny(ctx, r.ID, "no", mira)
	require.ErrorIs(t, err, ErrOwnRequest)
	_, err = s.Cancel(ctx, r.ID, jo)
	require.ErrorIs(t, err, ErrNotRequester)

	first, err := s.Approve(ctx, r.ID, jo)
	require.NoError(t, err)
	assert.Equal(t, Pending, first.State, "one of two is not enough")
	_, err = s.Approve(ctx, r.ID, jo)
	require.ErrorIs(t, err, ErrVotedAlready)
	second, err := s.Approve(ctx, r.ID, kim)
	require.NoError(t, err)
	assert.Equal(t, Approved, second.State)
	assert.Len(t, second.Votes, 2)

	var state *StateError
	_, err = s.Deny(ctx, r.ID, "too late", kim)
	require.ErrorAs(t, err, &state)
	assert.Equal(t, Approved, state.Request.State)
	_, err = s.Approve(ctx, "req_0000000000", jo)
	require.ErrorIs(t, err, ErrNotFound)
}

// TestOnePersonWithTwoAccounts: people decide, not accounts.
func TestOnePersonWithTwoAccounts(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.Policy.Default.Approvals = 2
	ctx := t.Context()
	sub := Submission{Targets: []atlas.Project{payments}, Reason: "rotated"}
	r, err := s.Submit(ctx, "V0TWO", pagerDuty(t, newKey("beef")), sub, Actor{User: mira.User, Human: "mira"})
	require.NoError(t, err)
	require.Equal(t, "ok", attempt[Prepare](t, s, hold(t, s, r.ID, "due")))

	_, err = s.Approve(ctx, r.ID, Actor{User: "U0MIRA2", Human: "mira"})
	require.ErrorIs(t, err, ErrSameHuman, "the requester's other account")
	_, err = s.Deny(ctx, r.ID, "no", Actor{User: "U0MIRA2", Human: "mira"})
	require.ErrorIs(t, err, ErrSameHuman, "which denies no more than it approves")
	_, err = s.Approve(ctx, r.ID, jo)
	require.NoError(t, err)
	same, err := s.Approve(ctx, r.ID, Actor{User: "U0JO2", Human: jo.Human})
	require.ErrorIs(t, err, ErrSameHuman, "an approver's other account")
	assert.Equal(t, Pending, same.State)
	assert.Len(t, same.Votes, 1)
	approved, err := s.Approve(ctx, r.ID, Actor{User: kim.User, Human: "kim"})
	require.NoError(t, err)
	assert.Equal(t, Approved, approved.State)
}

// TestHowManyRequestsAPersonMayHave: those under way count, for each person alone.
func TestHowManyRequestsAPersonMayHave(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.MostOpen = 2
	first := submit(t, s)
	submit(t, s)
	more := func(who Actor) error {
		_, err := s.Submit(t.Context(), "V0MORE"+who.User, pagerDuty(t, newKey("beef")), Submission{Targets: []atlas.Project{payments}}, who)
		return err
	}
	before := snapshot(t, s, first.ID)
	require.ErrorIs(t, more(mira), ErrTooMany)
	assert.Equal(t, before, snapshot(t, s, first.ID), "nothing of it is kept")
	require.NoError(t, more(kim), "others are not concerned")
	_, err := s.Cancel(t.Context(), first.ID, mira)
	require.NoError(t, err)
	require.NoError(t, more(mira))
}

// TestRefusalsAreBounded: nobody fills the trail by clicking what they may not.
func TestRefusalsAreBounded(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := inState(t, s, Pending)
	for range 3 * mostRefusals {
		require.NoError(t, s.Refuse(t.Context(), r.ID, kim, "approve", "unlisted"))
	}
	require.NoError(t, s.Refuse(t.Context(), r.ID, jo, "approve", "unlisted"))
	trail, err := s.Trail(t.Context(), "", 100)
	require.NoError(t, err)
	count := map[string]int{}
	var last Entry
	for _, e := range trail {
		if e.Event == "refuse" {
			count[e.Fields["by"]]++
			if e.Fields["by"] == kim.User {
				last = e
			}
		}
	}
	assert.Equal(t, map[string]int{kim.User: mostRefusals, jo.User: 1}, count)
	assert.NotEmpty(t, last.Fields["more"], "the last one says that there may be more")
}

func TestDecisionsAfterTheTimeIsUpExpire(t *testing.T) {
	t.Parallel()
	for name, decide := range map[string]func(*Store, context.Context, string) (*Request, error){
		"approve": func(s *Store, ctx context.Context, id string) (*Request, error) { return s.Approve(ctx, id, jo) },
		"deny":    func(s *Store, ctx context.Context, id string) (*Request, error) { return s.Deny(ctx, id, "no", jo) },
		"cancel":  func(s *Store, ctx context.Context, id string) (*Request, error) { return s.Cancel(ctx, id, mira) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			r := inState(t, s, Pending)
			s.Redis.HSet(t.Context(), s.keys().request(r.ID), "expires", 1)
			var state *StateError
			_, err := decide(s, t.Context(), r.ID)
			require.ErrorAs(t, err, &state)
			assert.Equal(t, Expired, state.Request.State)
			assertAudited(t, s, r.ID, Expire)
			assertSecretsKept(t, s, state.Request)
		})
	}
}

func TestTheSameViewSubmitsOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	ctx := t.Context()
	sub := Submission{Targets: nil, Reason: "once"}
	sub.Targets = append(sub.Targets, payments)
	first, err := s.Submit(ctx, "V0FORM0001", pagerDuty(t, newKey("0001")), sub, mira)
	require.NoError(t, err)
	again, err := s.Submit(ctx, "V0FORM0001", pagerDuty(t, newKey("0001")), sub, mira)
	require.NoError(t, err)
	assert.Equal(t, first.ID, again.ID)
	_, err = s.Submit(ctx, "V0FORM0001", pagerDuty(t, newKey("0002")), sub, mira)
	var kept *KeptError
	require.ErrorAs(t, err, &kept, "it was edited, and the first one stands")
	assert.Equal(t, first.Digest, kept.Request.Digest)
	open, err := s.Undecided(ctx, 0, 10)
	require.NoError(t, err)
	assert.Len(t, open, 1)
}

func TestOneApplierForATarget(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	first, second := inState(t, s, Approved), inState(t, s, Approved)
	require.Equal(t, "ok", attempt[Begin](t, s, first))
	assert.Equal(t, "busy", attempt[Begin](t, s, second))
	require.Equal(t, "ok", attempt[Succeed](t, s, first))
	assert.Equal(t, "ok", attempt[Begin](t, s, second), "the target is free again")
}

// TestNoSecretAtRest looks for the key in everything that Redis holds.
func TestNoSecretAtRest(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := inState(t, s, Failed)
	text := fmt.Sprint(snapshot(t, s, r.ID))
	trail, err := s.Trail(t.Context(), "", 100)
	require.NoError(t, err)
	text += fmt.Sprint(trail)
	if strings.Contains(text, newKey("beef")) || strings.Contains(text, newKey("beef")[:16]) {
		t.Fatal("a key stands in Redis in clear")
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	id := RequestID("T1", "V1")
	assert.Regexp(t, `^req_[0-9A-Z]{10}$`, id)
	for _, typed := range []string{id, strings.ToLower(id), strings.TrimPrefix(id, "req_"), "`" + id + "`", " " + id + " "} {
		parsed, ok := ParseRequestID(typed)
		assert.True(t, ok, typed)
		assert.Equal(t, id, parsed)
	}
	for _, typed := range []string{"", "req_", "req_SHORT", "req_ILOU000000", "pending", id + "0"} {
		_, ok := ParseRequestID(typed)
		assert.False(t, ok, typed)
	}
}
