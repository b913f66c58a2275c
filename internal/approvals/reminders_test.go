package approvals

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Approvers are reminded at half-time and shortly before the end, once each, and no
// more once somebody has decided.
func TestReminders(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.Policy.Default.TTL = time.Hour
	p := &project{held: pagerDuty(t, newKey("0ld0"))}
	seen := work(t, s, p.atlas())
	r := submit(t, s)
	seen.untilState(t, Pending)
	atRest(t, s, r.ID, Pending)
	after := func(passed time.Duration) {
		t.Helper()
		now, err := s.Redis.Time(t.Context()).Result()
		require.NoError(t, err)
		created := now.Add(-passed)
		s.Redis.HSet(t.Context(), s.keys().request(r.ID), "created", created.UnixMilli(), "expires", created.Add(time.Hour).UnixMilli())
		s.Redis.ZAdd(t.Context(), s.keys().show(), zNow(r.ID))
		s.show.wake(r.ID)
		atRest(t, s, r.ID, Pending)
	}
	said := func() []bool {
		t.Helper()
		now, err := s.Get(t.Context(), r.ID)
		require.NoError(t, err)
		_, reminder := now.Messages[string(Reminder)]
		_, last := now.Messages[string(LastCall)]
		return []bool{reminder, last}
	}
	next := func() time.Duration {
		t.Helper()
		score := s.Redis.ZScore(t.Context(), s.keys().show(), r.ID).Val()
		return time.Until(time.UnixMilli(int64(score))).Round(time.Minute)
	}
	assert.Equal(t, []bool{false, false}, said())
	assert.Equal(t, 30*time.Minute, next())
	after(25 * time.Minute)
	assert.Equal(t, []bool{false, false}, said())
	after(31 * time.Minute)
	assert.Equal(t, []bool{true, false}, said())
	assert.Equal(t, 19*time.Minute, next())
	after(51 * time.Minute)
	assert.Equal(t, []bool{true, true}, said())
	assert.Zero(t, s.Redis.ZScore(t.Context(), s.keys().show(), r.ID).Val(), "there is nothing left to remind of")

	_, err := s.Deny(t.Context(), r.ID, "no", jo)
	require.NoError(t, err)
	atRest(t, s, r.ID, Denied)
}

func TestNobodyIsRemindedOfWhatIsOverSoon(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := &Request{
		State: Pending, CreatedAt: now, ExpiresAt: now.Add(shortest - time.Second), ReadAt: now,
		Messages: map[string]Message{string(Card): {Ref: "C1:1"}},
	}
	assert.Empty(t, r.reminders())
	assert.Negative(t, r.nextReminder())
	r.ExpiresAt = now.Add(shortest)
	assert.Len(t, r.reminders(), 2)
	r.Messages = nil
	assert.Empty(t, r.reminders(), "there is no thread to say it in")
}
