package approvals

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestALateMoveOfALostRequest: Redis lost a request while a worker had it. What the
// worker still writes must not make a record of it that nobody can read.
func TestALateMoveOfALostRequest(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := hold(t, s, inState(t, s, Pending).ID, "show")
	require.NoError(t, s.Redis.Del(t.Context(), s.keys().request(r.ID), s.keys().sealed(r.ID)).Err())
	reconciler, projector := &Reconciler{Store: s}, &Projector{Store: s}
	ctx := t.Context()

	require.NoError(t, projector.shown(ctx, r, map[string]Message{"card": {Ref: "C1:1", Version: 1}}, -1, 0))
	require.NoError(t, projector.shown(ctx, r, map[string]Message{"card": {Ref: "C1:1", Version: 1}}, time.Second, 1))
	require.NoError(t, s.Adopt(ctx, r, Card, "C1:1"))
	require.NoError(t, s.Refuse(ctx, r.ID, kim, "approve", "not an approver"))
	require.NoError(t, reconciler.release(ctx, r, 0, 0, ""))
	for _, event := range []Event{Prepare, Begin, Succeed} {
		assert.Equal(t, "fenced", attempt[event](t, s, r), event)
	}
	assert.Equal(t, "missing", try(t, s, r, expireScript, Actor{Via: "bot"}, nil))
	assert.Equal(t, "missing", try(t, s, r, lapseScript, Actor{Via: "bot"}, nil))
	assertUnknown(t, s, r.ID)
}
