package approvals

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHeads: once a day one process posts the end of the trail, again until it could,
// and not if nothing happened.
func TestHeads(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var posted []Head
	var away error
	heads := &Heads{Store: s, Post: func(_ context.Context, head Head) error {
		if away == nil {
			posted = append(posted, head)
		}
		return away
	}}
	look := func() error { return heads.post(t.Context()) }
	aDayLater := func() { // the clock of Redis stays, what it is compared with moves
		s.Redis.HSet(t.Context(), s.keys().name("head"), "at", time.Now().Add(-headEvery).UnixMilli(), "taken_until", 0)
	}
	require.NoError(t, look())
	assert.Empty(t, posted, "the first is due a day after the first start")
	aDayLater()
	require.NoError(t, look())
	assert.Empty(t, posted, "there is nothing to post")

	submit(t, s)
	aDayLater()
	away = errors.New("slack is away")
	require.ErrorIs(t, look(), away)
	require.NoError(t, look())
	assert.Empty(t, posted, "somebody has the task")
	aDayLater()
	away = nil
	require.NoError(t, look())
	require.NoError(t, look())
	trail, err := s.Trail(t.Context(), "", 10)
	require.NoError(t, err)
	last := trail[len(trail)-1]
	assert.Equal(t, []Head{{Entry: last.ID, Hash: last.Hash()}}, posted)

	aDayLater()
	require.NoError(t, look())
	assert.Len(t, posted, 1, "the trail did not move")
	submit(t, s)
	aDayLater()
	require.NoError(t, look())
	assert.Len(t, posted, 2)

	for _, name := range []string{"at", "taken_until"} { // as whoever has something to hide might set it
		submit(t, s)
		aDayLater()
		s.Redis.HSet(t.Context(), s.keys().name("head"), name, time.Now().Add(1000*headEvery).UnixMilli())
		before := len(posted)
		require.NoError(t, look())
		assert.Len(t, posted, before+1, "%s is in the future", name)
	}
}
