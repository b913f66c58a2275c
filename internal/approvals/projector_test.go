package approvals

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// poster is a Notifier that keeps what was posted and not merely edited.
type poster struct {
	posted []string
	fail   Kind // that cannot be posted
}

func (p *poster) Show(_ context.Context, r *Request, kind Kind, ref string) (string, error) {
	if kind == p.fail {
		return "", errors.New("user_disabled")
	}
	if ref == "" {
		p.posted = append(p.posted, fmt.Sprintf("%s: %s", kind, r.State))
		ref = string(kind) + ":1"
	}
	return ref, nil
}

// draw draws the messages of a request as they should be now, and gives what was posted.
func (p *poster) draw(t *testing.T, s *Store, id string) []string {
	t.Helper()
	before := len(p.posted)
	(&Projector{Store: s, Notifier: p}).draw(t.Context(), hold(t, s, id, "show"))
	return p.posted[before:]
}

// follow takes a request through moves of others, each of which must go well.
func follow(t *testing.T, s *Store, r *Request, events ...Event) {
	t.Helper()
	for _, event := range events {
		if event == Prepare || event == Reject || event == Begin {
			r = hold(t, s, r.ID, "due")
		}
		require.Equal(t, "ok", attempt[event](t, s, r), event)
	}
}

// TestWhoAskedIsToldOfTheEnd: by a message of its own, since an edited one is not noticed,
// and once.
func TestWhoAskedIsToldOfTheEnd(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		events []Event
		want   []string
	}{
		{"denied", []Event{Prepare, Deny}, []string{"verdict: denied"}},
		{"rejected", []Event{Reject}, []string{"verdict: rejected"}},
		{"applied", []Event{Prepare, Approve, Begin, Succeed}, []string{"card: applied", "verdict: applied", "report: applied"}},
		{"failed", []Event{Prepare, Approve, Begin, Fail}, []string{"card: failed", "verdict: failed", "report: failed"}},
		{"cancelled, which they did", []Event{Cancel}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			n := &poster{}
			r := submit(t, s)
			assert.Equal(t, []string{"dm: submitted"}, n.draw(t, s, r.ID))
			follow(t, s, r, tt.events...)
			assert.ElementsMatch(t, tt.want, n.draw(t, s, r.ID))
			assert.Empty(t, n.draw(t, s, r.ID))
		})
	}
	t.Run("at once, which the first message says", func(t *testing.T) {
		t.Parallel()
		s := newStore(t)
		n := &poster{}
		r := submit(t, s)
		follow(t, s, r, Reject)
		assert.Equal(t, []string{"dm: rejected"}, n.draw(t, s, r.ID))
		assert.Empty(t, n.draw(t, s, r.ID))
	})
	t.Run("after a retry once more", func(t *testing.T) {
		t.Parallel()
		s := newStore(t)
		n := &poster{}
		r := submit(t, s)
		n.draw(t, s, r.ID)
		follow(t, s, r, Prepare, Approve, Begin, Fail)
		assert.Contains(t, n.draw(t, s, r.ID), "verdict: failed")
		follow(t, s, r, Retry)
		assert.Empty(t, n.draw(t, s, r.ID))
		follow(t, s, r, Begin, Succeed)
		assert.Equal(t, []string{"verdict: applied"}, n.draw(t, s, r.ID))
	})
}

// TestARequesterWhoCannotBeTold is no reason not to tell the others.
func TestARequesterWhoCannotBeTold(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	n := &poster{fail: DM}
	r := submit(t, s)
	follow(t, s, r, Prepare, Approve, Begin, Succeed)
	assert.ElementsMatch(t, []string{"card: applied", "report: applied"}, n.draw(t, s, r.ID))
}

// TestSlackMayBeAwayForHours: however often it was tried, a decided request is shown when
// Slack is back. Only a channel that is gone for good is given up on.
func TestSlackMayBeAwayForHours(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		decided time.Duration // ago
		goesOn  bool
	}{{23 * time.Hour, true}, {25 * time.Hour, false}} {
		s := newStore(t)
		r := submit(t, s)
		follow(t, s, r, Prepare, Deny)
		now, err := s.Redis.Time(t.Context()).Result()
		require.NoError(t, err)
		s.Redis.HSet(t.Context(), s.keys().request(r.ID), "show_tries", 10*enough, "decided", now.Add(-tt.decided).UnixMilli())
		(&poster{fail: DM}).draw(t, s, r.ID)
		assert.Equal(t, tt.goesOn, s.Redis.ZScore(t.Context(), s.keys().show(), r.ID).Err() == nil, "%s after", tt.decided)
	}
}

// TestARetryWhileItsFailureIsShown: there is another end to be told of.
func TestARetryWhileItsFailureIsShown(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	n := &poster{}
	r := submit(t, s)
	n.draw(t, s, r.ID)
	follow(t, s, r, Prepare, Approve, Begin, Fail)
	drawing := hold(t, s, r.ID, "show")
	follow(t, s, r, Retry)
	(&Projector{Store: s, Notifier: n}).draw(t.Context(), drawing)
	follow(t, s, r, Begin, Succeed)
	assert.Contains(t, n.draw(t, s, r.ID), "verdict: applied")
}

// TestAMessageThatIsFoundWhileOthersAreDrawn is drawn next.
func TestAMessageThatIsFoundWhileOthersAreDrawn(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	n := &poster{}
	r := submit(t, s)
	n.draw(t, s, r.ID)
	follow(t, s, r, Prepare)
	drawing := hold(t, s, r.ID, "show")
	require.NoError(t, s.Adopt(t.Context(), drawing, DM, "dm:2"))
	(&Projector{Store: s, Notifier: n}).draw(t.Context(), drawing)
	again := time.UnixMilli(int64(s.Redis.ZScore(t.Context(), s.keys().show(), r.ID).Val()))
	assert.Less(t, time.Until(again), time.Minute, "it is looked at again")
	now, err := s.Get(t.Context(), r.ID)
	require.NoError(t, err)
	assert.Equal(t, drawing.Version, now.Version, "whoever applies it is not called back")
	n.draw(t, s, r.ID)
	now, err = s.Get(t.Context(), r.ID)
	require.NoError(t, err)
	assert.Equal(t, now.Version, now.Messages["dm@dm:2"].Version)
	next := time.UnixMilli(int64(s.Redis.ZScore(t.Context(), s.keys().show(), r.ID).Val()))
	assert.Greater(t, time.Until(next), time.Minute, "and after that not before it is time for a reminder")
}

// TestACardThatNobodyRemembers: the one that was clicked is the card from then on, and no
// other is posted.
func TestACardThatNobodyRemembers(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	n := &poster{}
	r := submit(t, s)
	n.draw(t, s, r.ID)
	follow(t, s, r, Prepare)
	now, err := s.Get(t.Context(), r.ID)
	require.NoError(t, err)
	require.NoError(t, s.Adopt(t.Context(), now, Card, "C1:7"))
	assert.Empty(t, n.draw(t, s, r.ID))
	now, err = s.Get(t.Context(), r.ID)
	require.NoError(t, err)
	assert.Equal(t, Message{Ref: "C1:7", Version: now.Version}, now.Messages[string(Card)])
	follow(t, s, r, Deny)
	assert.Equal(t, []string{"verdict: denied"}, n.draw(t, s, r.ID))
}
