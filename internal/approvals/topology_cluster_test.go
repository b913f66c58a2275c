package approvals

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
)

// applyingIn brings a request of a new workspace as far as its update being on
// the way to Atlas, where the test holds it.
func applyingIn(t *testing.T, client redis.UniversalClient) (*Store, *heldProject, *Request) {
	t.Helper()
	s := storeOn(t, client)
	p := newHeldProject(t)
	work(t, s, p.atlas())
	r := submit(t, s)
	reaches(t, s, r.ID, Pending)
	_, err := s.Approve(t.Context(), r.ID, jo)
	require.NoError(t, err)
	received(t, p.begun, "the update is sent")
	return s, p, r
}

// TestClusterMovesASlotWhileApplying: the keys of a workspace move to another
// node while an update is on its way.
func TestClusterMovesASlotWhileApplying(t *testing.T) {
	t.Parallel()
	cluster := redisd.NewTopology(t, redisd.StartCluster, redisPage)
	client := clientOf(t, cluster.Topology)

	t.Run("one slot has all of them", func(t *testing.T) {
		k := keys{"T0CLUSTER"}
		want := cluster.Nodes[0].Admin.ClusterKeySlot(t.Context(), k.due()).Val()
		for _, name := range k.move("req_0000000000", k.project(payments.ID), k.person(mira.User), k.target(payments.ID, "PAGER_DUTY")) {
			assert.Equal(t, want, cluster.Nodes[0].Admin.ClusterKeySlot(t.Context(), name).Val(), name)
		}
	})

	t.Run("all of them before the answer", func(t *testing.T) {
		s, p, r := applyingIn(t, client)
		m, err := cluster.Migrate(t.Context(), s.keys().due())
		require.NoError(t, err)
		require.NoError(t, m.Finish(t.Context()))
		close(p.proceed)
		reaches(t, s, r.ID, Applied)
		p.assertChangedOnce(t)
	})

	t.Run("the answer comes between", func(t *testing.T) {
		s, p, r := applyingIn(t, client)
		m, err := cluster.Migrate(t.Context(), s.keys().due())
		require.NoError(t, err)
		moved, err := m.Move(t.Context(), 2)
		require.NoError(t, err)
		require.Equal(t, 2, moved)
		close(p.proceed)

		// No script can run while its keys are in two places. What a click meets then
		// is a fault of Redis that the person is told of, and nothing is half done.
		_, err = s.Approve(t.Context(), r.ID, kim)
		require.ErrorContains(t, err, "TRYAGAIN")
		_, err = s.Submit(t.Context(), "V0MEANWHILE", pagerDuty(t, newKey("0002")), Submission{Targets: r.Targets, Reason: "r"}, mira)
		require.ErrorContains(t, err, "TRYAGAIN")

		// Reading goes on, wherever a key is.
		_, err = m.Move(t.Context(), 100)
		require.NoError(t, err)
		meanwhile, err := s.Get(t.Context(), r.ID)
		require.NoError(t, err)
		assert.Equal(t, Applying, meanwhile.State)

		require.NoError(t, m.Finish(t.Context()))
		reaches(t, s, r.ID, Applied)
		p.assertChangedOnce(t)
		_, err = s.Get(t.Context(), RequestID(s.Team, "V0MEANWHILE"))
		require.ErrorIs(t, err, ErrNotFound, "it was refused, so it is not there")
	})

	t.Run("the record of another request is on its way", func(t *testing.T) {
		s := storeOn(t, client)
		first, second := submit(t, s), submit(t, s)
		failed := inState(t, s, Failed)
		kept := func() (all []any) {
			for _, r := range []*Request{first, second, failed} {
				all = append(all, s.Redis.HGetAll(t.Context(), s.keys().request(r.ID)).Val())
			}
			for _, name := range []string{
				s.keys().open(), s.keys().due(), s.keys().history(), s.keys().person(mira.User),
				s.keys().underWay(mira.User), s.keys().project(payments.ID), s.keys().openFor(payments.ID, "PAGER_DUTY"),
			} {
				all = append(all, s.Redis.ZRangeWithScores(t.Context(), name, 0, -1).Val())
			}
			return append(all, s.Redis.XLen(t.Context(), s.keys().audit()).Val())
		}
		before := kept()
		m, err := cluster.Migrate(t.Context(), s.keys().due())
		require.NoError(t, err)
		require.NoError(t, m.MoveKeys(t.Context(), s.keys().request(second.ID)))

		// What it does to the other is part of what it does: it does nothing.
		_, err = s.Cancel(t.Context(), first.ID, mira)
		require.Error(t, err)
		_, err = s.Retry(t.Context(), failed.ID, jo)
		require.Error(t, err)
		_, err = s.Submit(t.Context(), "V0MEANWHILE", pagerDuty(t, newKey("0002")), Submission{Targets: first.Targets, Reason: "r"}, mira)
		require.Error(t, err)
		require.NoError(t, m.Finish(t.Context()))
		assert.Equal(t, before, kept())
		_, err = s.Get(t.Context(), RequestID(s.Team, "V0MEANWHILE"))
		require.ErrorIs(t, err, ErrNotFound)
		_, err = s.Cancel(t.Context(), first.ID, mira)
		require.NoError(t, err)
		_, err = s.Retry(t.Context(), failed.ID, jo)
		require.NoError(t, err)
	})

	t.Run("everything else, and the rule for a Cluster", func(t *testing.T) {
		everything(t, client)
		rules, err := redisd.ReadRules(redisPage)
		require.NoError(t, err)
		allowed := allowedBy(rules.Cluster)
		assert.Subset(t, usedOf(t, cluster.Nodes), allowed, "the rule has nothing to spare")
		assert.ElementsMatch(t, append(allowedBy(rules.Standalone), "asking", "command", "cluster|slots"), allowed)
	})
}

// TestClusterFailoverWhileApplying kills the node that has the keys of a workspace
// while an update is on its way.
func TestClusterFailoverWhileApplying(t *testing.T) {
	t.Parallel()
	cluster := redisd.NewTopology(t, redisd.StartCluster, redisPage)
	s, p, r := applyingIn(t, clientOf(t, cluster.Topology))
	require.NoError(t, cluster.CaughtUp(t.Context(), s.keys().due()))
	took, err := cluster.Failover(t.Context(), s.keys().due())
	require.NoError(t, err)
	t.Log("the Cluster had another owner after", took)
	close(p.proceed)
	away := insist(t, func(ctx context.Context) error {
		_, err := s.Get(ctx, r.ID)
		return err
	})
	t.Log("requests could be read again after another", away)
	final := reaches(t, s, r.ID, Applied)
	assert.Len(t, final.Votes, 1)
	p.assertChangedOnce(t)
}
