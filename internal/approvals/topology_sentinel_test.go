package approvals

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
)

// TestSentinelFailoverWhilePending kills the primary under a request that waits:
// the replica that takes over knows it, and it is approved and applied there.
func TestSentinelFailoverWhilePending(t *testing.T) {
	t.Parallel()
	sentinel := redisd.NewTopology(t, redisd.StartSentinel, redisPage)
	s := storeOn(t, clientOf(t, sentinel.Topology))
	p := newHeldProject(t)
	close(p.proceed)
	seen := work(t, s, p.atlas())
	r := submit(t, s)
	seen.untilState(t, Pending)
	require.NoError(t, sentinel.CaughtUp(t.Context()))

	failed := make(chan error, 1)
	go func() {
		took, err := sentinel.Failover(t.Context())
		t.Log("Sentinels had another primary after", took)
		failed <- err
	}()
	dead, err := sentinel.Primary(t.Context())
	require.NoError(t, err)
	received(t, dead.Ended(), "the primary is killed")
	away := insist(t, func(ctx context.Context) error {
		_, err := s.Approve(ctx, r.ID, jo)
		return err
	})
	t.Log("a click was taken again after", away)
	require.NoError(t, received(t, failed, "the failover"))

	reaches(t, s, r.ID, Applied)
	p.assertChangedOnce(t)
	assert.Equal(t, 1, p.sent())
	for _, node := range append(sentinel.Watch, sentinel.Nodes...) {
		if node.Running() {
			assert.Empty(t, node.Admin.ACLLog(t.Context(), 10).Val(), "what the documented rules refused")
		}
	}
}

// TestSentinelFailoverForgets is what replication cannot promise: the primary dies
// with moves that no replica has. A request submitted then is not known any more;
// one that was applied then is pending again, and approving it again finds in
// Atlas that it was made.
func TestSentinelFailoverForgets(t *testing.T) {
	t.Parallel()
	sentinel := redisd.NewTopology(t, redisd.StartSentinel, redisPage)
	s := storeOn(t, clientOf(t, sentinel.Topology))
	p := newHeldProject(t)
	close(p.proceed)
	seen := work(t, s, p.atlas())
	kept := submit(t, s)
	seen.untilState(t, Pending)
	require.NoError(t, sentinel.CaughtUp(t.Context()))
	require.NoError(t, sentinel.CutReplication(t.Context()))

	_, err := s.Approve(t.Context(), kept.ID, jo)
	require.NoError(t, err)
	reaches(t, s, kept.ID, Applied)
	lost := submit(t, s)
	atRest(t, s, lost.ID, Pending) // the test is about what was acknowledged, not about what is under way

	took, err := sentinel.Failover(t.Context())
	require.NoError(t, err)
	t.Log("Sentinels had another primary after", took)
	reaches(t, s, kept.ID, Pending)
	assertUnknown(t, s, lost.ID)
	insist(t, func(ctx context.Context) error {
		_, err := s.Approve(ctx, kept.ID, jo)
		return err
	})
	reaches(t, s, kept.ID, Applied)
	p.assertChangedOnce(t)
	assert.Equal(t, 1, p.sent(), "it was not even sent again")
}

// TestSentinelThatRefusesWhatItCannotReplicate is the setting that the page
// advises: the primary takes no move that no replica would have.
func TestSentinelThatRefusesWhatItCannotReplicate(t *testing.T) {
	t.Parallel()
	sentinel := redisd.NewTopology(t, redisd.StartSentinel, redisPage, "--min-replicas-to-write", "1", "--min-replicas-max-lag", "3")
	s := storeOn(t, clientOf(t, sentinel.Topology))
	r := inState(t, s, Pending)
	require.NoError(t, sentinel.CaughtUp(t.Context()))
	require.NoError(t, sentinel.CutReplication(t.Context()))

	primary, err := sentinel.Primary(t.Context())
	require.NoError(t, err)
	admin := &Store{Redis: primary.Admin, Team: s.Team}
	before := snapshot(t, admin, r.ID)
	_, err = s.Approve(t.Context(), r.ID, jo)
	require.ErrorContains(t, err, "NOREPLICAS")
	_, err = s.Submit(t.Context(), "V0ALONE", pagerDuty(t, newKey("beef")), Submission{Targets: r.Targets, Reason: "r"}, mira)
	require.ErrorContains(t, err, "NOREPLICAS")
	assert.Equal(t, before, snapshot(t, admin, r.ID))

	_, err = sentinel.Failover(t.Context())
	require.NoError(t, err)
	insist(t, func(ctx context.Context) error {
		_, err := s.Approve(ctx, r.ID, jo)
		return err
	})
}

// TestTheRuleOnSentinels: somebody with the bot's password there cannot turn the
// bot to another primary.
func TestTheRuleOnSentinels(t *testing.T) {
	t.Parallel()
	sentinel := redisd.NewTopology(t, redisd.StartSentinel, redisPage)
	options, err := redis.ParseFailoverURL(sentinel.URL)
	require.NoError(t, err)
	client := redis.NewClient(&redis.Options{
		Addr: options.SentinelAddrs[0], Username: options.SentinelUsername, Password: options.SentinelPassword, TLSConfig: sentinel.TLS,
	})
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	require.NoError(t, client.Do(t.Context(), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main").Err())
	for _, words := range [][]any{
		{"SENTINEL", "FAILOVER", "main"},
		{"SENTINEL", "REMOVE", "main"},
		{"SENTINEL", "RESET", "*"},
		{"SENTINEL", "SET", "main", "quorum", "1"},
		{"SENTINEL", "MONITOR", "other", "127.0.0.1", "1", "1"},
		{"SENTINEL", "MASTERS"},
		{"SENTINEL", "CONFIG", "GET", "*"},
		{"SHUTDOWN"},
		{"ACL", "LIST"},
		{"PUBLISH", "+switch-master", "x"},
		{"PSUBSCRIBE", "*"},
	} {
		assert.ErrorContains(t, client.Do(t.Context(), words...).Err(), "NOPERM", "%v", words)
	}
}
