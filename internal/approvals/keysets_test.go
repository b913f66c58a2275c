package approvals

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// rotated gives a store a keyset, and what it is after a rotation.
func rotated(t *testing.T, s *Store) (before, after secret.Text) {
	t.Helper()
	before, err := secret.NewKeyset()
	require.NoError(t, err)
	after, err = secret.RotateKeyset(before)
	require.NoError(t, err)
	require.NoError(t, s.Sealer.Replace(before))
	return before, after
}

// TestKeysInUse: a key can go when nothing waits that it has sealed.
func TestKeysInUse(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, after := rotated(t, s)
	old := s.Sealer.Keys()[0].ID
	use := func() map[uint32]KeyUse {
		use, err := s.KeysInUse(t.Context())
		require.NoError(t, err)
		return use
	}
	assert.Empty(t, use())
	first := submit(t, s)
	second := submit(t, s)
	require.NoError(t, s.Sealer.Replace(after))
	submit(t, s)
	require.Len(t, use(), 2)
	assert.Equal(t, 2, use()[old].Requests)
	assert.Equal(t, second.ExpiresAt.Add(applyWindow+retryWindow), use()[old].Until)

	for _, r := range []*Request{first, second} {
		_, err := s.Cancel(t.Context(), r.ID, mira)
		require.NoError(t, err)
	}
	assert.NotContains(t, use(), old)
	assert.Len(t, use(), 1)
}

// TestAKeyThatComesLater: a replica that has not been given the key yet leaves the
// request alone, and goes on with it when it has.
func TestAKeyThatComesLater(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	before, after := rotated(t, s)
	require.NoError(t, s.Sealer.Replace(after)) // the replica that the form came to
	r := inState(t, s, Approved)
	require.NoError(t, s.Sealer.Replace(before)) // the one that applies
	p := &project{held: pagerDuty(t, newKey("0ld0"))}
	baseline(t, s, r, p)
	s.Redis.HSet(t.Context(), s.keys().request(r.ID), "apply_until", time.Now().Add(applyWindow).UnixMilli())
	seen := work(t, s, p.atlas())
	waiting := seen.until(t, "waits for the key", func(r *Request) bool { return r.Trouble == waitsForKey })
	assert.Equal(t, Applying, waiting.State)
	assert.Zero(t, p.sent())
	require.NoError(t, s.Sealer.Replace(after))
	seen.untilState(t, Applied)
	assert.Equal(t, 1, p.sent())
}

// TestAKeyThatIsGone: it is not waited for without end, and nothing is sent.
func TestAKeyThatIsGone(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	before, after := rotated(t, s)
	require.NoError(t, s.Sealer.Replace(after))
	r := inState(t, s, Approved)
	require.NoError(t, s.Sealer.Replace(before))
	p := &project{held: pagerDuty(t, newKey("0ld0"))}
	baseline(t, s, r, p)
	begun := time.Now().Add(applyWindow - keyTime).UnixMilli() // eleven minutes ago, as it were
	s.Redis.HSet(t.Context(), s.keys().request(r.ID), "apply_until", begun-60_000)
	failed := work(t, s, p.atlas()).untilState(t, Failed)
	assert.Contains(t, failed.Target(payments.ID).Result.Detail, "Nothing was sent")
	assert.Zero(t, p.sent())
}

// baseline has an approved request wait for work, with what its project holds.
func baseline(t *testing.T, s *Store, r *Request, p *project) {
	t.Helper()
	shown, err := p.get(context.Background(), payments.ID)
	require.NoError(t, err)
	s.Redis.HSet(t.Context(), s.keys().request(r.ID), "lease_until", 0, "baseline:"+payments.ID, encode(shown))
	s.Redis.ZAdd(t.Context(), s.keys().due(), zNow(r.ID))
}
